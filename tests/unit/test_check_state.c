/* SPDX-License-Identifier: MIT */
/* links: nested/check_state.c nested/reason.c tests/unit/check_bits.c */
/* tests/unit/test_check_state.c - for every bit of VMCB12, which rule of the save area fires when it flips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>

#include "nested/check_rules.h"
#include "tests/unit/check_bits.h"

static enum vmrun_reason check(const struct vmcb12 *snap)
{
	return check_state(snap, &check_caps);
}

#define SAVE(name) offsetof(struct vmcb12, save.name)

/* From a 64-bit L2 with nested paging. */
static const struct bit_rule long_mode_rules[] = {
	{SAVE(efer), EFER_SVME, REASON_EFER_SVME},
	{SAVE(efer), CHECK_EFER_MBZ, REASON_EFER_MBZ},
	{SAVE(cr0), CR0_NW, REASON_CR0_NW_CD},
	{SAVE(cr0), CR0_PE, REASON_LONG_NO_PE},
	{SAVE(cr0), BITS(63, 32), REASON_CR0_HIGH},
	{SAVE(cr3), BITS(63, 40), REASON_CR3_MBZ},
	{SAVE(cr4), CR4_PAE, REASON_LONG_NO_PAE},
	{SAVE(cr4), CHECK_CR4_MBZ, REASON_CR4_MBZ},
	{SAVE(dr6), BITS(63, 32), REASON_DR6_HIGH},
	{SAVE(dr7), BITS(63, 32), REASON_DR7_HIGH},
	{SAVE(cs), (uint64_t)SEG_D << 16, REASON_LONG_CS_L_D},
	/* From 06h (write back): 02h and 03h do not exist, nor anything with bits 7:3. */
	{SAVE(g_pat), UINT64_C(0x0404040404040404), REASON_G_PAT},
	{SAVE(g_pat), UINT64_C(0xF8F8F8F8F8F8F8F8), REASON_G_PAT},
};

/* From a legacy PAE L2 without nested paging: long mode rules rest. */
static const struct bit_rule pae_rules[] = {
	{SAVE(efer), EFER_SVME, REASON_EFER_SVME},
	{SAVE(efer), CHECK_EFER_MBZ, REASON_EFER_MBZ},
	{SAVE(cr0), CR0_NW, REASON_CR0_NW_CD},
	{SAVE(cr0), BITS(63, 32), REASON_CR0_HIGH},
	{SAVE(cr3), BITS(63, 40), REASON_CR3_MBZ},
	{SAVE(cr4), CHECK_CR4_MBZ, REASON_CR4_MBZ},
	{SAVE(dr6), BITS(63, 32), REASON_DR6_HIGH},
	{SAVE(dr7), BITS(63, 32), REASON_DR7_HIGH},
};

static void every_bit_of_a_long_mode_vmcb(void **state)
{
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	snap.save.g_pat = UINT64_C(0x0606060606060606);
	check_every_bit(&snap, check, long_mode_rules, ARRAY_COUNT(long_mode_rules));
}

static void every_bit_of_a_pae_vmcb(void **state)
{
	struct vmcb12 snap = check_pae_snap();

	(void)state;
	check_every_bit(&snap, check, pae_rules, ARRAY_COUNT(pae_rules));
}

static void caching_disabled_allows_not_write_through(void **state)
{
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	snap.save.cr0 |= CR0_CD | CR0_NW;
	assert_int_equal(check(&snap), REASON_NONE);
	snap.save.cr0 &= ~CR0_CD;
	assert_int_equal(check(&snap), REASON_CR0_NW_CD);
}

/* Paged real mode, LME without paging, LMA unlike LME & PG, CS.L outside long mode. */
static void odd_modes_are_legal(void **state)
{
	struct vmcb12 snap = check_pae_snap();

	(void)state;
	snap.save.cr0 &= ~CR0_PE;
	assert_int_equal(check(&snap), REASON_NONE);
	snap.save.efer |= EFER_LMA;
	assert_int_equal(check(&snap), REASON_NONE);
	snap.save.cr0 = 0;
	snap.save.cr4 = 0;
	snap.save.efer |= EFER_LME;
	snap.save.cs.attr |= SEG_L | SEG_D;
	assert_int_equal(check(&snap), REASON_NONE);
	snap.save.rip = UINT64_C(0x8000000000000000);
	snap.save.rflags = UINT64_MAX;
	assert_int_equal(check(&snap), REASON_NONE);
}

