/* SPDX-License-Identifier: MIT */
/* links: nested/npt02.c nested/walk12.c tests/unit/fake_l1.c tests/unit/seen02.c */
/* tests/unit/test_npt02.c - the shadow nested page table against the table of L1 that it stands for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/npt.h>

#include "nested/npt02.h"
#include "tests/unit/fake_l1.h"
#include "tests/unit/seen02.h"

#define RAM GIB(2)
#define TABLES 0x100000
#define ALL (PTE_P | PTE_W | PTE_U)
#define POOL_PAGES NPT02_POOL_MIN
#define ASID 1
#define TABLE_PAGES (POOL_PAGES - NPT02_ROOTS)

static struct port *l1;
static struct npt02 shadow;
static struct fake_npt12 t;

static int setup(void **state)
{
	void *pool = aligned_alloc(PAGE_SIZE, POOL_PAGES * PAGE_SIZE);

	(void)state;
	memset(pool, 0xA5, POOL_PAGES * PAGE_SIZE);
	l1 = fake_l1_new(RAM);
	t = fake_npt12_new(l1, 4, TABLES);
	npt02_init(&shadow, pool, POOL_PAGES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(shadow.pool);
	fake_l1_free(l1);
	return 0;
}

static struct npt02_root *root_of(const struct fake_npt12 *table, uint32_t asid12)
{
	bool fresh;

	return npt02_get(&shadow, &table->npt12, asid12, &fresh);
}

static struct npt02_result fault(uint64_t at, uint64_t exitinfo1)
{
	return npt02_fault(&shadow, root_of(&t, ASID), l1, l2pa(at), exitinfo1);
}

static void assert_sees(uint64_t at, uint64_t l1pa, uint64_t size, bool writable, bool executable)
{
	struct seen02 s = seen02(&shadow, l1, root_of(&t, ASID), at);

	assert_true(s.present);
	assert_int_equal(s.l1pa, l1pa);
	assert_int_equal(s.size, size);
	assert_int_equal(s.writable, writable);
	assert_int_equal(s.executable, executable);
}

static void assert_filled(uint64_t at, uint64_t exitinfo1, uint32_t dropped)
{
	struct npt02_result r = fault(at, exitinfo1);

	assert_int_equal(r.verdict, NPT02_FILLED);
	assert_int_equal(r.dropped, dropped);
}

/* --- the verdict --- */

static void reading_gives_no_write_access_before_dirty(void **state)
{
	uint64_t leaf = fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);

	(void)state;
	assert_filled(0x5000, NPF_FINAL | PF_U, 0);
	assert_sees(0x5000, 0x9000, PAGE_SIZE, false, true);
	assert_int_equal(fake_npt12_read(&t, leaf), ALL | PTE_A | 0x9000);
	assert_filled(0x5000, NPF_FINAL | PF_P | PF_U | PF_W, 0);
	assert_sees(0x5000, 0x9000, PAGE_SIZE, true, true);
	assert_int_equal(fake_npt12_read(&t, leaf), ALL | PTE_A | PTE_D | 0x9000);
}

static void walks_of_l2_tables_are_writes(void **state)
{
	uint64_t leaf = fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	struct npt02_result r;

	(void)state;
	assert_filled(0x5008, NPF_WALK | PF_U, 0);
	assert_sees(0x5008, 0x9008, PAGE_SIZE, true, true);
	assert_int_equal(fake_npt12_read(&t, leaf), ALL | PTE_A | PTE_D | 0x9000);
	npt02_drop_all(&shadow);
	fake_npt12_write(&t, leaf, PTE_P | PTE_U | PTE_A | 0x9000);
	r = fault(0x5008, NPF_WALK | PF_U | PF_ID);
	assert_int_equal(r.verdict, NPT02_REFLECT);
	assert_int_equal(r.exitinfo1, NPF_WALK | PF_P | PF_W | PF_U);
	assert_false(seen02(&shadow, l1, root_of(&t, ASID), 0x5008).present);
}

