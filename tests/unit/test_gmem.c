/* SPDX-License-Identifier: MIT */
/* links: svm/gmem.c tests/unit/fake_vcpu.c */
/* tests/unit/test_gmem.c - page walks: every format, every permission, reserved bits, A and D, NPT12, copying. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/npt.h>

#include "tests/unit/fake_vcpu.h"

#define ROOT 0x1000u
#define TABLES 0x2000u /* further tables follow each other from here */
#define GVA UINT64_C(0x12345678)
#define GPA UINT64_C(0x00212000)
#define PTE_AD (PTE_A | PTE_D)

static uint64_t next_table;

static int setup(void **state)
{
	(void)state;
	fake_setup();
	next_table = TABLES;
	return 0;
}

/* Before another set of tables. */
static void fresh(void)
{
	fake_reset();
	memset(fake_ram(0), 0, 16 * PAGE_SIZE);
	next_table = TABLES;
}

struct format {
	unsigned levels, index_bits;
};

static const struct format formats[] = { { 2, 10 }, { 3, 9 }, { 4, 9 }, { 5, 9 } };

static void use_format(const struct format *f)
{
	struct vmcb_save *save = &fake.vmcb.save;

	if (f->levels >= 4) {
		fake_long_mode(ROOT);
		save->cr4 |= f->levels == 5 ? CR4_LA57 : 0;
	} else {
		fake_protected_mode(32);
		save->cr0 |= CR0_PG | CR0_WP;
		save->cr3 = ROOT;
		save->cr4 = f->levels == 3 ? CR4_PAE : CR4_PSE;
		save->efer = EFER_NXE;
	}
}

static unsigned shift_of(const struct format *f, unsigned level)
{
	return 12 + (level - 1) * f->index_bits;
}

/* The entry for gva in a table. */
static void *slot_of(const struct format *f, uint64_t table, uint64_t gva, unsigned level)
{
	uint64_t index = (gva >> shift_of(f, level)) & ((1u << f->index_bits) - 1);

	return fake_ram(table + index * (f->index_bits == 10 ? 4 : 8));
}

static uint64_t slot_read(const struct format *f, const void *slot)
{
	uint64_t entry = 0;

	memcpy(&entry, slot, f->index_bits == 10 ? 4 : 8);
	return entry;
}

static void slot_write(const struct format *f, void *slot, uint64_t entry)
{
	memcpy(slot, &entry, f->index_bits == 10 ? 4 : 8);
}

/* Maps a page whose leaf is at `leaf_level`; returns the leaf's slot. Upper levels allow everything. */
static void *map(const struct format *f, uint64_t gva, uint64_t leaf, unsigned leaf_level)
{
	uint64_t table = ROOT;
	unsigned level = f->levels;

	for (; level > leaf_level; level--) {
		void *slot = slot_of(f, table, gva, level);
		bool is_pdpte = f->levels == 3 && level == 3;

		if (!slot_read(f, slot)) {
			slot_write(f, slot, next_table | PTE_P | (is_pdpte ? 0 : PTE_W | PTE_U));
			next_table += PAGE_SIZE;
		}
		table = slot_read(f, slot) & PTE_ADDR;
	}

	void *slot = slot_of(f, table, gva, level);

	slot_write(f, slot, leaf);
	return slot;
}

static void expect_ok(uint64_t gva, uint64_t access, uint64_t at)
{
	l1pa_t l1;

	/* The second time all bits are set: the short path must find the same. */
	for (unsigned i = 0; i < 2; i++) {
		struct gmem_fault fault = gmem_translate(&fake.v, gva, access, &l1);

		assert_int_equal(fault.kind, GMEM_OK);
		assert_int_equal(l1.a, at);
	}
}

static void expect_pf(uint64_t gva, uint64_t access, uint64_t error)
{
	l1pa_t l1;
	struct gmem_fault fault = gmem_translate(&fake.v, gva, access, &l1);

	assert_int_equal(fault.kind, GMEM_PF);
	assert_int_equal(fault.address, gva);
	assert_int_equal(fault.error, error);
}

static void test_unpaged(void **state)
{
	(void)state;
	expect_ok(0x1234, PF_W, 0x1234);
	expect_ok(UINT64_C(0x100001234), PF_ID, 0x1234);
}

