/* SPDX-License-Identifier: MIT */
/* nested/merge.c - vmcb02_build() writes every byte of VMCB02 from VMCB12's copy, VMCB01 and what L0 needs. It cannot
 * fail and touches nothing else. Bits come from L1 by whitelist only: what is not named here is zero.
 * vmcb02_refresh() is for a VMCB02 that was built before: of what is not named, the CPU alone writes, and only what
 * VMRUN does not read (the exit fields), so that writing the named fields again suffices.
 * Manual: APM2 15.5.1; svm-facts 3.7 and 6.5 for the reasons of each row. Next: vmrun.c commits. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/vmcb.h>

#include "merge.h"

#define CR8_READ BIT32(8)
#define CR8_WRITE BIT32(24)

/* L0's intercepts and L1's. CR8 is ours always, since only we know which TPR L2 means. */
static void build_intercepts(struct vmcb_control *c, const struct vmcb_control *c12, const uint32_t *l0)
{
	_Static_assert(ICPT_CR == 0, "the lower half of the first pair");
	icpt_set_pair(c->intercept, 0, icpt_pair(l0, 0) | icpt_pair(c12->intercept, 0) | CR8_READ | CR8_WRITE);
#pragma GCC unroll 8
	for (unsigned i = 1; i < ICPT_PAIRS; i++)
		icpt_set_pair(c->intercept, i, icpt_pair(l0, i) | icpt_pair(c12->intercept, i));
}

/* V_IRQ stays with us (event.c decides on it): the CPU only holds V_TPR and masks physical interrupts by our IF. */
static uint64_t build_v_intr(const struct vmcb_control *c12, uint8_t apic_tpr)
{
	uint64_t tpr = c12->v_intr & V_INTR_MASKING ? c12->v_intr : apic_tpr;

	return V_INTR_MASKING | (tpr & V_INTR_TPR);
}

static void fill_control(struct vmcb_control *c, const struct vmcb12 *snap, const struct vmcb *vmcb01,
			  const struct vmcb02_inputs *in, const struct vmcb02_tables *tables)
{
	const struct vmcb_control *c12 = &snap->control;

	c->clean = 0; /* the CPU reads everything anew */
	build_intercepts(c, c12, in->intercepts);
	c->iopm_base = in->iopm.a;
	c->msrpm_base = hpa_of(in->msrpm02).a;
	c->tsc_offset = vmcb01->control.tsc_offset + c12->tsc_offset;
	c->asid = tables->asid;
	c->tlb_control = tables->tlb_control;
	c->v_intr = build_v_intr(c12, in->apic_tpr);
	c->int_shadow = c12->int_shadow;
	c->eventinj = c12->eventinj & EVENT_V ? c12->eventinj : 0;
	c->ncr3 = tables->ncr3;
	c->nrip = c12->nrip;
}

static void fill_save(struct vmcb_save *s, const struct vmcb12 *snap, const struct vmcb *vmcb01)
{
	const struct vmcb_save *s12 = &snap->save;

	s->es = s12->es;
	s->cs = s12->cs;
	s->ss = s12->ss;
	s->ds = s12->ds;
	s->gdtr = s12->gdtr;
	s->idtr = s12->idtr;
	s->cpl = s12->cpl;
	s->efer = s12->efer;
	s->cr4 = s12->cr4;
	s->cr3 = s12->cr3;
	s->cr0 = s12->cr0;
	s->dr7 = s12->dr7 | DR7_FIXED;
	s->dr6 = s12->dr6 | DR6_FIXED;
	s->rflags = s12->rflags | RFLAGS_FIXED;
	s->rip = s12->rip;
	s->rsp = s12->rsp;
	s->rax = s12->rax;
	s->cr2 = s12->cr2;
	s->g_pat = snap->control.misc & MISC_NP ? s12->g_pat : vmcb01->save.g_pat;
}

void vmcb02_refresh(struct vmcb *vmcb02, const struct vmcb12 *snap, const struct vmcb *vmcb01,
		    const struct vmcb02_inputs *in, const struct vmcb02_tables *tables)
{
	fill_control(&vmcb02->control, snap, vmcb01, in, tables);
	fill_save(&vmcb02->save, snap, vmcb01);
}

void vmcb02_build(struct vmcb *vmcb02, const struct vmcb12 *snap, const struct vmcb *vmcb01,
		  const struct vmcb02_inputs *in, const struct vmcb02_tables *tables)
{
	memset(vmcb02, 0, sizeof(*vmcb02));
	vmcb02->control.misc = MISC_NP;
	vmcb02_refresh(vmcb02, snap, vmcb01, in, tables);
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
