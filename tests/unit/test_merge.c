/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_merge.c - VMCB02 as VMRUN builds it: nothing left to chance, nothing from L1 but by whitelist, L0's
 * intercepts and tables whatever L1 asks for. Bit by bit over all of VMCB12. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/msr.h>

#include "tests/unit/rig.h"

static struct rig *rig;

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0x00);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

/* --- determinism --- */

/* VMCB02 of one and the same VMRUN, built over `poison`; L1-physical and host addresses made comparable. */
static struct vmcb built_over(uint8_t poison, const struct vmcb *vmcb12, const struct vmcb *vmcb01)
{
	struct rig *one = rig_new(RIG_FEATURES, poison);
	struct vmcb vmcb02;

	*rig_vmcb12(one, RIG_VMCB12) = *vmcb12;
	*one->vmcb01 = *vmcb01;
	rig_enter(one, RIG_VMCB12);
	vmcb02 = *one->vmcb02;
	assert_int_equal(vmcb02.control.iopm_base, one->in.iopm.a);
	assert_int_equal(vmcb02.control.msrpm_base, hpa_of(one->pages->msrpm02).a);
	assert_int_equal(vmcb02.control.ncr3,
			 vmcb12->control.misc & MISC_NP ? one->n.root->table.a : one->in.npt01_root.a);
	vmcb02.control.iopm_base = vmcb02.control.msrpm_base = vmcb02.control.ncr3 = 0;
	rig_free(one);
	return vmcb02;
}

static void every_byte_is_written(void **state)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	(void)state;
	for (unsigned np = 0; np < 2; np++) {
		struct vmcb over_00, over_a5;

		vmcb12->control.misc = np ? MISC_NP : 0;
		over_00 = built_over(0x00, vmcb12, rig->vmcb01);
		over_a5 = built_over(0xA5, vmcb12, rig->vmcb01);
		assert_memory_equal(&over_00, &over_a5, sizeof(over_00));
		assert_int_equal(over_00.control.clean, 0);
		assert_int_equal(over_00.control.tlb_control, TLB_CONTROL_ASID);
	}
}

/* --- every bit of VMCB12 --- */

/* Where a bit of VMCB12 goes: to the same place in VMCB02, or nowhere. Words of which only some bits go. */
static const struct {
	size_t offset, size;
	uint64_t bits; /* of each 8 bytes, or fewer at the end */
} whitelist[] = {
	{offsetof(struct vmcb, control.intercept), 24, UINT64_MAX},
	{offsetof(struct vmcb, control.int_shadow), 8, INT_SHADOW_ACTIVE},
	{offsetof(struct vmcb, control.nrip), 8, UINT64_MAX},
	{offsetof(struct vmcb, save.es), 64, UINT64_MAX},
	{offsetof(struct vmcb, save.gdtr), 16, UINT64_MAX},
	{offsetof(struct vmcb, save.idtr), 16, UINT64_MAX},
	{offsetof(struct vmcb, save.cpl), 1, UINT64_MAX},
	{offsetof(struct vmcb, save.efer), 8, UINT64_MAX},
	{offsetof(struct vmcb, save.cr4), 24, UINT64_MAX},
	{offsetof(struct vmcb, save.dr7), 8, ~DR7_FIXED},
	{offsetof(struct vmcb, save.dr6), 8, ~DR6_FIXED},
	{offsetof(struct vmcb, save.rflags), 8, ~RFLAGS_FIXED},
	{offsetof(struct vmcb, save.rip), 8, UINT64_MAX},
	{offsetof(struct vmcb, save.rsp), 8, UINT64_MAX},
	{offsetof(struct vmcb, save.rax), 8, UINT64_MAX},
	{offsetof(struct vmcb, save.cr2), 8, UINT64_MAX},
	{offsetof(struct vmcb, save.g_pat), 8, UINT64_MAX},
};

static bool passes(size_t byte, unsigned bit)
{
	for (size_t i = 0; i < ARRAY_COUNT(whitelist); i++) {
		size_t at = byte - whitelist[i].offset;

		if (byte >= whitelist[i].offset && at < whitelist[i].size)
			return whitelist[i].bits >> (at % 8 * 8 + bit) & 1;
	}
	return false;
}

