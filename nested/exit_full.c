/* SPDX-License-Identifier: MIT */
/* nested/exit_full.c - the full exit: L2 ran, and now L1 gets its turn.
 * Writes VMCB12 (state and exit fields), L1's GIF and level, the registers that L1 and L2 share. Of VMCB02 nothing but
 * the RIP of a soft event that was interrupted, which is put right before it is written back.
 * Manual: APM2 15.6 (#VMEXIT). Opposite: exit_invalid.c. Next: resume.c. */
#include <amd/vmcb_access.h>

#include "merge.h"

/* L2's RIP as L1 must see it: a soft event that was to return to nRIP but was interrupted takes it back. */
static void undo_soft_event(struct nested *n, const struct nested_exit *exit, struct vmcb_save *l2)
{
	const uint64_t same = EVENT_V | EVENT_TYPE | EVENT_VECTOR;

	if (likely(!n->soft.pending))
		return;
	if ((exit->intinfo & EVENT_V) && !((exit->intinfo ^ n->soft.event) & same) && l2->rip == n->soft.next_rip)
		l2->rip = n->soft.old_rip;
	n->soft.pending = false;
}

/* Registers of which the CPU has one set for host and guest (APM2 15.5.1): L1 finds what L2 left. */
static void carry_shared(const struct nested *n, struct vmcb *vmcb01, const struct vmcb_save *l2)
{
	uint64_t cr2 = l2->cr2, dr6 = l2->dr6;

	vmcb_set_cr2(vmcb01, cr2);
	vmcb_set_dr6(vmcb01, dr6);
	if (!(n->snap.control.misc & MISC_NP))
		vmcb_set_g_pat(vmcb01, l2->g_pat);
}

/* Still there: VMCB02 has not run since the flush was asked for, and may be rebuilt for another L2 before it does. */
static void keep_flush(struct nested *n, const struct vmcb_control *c02)
{
	if (unlikely(c02->tlb_control != TLB_CONTROL_NONE))
		tlb02_flush_asid12(&n->tlb02, n->snap.control.asid);
}

bool nested_exit_full(struct nested *n, struct port *port, const struct nested_exit *exit, struct vmcb *vmcb01,
		      struct vmcb *vmcb02)
{
	bool written;

	CHECK(n->in_l2);
	undo_soft_event(n, exit, &vmcb02->save);
	written = vmcb12_write_exit(port, n->vmcb12_pa, n, exit, vmcb02);
	if (unlikely(n->caps.eraps))
		vmcb01->control.erap |= ERAP_CLEAR;
	if (unlikely(n->lbr_used))
		lbr02_leave(n, vmcb01, vmcb02);
	keep_flush(n, &vmcb02->control);
	n->in_l2 = false;
	n->run_pending = false;
	n->gif = false; /* L1 sets it by STGI when it is ready for events */
	n->full_exit_count++;
	carry_shared(n, vmcb01, &vmcb02->save);
	l1_resume(vmcb01);
	return written;
}
