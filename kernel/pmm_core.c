/* SPDX-License-Identifier: MIT */
/* kernel/pmm_core.c - first fit over a list of free ranges, ordered by address.
 * Lowest first keeps small requests together and the large, aligned ranges whole, which guests
 * get. Touches only the first 16 bytes of each free range. Next: kernel/pmm.c. */
#include "kernel/pmm_core.h"

#include <check.h>

static uint64_t start_of(const struct free_range *range)
{
	return (uintptr_t)range;
}

static uint64_t end_of(const struct free_range *range)
{
	return start_of(range) + range->size;
}

static void join_with_next(struct free_range *range)
{
	struct free_range *next = range->next;

	if (!next || end_of(range) != start_of(next))
		return;
	range->size += next->size;
	range->next = next->next;
}

void pmm_core_give(struct pmm_core *core, uint64_t start, uint64_t size)
{
	struct free_range *before = NULL;
	struct free_range **link = &core->first;
	struct free_range *range = (struct free_range *)start;

	CHECK(start && size && !((start | size) & PAGE_MASK));
	while (*link && start_of(*link) < start) {
		before = *link;
		link = &before->next;
	}
	CHECK(!before || end_of(before) <= start);
	CHECK(!*link || start + size <= start_of(*link));

	range->next = *link;
	range->size = size;
	*link = range;
	core->free_bytes += size;
	join_with_next(range);
	if (before)
		join_with_next(before);
}

/* Cuts [start, start + size) out of *link; what is left before and behind stays in the list. */
static void cut(struct free_range **link, uint64_t start, uint64_t size)
{
	struct free_range *range = *link;
	uint64_t behind = end_of(range) - (start + size);

	if (behind) {
		struct free_range *rest = (struct free_range *)(start + size);

		rest->next = range->next;
		rest->size = behind;
		range->next = rest;
	}
	range->size = start - start_of(range);
	if (!range->size)
		*link = range->next;
}

uint64_t pmm_core_take(struct pmm_core *core, uint64_t size, uint64_t align)
{
	CHECK(size && !(size & PAGE_MASK) && align && !(align & (align - 1)));
	align = max_u64(align, PAGE_SIZE);

	for (struct free_range **link = &core->first; *link; link = &(*link)->next) {
		uint64_t start = align_up(start_of(*link), align);

		if (start > end_of(*link) || end_of(*link) - start < size)
			continue;
		cut(link, start, size);
		core->free_bytes -= size;
		return start;
	}
	return 0;
}