/* Fields with rules of their own, tested one by one below. */
static bool has_own_rule(size_t byte)
{
	static const struct {
		size_t offset, size;
	} fields[] = {
		{offsetof(struct vmcb, control.tsc_offset), 8}, {offsetof(struct vmcb, control.asid), 5},
		{offsetof(struct vmcb, control.v_intr), 8},	{offsetof(struct vmcb, control.eventinj), 8},
		{offsetof(struct vmcb, control.misc), 8},	{offsetof(struct vmcb, control.ncr3), 8},
		{offsetof(struct vmcb, control.clean), 4},
		{offsetof(struct vmcb, control.misc2), 8},	{offsetof(struct vmcb, save.dbgctl), 40}, /* test_lbr02 */
	};

	for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
		if (byte - fields[i].offset < fields[i].size)
			return true;
	return false;
}

/* What may differ from run to run: the ASID tag, the flush, clean bits, and what the CPU stores at an exit. */
static void forget_history(struct vmcb *vmcb02)
{
	struct vmcb_control *c = &vmcb02->control;

	c->asid = 0;
	c->tlb_control = 0;
	c->clean = 0;
	c->exitcode = c->exitinfo1 = c->exitinfo2 = c->exitintinfo = 0;
}

static bool l0_has_intercept(size_t byte, unsigned bit)
{
	return byte < sizeof(rig_intercepts) && (((const uint8_t *)rig_intercepts)[byte] >> bit & 1);
}

/* VMCB02 for this VMCB12, or false when it is refused. */
static bool vmcb02_of(const struct vmcb *vmcb12, struct vmcb *vmcb02)
{
	*rig_vmcb12(rig, RIG_VMCB12) = *vmcb12;
	if (rig_vmrun(rig, RIG_VMCB12) == VMRUN_REFUSED)
		return false;
	*vmcb02 = *rig->vmcb02;
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	forget_history(vmcb02);
	return true;
}

static void flip_every_bit(const struct vmcb *legal)
{
	struct vmcb vmcb12 = *legal, plain, got;
	uint8_t *bytes = (uint8_t *)&vmcb12;
	unsigned accepted = 0;

	assert_true(vmcb02_of(legal, &plain));
	for (size_t byte = 0; byte < sizeof(vmcb12); byte++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct vmcb want = plain;
			bool accepts;

			if (has_own_rule(byte))
				continue;
			bytes[byte] ^= (uint8_t)(1u << bit);
			accepts = vmcb02_of(&vmcb12, &got);
			bytes[byte] ^= (uint8_t)(1u << bit);
			if (!accepts)
				continue;
			accepted++;
			if (passes(byte, bit) && !l0_has_intercept(byte, bit))
				((uint8_t *)&want)[byte] ^= (uint8_t)(1u << bit);
			/* L0 must see CR8 read and written, always. */
			want.control.intercept[ICPT_CR] |= BIT32(8) | BIT32(24);
			for (size_t i = 0; i < sizeof(got); i++)
				if (((const uint8_t *)&want)[i] != ((const uint8_t *)&got)[i])
					fail_msg("VMCB12 byte %03zX bit %u: VMCB02 differs at %03zX", byte, bit, i);
		}
	assert_true(accepted > sizeof(vmcb12) * 8 * 9 / 10);
}

static void each_bit_by_whitelist(void **state)
{
	struct vmcb legal = *rig_legal(rig, RIG_VMCB12);

	(void)state;
	flip_every_bit(&legal);
}

