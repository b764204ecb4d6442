/* SPDX-License-Identifier: MIT */
/* links: nested/tlb02.c tests/unit/fake_l1.c */
/* tests/unit/test_tlb02.c - tags for L2s: one pair of ASID12 and table never shares one with another unflushed, and a
 * tag is flushed before it serves anew and after every flush that L1 asked for; else it is not. */
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

static void asids_have_tags_of_their_own(void **state)
{
	uint32_t tag[TLB02_TAGS];

	(void)state;
	for (uint32_t i = 0; i < TLB02_TAGS; i++) {
		tag[i] = take(1 + i, 0x1000, true);
		assert_in_range(tag[i], FIRST, FIRST + TLB02_TAGS - 1);
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(tag[i], tag[j]);
	}
	for (uint32_t i = 0; i < TLB02_TAGS; i++)
		assert_int_equal(take(1 + i, 0x1000, false), tag[i]);
}

/* Entries are tagged with the ASID alone, so that another table of the same ASID costs a flush. */
static void another_table_is_flushed(void **state)
{
	(void)state;
	take(1, 0x1000, true);
	take(1, 0x2000, true);
	take(1, 0x2000, false);
	take(1, 0x1000, true);
}

static void asid_flush_reaches_no_other(void **state)
{
	(void)state;
	take(1, 0x1000, true);
	take(2, 0x1000, true);
	tlb02_flush_asid12(&tlb, 1);
	tlb02_flush_asid12(&tlb, 2 + TLB02_TAGS); /* has no tag now, but the place of 2's */
	take(2, 0x1000, false);
	take(1, 0x1000, true);
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

/* A tag that changes hands is flushed; it comes back flushed, too. Nobody else notices. */
static void a_tag_changes_hands(void **state)
{
	uint32_t tag = take(1, 0x1000, true);

	(void)state;
	take(2, 0x1000, true);
	assert_int_equal(take(1 + TLB02_TAGS, 0x1000, true), tag);
	take(2, 0x1000, false);
	assert_int_equal(take(1, 0x1000, true), tag);
}

static void renewed_as_if_taken(void **state)
{
	uint32_t tag = take(1, 0x1000, true);

	(void)state;
	assert_false(tlb02_renew(&tlb, tag));
	tlb02_flush_all(&tlb);
	assert_true(tlb02_renew(&tlb, tag));
	tlb02_flush_asid12(&tlb, 1);
	assert_true(tlb02_renew(&tlb, tag));
	take(1, 0x1000, false);
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
		cmocka_unit_test_setup(asids_have_tags_of_their_own, setup),
		cmocka_unit_test_setup(another_table_is_flushed, setup),
		cmocka_unit_test_setup(asid_flush_reaches_no_other, setup),
		cmocka_unit_test_setup(full_flush_reaches_all, setup),
		cmocka_unit_test_setup(a_tag_changes_hands, setup),
		cmocka_unit_test_setup(renewed_as_if_taken, setup),
		cmocka_unit_test_setup(as_many_tags_as_the_cpu_has, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
