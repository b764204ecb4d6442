/* SPDX-License-Identifier: MIT */
/* nested/vmcb12.c - the only reader and writer of L1's VMCB. It lies in memory that L1's other CPUs may change at
 * any instant: it is copied once, and everything else works on the copy. Bits of features that L1 was not offered
 * are dropped from the copy and left alone in L1's memory.
 * Manual: APM2 appendix B; 15.5.1. Next: check_control.c, check_state.c, merge.c. */
#include <string.h>

#include <amd/vmcb_access.h>

#include "merge.h"

/* The control fields that VMRUN reads, as far as this L1 was offered them. */
static ALWAYS_INLINE void copy_control(struct vmcb_control *c, const struct vmcb_control *from, const struct nested_caps *caps)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < ICPT_PAIRS; i++)
		icpt_set_pair(c->intercept, i, icpt_pair(from->intercept, i) & icpt_pair(caps->intercepts, i));
	c->pause = from->pause & caps->known.pause;
	c->iopm_base = from->iopm_base & ~PAGE_MASK;
	c->msrpm_base = from->msrpm_base & ~PAGE_MASK;
	c->tsc_offset = from->tsc_offset;
	c->asid = from->asid;
	c->tlb_control = from->tlb_control & TLB_CONTROL_MASK;
	c->erap = from->erap & caps->known.erap;
	c->v_intr = from->v_intr & caps->known.v_intr;
	c->int_shadow = from->int_shadow & INT_SHADOW_ACTIVE;
	c->misc = from->misc & caps->known.misc;
	c->eventinj = from->eventinj & ~EVENT_RESERVED;
	c->ncr3 = from->ncr3;
	c->misc2 = from->misc2 & caps->known.misc2;
	c->nrip = from->nrip;
}

/* The state that VMRUN loads (APM2 15.5.1). */
static ALWAYS_INLINE void copy_save(struct vmcb_save *s, const struct vmcb_save *from)
{
	s->es = from->es;
	s->cs = from->cs;
	s->ss = from->ss;
	s->ds = from->ds;
	s->gdtr = from->gdtr;
	s->idtr = from->idtr;
	s->cpl = from->cpl;
	s->efer = from->efer;
	s->cr4 = from->cr4;
	s->cr3 = from->cr3;
	s->cr0 = from->cr0;
	s->dr7 = from->dr7;
	s->dr6 = from->dr6;
	s->rflags = from->rflags;
	s->rip = from->rip;
	s->rsp = from->rsp;
	s->rax = from->rax;
	s->cr2 = from->cr2;
	s->g_pat = from->g_pat;
}

COLD void vmcb_copy_state(struct vmcb_save *to, const struct vmcb_save *from)
{
	copy_save(to, from);
}

/* Copies VMCB12 at `at`. False when L1 has no RAM there: what the bus then reads, all ones, passes no check, so the
 * copy is left as it was. */
bool vmcb12_snapshot(struct vmcb12 *snap, const struct nested_caps *caps, struct port *port, l1pa_t at)
{
	const struct vmcb *vmcb12 = port_l1_ptr(port, at, sizeof(*vmcb12));

	if (unlikely(!vmcb12))
		return false;
	barrier(); /* between the two nothing is read twice, and after the second nothing at all */
	copy_control(&snap->control, &vmcb12->control, caps);
	copy_save(&snap->save, &vmcb12->save);
	if (unlikely(snap->control.misc2 & MISC2_LBR))
		vmcb_copy_lbr(&snap->save, &vmcb12->save);
	barrier();
	return true;
}

/* For save.c, which has a copy of a copy. */
COLD void vmcb12_sanitise(struct vmcb12 *snap, const struct nested_caps *caps, const struct vmcb12 *from)
{
	copy_control(&snap->control, &from->control, caps);
	copy_save(&snap->save, &from->save);
	if (snap->control.misc2 & MISC2_LBR)
		vmcb_copy_lbr(&snap->save, &from->save);
}

/* The fields that a refused VMRUN writes, and no other byte (svm-facts 11.4, rule 3). False: no RAM there, the
 * write is lost as it would be on the bus. */
