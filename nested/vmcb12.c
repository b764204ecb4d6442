/* SPDX-License-Identifier: MIT */
/* nested/vmcb12.c - the only reader and writer of L1's VMCB. It lies in memory that L1's other CPUs may change at
 * any instant: it is copied once, and everything else works on the copy. Bits of features that L1 was not offered
 * are dropped from the copy and left alone in L1's memory. Only nested_l2_state() reads it again, and nobody runs that.
 * Manual: APM2 appendix B; 15.5.1. Next: check_control.c, check_state.c, merge.c. */
#include <string.h>

#include <amd/vmcb_access.h>
#include <wide.h>

#include "merge.h"

/* The parts of the control area that VMRUN reads, as far as this L1 was offered them (nested/offer.c). */
static ALWAYS_INLINE void copy_control(struct vmcb_control *c, const struct vmcb_control *from,
				       const struct vmcb_control *known)
{
#define PART(field)                                                                                \
	_Static_assert(offsetof(struct vmcb_control, field) % sizeof(struct wide) == 0, #field);   \
	wide_copy_and(&c->field, &from->field, (const struct wide *)&known->field)

	PART(intercept[ICPT_CR]);
	PART(intercept[ICPT_MISC2]);
	PART(reserved_030); /* pause */
	PART(iopm_base);
	PART(tsc_offset); /* asid, tlb_control, erap */
	PART(v_intr); /* int_shadow */
	PART(misc);
	PART(ghcb); /* eventinj */
	PART(ncr3); /* misc2 */
	PART(clean); /* nrip */
#undef PART
}

/* In L1's memory the reserved words of a descriptor table register are not ours to change. */
static ALWAYS_INLINE void copy_table(struct vmcb_seg *to, const struct vmcb_seg *from, bool back)
{
	if (!back) {
		wide_copy(to, from);
		return;
	}
	to->limit = from->limit;
	to->base = from->base;
}

/* The state that VMRUN loads and #VMEXIT writes back (APM2 15.5.1, 15.6); G_PAT where L2 has one of its own. */
static ALWAYS_INLINE void copy_save(struct vmcb_save *to, const struct vmcb_save *from, bool with_pat, bool back)
{
	wide_copy(&to->es, &from->es);
	wide_copy(&to->cs, &from->cs);
	wide_copy(&to->ss, &from->ss);
	wide_copy(&to->ds, &from->ds);
	copy_table(&to->gdtr, &from->gdtr, back);
	copy_table(&to->idtr, &from->idtr, back);
	to->cpl = from->cpl;
	to->efer = from->efer;
	wide_copy(&to->cr4, &from->cr4); /* cr3 */
	wide_copy(&to->cr0, &from->cr0); /* dr7 */
	wide_copy(&to->dr6, &from->dr6); /* rflags */
	to->rip = from->rip;
	to->rsp = from->rsp;
	to->rax = from->rax;
	to->cr2 = from->cr2;
	if (with_pat)
		to->g_pat = from->g_pat;
}

COLD void vmcb_copy_state(struct vmcb_save *to, const struct vmcb_save *from)
{
	struct wide kept;

	wide_begin(&kept);
	copy_save(to, from, true, false);
	wide_end(&kept);
}

/* Copies VMCB12 at `at`, the state to `save`. False when L1 has no RAM there: what the bus then reads, all ones, passes
 * no check, so the copy is left as it was. */
bool vmcb12_snapshot(struct vmcb12 *snap, struct vmcb_save *save, const struct vmcb_control *known, struct port *port,
		     l1pa_t at)
{
	const struct vmcb *vmcb12 = port_l1_ptr(port, at, sizeof(*vmcb12));
	struct wide kept;

	if (unlikely(!vmcb12))
		return false;
	barrier(); /* between the two nothing is read twice, and after the second nothing at all */
	wide_begin(&kept);
	copy_control(&snap->control, &vmcb12->control, known);
	copy_save(save, &vmcb12->save, true, false);
	wide_end(&kept);
	if (unlikely(snap->control.misc2 & MISC2_LBR))
		vmcb_copy_lbr(&snap->save, &vmcb12->save);
	barrier();
	return true;
}

/* The snapshot has it only if the VMRUN was unusual; VMCB12 has it still. */
COLD void nested_l2_state(const struct nested *n, struct port *port, struct vmcb_save *to)
{
	const struct vmcb *vmcb12 = n->usual ? port_l1_ptr(port, n->vmcb12_pa, sizeof(*vmcb12)) : NULL;

	vmcb_copy_state(to, vmcb12 ? &vmcb12->save : &n->snap.save);
	to->dr6 = (uint32_t)to->dr6 | DR6_FIXED; /* L1 gets it as its own, whatever VMCB12 says by now */
}

/* For save.c, which has a copy of a copy. */
COLD void vmcb12_sanitise(struct vmcb12 *snap, const struct vmcb_control *known, const struct vmcb12 *from)
{
	struct wide kept;

	wide_begin(&kept);
	copy_control(&snap->control, &from->control, known);
	copy_save(&snap->save, &from->save, true, false);
	wide_end(&kept);
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

static ALWAYS_INLINE void write_control(struct vmcb_control *c, const struct nested *n, const struct nested_exit *exit,
					const struct vmcb *vmcb02, const struct exit_form *form)
{
	write_v_intr(c, n);
	c->int_shadow = vmcb02->control.int_shadow & INT_SHADOW_ACTIVE;
	c->exitcode = exit->code;
	c->exitinfo1 = exit->info1;
	c->exitinfo2 = exit->info2;
	c->exitintinfo = exit->intinfo;
	c->eventinj = 0;
	if (form->with_nrip)
		c->nrip = exit->nrip;
	if (form->with_insn) {
		c->insn.words[0] = exit->insn.words[0];
		c->insn.words[1] = exit->insn.words[1];
	}
}

/* The exit of an L2 that ran. False: no RAM there. */
bool vmcb12_write_exit(struct port *port, l1pa_t at, const struct nested *n, const struct nested_exit *exit,
		       const struct vmcb *vmcb02, const struct exit_form *form)
{
	struct vmcb *vmcb12 = port_l1_ptr(port, at, sizeof(*vmcb12));
	struct wide kept;

	if (!vmcb12)
		return false;
	write_control(&vmcb12->control, n, exit, vmcb02, form);
	wide_begin(&kept);
	copy_save(&vmcb12->save, &vmcb02->save, form->own_pat, true);
	wide_end(&kept);
	if (form->own_lbr)
		vmcb_copy_lbr(&vmcb12->save, &vmcb02->save);
	return true;
}
