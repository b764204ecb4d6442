/* SPDX-License-Identifier: MIT */
/* links: svm/npt.c */
/* tests/unit/test_npt.c - NPT01 maps every byte where it should, with the largest pages, and gives all memory back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <check.h>

#include "kernel/pmm.h"
#include "svm/npt.h"

static unsigned pages_out, pages_allowed;

hpa_t pmm_alloc(uint64_t bytes, uint64_t align)
{
	if (pages_out == pages_allowed)
		return hpa(0);
	pages_out++;

	void *p = aligned_alloc(align, bytes);

	memset(p, 0, bytes);
	return hpa_of(p);
}

void pmm_free(hpa_t start, uint64_t bytes)
{
	assert_int_equal(bytes, PAGE_SIZE);
	pages_out--;
	free(hpa_ptr(start));
}

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

/* What the CPU would find; 0: not mapped. */
static uint64_t lookup(const struct npt *npt, uint64_t at, unsigned *shift)
{
	uint64_t table = npt->root.a;

	for (*shift = 39;; *shift -= 9) {
		uint64_t entry = ((const uint64_t *)hpa_ptr(hpa(table)))[(at >> *shift) & 511];

		if (!(entry & PTE_P))
			return 0;
		assert_int_equal(entry & (PTE_W | PTE_U | PTE_A | PTE_NX), PTE_W | PTE_U | PTE_A);
		if (*shift == 12 || (entry & PTE_PS)) {
			assert_true(entry & PTE_D);
			return (entry & PTE_ADDR) + (at & ((UINT64_C(1) << *shift) - 1));
		}
		table = entry & PTE_ADDR;
	}
}

static void setup(struct npt *npt, bool pages_1g)
{
	pages_allowed = 1000;
	assert_true(npt_init(npt));
	npt->pages_1g = pages_1g;
}

static void teardown(struct npt *npt)
{
	npt_destroy(npt);
	assert_int_equal(pages_out, 0);
	assert_int_equal(npt->root.a, 0);
	npt_destroy(npt);
}

static void check_region(struct npt *npt, uint64_t at, uint64_t host, uint64_t size)
{
	unsigned shift;

	assert_true(npt_map(npt, l1pa(at), hpa(host), size));
	for (uint64_t o = 0; o < size; o += PAGE_SIZE)
		assert_int_equal(lookup(npt, at + o, &shift), host + o);
	assert_int_equal(lookup(npt, at + size, &shift), 0);
	if (at)
		assert_int_equal(lookup(npt, at - 1, &shift), 0);
}

static void test_small_pages_when_host_is_unaligned(void **state)
{
	struct npt npt;
	unsigned shift;

	(void)state;
	setup(&npt, true);
	check_region(&npt, 0, 0x123000, MIB(5));
	lookup(&npt, MIB(2), &shift);
	assert_int_equal(shift, 12);
	teardown(&npt);
}

static void test_2m_pages(void **state)
{
	struct npt npt;
	unsigned shift;

	(void)state;
	setup(&npt, false);
	check_region(&npt, 0, GIB(7), GIB(1) + MIB(2) + KIB(12));
	lookup(&npt, 0, &shift);
	assert_int_equal(shift, 21);
	lookup(&npt, GIB(1) + MIB(2), &shift);
	assert_int_equal(shift, 12);
	teardown(&npt);
}

static void test_1g_pages_and_two_runs(void **state)
{
	struct npt npt;
	unsigned shift;

	(void)state;
	setup(&npt, true);
	check_region(&npt, 0, GIB(5), GIB(3));
	check_region(&npt, GIB(4), GIB(9) + MIB(2), GIB(1));
	lookup(&npt, 0, &shift);
	assert_int_equal(shift, 30);
	lookup(&npt, GIB(4), &shift);
	assert_int_equal(shift, 21);
	teardown(&npt);
}

static void test_pages_grow_in_the_middle(void **state)
{
	struct npt npt;
	unsigned shift;

	(void)state;
	setup(&npt, true);
	check_region(&npt, GIB(1) - MIB(2) - KIB(4), GIB(2) - MIB(2) - KIB(4), GIB(1) + MIB(4));
	lookup(&npt, GIB(1) - MIB(2) - KIB(4), &shift);
	assert_int_equal(shift, 12);
	lookup(&npt, GIB(1) - MIB(2), &shift);
	assert_int_equal(shift, 21);
	lookup(&npt, GIB(1), &shift);
	assert_int_equal(shift, 30);
	teardown(&npt);
}

static void test_short_memory_is_reported(void **state)
{
	(void)state;
	for (pages_allowed = 0; pages_allowed < 3; pages_allowed++) {
		struct npt npt;
		unsigned allowed = pages_allowed;

		if (npt_init(&npt))
			assert_false(npt_map(&npt, l1pa(0), hpa(KIB(4)), MIB(2)));
		npt_destroy(&npt);
		assert_int_equal(pages_out, 0);
		assert_int_equal(pages_allowed, allowed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_pages_when_host_is_unaligned),
		cmocka_unit_test(test_2m_pages),
		cmocka_unit_test(test_1g_pages_and_two_runs),
		cmocka_unit_test(test_pages_grow_in_the_middle),
		cmocka_unit_test(test_short_memory_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
