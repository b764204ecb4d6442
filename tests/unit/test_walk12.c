/* SPDX-License-Identifier: MIT */
/* links: nested/walk12.c tests/unit/fake_l1.c */
/* tests/unit/test_walk12.c - the walk of L1's nested table: formats, error codes, every bit of every entry, A, D. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>

#include "tests/unit/fake_l1.h"

#define RAM MIB(16)
#define TABLES 0x100000
#define ALL (PTE_P | PTE_W | PTE_U)

static struct port *l1;

static int setup(void **state)
{
	(void)state;
	l1 = fake_l1_new(RAM);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_l1_free(l1);
	return 0;
}

static struct walk12 walk(const struct fake_npt12 *table, uint64_t at, uint64_t access)
{
	return npt12_walk(l1, &table->npt12, l2pa(at), access);
}

static void assert_refused(const struct fake_npt12 *table, uint64_t at, uint64_t access, uint64_t error)
{
	struct walk12 w = walk(table, at, access);

	assert_false(w.ok || w.raced);
	assert_int_equal(w.error, error);
}

static void assert_maps(const struct fake_npt12 *table, uint64_t at, uint64_t access, uint64_t l1pa, uint64_t size)
{
	struct walk12 w = walk(table, at, access);

	assert_true(w.ok);
	assert_int_equal(w.l1pa.a, l1pa);
	assert_int_equal(w.page_size, size);
}

/* --- formats --- */

static void page_sizes_of_long_mode(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);

	(void)state;
	fake_npt12_map(&t, UINT64_C(0x7F8012345000), 1, ALL | 0xABC000);
	fake_npt12_map(&t, UINT64_C(0x7F8012400000), 2, ALL | PTE_PS | 0x30600000);
	fake_npt12_map(&t, UINT64_C(0x7F80C0000000), 3, ALL | PTE_PS | 0x8040000000);
	assert_maps(&t, UINT64_C(0x7F8012345678), 0, 0xABC678, PAGE_SIZE);
	assert_maps(&t, UINT64_C(0x7F80125FEDCB), 0, 0x307FEDCB, SIZE_2M);
	assert_maps(&t, UINT64_C(0x7F80FFFEDCBA), 0, UINT64_C(0x807FFEDCBA), SIZE_1G);
	assert_refused(&t, UINT64_C(0x7F8012346000), 0, PF_U);
	assert_refused(&t, UINT64_C(0x1007F8012345000), 0, PF_U); /* beyond 48 bits: not the same as below */
	t.npt12.pages_1g = false;
	assert_refused(&t, UINT64_C(0x7F80C0000000), 0, PF_P | PF_U | PF_RSV);
}

static void page_sizes_of_pae(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 3, TABLES + 0xFE0); /* the last place in a page for four PDPTEs */

	(void)state;
	t.next_table = TABLES + PAGE_SIZE;
	t.npt12.ncr3 |= 0x1F;
	fake_npt12_map(&t, 0xC0345000, 1, ALL | 0xABC000);
	fake_npt12_map(&t, 0x40000000, 2, ALL | PTE_PS | 0x8030600000);
	assert_maps(&t, 0xC0345678, PF_W, 0xABC678, PAGE_SIZE);
	assert_maps(&t, 0x401FFFFF, 0, UINT64_C(0x80307FFFFF), SIZE_2M);
	assert_refused(&t, 0x80000000, PF_W, PF_U | PF_W);
	assert_refused(&t, UINT64_C(0x1C0345678), 0, PF_U);
}

static void page_sizes_of_legacy(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 2, TABLES);
	uint64_t large = fake_npt12_map(&t, 0xFFC00000, 2, ALL | PTE_PS | 0x00C00000);

	(void)state;
	fake_npt12_map(&t, 0x12345000, 1, ALL | 0xABC000);
	assert_maps(&t, 0x12345678, 0, 0xABC678, PAGE_SIZE);
	assert_maps(&t, 0xFFFEDCBA, 0, 0x00FEDCBA, MIB(4));
	/* Bits 39:32 are in 20:13, bit 21 must be zero. */
	fake_npt12_write(&t, large, ALL | PTE_PS | 0x00C00000 | 0xA5 << 13);
	assert_maps(&t, 0xFFC00000, 0, UINT64_C(0xA500C00000), MIB(4));
	t.npt12.phys_mbz = BITS(63, 36);
	assert_refused(&t, 0xFFC00000, 0, PF_P | PF_U | PF_RSV);
	fake_npt12_write(&t, large, ALL | PTE_PS | 0x00C00000 | BIT(21));
	assert_refused(&t, 0xFFC00000, 0, PF_P | PF_U | PF_RSV);
	/* Without CR4.PSE it is a table, here an empty one, and the same bits are its address. */
	t.npt12.pse = false;
	assert_refused(&t, 0xFFC00000, 0, PF_U);
}