static bool type_is_defined(unsigned type)
{
	return type == 0 || type == 1 || (type >= 4 && type <= 7);
}

static void every_pat_byte_value(void **state)
{
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	for (unsigned byte = 0; byte < 8; byte++)
		for (unsigned value = 0; value < 256; value++) {
			uint64_t shift = byte * 8;

			snap.save.g_pat = (UINT64_C(0x0007040600070406) & ~(UINT64_C(0xFF) << shift)) |
					  ((uint64_t)value << shift);
			assert_int_equal(check(&snap), type_is_defined(value) ? REASON_NONE : REASON_G_PAT);
		}
	snap.control.misc = 0;
	snap.save.g_pat = UINT64_MAX;
	assert_int_equal(check(&snap), REASON_NONE);
}

static const uint64_t good_pdptes[PDPTE_COUNT] = {PTE_P | 0x1000, PTE_P | PTE_PWT | PTE_PCD | 0xFFFFFFF000, 0,
						  PTE_P | BITS(11, 9)};

static void every_bit_of_a_pdpte(void **state)
{
	const uint64_t mbz = BITS(63, 40) | BITS(8, 5) | BITS(2, 1);
	struct vmcb12 snap = check_pae_snap();

	(void)state;
	assert_int_equal(check_pdptes(&snap, &check_caps, good_pdptes), REASON_NONE);
	for (unsigned i = 0; i < PDPTE_COUNT; i++)
		for (unsigned bit = 0; bit < 64; bit++) {
			uint64_t pdpte[PDPTE_COUNT];
			bool present;

			memcpy(pdpte, good_pdptes, sizeof(pdpte));
			pdpte[i] ^= BIT(bit);
			present = (pdpte[i] & PTE_P) != 0;
			assert_int_equal(check_pdptes(&snap, &check_caps, pdpte),
					 present && (mbz & BIT(bit)) ? REASON_PDPTE_MBZ : REASON_NONE);
		}
}

static void pdptes_count_in_pae_mode_only(void **state)
{
	static const uint64_t bad[PDPTE_COUNT] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	struct vmcb12 pae = check_pae_snap(), snap;

	(void)state;
	assert_true(check_wants_pdptes(&pae));
	assert_int_equal(check_pdptes(&pae, &check_caps, bad), REASON_PDPTE_MBZ);
	snap = pae;
	snap.control.misc = MISC_NP;
	assert_false(check_wants_pdptes(&snap));
	assert_int_equal(check_pdptes(&snap, &check_caps, bad), REASON_NONE);
	snap = pae;
	snap.save.efer |= EFER_LME;
	assert_false(check_wants_pdptes(&snap));
	snap = pae;
	snap.save.cr0 &= ~CR0_PG;
	assert_false(check_wants_pdptes(&snap));
	snap = pae;
	snap.save.cr4 = 0;
	assert_false(check_wants_pdptes(&snap));
}

static void every_reason_has_words(void **state)
{
	(void)state;
	assert_string_equal(vmrun_reason_name(REASON_ASID_ZERO), "ASID_ZERO");
	for (int i = 0; i < REASON_COUNT; i++) {
		assert_true(strlen(vmrun_reason_name((enum vmrun_reason)i)) > 3);
		assert_true(strlen(vmrun_reason_text((enum vmrun_reason)i)) > 3);
	}
	assert_string_equal(vmrun_reason_name(REASON_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_of_a_long_mode_vmcb),
		cmocka_unit_test(every_bit_of_a_pae_vmcb),
		cmocka_unit_test(caching_disabled_allows_not_write_through),
		cmocka_unit_test(odd_modes_are_legal),
		cmocka_unit_test(every_pat_byte_value),
		cmocka_unit_test(every_bit_of_a_pdpte),
		cmocka_unit_test(pdptes_count_in_pae_mode_only),
		cmocka_unit_test(every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
