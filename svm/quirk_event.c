/* SPDX-License-Identifier: MIT */
/* svm/quirk_event.c - events on CPU models that deliver them otherwise than the manual says: gives EVENTINJ in a form
 * that comes out right, and EXITINTINFO back in the form that it should have; keeps interrupt shadow and RF alive until
 * their instruction has run. docs/engines.md has the rows.
 * Manual: APM2 15.7.2, 15.20, 15.21.5. Callers: inject.c, quirk.c. Next: once.c. */
#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>
#include <Zydis/Zydis.h>

#include "kernel/smp.h"
#include "svm/decode.h"
#include "svm/once.h"
#include "svm/quirk.h"

/* --- what lasts for one instruction --- */

void quirk_hold(struct vcpu *v)
{
	v->held_rip = v->vmcb02->save.rip;
	if (has_quirk(QUIRK_RF) && (v->vmcb02->save.rflags & RFLAGS_RF))
		v->held = HELD_RF;
	if (has_quirk(QUIRK_NO_SHADOW) && (v->vmcb02->control.int_shadow & INT_SHADOW_ACTIVE)) {
		v->held = HELD_SHADOW;
		v->attention = true;
	}
	if (v->held)
		v->odd_entry = true;
}

/* The interrupt shadow, or RF, lasts until the instruction at RIP has run; an exit before that must not end it. */
void quirk_keep_held(struct vcpu *v)
{
	struct vmcb *vmcb = v->vmcb;

	if (v->held_rip != vmcb->save.rip)
		v->held = 0;
	if (has_quirk(QUIRK_NO_SHADOW) && (vmcb->control.int_shadow & INT_SHADOW_ACTIVE)) {
		v->held = HELD_SHADOW;
		v->held_rip = vmcb->save.rip;
		v->odd_entry = true;
	}
	if (v->held & HELD_RF)
		vmcb->save.rflags |= RFLAGS_RF;
	if (v->held & HELD_SHADOW) {
		vmcb->control.int_shadow |= INT_SHADOW_ACTIVE;
		v->attention = true;
	}
}

/* --- events --- */

/* An exception of another vector, whose gate is put where that of #GP is looked for: the CPU pushes an error code by
 * vector. The CPU must leave before the first instruction, so that the IDT is right again. */
static uint64_t with_error_code(struct vcpu *v, uint64_t event)
{
	once_intercept(v, ~(BIT32(VEC_NMI) | BIT32(9)));
	once_shift_idt(v, VEC_GP, event & EVENT_VECTOR);
	smp_kick(v->cpu);
	return (event & ~EVENT_VECTOR) | VEC_GP;
}

static uint64_t of_type(uint64_t event, uint64_t type)
{
	return (event & ~EVENT_TYPE) | type << EVENT_TYPE_SHIFT;
}

/* QEMU checks the DPL of the gate for type 4 alone, pushes error codes by vector, and takes a fault that comes while an
 * injected exception is delivered for the first one. */
static uint64_t exception_given(struct vcpu *v, uint64_t event)
{
	uint64_t vector = event & EVENT_VECTOR;
	bool coded = (event & EVENT_EV) != 0;

	if (vector == VEC_BP || vector == VEC_OF)
		return of_type(event, EVENT_SOFT);
	if (!coded && vector_has_error(vector))
		return event & ~EVENT_TYPE; /* as an interrupt */
	if (coded && !vector_has_error(vector) && (v->vmcb->save.cr0 & CR0_PE))
		return with_error_code(v, event);
	return event;
}

/* An interrupt that QEMU's VMRUN has delivered is delivered once more if something makes the emulator's loop stop right
 * then, whatever IF is. As a software interrupt it is delivered by the loop itself, and in the same way, but for the DPL
 * of the gate, which at CPL 0 never forbids it. Elsewhere an exit that follows at once makes the loop forget it. */
static uint64_t interrupt_given(struct vcpu *v, uint64_t event)
{
	const struct vmcb_save *s = &v->vmcb->save;

	if (s->cpl == 0 && !(s->ss.attr & SEG_DPL) && !(s->rflags & RFLAGS_VM))
		return of_type(event, EVENT_SOFT);
	smp_kick(v->cpu);
	return event;
}

uint64_t quirk_event(struct vcpu *v, uint64_t event)
{
	uint64_t type = bits_get(event, 10, 8);

	v->event_asked = v->event_given = event;
	v->odd_entry = true;
	v->event_rip = v->vmcb->save.rip;
	if (!has_quirk(QUIRK_EVENTINJ))
		return event;
	if (type == EVENT_EXCP || type == EVENT_SOFT)
		once_intercept(v, DELIVERY_FAULTS);
	if (type == EVENT_EXCP)
		v->event_given = exception_given(v, event);
	if (bits_get(v->event_given, 10, 8) == EVENT_INTR)
		v->event_given = interrupt_given(v, v->event_given);
	return v->event_given;
}

/* The event of an INT instruction, EXITINTINFO format. */
static uint64_t soft_event_at_rip(struct vcpu *v)
{
	const uint64_t excp = EVENT_V | (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT;
	struct insn insn;

	if (!insn_decode(v, &insn))
		return 0;
	switch (insn.mnemonic) {
	case ZYDIS_MNEMONIC_INT: return EVENT_V | (uint64_t)EVENT_SOFT << EVENT_TYPE_SHIFT | insn.imm8;
	case ZYDIS_MNEMONIC_INT3: return excp | VEC_BP;
	case ZYDIS_MNEMONIC_INTO: return excp | VEC_OF;
	case ZYDIS_MNEMONIC_INT1: return excp | VEC_DB;
	default: return 0;
	}
}

/* QUIRK_EVENTINJ: the CPU names the event that it was given. QUIRK_INTINFO: right for what was injected at this entry
 * and for exceptions, but not for an INT instruction. */
void quirk_restore_intinfo(struct vcpu *v)
{
	struct vmcb_control *c = &v->vmcb->control;
	const uint64_t same = EVENT_V | EVENT_TYPE | EVENT_VECTOR;
	bool injected = !((c->exitintinfo ^ v->event_given) & same) && v->event_rip == v->vmcb->save.rip;
	uint64_t soft;

	if (injected)
		c->exitintinfo = v->event_asked;
	if (injected || !has_quirk(QUIRK_INTINFO))
		return;
	soft = soft_event_at_rip(v);
	if (soft)
		c->exitintinfo = soft;
}

bool quirk_is_int1(struct vcpu *v)
{
	return has_quirk(QUIRK_INTINFO) &&
	       soft_event_at_rip(v) == (EVENT_V | (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT | VEC_DB);
}

bool quirk_open_window(struct vcpu *v)
{
	if (!has_quirk(QUIRK_LATE_VIRQ) || !(v->vmcb->save.rflags & RFLAGS_IF))
		return false;
	v->attention = true;
	smp_kick(v->cpu);
	return true;
}