/* --- errors --- */

/* The codes that kvm-unit-tests expect, without the stage bits (svm-facts 8.3). */
static void error_codes(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);
	uint64_t e = fake_npt12_map(&t, 0x5000, 1, 0);

	(void)state;
	assert_refused(&t, 0x5000, 0, 0x04);
	assert_refused(&t, 0x5000, PF_W, 0x06);
	assert_refused(&t, 0x5000, PF_ID, 0x14);
	fake_npt12_write(&t, e, PTE_P | PTE_W | 0x9000);
	assert_refused(&t, 0x5000, 0, 0x05);
	fake_npt12_write(&t, e, PTE_P | PTE_U | 0x9000);
	assert_refused(&t, 0x5000, PF_W, 0x07);
	fake_npt12_write(&t, e, ALL | PTE_NX | 0x9000);
	assert_refused(&t, 0x5000, PF_ID, 0x15);
	assert_maps(&t, 0x5000, PF_W, 0x9000, PAGE_SIZE);
	fake_npt12_write(&t, e, ALL | BIT(45));
	assert_refused(&t, 0x5000, 0, 0x0D);
	assert_refused(&t, 0x5000, PF_W, 0x0F);
	assert_refused(&t, 0x5000, PF_ID, 0x1D);
}

static void fetches_are_told_apart_with_nxe_or_smep(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);
	struct fake_npt12 legacy = fake_npt12_new(l1, 2, TABLES * 2);

	(void)state;
	t.npt12.nxe = false;
	assert_refused(&t, 0x5000, PF_ID, PF_U);
	t.npt12.smep = true;
	assert_refused(&t, 0x5000, PF_ID, PF_U | PF_ID);
	assert_refused(&legacy, 0x5000, PF_ID, PF_U); /* NXE needs the formats that have NX */
}

/* A right that any level withholds is withheld; a missing lower level counts more than that. */
static void rights_of_all_levels(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);
	uint64_t leaf = fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);

	(void)state;
	for (unsigned level = 1; level <= 4; level++) {
		uint64_t at = fake_npt12_entry(&t, 0x5000, level), e = fake_npt12_read(&t, at);

		fake_npt12_write(&t, at, e & ~PTE_U);
		assert_refused(&t, 0x5000, 0, PF_P | PF_U);
		fake_npt12_write(&t, at, e & ~PTE_W);
		assert_refused(&t, 0x5000, PF_W, PF_P | PF_U | PF_W);
		assert_false(walk(&t, 0x5000, 0).writable);
		fake_npt12_write(&t, at, e | PTE_NX);
		assert_refused(&t, 0x5000, PF_ID, PF_P | PF_U | PF_ID);
		assert_false(walk(&t, 0x5000, 0).executable);
		if (level > 1) {
			fake_npt12_write(&t, at, e & ~(PTE_U | PTE_W));
			fake_npt12_write(&t, leaf, 0);
			assert_refused(&t, 0x5000, PF_W, PF_U | PF_W);
			fake_npt12_write(&t, leaf, ALL | 0x9000);
		}
		fake_npt12_write(&t, at, e);
	}
	assert_true(walk(&t, 0x5000, 0).writable && walk(&t, 0x5000, 0).executable);
}

static void unbacked_tables_are_reserved_faults(void **state)
{
	(void)state;
	for (unsigned levels = 2; levels <= 4; levels++) {
		struct fake_npt12 t = fake_npt12_new(l1, levels, TABLES * levels);

		fake_npt12_map(&t, 0x5000, 1, ALL);
		for (unsigned level = 2; level <= levels; level++) {
			uint64_t at = fake_npt12_entry(&t, 0x5000, level), e = fake_npt12_read(&t, at);

			fake_npt12_write(&t, at, (e & PAGE_MASK) | RAM);
			assert_refused(&t, 0x5000, 0, PF_P | PF_U | PF_RSV);
			fake_npt12_write(&t, at, e);
		}
		t.npt12.ncr3 = RAM;
		assert_refused(&t, 0x5000, PF_W, PF_P | PF_U | PF_RSV | PF_W);
	}
}

/* --- every bit of every entry --- */