/* The hardware's own P and RSV bits speak of the shadow, so L1 never sees them. */
static void reflected_codes_come_from_l1s_table(void **state)
{
	static const struct {
		uint64_t entry, hardware, reflected;
	} cases[] = {
		{0, NPF_FINAL | PF_U, NPF_FINAL | PF_U},
		{0, NPF_FINAL | PF_U | PF_P | PF_RSV | PF_W, NPF_FINAL | PF_U | PF_W},
		{PTE_P | PTE_W, NPF_FINAL | PF_U, NPF_FINAL | PF_U | PF_P},
		{PTE_P | PTE_U, NPF_FINAL | PF_U | PF_W, NPF_FINAL | PF_U | PF_P | PF_W},
		{ALL | PTE_NX, NPF_FINAL | PF_U | PF_ID, NPF_FINAL | PF_U | PF_P | PF_ID},
		{ALL | BIT(50), NPF_FINAL | PF_U, NPF_FINAL | PF_U | PF_P | PF_RSV},
		{ALL | BIT(50), NPF_WALK | PF_U, NPF_WALK | PF_U | PF_P | PF_RSV | PF_W},
		{0, PF_U, NPF_FINAL | PF_U}, /* no stage from the CPU */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct npt02_result r;

		fake_npt12_map(&t, 0x5000, 1, cases[i].entry);
		r = fault(0x5123, cases[i].hardware);
		assert_int_equal(r.verdict, NPT02_REFLECT);
		assert_int_equal(r.exitinfo1, cases[i].reflected);
		assert_int_equal(r.dropped, 0);
	}
	assert_int_equal(shadow.fills, 0);
}

static void no_ram_of_l1_is_a_device(void **state)
{
	struct npt02_result r;

	(void)state;
	fake_npt12_map(&t, 0x5000, 1, ALL | 0xFEE00000);
	r = fault(0x50B0, NPF_FINAL | PF_U | PF_W);
	assert_int_equal(r.verdict, NPT02_DEVICE);
	assert_int_equal(r.l1pa.a, 0xFEE000B0);
	assert_false(seen02(&shadow, l1, root_of(&t, ASID), 0x5000).present);
	fake_npt12_map(&t, 0x5000, 1, PTE_P | PTE_U | 0xFEE00000);
	assert_int_equal(fault(0x50B0, NPF_FINAL | PF_U | PF_W).verdict, NPT02_REFLECT);
}

static void rights_of_l1s_table_arrive(void **state)
{
	(void)state;
	fake_npt12_map(&t, 0x5000, 1, ALL | PTE_NX | 0x9000);
	assert_filled(0x5000, NPF_FINAL | PF_U | PF_W, 0);
	assert_sees(0x5000, 0x9000, PAGE_SIZE, true, false);
	fake_npt12_map(&t, 0x205000, 1, PTE_P | PTE_U | PTE_D | 0x9000);
	assert_filled(0x205000, NPF_FINAL | PF_U | PF_ID, 0);
	assert_sees(0x205000, 0x9000, PAGE_SIZE, false, true);
}

/* --- sizes --- */

static void the_smaller_page_of_both_tables_counts(void **state)
{
	static const uint64_t sizes[] = {PAGE_SIZE, SIZE_2M, SIZE_1G};

	(void)state;
	for (unsigned level12 = 1; level12 <= 3; level12++)
		for (unsigned i = 0; i < 3; i++) {
			uint64_t size12 = sizes[level12 - 1], want = min_u64(size12, sizes[i]);
			uint64_t at = GIB(8) + level12 * GIB(8) + 0x1234567;

			l1->page_size = sizes[i];
			npt02_drop_all(&shadow);
			fake_npt12_map(&t, at, level12,
				       ALL | (level12 > 1 ? PTE_PS : 0) | align_down(SIZE_1G + 0x1234567, size12));
			assert_filled(at, NPF_FINAL | PF_U | PF_W, 0);
			assert_sees(at, SIZE_1G + 0x1234567, want, true, true);
		}
}

