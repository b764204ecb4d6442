/* SPDX-License-Identifier: MIT */
/* links: nested/npt02.c nested/walk12.c tests/unit/fake_l1.c tests/unit/seen02.c */
/* tests/unit/test_npt02_random.c - L1 rewrites its nested table at random while L2 runs: accesses always come to an end,
 * and after the drop that L1 owes, the shadow never allows more than the table. */
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

#define POOL_PAGES NPT02_POOL_MIN
#define ASID 1

static struct port *l1;
static struct npt02 shadow;
static struct fake_npt12 t;

#define RANDOM_REGIONS 4u /* of 2 MiB, the first pages of each */
#define RANDOM_PAGES 24u

static uint64_t random_page(void)
{
	return (unsigned)rand() % RANDOM_REGIONS * SIZE_2M + (unsigned)rand() % RANDOM_PAGES * PAGE_SIZE;
}

static uint64_t random_bits(void)
{
	static const uint64_t bits[] = {PTE_P, PTE_W, PTE_U, PTE_A, PTE_D};
	uint64_t e = rand() % 5 ? 0 : PTE_NX;

	for (size_t i = 0; i < ARRAY_COUNT(bits); i++)
		e |= rand() % 5 ? bits[i] : 0;
	return e;
}

static void random_edit(void)
{
	uint64_t at = random_page();

	if (rand() % 12 == 0)
		fake_npt12_map(&t, at, 2,
			       random_bits() | PTE_PS | align_down(SIZE_1G + (unsigned)rand() % 8 * SIZE_2M, SIZE_2M));
	else if (rand() % 12 == 0)
		fake_npt12_map(&t, at, 2, 0);
	else if (!(fake_npt12_read(&t, fake_npt12_entry(&t, at, 2)) & PTE_PS))
		fake_npt12_map(&t, at, 1, random_bits() | (SIZE_1G + (unsigned)rand() % 64 * PAGE_SIZE));
}

/* The entry that maps `at`, which is the only one that withholds anything in these tables. */
static uint64_t random_leaf(uint64_t at, bool *large)
{
	uint64_t e = fake_npt12_read(&t, fake_npt12_entry(&t, at, 2));

	*large = e & PTE_PS;
	return *large || !(e & PTE_P) ? e : fake_npt12_read(&t, fake_npt12_entry(&t, at, 1));
}

static bool l1_allows(uint64_t at, uint64_t access)
{
	bool large;
	uint64_t leaf = random_leaf(at, &large);

	return (leaf & PTE_P) && (leaf & PTE_U) && (!(access & PF_W) || (leaf & PTE_W)) &&
	       (!(access & PF_ID) || !(leaf & PTE_NX));
}

/* An L2 that runs on the shadow: true when the access goes through, after as many faults as it takes. */
static bool l2_accesses(struct npt02_root *root, uint64_t at, uint64_t access)
{
	for (unsigned tries = 0; tries < 2; tries++) {
		struct seen02 s = seen02(&shadow, l1, root, at);
		struct npt02_result r;

		if (s.present && (!(access & PF_W) || s.writable) && (!(access & PF_ID) || s.executable))
			return true;
		r = npt02_fault(&shadow, root, l1, l2pa(at), NPF_FINAL | PF_U | access);
		if (r.verdict == NPT02_REFLECT)
			return false;
		assert_int_equal(r.verdict, NPT02_FILLED);
	}
	fail_msg("fill did not help");
	return false;
}

/* After a drop and without edits since: the shadow allows nothing that a walk would not, and nothing that L1 could
 * tell from A and D bits. */
static void assert_no_more_than_l1_allows(const struct npt02_root *root)
{
	for (uint64_t i = 0; i < RANDOM_REGIONS * RANDOM_PAGES; i++) {
		uint64_t at = i / RANDOM_PAGES * SIZE_2M + i % RANDOM_PAGES * PAGE_SIZE, leaf;
		struct seen02 s = seen02(&shadow, l1, root, at);
		bool large;

		if (!s.present)
			continue;
		leaf = random_leaf(at, &large);
		assert_int_equal(leaf & (PTE_P | PTE_U | PTE_A), PTE_P | PTE_U | PTE_A);
		assert_true(!s.writable || (leaf & (PTE_W | PTE_D)) == (PTE_W | PTE_D));
		assert_true(!s.executable || !(leaf & PTE_NX));
		assert_int_equal(s.l1pa, (leaf & PTE_ADDR) + (large ? at % SIZE_2M : 0));
	}
}

static void random_edits_and_accesses(void **state)
{
	static const uint64_t kinds[] = {0, PF_W, PF_ID};
	static const uint64_t sizes[] = {PAGE_SIZE, SIZE_2M, SIZE_1G};
	void *pool = aligned_alloc(PAGE_SIZE, POOL_PAGES * PAGE_SIZE);

	(void)state;
	srand(1);
	l1 = fake_l1_new(GIB(2));
	t = fake_npt12_new(l1, 4, MIB(1));
	npt02_init(&shadow, pool, POOL_PAGES);
	for (unsigned round = 0; round < 3000; round++) {
		bool fresh;
		struct npt02_root *root = npt02_get(&shadow, &t.npt12, ASID, &fresh);

		/* Edits under a running L2: stale entries are allowed, confusion is not. */
		l1->page_size = sizes[rand() % 3];
		for (unsigned i = 0; i < 20; i++) {
			random_edit();
			l2_accesses(root, random_page(), kinds[rand() % 3]);
		}
		if (rand() % 2)
			npt02_drop_asid(&shadow, ASID);
		else
			npt02_drop_all(&shadow);
		for (unsigned i = 0; i < 40; i++) {
			uint64_t at = random_page(), access = kinds[rand() % 3];

			assert_int_equal(l2_accesses(root, at, access), l1_allows(at, access));
		}
		assert_no_more_than_l1_allows(root);
	}
	assert_true(shadow.exhausted == 0 && shadow.neighbours > 1000);
	free(pool);
	fake_l1_free(l1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_edits_and_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
