/* SPDX-License-Identifier: MIT */
/* kernel/pmm.c - the machine's one pool of physical memory.
 * Decides which memory belongs to it: all RAM of the boot loader's map but what is in use already.
 * Lock: pmm_lock, a leaf. The list itself: kernel/pmm_core.c. */
#include "kernel/pmm.h"

#include "kernel/pmm_core.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"

extern char kernel_start[], kernel_end[]; /* boot/linker.ld */

static struct spinlock pmm_lock;
static struct pmm_core pool; /* [pmm_lock] */
static uint64_t total_bytes; /* [I] after set-up */

struct span {
	uint64_t start, end;
};

hpa_t pmm_alloc(uint64_t bytes, uint64_t align)
{
	uint64_t size = align_up(bytes, PAGE_SIZE);

	if (size == 0 || size < bytes)
		return hpa(0);
	spin_lock(&pmm_lock);
	uint64_t start = pmm_core_take(&pool, size, align);
	spin_unlock(&pmm_lock);

	if (start)
		memset((void *)start, 0, size);
	return hpa(start);
}

void pmm_free(hpa_t start, uint64_t bytes)
{
	spin_lock(&pmm_lock);
	pmm_core_give(&pool, start.a, align_up(bytes, PAGE_SIZE));
	spin_unlock(&pmm_lock);
}

uint64_t pmm_free_bytes(void)
{
	spin_lock(&pmm_lock);
	uint64_t bytes = pool.free_bytes;
	spin_unlock(&pmm_lock);
	return bytes;
}

uint64_t pmm_total_bytes(void)
{
	return total_bytes;
}

/* Number i of the spans that are in use or no RAM; false when there are no more. */
static bool span_in_use(const struct bootinfo *bi, uint32_t i, struct span *span)
{
	if (i == 0) {
		*span = (struct span){(uintptr_t)kernel_start, (uintptr_t)kernel_end};
		return true;
	}
	if (i == 1) {
		*span = (struct span){bi->tags.a, bi->tags.a + bi->tags_size};
		return true;
	}
	i -= 2;
	if (i < bi->module_count) {
		const struct boot_module *m = &bi->modules[i];

		*span = (struct span){m->start.a, m->start.a + m->size};
		return true;
	}
	i -= bi->module_count;
	if (i < bi->range_count) {
		const struct boot_range *r = &bi->ranges[i];

		*span = (struct span){r->start.a, r->start.a + r->size};
		if (r->type == BOOT_MEM_RAM)
			span->end = span->start;
		return true;
	}
	return false;
}

/* The part of `rest` up to the first span in use; `rest` shrinks to what is behind that span. */
static struct span split_free(const struct bootinfo *bi, struct span *rest)
{
	struct span free = *rest;
	struct span used;

	rest->start = rest->end;
	for (uint32_t i = 0; span_in_use(bi, i, &used); i++) {
		if (used.start >= used.end || used.end <= free.start || used.start >= free.end)
			continue;
		free.end = max_u64(free.start, used.start);
		rest->start = used.end;
	}
	return free;
}

static void add_span(const struct bootinfo *bi, struct span rest)
{
	while (rest.start < rest.end) {
		struct span free = split_free(bi, &rest);
		uint64_t start = align_up(free.start, PAGE_SIZE);
		uint64_t end = align_down(free.end, PAGE_SIZE);

		if (start >= end)
			continue;
		pmm_free(hpa(start), end - start);
		total_bytes += end - start;
	}
}

void pmm_add_boot_memory(const struct bootinfo *bi, uint64_t from, uint64_t to)
{
	from = max_u64(from, MIB(1));
	for (uint32_t i = 0; i < bi->range_count; i++) {
		const struct boot_range *r = &bi->ranges[i];

		if (r->type == BOOT_MEM_RAM)
			add_span(bi, (struct span){max_u64(r->start.a, from),
						   min_u64(r->start.a + r->size, to)});
	}
}

hpa_t pmm_low_page(const struct bootinfo *bi)
{
	for (uint32_t i = 0; i < bi->range_count; i++) {
		const struct boot_range *r = &bi->ranges[i];
		/* Page 0 is never used: it is unmapped, and it is what BIOSes scribble on. */
		struct span rest = {max_u64(r->start.a, PAGE_SIZE),
				    min_u64(r->start.a + r->size, KIB(640))};

		while (r->type == BOOT_MEM_RAM && rest.start < rest.end) {
			struct span free = split_free(bi, &rest);
			uint64_t page = align_up(free.start, PAGE_SIZE);

			if (page + PAGE_SIZE <= free.end)
				return hpa(page);
		}
	}
	return hpa(0);
}
