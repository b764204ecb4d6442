/* SPDX-License-Identifier: MIT */
/* nested/insn.c - what the SVM instructions other than VMRUN mean for nested state; which exceptions come first is
 * said in nested.h. VMLOAD and VMSAVE move registers that live in the CPU: svm/nested_glue.c executes them on L1's page.
 * Manual: APM3 (instruction pages), APM2 15.5.2, 15.16.2 (INVLPGA), 15.17 (GIF). */
#include <string.h>

#include <amd/msr.h>

#include "nested.h"

/* One page of one ASID, by guest-virtual address, which says nothing of nested tables: the shadow stays. ASID 0 is
 * L1 itself: its tag is not ours (svm/nested_glue.c). */
void nested_invlpga(struct nested *n, uint32_t asid12)
{
	tlb02_flush_asid12(&n->tlb02, asid12);
}

void nested_init(struct nested *n, const struct nested_caps *caps, void *pool, uint32_t pool_pages,
		 uint32_t first_asid, uint32_t asid_count)
{
	memset(n, 0, sizeof(*n));
	n->caps = *caps;
	nested_offer(n, caps->features);
	n->gif = true;
	n->last_used = n->last;
	n->tsc_ratio = TSC_RATIO_ONE;
	nested_smm_power_on(n);
	if (pool)
		npt02_init(&n->npt02, pool, pool_pages);
	tlb02_init(&n->tlb02, first_asid, asid_count);
}

void nested_reset(struct nested *n)
{
	n->svme = false;
	n->gif = true;
	n->in_l2 = false;
	n->run_pending = false;
	n->soft.pending = false;
	n->smm.active = n->smm.blocked = n->smm.from_l2 = false;
	n->root = NULL;
	if (n->npt02.pool)
		npt02_drop_all(&n->npt02);
	tlb02_flush_all(&n->tlb02);
	if (!(n->vm_cr & VM_CR_LOCK))
		n->vm_cr &= ~VM_CR_SVMDIS;
}
