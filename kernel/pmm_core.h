/* SPDX-License-Identifier: MIT */
/* kernel/pmm_core.h - a list of free ranges, ordered by address and kept in the free memory itself.
 * No limit on ranges or memory. Pure: no lock, no clearing; addresses are pointers (unit-tested so). */
#ifndef KERNEL_PMM_CORE_H
#define KERNEL_PMM_CORE_H

#include <bits.h>

struct free_range {
	struct free_range *next;
	uint64_t size;
};

struct pmm_core {
	struct free_range *first;
	uint64_t free_bytes;
};

/* Gives a range to the list and joins it with its neighbours. Whole pages, not free already. */
void pmm_core_give(struct pmm_core *core, uint64_t start, uint64_t size);

/* The lowest free range of that size and alignment, or 0. Whole pages, align a power of two. */
uint64_t pmm_core_take(struct pmm_core *core, uint64_t size, uint64_t align);

#endif
