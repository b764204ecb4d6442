/* SPDX-License-Identifier: MIT */
/* lib/modes.c - see modes.h. APM vol. 2 5.2 (legacy paging), 15.19 (paged real mode). */
#include "modes.h"
#include "str.h"

static void protected_32(struct vm *v)
{
	struct seg data = {SEL_DATA, ATTR_DATA, UINT32_MAX, 0};

	v->vmcb->efer = EFER_SVME;
	v->vmcb->cs = (struct seg){SEL_CODE32, ATTR_CODE32, UINT32_MAX, 0};
	v->vmcb->ss = v->vmcb->ds = v->vmcb->es = data;
}

void mode_compat(struct vm *v)
{
	v->vmcb->cs = (struct seg){SEL_CODE32, ATTR_CODE32, UINT32_MAX, 0};
}

uint64_t *pae_tables(void)
{
	uint64_t *root = table_identity(PTE_RWU), *pdpt = pages(1);

	for (unsigned i = 0; i < 4; i++)
		pdpt[i] = ((uint64_t *)(uintptr_t)(root[0] & PTE_ADDR))[i] & ~(PTE_W | PTE_U);
	return pdpt;
}

void mode_pae(struct vm *v)
{
	protected_32(v);
	v->vmcb->cr3 = pa(pae_tables());
}

uint32_t *tables_4m(void)
{
	uint32_t *pd = pages(1);

	for (unsigned i = 0; i < 1024; i++)
		pd[i] = (uint32_t)(i * PAGE_4M | PTE_RWU | PTE_PS);
	return pd;
}

void mode_legacy(struct vm *v)
{
	protected_32(v);
	v->vmcb->cr4 = (v->vmcb->cr4 & ~CR4_PAE) | CR4_PSE;
	v->vmcb->cr3 = pa(tables_4m());
}

void mode_unpaged(struct vm *v)
{
	protected_32(v);
	v->vmcb->cr0 &= ~CR0_PG;
	v->vmcb->cr4 &= ~CR4_PAE;
}

/* Real-mode code must lie low: it is copied there. */
void mode_real(struct vm *v)
{
	struct seg data = {0, ATTR_DATA16, REAL_LIMIT, 0};

	memcpy((void *)(uintptr_t)LOW_CODE, (const void *)(uintptr_t)v->vmcb->rip, 128);
	protected_32(v);
	v->vmcb->cr0 &= ~(CR0_PG | CR0_PE);
	v->vmcb->cr4 &= ~CR4_PAE;
	v->vmcb->cs = (struct seg){LOW_CODE >> 4, ATTR_CODE16, REAL_LIMIT, LOW_CODE};
	v->vmcb->ss = v->vmcb->ds = v->vmcb->es = data;
	v->vmcb->rip = 0;
	v->vmcb->rsp = LOW_STACK;
	v->vmcb->idtr.base = 0;
	v->vmcb->idtr.limit = 0x3FF;
}

/* Legal although no MOV to CR0 can make it: PG=1 with PE=0 (15.19). */
void mode_paged_real(struct vm *v)
{
	mode_real(v);
	v->vmcb->cr0 |= CR0_PG;
	v->vmcb->cr4 |= CR4_PSE;
	v->vmcb->cr3 = pa(tables_4m());
}
