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
static ALWAYS_INLINE void carry_shared(struct vmcb *vmcb01, const struct vmcb_save *l2, bool own_pat)
{
	vmcb01->save.cr2 = l2->cr2;
	vmcb01->save.dr6 = l2->dr6;
	vmcb01->control.clean &= ~(CLEAN_CR2 | CLEAN_DRX);
	if (!own_pat)
		vmcb_set_g_pat(vmcb01, l2->g_pat);
}

/* Still there: VMCB02 has not run since the flush was asked for, and may be rebuilt for another L2 before it does. */
static void keep_flush(struct nested *n, const struct vmcb_control *c02)
{
	if (unlikely(c02->tlb_control != TLB_CONTROL_NONE))
		tlb02_flush_asid12(&n->tlb02, n->snap.control.asid);
}

static ALWAYS_INLINE bool exit_full(struct nested *n, struct port *port, const struct nested_exit *exit,
				    struct vmcb *vmcb01, struct vmcb *vmcb02, const struct exit_form *form)
{
	bool written = vmcb12_write_exit(port, n->vmcb12_pa, n, exit, vmcb02, form);

	keep_flush(n, &vmcb02->control);
	n->in_l2 = false;
	n->run_pending = false;
	n->gif = false; /* L1 sets it by STGI when it is ready for events */
	n->full_exit_count++;
	carry_shared(vmcb01, &vmcb02->save, form->own_pat);
	l1_resume(vmcb01);
	return written;
}

/* Of an L2 that has something that most have not, or may have. */
static OWN_FRAME bool exit_rare(struct nested *n, struct port *port, const struct nested_exit *exit,
				struct vmcb *vmcb01, struct vmcb *vmcb02)
{
	const struct vmcb_control *c = &n->snap.control;
	const struct exit_form form = {
		.own_pat = c->misc & MISC_NP, .own_lbr = c->misc2 & MISC2_LBR,
		.with_nrip = n->caps.features & SVM_FEAT_NRIPS, .with_insn = n->caps.features & SVM_FEAT_DECODE_ASSISTS,
	};

	undo_soft_event(n, exit, &vmcb02->save);
	if (n->caps.eraps)
		vmcb01->control.erap |= ERAP_CLEAR;
	if (n->lbr_used)
		lbr02_leave(n, vmcb01, vmcb02);
	return exit_full(n, port, exit, vmcb01, vmcb02, &form);
}

bool nested_exit_full(struct nested *n, struct port *port, const struct nested_exit *exit, struct vmcb *vmcb01,
		      struct vmcb *vmcb02)
{
	static const struct exit_form plain = {.own_pat = true, .with_nrip = true, .with_insn = true};

	CHECK(n->in_l2);
	if (unlikely(!n->plain)) /* with a copy, so that the plain exit need not be in memory */
		return exit_rare(n, port, &(struct nested_exit){exit->code, exit->info1, exit->info2, exit->intinfo, exit->nrip,
				 {.words = {exit->insn.words[0], exit->insn.words[1]}}}, vmcb01, vmcb02);
	return exit_full(n, port, exit, vmcb01, vmcb02, &plain);
}