static void test_all_formats(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(formats); i++) {
		const struct format *f = &formats[i];

		fresh();
		use_format(f);

		void *leaf = map(f, GVA, GPA | PTE_P | PTE_W | PTE_U, 1);

		expect_ok(GVA, PF_U, GPA | (GVA & PAGE_MASK));
		assert_int_equal(slot_read(f, leaf) & PTE_AD, PTE_A);
		expect_ok(GVA, PF_U | PF_W, GPA | (GVA & PAGE_MASK));
		assert_int_equal(slot_read(f, leaf) & PTE_AD, PTE_AD);
		expect_ok(GVA, PF_ID, GPA | (GVA & PAGE_MASK));
		expect_pf(GVA + PAGE_SIZE, PF_W, PF_W);
		expect_pf(GVA - GIB(1) / 8, PF_U, PF_U);
	}
}

static void test_large_pages(void **state)
{
	uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_PS;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(formats); i++) {
		const struct format *f = &formats[i];
		unsigned shift = shift_of(f, 2);

		fresh();
		use_format(f);
		map(f, GVA, (UINT64_C(1) << shift) | BIT(12) | flags, 2);
		expect_ok(GVA, PF_W, (UINT64_C(1) << shift) | (GVA & (BIT(shift) - 1)));
		if (f->levels >= 4) {
			map(f, GVA + GIB(4), GIB(4) | BIT(12) | flags, 3);
			expect_ok(GVA + GIB(4), PF_W, GIB(4) + (GVA & (GIB(1) - 1)));
			fake.v.nested.caps.pages_1g = false;
			expect_pf(GVA + GIB(4), 0, PF_P | PF_RSV);
			fake.v.nested.caps.pages_1g = true;
		}
	}
}

static void test_pse36(void **state)
{
	(void)state;
	use_format(&formats[0]);
	map(&formats[0], GVA, 0x00800000u | (1u << 13) | PTE_P | PTE_PS, 2);
	expect_ok(GVA, 0, GIB(4) | 0x00800000 | (GVA & (MIB(4) - 1)));
	map(&formats[0], GVA, 0x00800000u | (1u << 21) | PTE_P | PTE_PS, 2);
	expect_pf(GVA, 0, PF_P | PF_RSV);
	/* Without CR4.PSE the bit means nothing: a table whose entry is absent. */
	fake.vmcb.save.cr4 = 0;
	map(&formats[0], GVA, 0x00300000u | PTE_P | PTE_PS, 2);
	expect_pf(GVA, 0, 0);
}

/* Every combination of rights, mode bits and access, against the rules written down a second time. */
static void test_permissions(void **state)
{
	static const uint64_t accesses[] = { 0, PF_W, PF_ID, PF_U, PF_U | PF_W, PF_U | PF_ID };

	(void)state;
	for (unsigned c = 0; c < 8 * 32 * ARRAY_COUNT(accesses) * 2; c++) {
		struct vmcb_save *save = &fake.vmcb.save;
		const struct format *f = &formats[c & 1 ? 2 : 1];
		uint64_t access = accesses[(c >> 1) % ARRAY_COUNT(accesses)];
		unsigned bits = (c >> 1) / ARRAY_COUNT(accesses);
		bool u = bits & 1, w = bits & 2, nx = bits & 4;
		bool wp = bits & 8, smep = bits & 16, smap = bits & 32, ac = bits & 64, upper = bits & 128;
		bool user = access & PF_U;
		uint64_t rights = (u ? PTE_U : 0) | (w ? PTE_W : 0) | (nx ? PTE_NX : 0);

		fresh();
		use_format(f);
		save->cr0 = (save->cr0 & ~CR0_WP) | (wp ? CR0_WP : 0);
		save->cr4 |= (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0);
		save->rflags |= ac ? RFLAGS_AC : 0;
		map(f, GVA, GPA | PTE_P | PTE_U | PTE_W, 1);
		if (upper) { /* the same rights, but denied one level up */
			uint64_t table = f->levels == 4 ? TABLES + PAGE_SIZE : TABLES;
			void *slot = slot_of(f, table, GVA, 2);

			slot_write(f, slot, (slot_read(f, slot) & ~(PTE_U | PTE_W)) | rights);
		} else {
			map(f, GVA, GPA | PTE_P | rights, 1);
		}

		bool ok = true;

		if (user && !u)
			ok = false;
		if ((access & PF_W) && !w && (user || wp))
			ok = false;
		if ((access & PF_ID) && nx)
			ok = false;
		if (!user && u && (access & PF_ID) && smep)
			ok = false;
		if (!user && u && !(access & PF_ID) && smap && !ac)
			ok = false;
		if (ok)
			expect_ok(GVA, access, GPA | (GVA & PAGE_MASK));
		else
			expect_pf(GVA, access, PF_P | access);
	}
}

static void test_fetch_bit_needs_nx_or_smep(void **state)
{
	(void)state;
	use_format(&formats[2]);
	fake.vmcb.save.efer &= ~EFER_NXE;
	expect_pf(GVA, PF_ID, 0);
	fake.vmcb.save.cr4 |= CR4_SMEP;
	expect_pf(GVA, PF_ID, PF_ID);
}

