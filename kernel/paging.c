/* SPDX-License-Identifier: MIT */
/* kernel/paging.c - our own page tables: all of physical memory, one to one.
 * Decides page sizes (1 GiB, 2 MiB, and 4 KiB around the kernel), caching (RAM write-back, the rest
 * uncached) and protection (page 0 absent, kernel text and constants read-only, only text
 * executable). Manual: APM2 5.3, 7.8. Never sets a reserved bit: see kernel/cpu_insn.h. */
#include "kernel/paging.h"

#include "kernel/cpu_insn.h"
#include "kernel/panic.h"
#include "kernel/pmm.h"

#include <amd/cpu.h>
#include <amd/cpuid.h>

extern char kernel_start[], kernel_text_end[], kernel_rodata_end[], kernel_end[]; /* boot/linker.ld */

enum { ENTRIES = 512, LEVEL_4K = 0, LEVEL_2M = 1, LEVEL_1G = 2, LEVEL_TOP = 3 };

uint64_t paging_root; /* [I] CR3; boot/start.asm loads it on the APs */

static uint64_t top;	 /* [I] */
static uint64_t nx;	 /* [I] PTE_NX where the CPU has it */
static bool has_1g_pages; /* [I] */

static uint64_t level_size(unsigned level)
{
	return PAGE_SIZE << (9 * level);
}

static bool is_memory(const struct boot_range *r)
{
	return r->type == BOOT_MEM_RAM || r->type == BOOT_MEM_ACPI || r->type == BOOT_MEM_NVS;
}

/* How many bytes of [start, start + size) are memory rather than devices or nothing. */
static uint64_t memory_within(const struct bootinfo *bi, uint64_t start, uint64_t size)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < bi->range_count; i++) {
		const struct boot_range *r = &bi->ranges[i];
		uint64_t lo = max_u64(start, r->start.a);
		uint64_t hi = min_u64(start + size, r->start.a + r->size);

		if (is_memory(r) && lo < hi)
			sum += hi - lo;
	}
	return sum;
}

static uint64_t memory_end(const struct bootinfo *bi)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < bi->range_count; i++)
		if (is_memory(&bi->ranges[i]))
			end = max_u64(end, bi->ranges[i].start.a + bi->ranges[i].size);
	return end;
}

static uint64_t *new_table(void)
{
	hpa_t table = pmm_alloc(PAGE_SIZE, PAGE_SIZE);

	if (!table.a)
		fatal("no memory for page tables; give the machine more memory below 4 GiB");
	return hpa_ptr(table);
}

/* The entry that maps `va` at `level`; tables above it are made as needed. */
static uint64_t *entry_at(uint64_t va, unsigned level)
{
	uint64_t *table = (uint64_t *)paging_root;

	for (unsigned l = LEVEL_TOP; l > level; l--) {
		uint64_t *entry = &table[va / level_size(l) % ENTRIES];

		if (!*entry)
			*entry = (uintptr_t)new_table() | PTE_P | PTE_W;
		table = (uint64_t *)(*entry & PTE_ADDR);
	}
	return &table[va / level_size(level) % ENTRIES];
}

/* A page that is RAM in part is cached: the MTRRs keep what they know as a device uncached. */
static uint64_t leaf(const struct bootinfo *bi, uint64_t va, unsigned level)
{
	uint64_t flags = PTE_P | PTE_W | nx | (level > LEVEL_4K ? PTE_PS : 0);

	if (!memory_within(bi, va, level_size(level)))
		flags |= PTE_PCD | PTE_PWT;
	return va | flags;
}

static uint64_t kernel_leaf(const struct bootinfo *bi, uint64_t va)
{
	uint64_t entry = leaf(bi, va, LEVEL_4K);

	if (va == 0)
		return 0; /* null pointers shall fault */
	if (va >= (uintptr_t)kernel_start && va < (uintptr_t)kernel_rodata_end)
		entry &= ~PTE_W;
	if (va >= (uintptr_t)kernel_start && va < (uintptr_t)kernel_text_end)
		entry &= ~PTE_NX;
	return entry;
}

static bool fits_1g(const struct bootinfo *bi, uint64_t va)
{
	if (!has_1g_pages || va % SIZE_1G || va + SIZE_1G > top)
		return false;

	uint64_t memory = memory_within(bi, va, SIZE_1G);

	return memory == 0 || memory == SIZE_1G;
}

static void map_all(const struct bootinfo *bi)
{
	uint64_t va = 0;

	for (; va < align_up((uintptr_t)kernel_end, SIZE_2M); va += PAGE_SIZE)
		*entry_at(va, LEVEL_4K) = kernel_leaf(bi, va);
	while (va < top) {
		unsigned level = fits_1g(bi, va) ? LEVEL_1G : LEVEL_2M;

		*entry_at(va, level) = leaf(bi, va, level);
		va += level_size(level);
	}
}

void paging_init(const struct bootinfo *bi)
{
	uint32_t features = cpuid(CPUID_EXT_FEATURES, 0).edx;

	nx = features & CPUID_81_EDX_NX ? PTE_NX : 0;
	has_1g_pages = features & CPUID_81_EDX_PAGE1GB;
	top = align_up(max_u64(memory_end(bi), GIB(4)), SIZE_2M);
	paging_root = (uintptr_t)new_table();
	map_all(bi);
	write_cr3(paging_root);
}

uint64_t paging_top(void)
{
	return top;
}

/* One to one, in the lower half: so a virtual address is the other limit (APM2 1.1.3, 5.3). */
static uint64_t address_limit(void)
{
	uint32_t sizes = cpuid(CPUID_EXT_SIZES, 0).eax;

	return BIT(min_u64(sizes & 0xFF, (sizes >> 8 & 0xFF) - 1));
}

bool paging_map_mmio(hpa_t start, uint64_t size)
{
	uint64_t va = max_u64(align_down(start.a, SIZE_2M), top), limit = address_limit();

	if (size > limit || start.a > limit - size)
		return false;
	for (; va < start.a + size; va += SIZE_2M)
		*entry_at(va, LEVEL_2M) =
			va | PTE_P | PTE_W | PTE_PS | PTE_PCD | PTE_PWT | nx;
	return true;
}