/* As above where all bits are ones that may be: what flips is then a bit that goes to zero. */
static void each_bit_by_whitelist_from_ones(void **state)
{
	struct vmcb legal = *rig_legal(rig, RIG_VMCB12), ones;

	(void)state;
	memset(&ones, 0xFF, sizeof(ones));
	ones.control.iopm_base = legal.control.iopm_base;
	ones.control.msrpm_base = legal.control.msrpm_base;
	ones.control.ncr3 = legal.control.ncr3;
	ones.control.eventinj = 0;
	ones.control.v_intr = 0;
	ones.control.misc = MISC_NP;
	ones.save.efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE;
	ones.save.cr0 = legal.save.cr0 | CR0_CD;
	ones.save.cr3 = BITS(39, 0);
	ones.save.cr4 = CR4_PAE | CR4_PGE;
	ones.save.dr6 = BITS(31, 0);
	ones.save.dr7 = BITS(31, 0);
	ones.save.cs.attr = (uint16_t)~SEG_D;
	ones.save.g_pat = PAT_RESET;
	flip_every_bit(&ones);
}

/* --- words with rules of their own --- */

static struct vmcb *enter_with_v_intr(uint64_t v_intr)
{
	rig_legal(rig, RIG_VMCB12)->control.v_intr = v_intr;
	rig_vmcb12(rig, RIG_VMCB12)->control.intercept[ICPT_MISC1] |= ICPT1_NMI;
	rig_enter(rig, RIG_VMCB12);
	return rig->vmcb02;
}

/* The CPU never gets V_IRQ, AVIC, virtual GIF or NMI from L1; it masks by L0's IF; V_TPR is L2's or the APIC's. */
static void v_intr_word_bit_by_bit(void **state)
{
	(void)state;
	rig->in.apic_tpr = 9;
	for (unsigned masking = 0; masking < 2; masking++)
		for (unsigned bit = 0; bit < 64; bit++) {
			uint64_t word = BIT(bit) | (masking ? V_INTR_MASKING : 0);
			uint64_t tpr = word & V_INTR_MASKING ? word & V_INTR_TPR : 9;
			const struct vmcb *vmcb02 = enter_with_v_intr(word);

			assert_int_equal(vmcb02->control.v_intr, V_INTR_MASKING | tpr);
			assert_true(vmcb02->control.intercept[ICPT_CR] & BIT32(24));
			assert_true(vmcb02->control.intercept[ICPT_CR] & BIT32(8));
			assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		}
}

/* Nested paging is always on; SEV, SEV-ES, GMET and all the rest never. Likewise 0B8h: nothing at all. */
static void misc_words_bit_by_bit(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

		vmcb12->control.misc = BIT(bit);
		vmcb12->control.misc2 = BIT(bit);
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.misc, MISC_NP);
		assert_int_equal(rig->vmcb02->control.misc2, 0);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

static void tables_are_ours(void **state)
{
	(void)state;
	for (unsigned np = 0; np < 2; np++) {
		rig_legal(rig, RIG_VMCB12)->control.misc = np ? MISC_NP : 0;
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.iopm_base, hpa_of(rig->pages->iopm01).a);
		assert_int_equal(rig->vmcb02->control.msrpm_base, hpa_of(rig->pages->msrpm02).a);
		assert_int_equal(rig->vmcb02->control.ncr3, np ? rig->n.root->table.a : rig->in.npt01_root.a);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

/* L1's ASID is a name: the CPU gets one of ours for every value. */
static void asid_is_ours(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		rig_legal(rig, RIG_VMCB12)->control.asid = BIT32(bit);
		rig_enter(rig, RIG_VMCB12);
		assert_in_range(rig->vmcb02->control.asid, RIG_ASID_FIRST, RIG_ASID_FIRST + RIG_ASID_COUNT - 1);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

static void tsc_offsets_add_up(void **state)
{
	(void)state;
	rig->vmcb01->control.tsc_offset = UINT64_C(0xFFFFFFFFFFFFFF00);
	rig_legal(rig, RIG_VMCB12)->control.tsc_offset = 0x345;
	rig_enter(rig, RIG_VMCB12);
	assert_int_equal(rig->vmcb02->control.tsc_offset, 0x245);
}

/* Valid or nothing; reserved bits never; the error code as it stands. */
static void eventinj_bit_by_bit(void **state)
{
	const uint64_t kept = EVENT_V | EVENT_EV | EVENT_VECTOR | BITS(63, 32);

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		if (BIT(bit) & EVENT_TYPE)
			continue; /* other events, other checks */
		rig_legal(rig, RIG_VMCB12)->control.eventinj = EVENT_V | BIT(bit);
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.eventinj, EVENT_V | (BIT(bit) & kept));
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		rig_legal(rig, RIG_VMCB12)->control.eventinj = BIT(bit) & ~EVENT_V;
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.eventinj, 0);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

/* PAT: L2's own with nested paging, else the one it shares with L1 (APM2 15.25.4). */
static void pat_is_shared_without_nested_paging(void **state)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	(void)state;
	rig->vmcb01->save.g_pat = 0x0101;
	vmcb12->save.g_pat = 0x0606;
	rig_enter(rig, RIG_VMCB12);
	assert_int_equal(rig->vmcb02->save.g_pat, 0x0606);
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	rig->vmcb01->save.g_pat = 0x0101;
	vmcb12->control.misc = 0;
	rig_enter(rig, RIG_VMCB12);
	assert_int_equal(rig->vmcb02->save.g_pat, 0x0101);
}

