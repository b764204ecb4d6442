/* SPDX-License-Identifier: MIT */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c nested/pause.c */
/* links: nested/msrpm12.c nested/iopm12.c nested/route.c nested/reason.c nested/exit_invalid.c nested/exit_full.c */
/* links: nested/resume.c nested/npt02.c nested/walk12.c nested/tlb02.c nested/insn.c nested/offer.c nested/tsc.c nested/lbr.c */
/* links: nested/msr.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_tsc.c - L2's TSC under TSC_RATIO (APM2 15.30.5): the value, the MSR, and that a CPU which scales shows
 * the same as software does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/msr.h>

#include "tests/unit/rig.h"

static struct rig *rig;

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0xA5);
	srand(5);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

static uint64_t random64(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

static bool write_ratio(uint64_t value)
{
	bool fault = true;

	assert_true(nested_msr_write(&rig->n, MSR_TSC_RATIO, value, &fault));
	return !fault;
}

static uint64_t read_ratio(void)
{
	uint64_t value = 0;
	bool fault = true;

	assert_true(nested_msr_read(&rig->n, MSR_TSC_RATIO, &value, &fault));
	assert_false(fault);
	return value;
}

static void enter(uint64_t offset01, uint64_t offset12, uint64_t ratio)
{
	rig->vmcb01->control.tsc_offset = offset01;
	rig_legal(rig, RIG_VMCB12)->control.tsc_offset = offset12;
	assert_true(write_ratio(ratio));
	rig_enter(rig, RIG_VMCB12);
}

static bool exits_on_rdtsc(void)
{
	const uint32_t *icpt = rig->vmcb02->control.intercept;
	bool rdtsc = icpt[ICPT_MISC1] & ICPT1_RDTSC, rdtscp = icpt[ICPT_MISC2] & ICPT2_RDTSCP;

	assert_int_equal(rdtsc, rdtscp);
	return rdtsc;
}

static void msr_rules(void **state)
{
	uint64_t value;
	bool fault;

	(void)state;
	assert_int_equal(read_ratio(), TSC_RATIO_ONE);
	for (unsigned bit = 0; bit < 64; bit++) {
		assert_true(write_ratio(TSC_RATIO_ONE));
		assert_int_equal(write_ratio(BIT(bit)), bit < 40);
		assert_int_equal(read_ratio(), bit < 40 ? BIT(bit) : TSC_RATIO_ONE);
	}
	nested_offer(&rig->n, SVM_FEAT_NP);
	assert_false(nested_msr_read(&rig->n, MSR_TSC_RATIO, &value, &fault));
	assert_false(nested_msr_write(&rig->n, MSR_TSC_RATIO, TSC_RATIO_ONE, &fault));
}

static void values(void **state)
{
	static const struct {
		uint64_t tsc1, ratio, offset12, tsc2;
	} rows[] = {
		{1000, TSC_RATIO_ONE, 0, 1000},
		{1000, TSC_RATIO_ONE, 5, 1005},
		{1000, TSC_RATIO_ONE / 2, 5, 505},
		{1001, TSC_RATIO_ONE / 2, 0, 500},
		{1000, 3 * TSC_RATIO_ONE, (uint64_t)-1000, 2000},
		{1000, 0, 7, 7},
		{UINT64_C(1) << 63, TSC_RATIO_ONE / 4, 0, UINT64_C(1) << 61},
		{UINT64_MAX, TSC_RATIO_ONE, 1, 0},
		{UINT64_C(1) << 40, BIT(40) - 1, 0, (UINT64_C(1) << 48) - 256},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		enter(0, rows[i].offset12, rows[i].ratio);
		assert_int_equal(nested_tsc(&rig->n, rows[i].tsc1), rows[i].tsc2);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

/* RDTSC and RDTSCP exit as long as there is a ratio, and no longer. */
static void software_scales_by_exits(void **state)
{
	(void)state;
	enter(3, 4, TSC_RATIO_ONE);
	assert_false(exits_on_rdtsc());
	assert_int_equal(rig->vmcb02->control.tsc_offset, 7);
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	enter(3, 4, TSC_RATIO_ONE + 1);
	assert_true(exits_on_rdtsc());
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	enter(3, 4, TSC_RATIO_ONE);
	assert_false(exits_on_rdtsc());
	assert_true(write_ratio(2 * TSC_RATIO_ONE)); /* by L2 itself, whom L1 lets */
	nested_tsc02(&rig->n, rig->vmcb01, rig->vmcb02);
	assert_true(exits_on_rdtsc());
}

/* What the CPU makes of VMCB02's offset and the ratio is what software says, but for the last digit. */
static void a_cpu_that_scales_agrees(void **state)
{
	(void)state;
	rig->n.caps.hw_tsc_ratio = true;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t host = random64() >> 8, offset01 = random64() >> (2 + i % 40), offset12 = random64();
		uint64_t ratio = random64() & ~TSC_RATIO_MBZ, shown, want;

		if (i % 2)
			offset01 = host < offset01 ? -host : -offset01;
		enter(offset01, offset12, ratio);
		assert_false(exits_on_rdtsc());
		shown = (uint64_t)((unsigned __int128)host * ratio >> 32) + rig->vmcb02->control.tsc_offset;
		want = nested_tsc(&rig->n, host + offset01);
		assert_true(want - shown <= 1);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(msr_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(values, setup, teardown),
		cmocka_unit_test_setup_teardown(software_scales_by_exits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cpu_that_scales_agrees, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