static void a_four_mib_page_becomes_two(void **state)
{
	(void)state;
	t = fake_npt12_new(l1, 2, TABLES);
	l1->page_size = SIZE_2M;
	fake_npt12_map(&t, 0x00C00000, 2, ALL | PTE_PS | 0x00800000);
	assert_filled(0x00E12345, NPF_FINAL | PF_U, 0);
	assert_sees(0x00E12345, 0x00A12345, SIZE_2M, false, true);
	assert_false(seen02(&shadow, l1, root_of(&t, ASID), 0x00C00000).present);
}

static void a_large_page_gives_way_to_small_ones(void **state)
{
	(void)state;
	l1->page_size = SIZE_1G;
	fake_npt12_map(&t, 0, 2, ALL | PTE_PS | 0x600000);
	assert_filled(0x5000, NPF_FINAL | PF_U, 0);
	assert_sees(0x5000, 0x605000, SIZE_2M, false, true);
	fake_npt12_map(&t, 0, 2, 0);
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	assert_filled(0x5000, NPF_FINAL | PF_U | PF_W, 1); /* the TLB must forget the large one */
	assert_sees(0x5000, 0x9000, PAGE_SIZE, true, true);
	assert_false(seen02(&shadow, l1, root_of(&t, ASID), 0x100000).present);
}

/* CVE-2026-53359: what hangs below a table must not lose its only reference. */
static void a_table_never_gives_way_to_a_large_page(void **state)
{
	uint32_t taken;

	(void)state;
	l1->page_size = SIZE_1G;
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	assert_filled(0x5000, NPF_FINAL | PF_U, 0);
	taken = shadow.next_free;
	fake_npt12_map(&t, 0, 2, ALL | PTE_PS | 0x600000);
	assert_filled(0x6000, NPF_FINAL | PF_U, 0);
	assert_sees(0x6000, 0x606000, PAGE_SIZE, false, true);
	assert_sees(0x5000, 0x9000, PAGE_SIZE, false, true); /* stale until L1 flushes, like a TLB entry */
	assert_int_equal(shadow.next_free, taken);
	npt02_drop_asid(&shadow, ASID);
	assert_filled(0x6000, NPF_FINAL | PF_U, 0);
	assert_sees(0x5000, 0x605000, SIZE_2M, false, true);
}

static void a_moved_page_needs_a_flush(void **state)
{
	uint64_t drops;

	(void)state;
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	assert_filled(0x5000, NPF_FINAL | PF_U, 0);
	drops = shadow.drops;
	assert_filled(0x5000, NPF_FINAL | PF_U | PF_W, 0);
	assert_int_equal(shadow.drops, drops);
	fake_npt12_map(&t, 0x5000, 1, ALL | 0xA000);
	assert_filled(0x5000, NPF_FINAL | PF_U | PF_W, 1);
	assert_sees(0x5000, 0xA000, PAGE_SIZE, true, true);
	assert_true(shadow.drops > drops); /* what svm/memo.c remembers of it is that of another page */
}

/* --- filling ahead --- */

static void neighbours_come_along_unseen(void **state)
{
	uint64_t before[64], clean = ALL | PTE_A, used = ALL | PTE_A | PTE_D;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		fake_npt12_map(&t, i * PAGE_SIZE, 1, (i % 4 == 0 ? ALL : i % 4 == 1 ? used : clean) | (i + 64) << 12);
	fake_npt12_map(&t, 18 * PAGE_SIZE, 1, used | 0xFEE00000);
	for (unsigned i = 0; i < 64; i++)
		before[i] = fake_npt12_read(&t, fake_npt12_entry(&t, i * PAGE_SIZE, 1));
	assert_filled(21 * PAGE_SIZE, NPF_FINAL | PF_U, 0);
	for (unsigned i = 0; i < 64; i++) {
		struct seen02 s = seen02(&shadow, l1, root_of(&t, ASID), i * PAGE_SIZE);
		bool wanted = i >= 16 && i < 32 && i % 4 != 0 && i != 18;

		assert_int_equal(s.present, wanted);
		assert_int_equal(fake_npt12_read(&t, fake_npt12_entry(&t, i * PAGE_SIZE, 1)), before[i]);
		if (!wanted)
			continue;
		assert_int_equal(s.writable, i % 4 == 1);
		assert_int_equal(s.l1pa, (i + 64) << 12);
	}
	assert_int_equal(shadow.neighbours, 10);
}

