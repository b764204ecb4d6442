/* SPDX-License-Identifier: MIT */
/* svm/vmm.h - all guests together: their list, their run, their end. Open vmm.c for the order. */
#ifndef SVM_VMM_H
#define SVM_VMM_H

#include <bootinfo.h>
#include <compiler.h>
#include <plane.h>

struct l1;

struct l0_options {
	bool stay;           /* go on with the monitor and the plane when all guests have ended */
	const char *version;
	plane_turn_fn *turn; /* of the management plane; null: there is none */
};

/* For the management plane. */
extern const struct plane_ops svm_plane;

/* Runs the guests that the module nestling.cfg describes; switches the machine off when all have ended. A machine that
 * stays on may do without that module. Needs SVM on every CPU. */
_Noreturn void l0_main(const struct bootinfo *bi, const struct l0_options *options);

/* The guest of a number, the first being 0; or null. */
struct l1 *vmm_guest(unsigned n);
/* All guests by number: the first one after null, then the one after that; null at the end. */
struct l1 *vmm_next(const struct l1 *after);
/* The one of that name, or of that number in decimal, the first being 1; or null. */
struct l1 *vmm_find(const char *word, size_t len);
/* One that has not ended and is not `than`; or null. */
struct l1 *vmm_other_guest(const struct l1 *than);
const char *vmm_version(void);
/* Does the machine go on without guests? */
bool vmm_stays(void);

/* CPU 0: enters a guest under a number, or takes it off the list: then `l1` is null. */
void vmm_list(unsigned n, struct l1 *l1);
/* CPU 0: runs a guest that l1_power_on() has made ready. */
void vmm_launch(struct l1 *l1);

#endif
