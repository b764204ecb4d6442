/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_pmm.c - each request is a block of its own, so that the sanitizer sees what is read beside it, freed
 * twice, or never. Very large ones, the RAM of guests, are mapped and cost nothing until they are touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <addr.h>
#include <check.h>

#include "tests/unit/fake_pmm.h"

uint64_t fake_pmm_held;
int fake_pmm_left = -1;
uint64_t fake_pmm_free = MIB(1);
bool fake_pmm_once;

#define LARGE MIB(16)

/* What is beside the aligned part is given back. */
static uint8_t *map_large(uint64_t size, uint64_t align)
{
	uint8_t *all = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);
	uint8_t *start = (uint8_t *)align_up((uintptr_t)all, align);

	if (all == MAP_FAILED)
		abort();
	if (start > all)
		munmap(all, (size_t)(start - all));
	munmap(start + size, (size_t)(all + align - start));
	return start;
}

hpa_t pmm_alloc(uint64_t bytes, uint64_t align)
{
	uint64_t size = align_up(bytes, PAGE_SIZE);

	if (fake_pmm_left == 0) {
		fake_pmm_left -= fake_pmm_once;
		return hpa(0);
	}
	fake_pmm_left -= fake_pmm_left > 0;
	fake_pmm_held += size;
	if (size >= LARGE)
		return hpa((uintptr_t)map_large(size, align));

	void *at = aligned_alloc(align, align_up(size, align));

	memset(at, 0, size);
	return hpa((uintptr_t)at);
}

void pmm_free(hpa_t start, uint64_t bytes)
{
	fake_pmm_held -= align_up(bytes, PAGE_SIZE);
	if (align_up(bytes, PAGE_SIZE) >= LARGE)
		munmap(hpa_ptr(start), align_up(bytes, PAGE_SIZE));
	else
		free(hpa_ptr(start));
}

uint64_t pmm_free_bytes(void)
{
	return fake_pmm_free;
}

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what);
	abort();
}