/* --- roots --- */

static void keys_tell_roots_apart(void **state)
{
	struct npt02_root *first = root_of(&t, 1);
	struct fake_npt12 other = t;

	(void)state;
	assert_ptr_equal(root_of(&t, 1), first);
	other.npt12.ncr3 |= 0xFFF; /* counts for no 4-level table */
	assert_ptr_equal(root_of(&other, 1), first);
	other.npt12.ncr3 += PAGE_SIZE;
	assert_ptr_not_equal(root_of(&other, 1), first);
	assert_ptr_not_equal(root_of(&t, 2), first);
	other = t;
	other.npt12.nxe = false;
	assert_ptr_not_equal(root_of(&other, 1), first);
	other = t;
	other.npt12.levels = 3;
	assert_ptr_not_equal(root_of(&other, 1), first);
	first = root_of(&other, 1);
	other.npt12.ncr3 |= 0x1F;
	assert_ptr_equal(root_of(&other, 1), first);
	other.npt12.ncr3 |= 0x20;
	assert_ptr_not_equal(root_of(&other, 1), first);
}

static void the_least_recently_used_root_goes(void **state)
{
	struct npt02_root *roots[NPT02_ROOTS];
	uint64_t drops;
	bool fresh;

	(void)state;
	for (uint32_t i = 0; i < NPT02_ROOTS; i++) {
		roots[i] = npt02_get(&shadow, &t.npt12, i + 1, &fresh);
		assert_true(fresh);
		for (uint32_t j = 0; j < i; j++)
			assert_ptr_not_equal(roots[i], roots[j]);
	}
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	assert_int_equal(npt02_fault(&shadow, roots[1], l1, l2pa(0x5000), PF_U).verdict, NPT02_FILLED);
	assert_ptr_equal(npt02_get(&shadow, &t.npt12, 1, &fresh), roots[0]);
	assert_false(fresh);
	drops = shadow.drops;
	assert_ptr_equal(npt02_get(&shadow, &t.npt12, 100, &fresh), roots[1]);
	assert_true(fresh);
	assert_true(shadow.drops > drops); /* whoever remembers that slot (svm/memo.c) must notice */
	assert_false(seen02(&shadow, l1, roots[1], 0x5000).present);
	assert_ptr_equal(npt02_get(&shadow, &t.npt12, 100, &fresh), roots[1]);
	assert_false(fresh);
}

/* APM2 15.16.1, 15.25.7: a flush makes what L1 has changed seen. What it has not changed may stay. */
static void a_flush_finds_what_has_changed(void **state)
{
	(void)state;
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	assert_filled(0x5000, NPF_FINAL | PF_U, 0);
	assert_true(npt02_is_outdated(&shadow, ASID)); /* nobody has watched so far */
	npt02_drop_asid(&shadow, ASID);
	assert_false(npt02_is_outdated(&shadow, NPT02_ALL));
	assert_filled(0x5000, NPF_FINAL | PF_U, 0);
	assert_false(npt02_is_outdated(&shadow, NPT02_ALL));
	fake_npt12_map(&t, 0x5000, 1, ALL | PTE_A | 0xA000);
	assert_true(npt02_is_outdated(&shadow, NPT02_ALL));
	assert_true(npt02_is_outdated(&shadow, ASID));
	assert_false(npt02_is_outdated(&shadow, ASID + 1));
	fake_npt12_map(&t, 0x5000, 1, ALL | PTE_A | 0x9000);
	assert_false(npt02_is_outdated(&shadow, ASID));
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000); /* A cleared: the next walk must set it */
	assert_true(npt02_is_outdated(&shadow, ASID));
}