/* INTn, INT3 and INTO return to nRIP where L1 was offered NRIPS; L2 then starts there. */
static void soft_events_start_at_nrip(void **state)
{
	static const struct {
		uint64_t event;
		bool soft;
	} events[] = {
		{EVENT_V | 0x434, true},  {EVENT_V | 0x303, true},  {EVENT_V | 0x304, true},
		{EVENT_V | 0x306, false}, {EVENT_V | 0x034, false}, {EVENT_V | 0x202, false},
		{0x434, false},
	};

	(void)state;
	for (unsigned nrips = 0; nrips < 2; nrips++)
		for (size_t i = 0; i < ARRAY_COUNT(events); i++) {
			struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);
			bool moved = nrips && events[i].soft;

			nested_offer(&rig->n, nrips ? RIG_FEATURES : RIG_FEATURES & ~SVM_FEAT_NRIPS);
			vmcb12->save.cs.attr = SEG_D; /* INTO exists outside 64-bit mode only */
			vmcb12->control.eventinj = events[i].event;
			vmcb12->control.nrip = 0x7002;
			rig_enter(rig, RIG_VMCB12);
			assert_int_equal(rig->n.soft.pending, events[i].soft); /* whose it is, if it is interrupted */
			assert_int_equal(rig->vmcb02->save.rip, moved ? 0x7002 : 0x7000);
			assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		}
}

/* --- the MSR map --- */

/* An MSR is left open only where both maps leave it open; without the intercept bit L1's map does not count. */
static void msr_map_is_the_union(void **state)
{
	uint8_t *map12 = rig->l1->ram + RIG_MSRPM12;

	(void)state;
	memset(rig->pages->msrpm01, 0, MSRPM_SIZE);
	for (unsigned enabled = 0; enabled < 2; enabled++)
		for (unsigned i = 0; i < MSRPM_SIZE; i++) {
			struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

			vmcb12->control.intercept[ICPT_MISC1] = enabled ? ICPT1_MSR : 0;
			map12[i] = 0x5A;
			rig_enter(rig, RIG_VMCB12);
			assert_true(rig->vmcb02->control.intercept[ICPT_MISC1] & ICPT1_MSR);
			if (enabled)
				assert_int_equal(rig->pages->msrpm02[i] & 0x5A, 0x5A);
			map12[i] = 0;
			assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_byte_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(each_bit_by_whitelist, setup, teardown),
		cmocka_unit_test_setup_teardown(each_bit_by_whitelist_from_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(v_intr_word_bit_by_bit, setup, teardown),
		cmocka_unit_test_setup_teardown(misc_words_bit_by_bit, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_are_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(asid_is_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(tsc_offsets_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(eventinj_bit_by_bit, setup, teardown),
		cmocka_unit_test_setup_teardown(pat_is_shared_without_nested_paging, setup, teardown),
		cmocka_unit_test_setup_teardown(soft_events_start_at_nrip, setup, teardown),
		cmocka_unit_test_setup_teardown(msr_map_is_the_union, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