/* Bits that, when set, make a reserved-bit fault of an entry of this level in this format. */
static const struct {
	unsigned levels, level;
	bool large, nxe;
	uint64_t reserved;
} reserved_rows[] = {
	{4, 4, false, true, BITS(51, 40) | BITS(8, 7)},
	{4, 3, false, true, BITS(51, 40)},
	{4, 2, false, true, BITS(51, 40)},
	{4, 1, false, true, BITS(51, 40)},
	{4, 3, true, true, BITS(51, 40) | BITS(29, 13)},
	{4, 2, true, true, BITS(51, 40) | BITS(20, 13)},
	{4, 4, false, false, BIT(63) | BITS(51, 40) | BITS(8, 7)},
	{4, 3, false, false, BIT(63) | BITS(51, 40)},
	{4, 2, false, false, BIT(63) | BITS(51, 40)},
	{4, 1, false, false, BIT(63) | BITS(51, 40)},
	{3, 3, false, true, BITS(63, 40) | BITS(8, 5) | BITS(2, 1)},
	{3, 2, false, true, BITS(62, 40)},
	{3, 1, false, true, BITS(62, 40)},
	{3, 2, true, true, BITS(62, 40) | BITS(20, 13)},
	{3, 2, false, false, BITS(63, 40)},
	{3, 1, false, false, BITS(63, 40)},
	{2, 2, false, true, 0},
	{2, 1, false, true, 0},
	{2, 2, true, true, BIT(21)},
};

static void every_bit_of_every_entry(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(reserved_rows); i++) {
		unsigned levels = reserved_rows[i].levels, level = reserved_rows[i].level;
		struct fake_npt12 t = fake_npt12_new(l1, levels, TABLES + i * 0x10000);
		uint64_t at, e;

		t.npt12.nxe = reserved_rows[i].nxe;
		if (reserved_rows[i].large)
			fake_npt12_map(&t, 0, level, ALL | PTE_PS);
		else
			fake_npt12_map(&t, 0, 1, ALL);
		at = fake_npt12_entry(&t, 0, level);
		e = fake_npt12_read(&t, at);
		for (unsigned bit = 0; bit < (levels == 2 ? 32 : 64); bit++) {
			bool reserved = reserved_rows[i].reserved & BIT(bit), got;

			/* These turn a table into a page or the other way round, or point it elsewhere. */
			if ((level > 1 && !reserved && (PTE_PS & BIT(bit))) || (e & BIT(bit)))
				continue;
			if (!reserved && level > 1 && !reserved_rows[i].large && bit >= 12 && bit < 40)
				continue;
			fake_npt12_write(&t, at, e | BIT(bit));
			got = walk(&t, 0, 0).error & PF_RSV;
			if (got != reserved)
				fail_msg("%u levels, level %u, bit %u: %d", levels, level, bit, got);
			assert_int_equal(walk(&t, 0, 0).ok, !reserved);
		}
	}
}

/* --- A and D --- */

static void walks_set_accessed_and_writes_dirty(void **state)
{
	(void)state;
	for (unsigned levels = 2; levels <= 4; levels++) {
		struct fake_npt12 t = fake_npt12_new(l1, levels, TABLES * levels);
		uint64_t leaf = fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);

		assert_false(walk(&t, 0x5000, 0).dirty);
		assert_int_equal(fake_npt12_read(&t, leaf), ALL | PTE_A | 0x9000);
		for (unsigned level = 2; level <= levels; level++) {
			bool is_pdpte = levels == 3 && level == 3;

			assert_int_equal(fake_npt12_read(&t, fake_npt12_entry(&t, 0x5000, level)) & (PTE_A | PTE_D),
					 is_pdpte ? 0 : PTE_A);
		}
		assert_true(walk(&t, 0x5000, PF_W).dirty);
		assert_int_equal(fake_npt12_read(&t, leaf), ALL | PTE_A | PTE_D | 0x9000);
		assert_true(walk(&t, 0x5000, 0).dirty);
	}
}

static void refused_walks_leave_the_leaf_alone(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);
	uint64_t leaf = fake_npt12_map(&t, 0x5000, 1, PTE_P | PTE_U | PTE_NX | 0x9000);

	(void)state;
	assert_false(walk(&t, 0x5000, PF_W).ok);
	assert_false(walk(&t, 0x5000, PF_ID).ok);
	assert_int_equal(fake_npt12_read(&t, leaf), PTE_P | PTE_U | PTE_NX | 0x9000);
}

struct flipper {
	uint64_t *entry;
	uint64_t count;
	bool stop;
};

