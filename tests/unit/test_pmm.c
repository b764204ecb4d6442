/* SPDX-License-Identifier: MIT */
/* links: kernel/pmm_core.c */
/* tests/unit/test_pmm.c - the free list: lowest first, alignment, joining, and a long random run against a plain map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <check.h>

#include "kernel/pmm_core.h"

#define PAGES 512u
#define POOL_ALIGN MIB(2)

static uint64_t base; /* PAGES pages, aligned to POOL_ALIGN */
static struct pmm_core core;

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	mock_assert(0, what, file, line);
	abort();
}

static uint64_t page(unsigned n)
{
	return base + n * PAGE_SIZE;
}

static int fresh(void **state)
{
	(void)state;
	base = (uintptr_t)aligned_alloc(POOL_ALIGN, PAGES * PAGE_SIZE);
	core = (struct pmm_core){0};
	pmm_core_give(&core, base, PAGES * PAGE_SIZE);
	return base ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	free((void *)base);
	return 0;
}

static void assert_whole(void)
{
	assert_int_equal(core.free_bytes, PAGES * PAGE_SIZE);
	assert_int_equal((uintptr_t)core.first, base);
	assert_int_equal(core.first->size, PAGES * PAGE_SIZE);
	assert_null(core.first->next);
}

static void lowest_first(void **state)
{
	(void)state;
	assert_int_equal(pmm_core_take(&core, PAGE_SIZE, 1), page(0));
	assert_int_equal(pmm_core_take(&core, 2 * PAGE_SIZE, PAGE_SIZE), page(1));
	assert_int_equal(core.free_bytes, (PAGES - 3) * PAGE_SIZE);
	pmm_core_give(&core, page(0), PAGE_SIZE);
	assert_int_equal(pmm_core_take(&core, 2 * PAGE_SIZE, PAGE_SIZE), page(3));
	assert_int_equal(pmm_core_take(&core, PAGE_SIZE, PAGE_SIZE), page(0));
}

static void alignment_leaves_the_rest_usable(void **state)
{
	(void)state;
	assert_int_equal(pmm_core_take(&core, PAGE_SIZE, PAGE_SIZE), page(0));
	assert_int_equal(pmm_core_take(&core, 8 * PAGE_SIZE, 64 * PAGE_SIZE), page(64));
	assert_int_equal(pmm_core_take(&core, 63 * PAGE_SIZE, PAGE_SIZE), page(1));
	assert_int_equal(pmm_core_take(&core, PAGE_SIZE, PAGE_SIZE), page(72));
}

static void joins_on_both_sides(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pmm_core_take(&core, PAGE_SIZE, PAGE_SIZE), page(i));
	pmm_core_give(&core, page(0), PAGE_SIZE);
	pmm_core_give(&core, page(2), PAGE_SIZE);
	assert_non_null(core.first->next);
	pmm_core_give(&core, page(1), PAGE_SIZE);
	assert_whole();
}

static void none_left(void **state)
{
	(void)state;
	assert_int_equal(pmm_core_take(&core, (PAGES + 1) * PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(pmm_core_take(&core, PAGE_SIZE, BIT(63)), 0);
	assert_int_equal(pmm_core_take(&core, PAGES * PAGE_SIZE, PAGE_SIZE), base);
	assert_null(core.first);
	assert_int_equal(pmm_core_take(&core, PAGE_SIZE, PAGE_SIZE), 0);
	pmm_core_give(&core, base, PAGES * PAGE_SIZE);
	assert_whole();
}

static void misuse_is_caught(void **state)
{
	(void)state;
	expect_assert_failure(pmm_core_give(&core, page(5), PAGE_SIZE));
	expect_assert_failure(pmm_core_give(&core, base + PAGES * PAGE_SIZE, 100));
	expect_assert_failure(pmm_core_take(&core, 100, PAGE_SIZE));
	expect_assert_failure(pmm_core_take(&core, PAGE_SIZE, 3 * PAGE_SIZE));
}

struct block {
	uint64_t start, size;
};

/* Each page changes hands exactly once: from free to taken, or back. */
static void mark(uint8_t *taken, struct block block, uint8_t now)
{
	assert_true(block.start >= base && block.start + block.size <= page(PAGES));
	for (uint64_t at = block.start; at < block.start + block.size; at += PAGE_SIZE) {
		uint8_t *entry = &taken[(at - base) / PAGE_SIZE];

		assert_int_not_equal(*entry, now);
		*entry = now;
	}
}

static struct block take_random(void)
{
	uint64_t align = PAGE_SIZE << rand() % 6;
	struct block b = {.size = (1 + (unsigned)rand() % 20) * PAGE_SIZE};

	b.start = pmm_core_take(&core, b.size, align);
	assert_int_equal(b.start % align, 0);
	return b;
}

static void random_run(void **state)
{
	enum { BLOCKS = 60, STEPS = 20000 };
	static uint8_t taken[PAGES];
	static struct block blocks[BLOCKS];
	uint64_t taken_bytes = 0;

	(void)state;
	srand(1);
	for (unsigned step = 0; step < STEPS + BLOCKS; step++) {
		struct block *b = &blocks[step < STEPS ? (unsigned)rand() % BLOCKS : step - STEPS];

		if (b->start) {
			mark(taken, *b, 0);
			pmm_core_give(&core, b->start, b->size);
			taken_bytes -= b->size;
			b->start = 0;
		} else if (step < STEPS && (*b = take_random()).start) {
			mark(taken, *b, 1);
			taken_bytes += b->size;
		}
		assert_int_equal(core.free_bytes + taken_bytes, PAGES * PAGE_SIZE);
	}
	assert_whole();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lowest_first, fresh, drop),
		cmocka_unit_test_setup_teardown(alignment_leaves_the_rest_usable, fresh, drop),
		cmocka_unit_test_setup_teardown(joins_on_both_sides, fresh, drop),
		cmocka_unit_test_setup_teardown(none_left, fresh, drop),
		cmocka_unit_test_setup_teardown(misuse_is_caught, fresh, drop),
		cmocka_unit_test_setup_teardown(random_run, fresh, drop),
	};

	return cmocka_run_group_tests_name("pmm", tests, NULL, NULL);
}
