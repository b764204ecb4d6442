/* SPDX-License-Identifier: MIT */
/* svm/lbr.c - records of branches for CPUs that keep none for their guests. While DEBUGCTL.LBR or BTF of the level that
 * runs is set, its instructions are stepped one by one (once.c): dear, but nobody leaves it on. What cannot be stepped
 * (INTn, SYSCALL) goes unrecorded. Writes the VMCB in use.
 * Manual: APM2 13.1.6 (Control-Transfer Breakpoint Features). Before: nested/lbr.c, exit_msr.c. */
#include "svm/lbr.h"

#include <amd/vmcb_access.h>
#include <Zydis/Zydis.h>

#include "kernel/smp.h"
#include "svm/msr.h"

void lbr_set(struct vcpu *v, uint64_t debugctl)
{
	v->vmcb->save.dbgctl = debugctl;
	v->vmcb->control.clean &= ~CLEAN_LBR;
	if (!debugctl)
		return;
	if (!v->nested.lbr_used)
		nested_choose_anew(&v->nested);
	v->nested.lbr_used = true;
	v->attention = true; /* vcpu_ready() arms */
	if (v->nested.caps.hw_lbr)
		v->vmcb->control.misc2 |= MISC2_LBR;
}

static void record(struct vcpu *v, uint64_t from)
{
	struct vmcb_save *s = &v->vmcb->save;

	if (!(s->dbgctl & DEBUGCTL_LBR))
		return;
	s->br_from = from;
	s->br_to = s->rip;
}

/* With an event pending TF would be pushed with the flags: a kick ends the run behind the event instead. */
static void arm(struct vcpu *v)
{
	v->odd_entry = true;
	if (v->once.stepping)
		return;
	if (v->vmcb->control.eventinj & EVENT_V) {
		v->lbr_event = true;
		v->lbr_from = v->vmcb->save.rip;
		smp_kick(v->cpu);
	} else {
		once_step(v, false);
	}
}

/* Its value is no longer the CPU's, which is 0 outside of LBR virtualisation. */
void lbr_prepare(struct vcpu *v)
{
	msr_watch_debugctl(v);
	if (lbr_steps(v))
		arm(v);
}

/* An interrupt or exception is a branch as well, and keeps what was the last one before it. */
static void record_event(struct vcpu *v)
{
	struct vmcb_save *s = &v->vmcb->save;

	if (!(s->dbgctl & DEBUGCTL_LBR) || (v->vmcb->control.exitintinfo & EVENT_V))
		return;
	s->lastexcp_from = s->br_from;
	s->lastexcp_to = s->br_to;
	record(v, v->lbr_from);
}

void lbr_after_exit(struct vcpu *v)
{
	if (v->lbr_event)
		record_event(v);
	v->lbr_event = false;
	v->attention = true;
}

static bool is_conditional(uint16_t mnemonic)
{
	return (mnemonic >= ZYDIS_MNEMONIC_JB && mnemonic <= ZYDIS_MNEMONIC_JZ && mnemonic != ZYDIS_MNEMONIC_JMP) ||
	       (mnemonic >= ZYDIS_MNEMONIC_LOOP && mnemonic <= ZYDIS_MNEMONIC_LOOPNE);
}

static bool is_unconditional(uint16_t mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_SYSEXIT:
		return true;
	default:
		return false;
	}
}

bool lbr_stepped(struct vcpu *v, const struct once *step)
{
	bool taken = is_unconditional(step->mnemonic) ||
		     (is_conditional(step->mnemonic) && v->vmcb->save.rip != step->next);

	if (taken)
		record(v, step->rip);
	return taken;
}
