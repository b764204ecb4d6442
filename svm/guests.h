/* SPDX-License-Identifier: MIT */
/* svm/guests.h - guests come and go: made from descriptions, started, stopped, forgotten. CPU 0 only. */
#ifndef SVM_GUESTS_H
#define SVM_GUESTS_H

#include <bootinfo.h>
#include <plane.h>

#include "svm/files.h"
#include "svm/l1.h"

/* Makes the guests of the module nestling.cfg; fatal() with what to do when one cannot be made. `none_is_fine`: the
 * module may be missing. */
void guests_init(const struct bootinfo *bi, bool none_is_fine);
struct files *guests_files(void);
/* CPUs that no guest has. */
unsigned guests_free_cpus(void);

/* As plane.h says. `source`: what the text is called in messages. */
enum plane_result guests_create(const char *source, const char *text, size_t size, struct l1 **l1,
				struct plane_error *error);
enum plane_result guests_start(struct l1 *l1, struct plane_error *error);
enum plane_result guests_stop(struct l1 *l1, struct plane_error *error);
enum plane_result guests_reset(struct l1 *l1, struct plane_error *error);
/* Saves a running guest; puts one back to where it was saved, if need be after making it anew; both, many times; gives
 * back what that takes. Done a moment later; the log says how it went. */
enum plane_result guests_save(struct l1 *l1, struct plane_error *error);
enum plane_result guests_restore(struct l1 *l1, struct plane_error *error);
enum plane_result guests_cycle(struct l1 *l1, unsigned cycles, struct plane_error *error);
enum plane_result guests_forget(struct l1 *l1, struct plane_error *error);
/* The guest may be gone when this returns. */
enum plane_result guests_destroy(struct l1 *l1, struct plane_error *error);

/* In the host turn: forgets the guests that have ended and were to be destroyed. */
void guests_turn(void);

#endif