bool vmcb12_write_refused(struct port *port, l1pa_t at)
{
	struct vmcb *vmcb12 = port_l1_ptr(port, at, sizeof(*vmcb12));

	if (!vmcb12)
		return false;
	vmcb12->control.exitcode = VMEXIT_INVALID;
	vmcb12->control.exitinfo1 = 0;
	vmcb12->control.exitinfo2 = 0;
	vmcb12->control.eventinj = 0;
	return true;
}

/* With virtual GIF or virtual NMIs in use their flags are L2's as well. */
static COLD uint64_t v_intr_of_l2(uint64_t used)
{
	uint64_t mask = V_INTR_TPR | V_INTR_IRQ;

	if (used & V_INTR_GIF_ENABLE)
		mask |= V_INTR_GIF;
	if (used & V_INTR_NMI_ENABLE)
		mask |= V_INTR_NMI | V_INTR_NMI_MASK;
	return mask;
}

/* V_TPR, V_IRQ and what the enabled features add; the rest of the word stays L1's. */
static void write_v_intr(struct vmcb_control *c, const struct nested *n)
{
	uint64_t used = n->snap.control.v_intr, mask = V_INTR_TPR | V_INTR_IRQ;

	if (unlikely(used & (V_INTR_GIF_ENABLE | V_INTR_NMI_ENABLE)))
		mask = v_intr_of_l2(used);
	c->v_intr = (c->v_intr & ~mask) | (n->v_intr12 & mask);
}

static void write_control(struct vmcb_control *c, const struct nested *n, const struct nested_exit *exit,
			  const struct vmcb *vmcb02)
{
	write_v_intr(c, n);
	c->int_shadow = vmcb02->control.int_shadow & INT_SHADOW_ACTIVE;
	c->exitcode = exit->code;
	c->exitinfo1 = exit->info1;
	c->exitinfo2 = exit->info2;
	c->exitintinfo = exit->intinfo;
	c->eventinj = 0;
	if (n->caps.features & SVM_FEAT_NRIPS)
		c->nrip = exit->nrip;
	if (n->caps.features & SVM_FEAT_DECODE_ASSISTS) {
		c->insn.words[0] = exit->insn.words[0];
		c->insn.words[1] = exit->insn.words[1];
	}
}

/* The state that VMRUN loads, written back (APM2 15.6). */
static void write_save(struct vmcb_save *s, const struct nested *n, const struct vmcb_save *l2)
{
	s->es = l2->es;
	s->cs = l2->cs;
	s->ss = l2->ss;
	s->ds = l2->ds;
	s->gdtr.limit = l2->gdtr.limit;
	s->gdtr.base = l2->gdtr.base;
	s->idtr.limit = l2->idtr.limit;
	s->idtr.base = l2->idtr.base;
	s->cpl = l2->cpl;
	s->efer = l2->efer;
	s->cr4 = l2->cr4;
	s->cr3 = l2->cr3;
	s->cr0 = l2->cr0;
	s->dr7 = l2->dr7;
	s->dr6 = l2->dr6;
	s->rflags = l2->rflags;
	s->rip = l2->rip;
	s->rsp = l2->rsp;
	s->rax = l2->rax;
	s->cr2 = l2->cr2;
	if (n->snap.control.misc & MISC_NP)
		s->g_pat = l2->g_pat;
}

/* The exit of an L2 that ran. False: no RAM there. */
bool vmcb12_write_exit(struct port *port, l1pa_t at, const struct nested *n, const struct nested_exit *exit,
		       const struct vmcb *vmcb02)
{
	struct vmcb *vmcb12 = port_l1_ptr(port, at, sizeof(*vmcb12));

	if (!vmcb12)
		return false;
	write_control(&vmcb12->control, n, exit, vmcb02);
	write_save(&vmcb12->save, n, &vmcb02->save);
	if (unlikely(n->snap.control.misc2 & MISC2_LBR))
		vmcb_copy_lbr(&vmcb12->save, &vmcb02->save);
	return true;
}
