/* SPDX-License-Identifier: MIT */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c nested/pause.c nested/tsc.c nested/lbr.c */
/* links: nested/msrpm12.c nested/iopm12.c nested/route.c nested/reason.c nested/exit_invalid.c nested/exit_full.c */
/* links: nested/resume.c nested/npt02.c nested/walk12.c nested/tlb02.c nested/insn.c nested/offer.c */
/* links: tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_pause.c - the PAUSE filter (APM2 15.14.4): how many PAUSEs pass, what fills the counter again, and
 * when the CPU's own filter may be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <amd/cpuid.h>
#include <amd/exitcode.h>

#include "tests/unit/rig.h"

#define FILTER (SVM_FEAT_NP | SVM_FEAT_PAUSE_FILTER)
#define WITH_THRESHOLD (FILTER | SVM_FEAT_PAUSE_THRESHOLD)

static struct rig *rig;

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

static void enter(uint16_t count, uint16_t threshold)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	vmcb12->control.intercept[ICPT_MISC1] |= ICPT1_PAUSE;
	vmcb12->control.pause_count = count;
	vmcb12->control.pause_threshold = threshold;
	rig_enter(rig, RIG_VMCB12);
}

static enum route route_pause(void)
{
	rig->vmcb02->control.exitcode = VMEXIT_PAUSE;
	return nested_route(&rig->n, rig->l1, rig->vmcb02, 0);
}

/* PAUSEs that pass, `elapsed` cycles between each two of them. */
static unsigned passed(uint64_t elapsed, unsigned limit)
{
	unsigned count = 0;

	while (count < limit && !nested_pause(&rig->n, elapsed))
		count++;
	return count;
}

static int setup(void **state)
{
	(void)state;
	rig = rig_new(WITH_THRESHOLD, 0xA5);
	return 0;
}

/* Without a threshold the PAUSE that makes the counter zero exits, however long the last one is ago. */
static void count_alone(void **state)
{
	static const uint16_t counts[] = {1, 2, 10, 3000, UINT16_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
		enter(counts[i], 0);
		assert_true(nested_filters_pause(&rig->n));
		assert_int_equal(route_pause(), ROUTE_L0);
		assert_int_equal(passed(UINT64_MAX, UINT32_MAX), counts[i] - 1u);
		assert_int_equal(rig_vmcb12(rig, RIG_VMCB12)->control.pause_count, counts[i]);
		assert_true(rig_exit(rig, VMEXIT_PAUSE));
		assert_int_equal(rig_vmcb12(rig, RIG_VMCB12)->control.pause_count, counts[i]);
	}
}

/* VMRUN loads the counter, also after an exit for another reason, and a refused VMRUN in between. */
static void every_vmrun_loads(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		enter(10, 0);
		assert_int_equal(passed(0, 5), 5);
		assert_true(rig_exit(rig, VMEXIT_CPUID));
		rig_legal(rig, RIG_VMCB12)->control.asid = 0;
		assert_int_equal(rig_vmrun(rig, RIG_VMCB12), VMRUN_REFUSED);
	}
}

/* With one, PAUSEs up to `threshold` cycles apart count, and the counter must fall below zero. */
static void threshold_fills_again(void **state)
{
	(void)state;
	enter(10, 500);
	assert_int_equal(passed(500, UINT32_MAX), 10);
	assert_true(rig_exit(rig, VMEXIT_PAUSE));
	enter(10, 500);
	assert_int_equal(passed(501, 100000), 100000);
	assert_int_equal(passed(0, 9), 9);
	assert_false(nested_pause(&rig->n, 501));
	assert_int_equal(passed(0, UINT32_MAX), 10);
}

/* Count zero: each PAUSE exits. Without the intercept none does. */
static void no_filter(void **state)
{
	(void)state;
	enter(0, 500);
	assert_false(nested_filters_pause(&rig->n));
	assert_int_equal(route_pause(), ROUTE_L1);
	assert_true(rig_exit(rig, VMEXIT_PAUSE));
	rig_legal(rig, RIG_VMCB12)->control.pause_count = 7;
	rig_enter(rig, RIG_VMCB12);
	assert_false(nested_filters_pause(&rig->n));
	assert_int_equal(route_pause(), ROUTE_L0);
}

/* What is not offered does not count: without the filter each PAUSE exits, without the threshold it is as if zero. */
static void offered_in_part(void **state)
{
	(void)state;
	nested_offer(&rig->n, SVM_FEAT_NP);
	enter(10, 500);
	assert_int_equal(route_pause(), ROUTE_L1);
	assert_true(rig_exit(rig, VMEXIT_PAUSE));
	nested_offer(&rig->n, FILTER);
	enter(10, 500);
	assert_int_equal(passed(UINT64_MAX, UINT32_MAX), 9);
}

/* The CPU's filter serves where an exit to L0 in between is longer than the threshold, so that the CPU's loading the
 * counter again at the next entry is what L1 asked for. Only then is the exit L1's as it comes. */
static void filter_of_the_cpu(void **state)
{
	static const struct {
		bool hw;
		uint16_t threshold, count02;
	} rows[] = {{false, 128, 0}, {true, 128, 10}, {true, 0, 0}, {true, 1, 10}, {true, 256, 10}, {true, 257, 0},
		    {true, UINT16_MAX, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		rig_reset(rig, WITH_THRESHOLD, 0xA5);
		rig->n.caps.hw_pause_threshold = rows[i].hw;
		enter(10, rows[i].threshold);
		assert_int_equal(rig->vmcb02->control.pause_count, rows[i].count02);
		assert_int_equal(rig->vmcb02->control.pause_threshold, rows[i].count02 ? rows[i].threshold : 0);
		assert_int_equal(route_pause(), rows[i].count02 ? ROUTE_L1 : ROUTE_L0);
		assert_true(rig_exit(rig, VMEXIT_PAUSE));
		enter(0, 0); /* nothing stays */
		assert_int_equal(rig->vmcb02->control.pause, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(count_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(every_vmrun_loads, setup, teardown),
		cmocka_unit_test_setup_teardown(threshold_fills_again, setup, teardown),
		cmocka_unit_test_setup_teardown(no_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(offered_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(filter_of_the_cpu, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
