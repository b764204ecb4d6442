/* SPDX-License-Identifier: MIT */
/* svm/answer.c - one line for whoever asked for an action that is not done. Pure. Users: files.c, guests.c, plane.c. */
#include "svm/answer.h"

#include "kernel/printf.h"

enum plane_result answer(struct plane_error *error, enum plane_result result, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	kvsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return result;
}
