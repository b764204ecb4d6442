/* SPDX-License-Identifier: MIT */
/* nested/check_usual.h - the answer that most VMRUNs get: nothing is wrong. The rules that weigh registers against
 * each other have passed these very values at an earlier VMRUN of this vCPU (check_note_passed()); the others are
 * asked here, all at once and a little more strictly. Whoever fails here is not refused yet: check_control.c and
 * check_state.c go through the rules one by one. After each VMRUN of a unit test or fuzzer tests/unit/rig.c has them
 * look at what has passed here as well.
 * Manual: APM2 15.5.1 (Canonicalization and Consistency Checks). */
#ifndef NESTED_CHECK_USUAL_H
#define NESTED_CHECK_USUAL_H

#include <amd/cpu.h>

#include "check_rules.h"

/* Addresses of half the physical space: no map that begins there ends beyond the whole. */
static inline uint64_t check_far_bits(const struct nested_caps *caps)
{
	return caps->phys_mbz | caps->phys_mbz >> 1;
}

/* The rules let a VMRUN with nested paging of an L1 with paging pass. */
static inline void check_note_passed(struct check_passed *passed, const struct vmcb_save *s)
{
	*passed = (struct check_passed){s->efer, s->cr0, s->cr4, s->g_pat, s->cs.attr};
}

/* Nothing has passed. L1 has no say in it: no VMCB holds attributes of 64 bits. */
static inline void check_forget_passed(struct check_passed *passed)
{
	passed->cs_attr = UINT64_MAX;
}

/* True: no rule can fire but that of the MSR map's memory, which vmrun.c asks. `far_bits`: check_far_bits(); `l1`: the
 * state of VMCB01. APM2 15.5.1. */
static ALWAYS_INLINE bool check_is_usual(const struct vmcb_control *c, const struct vmcb_save *s,
					 const struct check_passed *passed, uint64_t far_bits,
					 const struct vmcb_save *l1)
{
	uint64_t odd = (s->efer ^ passed->efer) | (s->cr0 ^ passed->cr0) | (s->cr4 ^ passed->cr4) |
		       (s->g_pat ^ passed->g_pat) | (s->cs.attr ^ passed->cs_attr) | s->dr6 >> 32 | s->dr7 >> 32 |
		       ((s->cr3 | c->ncr3 | c->msrpm_base | c->iopm_base) & far_bits);

	return !odd && c->asid != 0 && (c->intercept[ICPT_MISC2] & ICPT2_VMRUN) && (c->misc & MISC_NP) &&
	       (l1->cr0 & CR0_PG) && !(c->eventinj & EVENT_V) && !(c->v_intr & V_INTR_NMI_ENABLE) && !(c->misc2 & MISC2_LBR);
}

#endif