static void a_large_shadow_is_not_watched(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t i = 0; i <= NPT02_FEW; i++) {
			fake_npt12_map(&t, i * 0x10000, 1, ALL | PTE_A | 0x9000);
			assert_filled(i * 0x10000, NPF_FINAL | PF_U, 0);
		}
		assert_true(npt02_is_outdated(&shadow, ASID));
		npt02_drop_asid(&shadow, ASID);
	}
}

static void drops_reach_what_they_name(void **state)
{
	struct npt02_root *one = root_of(&t, 1), *two = root_of(&t, 2);
	uint32_t taken;
	bool fresh;

	(void)state;
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	npt02_fault(&shadow, one, l1, l2pa(0x5000), PF_U);
	npt02_fault(&shadow, two, l1, l2pa(0x5000), PF_U);
	taken = shadow.next_free;
	npt02_drop_asid(&shadow, 1);
	assert_false(seen02(&shadow, l1, one, 0x5000).present);
	assert_true(seen02(&shadow, l1, two, 0x5000).present);
	assert_int_equal(shadow.next_free, taken);
	assert_ptr_equal(npt02_get(&shadow, &t.npt12, 1, &fresh), one);
	assert_true(fresh);
	npt02_get(&shadow, &t.npt12, 2, &fresh);
	assert_false(fresh);
	npt02_drop_asid(&shadow, 2); /* nothing is left, so the pool is whole again */
	assert_int_equal(shadow.next_free, NPT02_ROOTS);
	npt02_fault(&shadow, one, l1, l2pa(0x5000), PF_U);
	npt02_drop_all(&shadow);
	assert_false(seen02(&shadow, l1, one, 0x5000).present || seen02(&shadow, l1, two, 0x5000).present);
	npt02_get(&shadow, &t.npt12, 1, &fresh);
	assert_true(fresh);
}

/* --- exhaustion --- */

static void an_exhausted_pool_starts_over(void **state)
{
	struct npt02_root *other = root_of(&t, 2), *root = root_of(&t, ASID);
	hpa_t table = root->table;
	uint32_t dropped = 0;
	bool fresh;

	(void)state;
	fake_npt12_map(&t, 0x5000, 1, ALL | 0x9000);
	npt02_fault(&shadow, other, l1, l2pa(0x5000), PF_U);
	npt02_get(&shadow, &t.npt12, 2, &fresh);
	for (uint64_t i = 0; i < 4 * TABLE_PAGES; i++) {
		uint64_t at = i * GIB(1);
		struct npt02_result r;

		fake_npt12_map(&t, at, 1, ALL | 0x9000);
		r = npt02_fault(&shadow, root, l1, l2pa(at), NPF_FINAL | PF_U);
		assert_int_equal(r.verdict, NPT02_FILLED);
		assert_true(seen02(&shadow, l1, root, at).present);
		assert_true(shadow.next_free <= POOL_PAGES);
		if (r.dropped && !dropped)
			assert_false(seen02(&shadow, l1, root, 0).present || seen02(&shadow, l1, other, 0x5000).present);
		dropped += r.dropped;
	}
	assert_true(dropped > 1);
	assert_int_equal(shadow.exhausted, dropped);
	assert_int_equal(root->table.a, table.a);
	npt02_get(&shadow, &t.npt12, 2, &fresh);
	assert_true(fresh);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reading_gives_no_write_access_before_dirty),
		TEST(walks_of_l2_tables_are_writes),
		TEST(reflected_codes_come_from_l1s_table),
		TEST(no_ram_of_l1_is_a_device),
		TEST(rights_of_l1s_table_arrive),
		TEST(the_smaller_page_of_both_tables_counts),
		TEST(a_four_mib_page_becomes_two),
		TEST(a_large_page_gives_way_to_small_ones),
		TEST(a_table_never_gives_way_to_a_large_page),
		TEST(a_moved_page_needs_a_flush),
		TEST(neighbours_come_along_unseen),
		TEST(keys_tell_roots_apart),
		TEST(the_least_recently_used_root_goes),
		TEST(drops_reach_what_they_name),
		TEST(a_flush_finds_what_has_changed),
		TEST(a_large_shadow_is_not_watched),
		TEST(an_exhausted_pool_starts_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
