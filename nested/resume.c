/* SPDX-License-Identifier: MIT */
/* nested/resume.c - what a #VMEXIT does to the host's own registers, the host being L1. VMCB01 has kept them.
 * Used by both exits; the only thing they share. Manual: APM2 15.6 (#VMEXIT). */
#include <amd/cpu.h>
#include <amd/vmcb_access.h>

#include "merge.h"

/* L1's PDPTEs (PAE mode) are fetched anew by hardware, since L1 itself runs under nested paging. */
void l1_resume(struct vmcb *vmcb01)
{
	struct vmcb_save *s = &vmcb01->save;
	struct vmcb_control *c = &vmcb01->control;

	s->dr7 = DR7_FIXED; /* all breakpoints off */
	c->v_intr &= ~V_INTR_GIF; /* where the CPU keeps L1's GIF: svm/gif.h */
	s->rflags &= ~RFLAGS_VM;
	c->clean &= ~(CLEAN_DRX | CLEAN_TPR);
	if (unlikely(!(s->cr0 & CR0_PE)))
		vmcb_set_cr0(vmcb01, s->cr0 | CR0_PE);
	if (unlikely(s->cpl != 0))
		vmcb_set_cpl(vmcb01, 0);
}
