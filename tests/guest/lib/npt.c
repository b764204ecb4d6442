/* SPDX-License-Identifier: MIT */
/* lib/npt.c - 4-level page tables for L2: as its own table and as the nested one, which share the
 * format (APM 15.25.3). Built in the page arena, so each scenario has fresh ones. */
#include "vm.h"

#define ENTRIES 512
#define IDENTITY_GIB 4

static unsigned table_index(uint64_t va, int level)
{
	return (unsigned)(va >> (12 + 9 * (level - 1))) % ENTRIES;
}

static uint64_t page_bytes(int level)
{
	return PAGE_SIZE << (9 * (level - 1));
}

/* 2 MiB pages over the first 4 GiB, tables and pages with the same rights. */
uint64_t *table_identity(uint64_t bits)
{
	uint64_t *root = pages(1), *pdpt = pages(1);

	root[0] = pa(pdpt) | bits;
	for (unsigned g = 0; g < IDENTITY_GIB; g++) {
		uint64_t *pd = pages(1);

		pdpt[g] = pa(pd) | bits;
		for (unsigned i = 0; i < ENTRIES; i++)
			pd[i] = (g * SIZE_1G + i * SIZE_2M) | bits | PTE_PS;
	}
	return root;
}

static uint64_t *large_split(uint64_t *entry, int level)
{
	uint64_t *t = pages(1), from = *entry & PTE_ADDR & ~(page_bytes(level) - 1);
	uint64_t bits = *entry & (PTE_RWU | PTE_NX), size = level - 1 > LEVEL_4K ? PTE_PS : 0;

	for (unsigned i = 0; i < ENTRIES; i++)
		t[i] = (from + i * page_bytes(level - 1)) | bits | size;
	*entry = pa(t) | bits;
	return t;
}

uint64_t *table_entry(uint64_t *root, uint64_t va, int level)
{
	uint64_t *t = root;

	for (int l = 4; l > level; l--) {
		uint64_t *e = &t[table_index(va, l)];

		if (!(*e & PTE_P)) {
			t = pages(1);
			*e = pa(t) | PTE_RWU;
		} else if (*e & PTE_PS) {
			t = large_split(e, l);
		} else {
			t = (uint64_t *)(uintptr_t)(*e & PTE_ADDR);
		}
	}
	return &t[table_index(va, level)];
}
