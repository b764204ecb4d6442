/* SPDX-License-Identifier: MIT */
/* nested/merge.h - what the steps of vmrun.c and the two exits use of each other; for nested/ alone. */
#ifndef NESTED_MERGE_H
#define NESTED_MERGE_H

#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <check.h>

#include "nested.h"

/* vmcb12.c: the only reader and writer of L1's VMCB. `save` is snap->save or where it is needed next; records of branches
 * go to snap->save in any case. */
bool vmcb12_snapshot(struct vmcb12 *snap, struct vmcb_save *save, const struct vmcb_control *known, struct port *port,
		     l1pa_t at);
/* The same from a snapshot that may hold anything. */
void vmcb12_sanitise(struct vmcb12 *snap, const struct vmcb_control *known, const struct vmcb12 *from);
/* The state that VMRUN loads, and nothing else of a save area. */
void vmcb_copy_state(struct vmcb_save *to, const struct vmcb_save *from);
bool vmcb12_write_refused(struct port *port, l1pa_t at);
/* Which registers L2 has for itself, and what L1 is told. */
struct exit_form {
	bool own_pat, own_lbr, with_nrip, with_insn;
};
bool vmcb12_write_exit(struct port *port, l1pa_t at, const struct nested *n, const struct nested_exit *exit,
		       const struct vmcb *vmcb02, const struct exit_form *form);

/* merge.c */
/* A page that is to be VMCB02 for the first time: all zero but for MISC_NP. */
void vmcb02_blank(struct vmcb *vmcb02);
/* The control area of the snapshot, without its event; the state that VMCB02 has already is completed. */
void vmcb02_fill(struct vmcb *vmcb02, const struct vmcb_control *c12, const struct vmcb *vmcb01,
		 const struct vmcb02_inputs *in, const struct vmcb02_tables *tables, bool own_pat);
void vmcb02_soft_event(struct vmcb *vmcb02, const struct vmcb12 *snap, const struct nested_caps *caps,
		       struct soft_event *soft);

/* pause.c: threshold and count for the CPU; 0 when PAUSEs are counted by software, or not at all. */
uint32_t pause02(const struct nested *n);

/* vmrun.c: makes VMCB02 of the snapshot as step 5 does, with tables and a tag chosen anew. */
void vmrun_make_again(struct nested *n, const struct vmcb *vmcb01, const struct vmcb02_inputs *in, struct vmcb *vmcb02);
/* vmrun.c: RSM back into L2, with n->snap filled. The checks and the entry of a VMRUN that is none: nothing is refused,
 * false means that RSM fails (svm-facts 11.4, rule 10). */
bool vmrun_resume(struct nested *n, struct port *port, l1pa_t vmcb12_pa, const struct vmcb02_inputs *in,
		  struct vmcb *vmcb01, struct vmcb *vmcb02);

/* lbr.c: DEBUGCTL and the records of branches, L1's or L2's own, into VMCB02 and out of it. */
void lbr02_enter(struct nested *n, const struct vmcb *vmcb01, struct vmcb *vmcb02);
void lbr02_leave(const struct nested *n, struct vmcb *vmcb01, const struct vmcb *vmcb02);
/* What L2 has now goes to where lbr02_enter() will look for it. */
void lbr02_save(const struct vmcb *vmcb02, struct vmcb12 *snap, struct vmcb_save *l1);
/* VMCB01 was restored. */
void lbr01_restore(const struct nested *n, struct vmcb *vmcb01);

/* exit_invalid.c */
void nested_exit_invalid(struct nested *n, struct port *port, l1pa_t vmcb12_pa, enum vmrun_reason reason,
			 struct vmcb *vmcb01);

/* resume.c */
void l1_resume(struct vmcb *vmcb01);

#endif
