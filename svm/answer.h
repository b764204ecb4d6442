/* SPDX-License-Identifier: MIT */
/* svm/answer.h - how an action that somebody asked for was refused. */
#ifndef SVM_ANSWER_H
#define SVM_ANSWER_H

#include <compiler.h>
#include <plane.h>

/* Writes the line for people and returns `result`, so that the caller can return it. */
enum plane_result PRINTF_LIKE(3, 4)
	answer(struct plane_error *error, enum plane_result result, const char *fmt, ...);

/* Nothing to say. */
static inline enum plane_result answer_ok(struct plane_error *error)
{
	error->text[0] = '\0';
	return PLANE_OK;
}

#endif