static void expect_reserved(const struct format *f, unsigned level, uint64_t bits)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		if (!(bits & BIT(bit)))
			continue;
		fresh();
		use_format(f);
		map(f, GVA, GPA | PTE_P | PTE_AD, 1);

		void *slot = map(f, GVA, 0x300000u | PTE_P | PTE_A, level);

		slot_write(f, slot, slot_read(f, slot) | BIT(bit));
		expect_pf(GVA, PF_W, PF_P | PF_RSV | PF_W);
	}
}

static void test_reserved_bits(void **state)
{
	const struct format *pae = &formats[1], *long4 = &formats[2], *long5 = &formats[3];
	uint64_t address = BITS(51, 40);

	(void)state;
	for (unsigned level = 1; level <= 4; level++)
		expect_reserved(long4, level, address | (level == 4 ? PTE_PS : 0));
	expect_reserved(long5, 5, address | PTE_PS);
	expect_reserved(pae, 1, address | BITS(62, 52));
	expect_reserved(pae, 2, address | BITS(62, 52));
	expect_reserved(pae, 3, address | BITS(63, 52) | BITS(8, 5) | BITS(2, 1));
}

static void test_reserved_bits_of_large_pages(void **state)
{
	const struct format *f = &formats[2];

	(void)state;
	use_format(f);
	for (unsigned bit = 13; bit < 30; bit++) {
		map(f, GVA + GIB(4), BIT(bit) | PTE_P | PTE_A | PTE_PS, 3);
		expect_pf(GVA + GIB(4), 0, PF_P | PF_RSV);
		map(f, GVA, BIT(bit) | PTE_P | PTE_A | PTE_PS, 2);
		if (bit < 21)
			expect_pf(GVA, 0, PF_P | PF_RSV);
	}
}

static void test_nx_without_nxe_is_reserved(void **state)
{
	(void)state;
	use_format(&formats[2]);
	fake.vmcb.save.efer &= ~EFER_NXE;
	map(&formats[2], GVA, GPA | PTE_P | PTE_A | PTE_NX, 1);
	expect_pf(GVA, 0, PF_P | PF_RSV);
}

static void test_no_dirty_bit_without_permission(void **state)
{
	void *leaf;

	(void)state;
	use_format(&formats[2]);
	leaf = map(&formats[2], GVA, GPA | PTE_P, 1);
	expect_pf(GVA, PF_W, PF_P | PF_W);
	assert_int_equal(slot_read(&formats[2], leaf) & PTE_AD, 0);
}

static void test_not_canonical(void **state)
{
	l1pa_t l1;

	(void)state;
	use_format(&formats[2]);
	assert_int_equal(gmem_translate(&fake.v, BIT(47), 0, &l1).kind, GMEM_GP);
	expect_pf(UINT64_C(0xFFFF800000000000), 0, 0);
	use_format(&formats[3]);
	assert_int_equal(gmem_translate(&fake.v, BIT(56), 0, &l1).kind, GMEM_GP);
	expect_pf(BIT(55), 0, 0);
}

static void test_tables_above_4g_and_outside_ram(void **state)
{
	const struct format *f = &formats[2];

	(void)state;
	use_format(f);
	slot_write(f, slot_of(f, ROOT, GVA, 4), GIB(4) | PTE_P | PTE_W);
	next_table = GIB(4) + PAGE_SIZE;
	map(f, GVA, GPA | PTE_P | PTE_W, 1);
	expect_ok(GVA, PF_W, GPA | (GVA & PAGE_MASK));
	/* Nothing answers there: all ones. */
	slot_write(f, slot_of(f, ROOT, GVA, 4), GIB(8) | PTE_P | PTE_W);
	expect_pf(GVA, PF_W, PF_P | PF_W | PF_RSV);
}

static void use_npt12(void)
{
	fake.v.nested.in_l2 = true;
	fake.v.nested.snap.control.misc = MISC_NP;
	fake.npt12_offset = MIB(1);
}

