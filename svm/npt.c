/* SPDX-License-Identifier: MIT */
/* svm/npt.c - builds and frees NPT01. Four levels, in long format, whatever paging L1 itself uses. All entries allow
 * everything (a nested access is a user access, APM2 15.25.5) and have A and D set, so that the CPU never writes
 * to the table. Written before the L1 runs, constant afterwards. */
#include "svm/npt.h"

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <check.h>

#include "kernel/cpu_insn.h"
#include "kernel/pmm.h"

#define NPT_LEVELS 4
#define NPT_ENTRIES 512
#define NPT_TABLE (PTE_P | PTE_W | PTE_U | PTE_A)
#define NPT_LEAF (NPT_TABLE | PTE_D)

/* Bytes that one entry of a table maps; level 1 is the lowest. */
static uint64_t entry_span(unsigned level)
{
	return PAGE_SIZE << (9 * (level - 1));
}

static unsigned leaf_level_max(const struct npt *npt)
{
	return npt->pages_1g ? 3 : 2;
}

bool npt_init(struct npt *npt)
{
	npt->pages_1g = cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID_81_EDX_PAGE1GB;
	npt->root = pmm_alloc(PAGE_SIZE, PAGE_SIZE);
	return npt->root.a != 0;
}

/* The entry for `at` in the table of the given level, with all tables above it made. NULL when memory is short. */
static uint64_t *entry_make(struct npt *npt, uint64_t at, unsigned level)
{
	hpa_t table = npt->root;

	for (unsigned l = NPT_LEVELS;; l--) {
		uint64_t *entry = (uint64_t *)hpa_ptr(table) + (at / entry_span(l)) % NPT_ENTRIES;

		if (l == level)
			return entry;
		if (!*entry) {
			hpa_t page = pmm_alloc(PAGE_SIZE, PAGE_SIZE);

			if (!page.a)
				return NULL;
			*entry = page.a | NPT_TABLE;
		}
		CHECK(!(*entry & PTE_PS));
		table = hpa(*entry & PTE_ADDR);
	}
}

bool npt_map(struct npt *npt, l1pa_t at, hpa_t host, uint64_t size)
{
	CHECK(((at.a | host.a | size) & PAGE_MASK) == 0);

	while (size) {
		unsigned level = leaf_level_max(npt);

		while (level > 1 && (((at.a | host.a) & (entry_span(level) - 1)) || size < entry_span(level)))
			level--;

		uint64_t *entry = entry_make(npt, at.a, level);

		if (!entry)
			return false;
		CHECK(!*entry);
		*entry = host.a | NPT_LEAF | (level > 1 ? PTE_PS : 0);
		at.a += entry_span(level);
		host.a += entry_span(level);
		size -= entry_span(level);
	}
	return true;
}

static void table_free(hpa_t table, unsigned level)
{
	const uint64_t *entries = hpa_ptr(table);

	for (unsigned i = 0; level > 1 && i < NPT_ENTRIES; i++)
		if (entries[i] && !(entries[i] & PTE_PS))
			table_free(hpa(entries[i] & PTE_ADDR), level - 1);
	pmm_free(table, PAGE_SIZE);
}

void npt_destroy(struct npt *npt)
{
	if (npt->root.a)
		table_free(npt->root, NPT_LEVELS);
	npt->root = hpa(0);
}
