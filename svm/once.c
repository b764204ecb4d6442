/* SPDX-License-Identifier: MIT */
/* svm/once.c - entries that differ from the others, and the way back. Writes the VMCB in use.
 * A step uses TF, as a debugger does. All exceptions exit meanwhile, so that no handler of the guest sees the flag. It
 * is taken out of what PUSHF has pushed; what else stores RFLAGS without a fault is not stepped.
 * Manual: APM2 13.1.4 (Single Stepping). Next: quirk.c, inject.c, lbr.c. */
#include "svm/once.h"

#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>
#include <Zydis/Zydis.h>

#include "svm/decode.h"
#include "svm/inject.h"
#include "svm/lbr.h"
#include "svm/quirk.h"

#define ALL_EXCEPTIONS (~(BIT32(VEC_NMI) | BIT32(9))) /* the two bits that are no exceptions are left alone */

static struct once *begin(struct vcpu *v)
{
	struct once *o = &v->once;

	if (!o->on)
		*o = (struct once){.on = true, .excp = v->vmcb->control.intercept[ICPT_EXCP]};
	v->odd_entry = true;
	return o;
}

void once_intercept(struct vcpu *v, uint32_t exceptions)
{
	struct once *o = begin(v);

	vmcb_set_intercept(v->vmcb, ICPT_EXCP, v->vmcb->control.intercept[ICPT_EXCP] | o->excp | exceptions);
}

static unsigned gate_bytes(const struct vmcb_save *s)
{
	return s->efer & EFER_LMA ? 16 : 8;
}

void once_shift_idt(struct vcpu *v, unsigned from, unsigned to)
{
	struct once *o = begin(v);
	struct vmcb_seg idtr = v->vmcb->save.idtr;
	int64_t shift = ((int64_t)to - (int64_t)from) * (int64_t)gate_bytes(&v->vmcb->save);

	o->idt_shifted = true;
	o->idtr = idtr;
	idtr.base += (uint64_t)shift;
	idtr.limit = (uint32_t)((int64_t)idtr.limit - shift);
	vmcb_set_idtr(v->vmcb, idtr);
}

static bool loads_rflags(uint16_t mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
		return true;
	default:
		return false;
	}
}

static bool stores_rflags(uint16_t mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INTO:
		return true;
	default:
		return false;
	}
}

static bool pushes_rflags(uint16_t mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_PUSHF || mnemonic == ZYDIS_MNEMONIC_PUSHFD ||
	       mnemonic == ZYDIS_MNEMONIC_PUSHFQ;
}

/* Takes TF, bit 0 of the second byte, out of the flags that were just pushed, so that this cannot fault. */
static void hide_pushed_tf(struct vcpu *v)
{
	uint64_t sp = v->vmcb->save.rsp, linear;
	uint8_t byte;
	unsigned done;

	if (!(v->vmcb->save.efer & EFER_LMA) && !(v->vmcb->save.ss.attr & SEG_D))
		sp = (uint16_t)sp;
	linear = insn_linear(v, SEGMENT_SS, sp + 1);
	if (gmem_read(v, linear, &byte, 1, gmem_user(v), &done).kind)
		return;
	byte &= (uint8_t)~(RFLAGS_TF >> 8);
	gmem_write(v, linear, &byte, 1, PF_W | gmem_user(v), &done);
}

/* With BTF the CPU makes of TF a trap at the next branch, which IRET is (APM2 13.1.6). */
static bool traps_at_branches(const struct vcpu *v)
{
	return v->nested.caps.hw_lbr && (v->vmcb->save.dbgctl & DEBUGCTL_BTF);
}

/* What cannot be fetched, or makes no instruction, faults: the step ends with that exit and needs no mnemonic. */
bool once_step(struct vcpu *v, bool iret)
{
	struct vmcb_save *s = &v->vmcb->save;
	struct once *o;
	struct insn insn;

	v->vmcb->control.insn.len = 0; /* what the CPU stored there may be of another instruction, or of another L2 */
	if (!insn_decode(v, &insn))
		insn = (struct insn){.mnemonic = ZYDIS_MNEMONIC_INVALID};
	if (stores_rflags(insn.mnemonic) || (!iret && traps_at_branches(v)))
		return false;
	once_intercept(v, ALL_EXCEPTIONS);
	o = &v->once;
	o->stepping = true;
	o->iret = iret;
	o->own_tf = (s->rflags & RFLAGS_TF) != 0;
	o->loads_tf = loads_rflags(insn.mnemonic);
	o->dr6 = s->dr6;
	o->rip = s->rip;
	o->next = s->rip + insn.length;
	o->mnemonic = insn.mnemonic;
	s->rflags |= RFLAGS_TF;
	return true;
}

/* An instruction that cannot be stepped loses its shadow: an exit before it has run would find the shadow kept, and so
 * again for ever. */
bool once_pass_shadow(struct vcpu *v)
{
	struct vmcb_control *c = &v->vmcb->control;

	if (!(c->int_shadow & INT_SHADOW_ACTIVE) || (c->eventinj & EVENT_V))
		return false;
	if (once_step(v, false))
		return true;
	v->held &= ~(uint64_t)HELD_SHADOW;
	c->int_shadow &= ~(uint64_t)INT_SHADOW_ACTIVE;
	return false;
}

/* A turn of a repeated instruction, or a jump to itself, leaves RIP where it is; Bochs does not say what the #DB is
 * about (docs/engines.md), and without breakpoints it is about nothing else. */
static bool is_silent_step(const struct vmcb_save *s)
{
	return has_quirk(QUIRK_DB_DR6) && !(s->dr7 & DR7_ENABLES);
}

/* What the guest itself watches and the instruction has accessed. */
static uint64_t breakpoints_hit(const struct vmcb_save *s, uint64_t dr6_before)
{
	uint64_t hit = 0;

	for (unsigned n = 0; n < 4; n++)
		hit |= s->dr7 & DR7_ENABLE(n) ? s->dr6 & ~dr6_before & BIT(n) : 0;
	return hit;
}

static bool end_step(struct vcpu *v, const struct once *o)
{
	struct vmcb_save *s = &v->vmcb->save;
	bool done = v->vmcb->control.exitcode == VMEXIT_EXCP(VEC_DB) &&
		    ((s->dr6 & DR6_BS) || s->rip != o->rip || is_silent_step(s));
	uint64_t hit = breakpoints_hit(s, o->dr6);
	bool taken;

	if (!o->own_tf && !(done && o->loads_tf))
		s->rflags &= ~RFLAGS_TF;
	if (!done)
		return false;
	if (!o->own_tf && pushes_rflags(o->mnemonic))
		hide_pushed_tf(v);
	if (o->iret)
		inject_nmi_over(v);
	v->attention = true;
	taken = traps_at_branches(v) || (lbr_steps(v) && lbr_stepped(v, o));
	if (o->own_tf && (taken || !(s->dbgctl & DEBUGCTL_BTF)))
		return false; /* the trap is the guest's */
	vmcb_set_dr6(v->vmcb, o->dr6 | hit);
	return !hit; /* nor is the step all of it when the guest watches what the instruction accessed */
}

bool once_end(struct vcpu *v)
{
	struct once o = v->once;

	v->once = (struct once){.on = false};
	vmcb_set_intercept(v->vmcb, ICPT_EXCP, o.excp);
	if (o.idt_shifted)
		vmcb_set_idtr(v->vmcb, o.idtr);
	return o.stepping && end_step(v, &o);
}
