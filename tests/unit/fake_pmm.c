/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_pmm.c - each request is a block of its own, so that the sanitizer sees what is read beside it, freed
 * twice, or never. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <addr.h>
#include <check.h>

#include "tests/unit/fake_pmm.h"

uint64_t fake_pmm_held;
int fake_pmm_left = -1;

hpa_t pmm_alloc(uint64_t bytes, uint64_t align)
{
	uint64_t size = align_up(bytes, PAGE_SIZE);

	if (fake_pmm_left == 0)
		return hpa(0);
	fake_pmm_left -= fake_pmm_left > 0;
	fake_pmm_held += size;

	void *at = aligned_alloc(align, align_up(size, align));

	memset(at, 0, size);
	return hpa((uintptr_t)at);
}

void pmm_free(hpa_t start, uint64_t bytes)
{
	fake_pmm_held -= align_up(bytes, PAGE_SIZE);
	free(hpa_ptr(start));
}

uint64_t pmm_free_bytes(void)
{
	return MIB(1);
}

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what);
	abort();
}
