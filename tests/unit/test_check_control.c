/* SPDX-License-Identifier: MIT */
/* links: nested/check_control.c nested/reason.c tests/unit/check_bits.c */
/* tests/unit/test_check_control.c - for every bit of VMCB12, which rule of the control area fires when it flips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>

#include "nested/check_rules.h"
#include "tests/unit/check_bits.h"

#define PHYS_END BIT(40) /* of check_caps */

static enum vmrun_reason check(const struct vmcb12 *snap)
{
	return check_control(snap, &check_caps, true);
}

#define CONTROL(name) offsetof(struct vmcb12, control.name)

static const struct bit_rule rules[] = {
	{CONTROL(intercept[ICPT_MISC2]), ICPT2_VMRUN, REASON_VMRUN_INTERCEPT},
	{CONTROL(asid), 1, REASON_ASID_ZERO},
	{CONTROL(msrpm_base), BITS(63, 40), REASON_MSRPM_RANGE},
	{CONTROL(iopm_base), BITS(63, 40), REASON_IOPM_RANGE},
	{CONTROL(ncr3), BITS(63, 40), REASON_NCR3_MBZ},
	{CONTROL(v_intr), V_INTR_NMI_ENABLE, REASON_VNMI_NO_INTERCEPT},
	/* From type 0 every single bit of the type leads to 1, 2 or 4. */
	{CONTROL(eventinj), BIT(EVENT_TYPE_SHIFT), REASON_EVENTINJ_TYPE},
};

static void every_bit_of_a_vmcb(void **state)
{
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	check_every_bit(&snap, check, rules, ARRAY_COUNT(rules));
}

static void nested_paging_off_ignores_ncr3(void **state)
{
	struct vmcb12 snap = check_pae_snap();

	(void)state;
	snap.control.ncr3 = UINT64_MAX;
	assert_int_equal(check_control(&snap, &check_caps, false), REASON_NONE);
	snap.control.misc = MISC_NP;
	assert_int_equal(check_control(&snap, &check_caps, false), REASON_NP_NO_PAGING);
	assert_int_equal(check_control(&snap, &check_caps, true), REASON_NCR3_MBZ);
	snap.control.ncr3 = (PHYS_END - 1);
	assert_int_equal(check_control(&snap, &check_caps, true), REASON_NONE);
}

static void virtual_nmi_needs_the_nmi_intercept(void **state)
{
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	snap.control.v_intr = V_INTR_NMI_ENABLE;
	snap.control.intercept[ICPT_MISC1] = ICPT1_NMI;
	assert_int_equal(check(&snap), REASON_NONE);
	snap.control.intercept[ICPT_MISC1] = ~ICPT1_NMI;
	assert_int_equal(check(&snap), REASON_VNMI_NO_INTERCEPT);
}

/* The last byte counts, page offset bits do not, and a sum that wraps is still too high. */
static void maps_end_below_the_last_address(void **state)
{
	static const struct {
		uint64_t base;
		bool msrpm_fits, iopm_fits;
	} cases[] = {
		{0, true, true},
		{PHYS_END - 0x4000, true, true},
		{PHYS_END - 0x3000, true, true},
		{PHYS_END - 0x2001, true, true}, /* rounds down to -3000h */
		{PHYS_END - 0x2000, true, false},
		{PHYS_END - 0x1001, true, false},
		{PHYS_END - 0x1000, false, false},
		{PHYS_END - 1, false, false},
		{PHYS_END, false, false},
		{UINT64_MAX, false, false},
		{UINT64_C(0xFFFFFFFFFFFFF000), false, false},
		{UINT64_C(0xFFFFFFFFFFFFE000), false, false},
	};
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		snap.control.iopm_base = 0;
		snap.control.msrpm_base = cases[i].base;
		assert_int_equal(check(&snap), cases[i].msrpm_fits ? REASON_NONE : REASON_MSRPM_RANGE);
		snap.control.msrpm_base = 0;
		snap.control.iopm_base = cases[i].base;
		assert_int_equal(check(&snap), cases[i].iopm_fits ? REASON_NONE : REASON_IOPM_RANGE);
	}
}

/* What APM2 15.20 allows, written down a second time and differently. */
static enum vmrun_reason injection(unsigned type, unsigned vector, bool in_64bit)
{
	static const char exceptions[] = "yy.yyyyyy.yyyyy.yyyy..........y.";

	if (type == 1 || type > 4)
		return REASON_EVENTINJ_TYPE;
	if (type != 3)
		return REASON_NONE;
	if (vector >= 32 || exceptions[vector] != 'y')
		return REASON_EVENTINJ_VECTOR;
	return in_64bit && (vector == 4 || vector == 5) ? REASON_EVENTINJ_MODE : REASON_NONE;
}

static void check_all_events(struct vmcb12 snap, bool in_64bit)
{
	for (unsigned type = 0; type < 8; type++)
		for (unsigned vector = 0; vector < 256; vector++)
			for (unsigned rest = 0; rest < 2; rest++) {
				uint64_t event = vector | (uint64_t)type << 8 | (rest ? EVENT_EV | BITS(63, 32) : 0);

				snap.control.eventinj = event | EVENT_V;
				assert_int_equal(check(&snap), injection(type, vector, in_64bit));
				snap.control.eventinj = event;
				assert_int_equal(check(&snap), REASON_NONE);
			}
}

static void every_event_in_every_mode(void **state)
{
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	check_all_events(snap, true);
	snap.save.cs.attr = SEG_D; /* compatibility mode */
	check_all_events(snap, false);
	snap.save.cs.attr = SEG_L; /* L means nothing outside long mode */
	snap.save.cr0 &= ~CR0_PG;
	check_all_events(snap, false);
	check_all_events(check_pae_snap(), false);
}

static void every_asid_and_tlb_control_but_zero(void **state)
{
	struct vmcb12 snap = check_long_mode_snap();

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		snap.control.asid = BIT32(bit);
		assert_int_equal(check(&snap), REASON_NONE);
	}
	for (unsigned control = 0; control < 256; control++) {
		snap.control.tlb_control = (uint8_t)control;
		assert_int_equal(check(&snap), REASON_NONE);
	}
	snap.control.asid = 0;
	assert_int_equal(check(&snap), REASON_ASID_ZERO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_of_a_vmcb),
		cmocka_unit_test(nested_paging_off_ignores_ncr3),
		cmocka_unit_test(virtual_nmi_needs_the_nmi_intercept),
		cmocka_unit_test(maps_end_below_the_last_address),
		cmocka_unit_test(every_event_in_every_mode),
		cmocka_unit_test(every_asid_and_tlb_control_but_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
