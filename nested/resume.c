/* SPDX-License-Identifier: MIT */
/* nested/resume.c - what a #VMEXIT does to the host's own registers, the host being L1. VMCB01 has kept them.
 * Used by both exits; the only thing they share. Manual: APM2 15.6 (#VMEXIT). */
#include <amd/cpu.h>
#include <amd/vmcb_access.h>

#include "merge.h"

/* L1's PDPTEs (PAE mode) are fetched anew by hardware, since L1 itself runs under nested paging. */
void l1_resume(struct vmcb *vmcb01)
{
	vmcb_set_dr7(vmcb01, DR7_FIXED); /* all breakpoints off */
	vmcb_set_v_intr(vmcb01, vmcb01->control.v_intr & ~V_INTR_GIF); /* where the CPU keeps L1's GIF: svm/gif.h */
	vmcb01->save.rflags &= ~RFLAGS_VM;
	if (unlikely(!(vmcb01->save.cr0 & CR0_PE)))
		vmcb_set_cr0(vmcb01, vmcb01->save.cr0 | CR0_PE);
	if (unlikely(vmcb01->save.cpl != 0))
		vmcb_set_cpl(vmcb01, 0);
}