/* Another CPU of L1: counts in the entry's free bits, and clears A and D all the time. */
static void *flip(void *arg)
{
	struct flipper *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(f->entry, BIT(52), __ATOMIC_SEQ_CST);
		__atomic_fetch_and(f->entry, ~(PTE_A | PTE_D), __ATOMIC_SEQ_CST);
		f->count++;
	}
	return NULL;
}

/* A plain store of A or D would now and then undo a count. */
static void marks_do_not_undo_what_another_cpu_writes(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);
	uint64_t at = fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	struct flipper f = {.entry = fake_l1_u64(l1, at)};
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, flip, &f);
	for (unsigned i = 0; i < 300000; i++) {
		struct walk12 w = walk(&t, 0x5000, PF_W);

		assert_true(w.ok || w.raced);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(*f.entry >> 52 & 0x7FF, f.count & 0x7FF);
}

/* --- neighbours --- */

static void neighbours_must_be_accessed_already(void **state)
{
	static const struct {
		uint64_t entry;
		bool ok, writable, executable, dirty;
	} cases[] = {
		{ALL | PTE_A | 0xA000, true, true, true, false},
		{ALL | PTE_A | PTE_D | 0xA000, true, true, true, true},
		{PTE_P | PTE_U | PTE_A | PTE_NX | 0xA000, true, false, false, false},
		{ALL | PTE_D | 0xA000, false, false, false, false},
		{PTE_P | PTE_W | PTE_A | 0xA000, false, false, false, false},
		{PTE_W | PTE_U | PTE_A | 0xA000, false, false, false, false},
		{ALL | PTE_A | BIT(45), false, false, false, false},
	};

	(void)state;
	for (unsigned levels = 2; levels <= 4; levels++) {
		struct fake_npt12 t = fake_npt12_new(l1, levels, TABLES * levels);
		struct walk12 w;

		fake_npt12_map(&t, 0x7000, 1, ALL | 0x9000);
		w = walk(&t, 0x7000, 0);
		for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
			uint64_t at = fake_npt12_map(&t, 0x3000, 1, cases[i].entry);
			uint64_t before = fake_npt12_read(&t, at);
			struct walk12 near = npt12_neighbour(&t.npt12, &w, -4);

			if (levels == 2 && cases[i].entry >> 32)
				continue;
			assert_int_equal(near.ok, cases[i].ok);
			assert_int_equal(fake_npt12_read(&t, at), before);
			if (!near.ok)
				continue;
			assert_int_equal(near.l1pa.a, 0xA000);
			assert_int_equal(near.writable, cases[i].writable);
			assert_int_equal(near.executable, levels == 2 || cases[i].executable);
			assert_int_equal(near.dirty, cases[i].dirty);
		}
	}
}

static void neighbours_obey_the_levels_above(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);
	uint64_t upper;
	struct walk12 w, near;

	(void)state;
	fake_npt12_map(&t, 0x7000, 1, ALL | 0x9000);
	fake_npt12_map(&t, 0x8000, 1, ALL | PTE_A | PTE_D | 0xA000);
	upper = fake_npt12_entry(&t, 0x7000, 3);
	fake_npt12_write(&t, upper, (fake_npt12_read(&t, upper) & ~PTE_W) | PTE_NX);
	w = walk(&t, 0x7000, 0);
	near = npt12_neighbour(&t.npt12, &w, 1);
	assert_true(near.ok && !near.writable && !near.executable);
}

static void neighbours_within_a_large_page(void **state)
{
	struct fake_npt12 t = fake_npt12_new(l1, 4, TABLES);
	struct walk12 w, near;

	(void)state;
	fake_npt12_map(&t, 0, 2, ALL | PTE_PS | 0x600000);
	w = walk(&t, 0x7123, 0);
	near = npt12_neighbour(&t.npt12, &w, -7);
	assert_true(near.ok && near.writable && !near.dirty);
	assert_int_equal(near.l1pa.a, 0x600123);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(page_sizes_of_long_mode),
		TEST(page_sizes_of_pae),
		TEST(page_sizes_of_legacy),
		TEST(error_codes),
		TEST(fetches_are_told_apart_with_nxe_or_smep),
		TEST(rights_of_all_levels),
		TEST(unbacked_tables_are_reserved_faults),
		TEST(every_bit_of_every_entry),
		TEST(walks_set_accessed_and_writes_dirty),
		TEST(refused_walks_leave_the_leaf_alone),
		TEST(marks_do_not_undo_what_another_cpu_writes),
		TEST(neighbours_must_be_accessed_already),
		TEST(neighbours_obey_the_levels_above),
		TEST(neighbours_within_a_large_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