/* L2's tables and pages lie 1 MiB higher in L1's memory than L2 thinks. */
static void test_npt12(void **state)
{
	const struct format *f = &formats[2];
	l1pa_t l1;

	(void)state;
	use_format(f);
	map(f, GVA, GPA | PTE_P | PTE_W, 1);
	memcpy(fake_ram(MIB(1)), fake_ram(0), 0x10000);
	memset(fake_ram(0), 0, 0x10000);
	use_npt12();
	assert_int_equal(gmem_translate(&fake.v, GVA, 0, &l1).kind, GMEM_OK);
	assert_int_equal(l1.a, MIB(1) + GPA + (GVA & PAGE_MASK));
	assert_int_equal(fake.npt12_walks[1], 4);
	assert_int_equal(fake.npt12_walks[0], 1);

	fake.npt12_refused = ROOT;
	fake.npt12_error = PF_P;
	struct gmem_fault fault = gmem_translate(&fake.v, GVA, 0, &l1);

	assert_int_equal(fault.kind, GMEM_NPF);
	assert_int_equal(fault.exitinfo1, NPF_WALK | PF_P | PF_W | PF_U);
	assert_int_equal(fault.exitinfo2, ROOT);

	fake.npt12_refused = GPA;
	fault = gmem_translate(&fake.v, GVA, PF_ID, &l1);
	assert_int_equal(fault.kind, GMEM_NPF);
	assert_int_equal(fault.exitinfo1, NPF_FINAL | PF_P | PF_U | PF_ID);
	assert_int_equal(fault.exitinfo2, GPA | (GVA & PAGE_MASK));

	/* Without nested paging L2's tables name L1's addresses. */
	fake.v.nested.snap.control.misc = 0;
	assert_int_equal(gmem_translate(&fake.v, GVA, 0, &l1).kind, GMEM_PF);
}

static void test_copy_across_pages(void **state)
{
	const struct format *f = &formats[2];
	uint64_t border = (GVA | PAGE_MASK) + 1;
	unsigned done;
	char text[8];

	(void)state;
	use_format(f);
	map(f, border - 1, GPA | PTE_P | PTE_W, 1);
	map(f, border, (GPA - PAGE_SIZE) | PTE_P | PTE_W, 1);
	assert_int_equal(gmem_write(&fake.v, border - 3, "nested", 7, 0, &done).kind, GMEM_OK);
	assert_int_equal(done, 7);
	assert_memory_equal(fake_ram(GPA + PAGE_SIZE - 3), "nes", 3);
	assert_memory_equal(fake_ram(GPA - PAGE_SIZE), "ted", 4);
	assert_int_equal(gmem_read(&fake.v, border - 3, text, 7, 0, &done).kind, GMEM_OK);
	assert_string_equal(text, "nested");

	map(f, border, 0, 1);
	struct gmem_fault fault = gmem_read(&fake.v, border - 3, text, 7, PF_U, &done);

	assert_int_equal(fault.kind, GMEM_PF);
	map(f, border, FAKE_DEVICE | PTE_P | PTE_W, 1);
	fault = gmem_read(&fake.v, border - 3, text, 7, 0, &done);
	assert_int_equal(fault.kind, GMEM_DEVICE);
	assert_int_equal(fault.address, FAKE_DEVICE);
	assert_int_equal(done, 3);
}

static void test_deliver(void **state)
{
	struct gmem_fault fault = { .kind = GMEM_PF, .error = PF_W, .address = GVA };

	(void)state;
	assert_int_equal(gmem_fault_deliver(&fake.v, &fault), RESUME_SAME);
	assert_int_equal(fake.raised.vector, VEC_PF);
	assert_int_equal(fake.raised.address, GVA);
	fault = (struct gmem_fault){ .kind = GMEM_GP };
	assert_int_equal(gmem_fault_deliver(&fake.v, &fault), RESUME_SAME);
	assert_int_equal(fake.raised.vector, VEC_GP);
	fault = (struct gmem_fault){ .kind = GMEM_NPF, .exitinfo1 = 7, .exitinfo2 = GPA };
	assert_int_equal(gmem_fault_deliver(&fake.v, &fault), RESUME_SAME);
	assert_int_equal(fake.to_l1.info1, 7);
	assert_int_equal(fake.to_l1.info2, GPA);
	fault = (struct gmem_fault){ .kind = GMEM_DEVICE, .address = FAKE_DEVICE };
	assert_int_equal(gmem_fault_deliver(&fake.v, &fault), RESUME_STOP);
	assert_string_not_equal(fake.ended, "");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unpaged),
		TEST(test_all_formats),
		TEST(test_large_pages),
		TEST(test_pse36),
		TEST(test_permissions),
		TEST(test_fetch_bit_needs_nx_or_smep),
		TEST(test_reserved_bits),
		TEST(test_reserved_bits_of_large_pages),
		TEST(test_nx_without_nxe_is_reserved),
		TEST(test_no_dirty_bit_without_permission),
		TEST(test_not_canonical),
		TEST(test_tables_above_4g_and_outside_ram),
		TEST(test_npt12),
		TEST(test_copy_across_pages),
		TEST(test_deliver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
