/* SPDX-License-Identifier: MIT */
/* links: nested/tlb02.c tests/unit/fake_l1.c */
/* tests/unit/test_tlb02.c - tags for L2s: one pair of ASID12 and table never shares one with another, and a tag is
 * flushed before it serves anew and after every flush that L1 asked for; else it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nested/tlb02.h"
#include "tests/unit/fake_l1.h"

#define FIRST 5u

static struct tlb02 tlb;

static int setup(void **state)
{
	(void)state;
	tlb02_init(&tlb, FIRST, TLB02_TAGS);
	return 0;
}

static uint32_t take(uint32_t asid12, uint64_t table, bool want_flush)
{
	bool flush;
	uint32_t asid = tlb02_asid(&tlb, asid12, hpa(table), &flush);

	assert_int_equal(flush, want_flush);
	return asid;
}

static void a_new_tag_is_flushed_once(void **state)
{
	uint32_t tag = take(1, 0x1000, true);

	(void)state;
	assert_int_equal(take(1, 0x1000, false), tag);
}

static void pairs_have_tags_of_their_own(void **state)
{
	uint32_t a = take(1, 0x1000, true), b = take(2, 0x1000, true), c = take(1, 0x2000, true);

	(void)state;
	assert_true(a != b && b != c && a != c);
	assert_int_equal(take(1, 0x1000, false), a);
	assert_int_equal(take(2, 0x1000, false), b);
	assert_int_equal(take(1, 0x2000, false), c);
	assert_in_range(a, FIRST, FIRST + TLB02_TAGS - 1);
}

static void asid_flush_reaches_all_tables_of_it_and_no_other(void **state)
{
	(void)state;
	take(1, 0x1000, true);
	take(1, 0x2000, true);
	take(2, 0x1000, true);
	tlb02_flush_asid12(&tlb, 1);
	take(2, 0x1000, false);
	take(1, 0x1000, true);
	take(1, 0x2000, true);
	take(1, 0x1000, false);
}

static void full_flush_reaches_all(void **state)
{
	(void)state;
	take(1, 0x1000, true);
	take(2, 0x1000, true);
	tlb02_flush_all(&tlb);
	take(1, 0x1000, true);
	take(2, 0x1000, true);
	take(1, 0x1000, false);
}

/* The tag that was used longest ago changes hands, flushed; it comes back flushed, too. */
static void least_recently_used_goes(void **state)
{
	uint32_t oldest = take(1, 0x1000, true);

	(void)state;
	for (uint32_t i = 1; i < TLB02_TAGS; i++)
		take(1 + i, 0x1000, true);
	take(1, 0x1000, false); /* used again: 2 is the oldest now */
	take(100, 0x1000, true);
	assert_int_equal(take(1, 0x1000, false), oldest);
	take(2, 0x1000, true);
}

/* Few physical ASIDs: fewer tags; many: only as many as there is room for. */
static void as_many_tags_as_the_cpu_has(void **state)
{
	(void)state;
	tlb02_init(&tlb, FIRST, 1);
	assert_int_equal(take(1, 0x1000, true), FIRST);
	assert_int_equal(take(2, 0x1000, true), FIRST);
	assert_int_equal(take(1, 0x1000, true), FIRST);
	tlb02_init(&tlb, FIRST, UINT32_MAX);
	for (uint32_t i = 0; i < 3 * TLB02_TAGS; i++)
		assert_in_range(take(i, 0x1000, true), FIRST, FIRST + TLB02_TAGS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_new_tag_is_flushed_once, setup),
		cmocka_unit_test_setup(pairs_have_tags_of_their_own, setup),
		cmocka_unit_test_setup(asid_flush_reaches_all_tables_of_it_and_no_other, setup),
		cmocka_unit_test_setup(full_flush_reaches_all, setup),
		cmocka_unit_test_setup(least_recently_used_goes, setup),
		cmocka_unit_test_setup(as_many_tags_as_the_cpu_has, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
