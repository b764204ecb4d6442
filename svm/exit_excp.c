/* SPDX-License-Identifier: MIT */
/* svm/exit_excp.c - exceptions and software interrupts that L0 intercepts for reasons of its own and that then go
 * where they would have gone: into the level that runs, or first to L1 when it intercepts what becomes of them.
 * Manual: APM2 15.12 (Exception Intercepts), 15.17 (GIF), 15.20; APM3 (INT, INT3, INTO). Next: inject.c, quirk.c. */
#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>
#include <Zydis/Zydis.h>

#include "svm/decode.h"
#include "svm/exit.h"
#include "svm/gif.h"

/* A fault while a soft event was delivered: RIP goes back to the instruction, and the event is over. */
static void undo_soft_event(struct vcpu *v)
{
	struct soft_event *soft = &v->nested.soft;
	const uint64_t same = EVENT_V | EVENT_TYPE | EVENT_VECTOR;

	if (!soft->pending || !(v->reinject & EVENT_V) || ((v->reinject ^ soft->event) & same))
		return;
	if (v->vmcb->save.rip == soft->next_rip)
		v->vmcb->save.rip = soft->old_rip;
	soft->pending = false;
	v->reinject = 0;
}

/* With L1's GIF at 0 a breakpoint is dropped, but not a single step. L0 runs L1 with the CPU's GIF at 1. */
static bool drops_breakpoint(struct vcpu *v)
{
	struct vmcb_save *s = &v->vmcb->save;

	if (gif_now(v) || !(s->dr6 & DR6_BREAKPOINTS))
		return false;
	vmcb_set_dr6(v->vmcb, s->dr6 & ~DR6_BREAKPOINTS);
	s->rflags |= RFLAGS_RF;
	return !(s->dr6 & (DR6_BS | DR6_BD));
}

static bool has_svm_opcode(struct vcpu *v)
{
	struct insn insn;

	if (!insn_decode(v, &insn))
		return false;
	switch (insn.mnemonic) {
	case ZYDIS_MNEMONIC_VMRUN:
	case ZYDIS_MNEMONIC_VMLOAD:
	case ZYDIS_MNEMONIC_VMSAVE:
	case ZYDIS_MNEMONIC_STGI:
	case ZYDIS_MNEMONIC_CLGI:
	case ZYDIS_MNEMONIC_INVLPGA:
	case ZYDIS_MNEMONIC_SKINIT:
		return true;
	default:
		return false;
	}
}

/* With L1's EFER.SVME at 0 an SVM instruction is #UD before anything else; the CPU, whose SVME is 1, looks at the CPL
 * first. Exits of #GP are asked for only then. */
static bool is_ud_for_l1(struct vcpu *v)
{
	return !v->nested.in_l2 && !v->nested.svme && !v->vmcb->control.exitinfo1 && has_svm_opcode(v);
}

enum resume exit_excp(struct vcpu *v, uint8_t vector)
{
	const struct vmcb_control *c = &v->vmcb->control;

	undo_soft_event(v);
	if (vector == VEC_DB && drops_breakpoint(v))
		return RESUME_SAME;
	if (vector == VEC_GP && is_ud_for_l1(v))
		vcpu_raise(v, VEC_UD);
	else if (vector == VEC_PF)
		vcpu_raise_pf(v, c->exitinfo2, (uint32_t)c->exitinfo1);
	else if (vector_has_error(vector))
		vcpu_raise_error(v, vector, (uint32_t)c->exitinfo1);
	else
		vcpu_raise(v, vector);
	return RESUME_SAME;
}

/* L2's INT n, INT3 or INTO, which L0 had to look at: delivered as if L1 had injected it. */
enum resume exit_soft_int(struct vcpu *v)
{
	uint64_t code = v->vmcb->control.exitcode, event = EVENT_V;
	struct soft_event *soft = &v->nested.soft;
	struct insn insn;

	if (!insn_decode(v, &insn))
		return RESUME_SAME; /* changed meanwhile: the CPU looks again */
	if (code == VMEXIT_SWINT)
		event |= (uint64_t)EVENT_SOFT << EVENT_TYPE_SHIFT | insn.imm8;
	else
		event |= (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT | (code - VMEXIT_EXCP(0));
	soft->old_rip = v->vmcb->save.rip;
	exit_advance_rip(v);
	soft->next_rip = v->vmcb->save.rip;
	soft->event = event;
	soft->pending = true;
	v->nested.plain = false; /* an exit may have to undo it */
	v->reinject = event;
	v->attention = true;
	return RESUME_SAME;
}

/* INT1 is a trap through vector 1 that no intercept of #DB sees (APM2 15.12.2). */
enum resume exit_icebp(struct vcpu *v)
{
	exit_advance_rip(v);
	v->reinject = EVENT_V | (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT | VEC_DB;
	v->attention = true;
	return RESUME_SAME;
}
