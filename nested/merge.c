/* SPDX-License-Identifier: MIT */
/* nested/merge.c - VMCB02 from VMCB12's copy, VMCB01 and what L0 needs. It cannot fail and touches nothing else. Bits
 * come from L1 by whitelist only: what is not named here is zero.
 * vmcb02_blank() writes every byte, once; vmcb02_fill() at each VMRUN writes what is L1's, around the state that has been
 * copied there already. Of the rest the CPU alone writes, and only what VMRUN does not read (the exit fields).
 * Manual: APM2 15.5.1; svm-facts 3.7 and 6.5 for the reasons of each row. Next: vmrun.c commits. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/vmcb.h>
#include <wide.h>

#include "merge.h"

#define CR8_READ BIT32(8)
#define CR8_WRITE BIT32(24)

/* L0's intercepts and L1's. CR8 is ours always, since only we know which TPR L2 means. */
static ALWAYS_INLINE void build_intercepts(struct vmcb_control *c, const struct vmcb_control *c12,
					   const struct vmcb02_inputs *in)
{
	_Static_assert(ICPT_CR == 0 && ICPT_MISC2 == 4 && ICPT_COUNT == 6, "four words, then two and two reserved ones");
	wide_copy_or(c->intercept, c12->intercept, (const struct wide *)in->intercepts);
	wide_copy_or(c->intercept + 4, c12->intercept + 4, (const struct wide *)in->intercepts + 1);
	c->intercept[ICPT_CR] |= CR8_READ | CR8_WRITE;
}

/* V_IRQ stays with us (event.c decides on it): the CPU only holds V_TPR and masks physical interrupts by our IF. */
static uint64_t build_v_intr(const struct vmcb_control *c12, uint8_t apic_tpr)
{
	uint64_t tpr = c12->v_intr & V_INTR_MASKING ? c12->v_intr : apic_tpr;

	return V_INTR_MASKING | (tpr & V_INTR_TPR);
}

static ALWAYS_INLINE void fill_control(struct vmcb_control *c, const struct vmcb_control *c12,
				       const struct vmcb_control *c01, const struct vmcb02_inputs *in,
				       const struct vmcb02_tables *tables)
{
	build_intercepts(c, c12, in);
	_Static_assert(offsetof(struct vmcb02_inputs, msrpm02) == offsetof(struct vmcb02_inputs, iopm) + 8, "one copy");
	wide_copy(&c->iopm_base, &in->iopm);
	c->tsc_offset = c01->tsc_offset + c12->tsc_offset;
	c->asid = tables->asid;
	c->tlb_control = tables->tlb_control;
	c->v_intr = build_v_intr(c12, in->apic_tpr);
	c->int_shadow = c12->int_shadow;
	c->eventinj = 0; /* that of a VMRUN which was not usual comes from vmrun.c */
	c->ncr3 = tables->ncr3;
	wide_copy(&c->clean, &c12->clean); /* none of its bits is L1's, so the CPU reads everything anew; nrip */
}

/* Bits that are always set, and the PAT that L2 shares with L1 when it has no nested paging. */
static ALWAYS_INLINE void complete_save(struct vmcb_save *s, const struct vmcb_save *l1, bool own_pat)
{
	s->dr7 |= DR7_FIXED;
	s->dr6 |= DR6_FIXED;
	s->rflags |= RFLAGS_FIXED;
	if (!own_pat)
		s->g_pat = l1->g_pat;
}

void vmcb02_fill(struct vmcb *vmcb02, const struct vmcb_control *c12, const struct vmcb *vmcb01,
		 const struct vmcb02_inputs *in, const struct vmcb02_tables *tables, bool own_pat)
{
	struct wide kept;

	wide_begin(&kept);
	fill_control(&vmcb02->control, c12, &vmcb01->control, in, tables);
	wide_end(&kept);
	complete_save(&vmcb02->save, &vmcb01->save, own_pat);
}

void vmcb02_blank(struct vmcb *vmcb02)
{
	memset(vmcb02, 0, sizeof(*vmcb02));
	vmcb02->control.misc = MISC_NP;
}

static bool is_soft_event(uint64_t event)
{
	uint64_t type = bits_get(event, 10, 8), vector = event & EVENT_VECTOR;

	return (event & EVENT_V) &&
	       (type == EVENT_SOFT || (type == EVENT_EXCP && (vector == VEC_BP || vector == VEC_OF)));
}

/* With NRIPS offered, the frame of a soft event returns to VMCB12.nRIP (APM2 15.20), else to RIP. The CPU below may not
 * know that field; starting L2 at nRIP pushes the same frame on every CPU. */
void vmcb02_soft_event(struct vmcb *vmcb02, const struct vmcb12 *snap, const struct nested_caps *caps,
		       struct soft_event *soft)
{
	if (!is_soft_event(snap->control.eventinj))
		return;
	soft->pending = true;
	soft->event = snap->control.eventinj;
	soft->old_rip = snap->save.rip;
	soft->next_rip = caps->features & SVM_FEAT_NRIPS ? snap->control.nrip : snap->save.rip;
	vmcb02->save.rip = soft->next_rip;
}
