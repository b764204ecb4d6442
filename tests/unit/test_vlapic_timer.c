/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vlapic_timer.c - the local APIC's counter in its three modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_vdev.h"

static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	h = fake_vdev_new(2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(h);
	return 0;
}

#define DIVIDE_BY_1 0xB
#define PERIODIC BIT32(17)
#define TSC_DEADLINE BIT32(18)
#define VECTOR 0x40

static void start(uint32_t lvt, uint32_t divide, uint32_t count)
{
	fake_lapic_write(h, 0, 0x3E0, divide);
	fake_lapic_write(h, 0, 0x320, lvt | VECTOR);
	fake_lapic_write(h, 0, 0x380, count);
}

static bool fired(void)
{
	if (fake_take(h, 0) != VECTOR)
		return false;
	fake_eoi(h, 0);
	return true;
}

static void one_shot_fires_once(void **state)
{
	(void)state;
	start(0, DIVIDE_BY_1, 1000000);
	assert_true(machine_next_deadline(&h->m, 0) == 1000000);
	assert_true(fake_vdev_run(h, 999999));
	assert_int_equal(fake_lapic_read(h, 0, 0x390), 1);
	assert_false(fired());
	assert_true(fake_vdev_run(h, 1));
	assert_true(fired());
	assert_int_equal(fake_lapic_read(h, 0, 0x390), 0);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
	assert_true(fake_vdev_run(h, NS_PER_S));
	assert_false(fired());
}

static void dividers(void **state)
{
	static const struct { uint32_t code, divisor; } rows[] = {
		{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		start(0, rows[i].code, 1000);
		assert_true(machine_next_deadline(&h->m, 0) == 1000 * rows[i].divisor);
	}
}

static void divider_change_keeps_the_count(void **state)
{
	(void)state;
	start(0, DIVIDE_BY_1, 1000);
	h->now_ns = 400;
	fake_lapic_write(h, 0, 0x3E0, 0);
	assert_int_equal(fake_lapic_read(h, 0, 0x390), 600);
	assert_true(machine_next_deadline(&h->m, 0) == 400 + 1200);
}

static void periodic_keeps_its_phase(void **state)
{
	(void)state;
	start(PERIODIC, DIVIDE_BY_1, 1000000);
	for (int i = 0; i < 5; i++) {
		assert_true(fake_vdev_run(h, 1000000));
		assert_true(fired());
	}
	h->now_ns += 7300000; /* seven periods missed: one interrupt, phase as before */
	machine_tick(&h->m, 0);
	assert_true(fired());
	assert_false(fired());
	assert_true(machine_next_deadline(&h->m, 0) == 13000000);
}

static void shortest_period_is_bounded(void **state)
{
	(void)state;
	start(PERIODIC, DIVIDE_BY_1, 1);
	assert_true(fake_vdev_run(h, NS_PER_S));
	assert_true(fired());
}

/* As kvm-unit-tests checks it: the mode may change under the count; zero stays zero. */
static void mode_change_between_one_shot_and_periodic(void **state)
{
	(void)state;
	start(PERIODIC, DIVIDE_BY_1, 1000000);
	assert_true(fake_vdev_run(h, 500000));
	fake_lapic_write(h, 0, 0x320, VECTOR);
	assert_int_equal(fake_lapic_read(h, 0, 0x390), 500000);
	assert_true(fake_vdev_run(h, 600000));
	assert_true(fired());
	assert_int_equal(fake_lapic_read(h, 0, 0x390), 0);
	fake_lapic_write(h, 0, 0x320, PERIODIC | VECTOR);
	assert_int_equal(fake_lapic_read(h, 0, 0x390), 0);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

static void masked_timer_counts_silently(void **state)
{
	(void)state;
	start(BIT32(16), DIVIDE_BY_1, 1000);
	assert_true(fake_vdev_run(h, 2000));
	assert_false(fired());
	assert_int_equal(fake_lapic_read(h, 0, 0x390), 0);
}

static void count_zero_stops(void **state)
{
	(void)state;
	start(PERIODIC, DIVIDE_BY_1, 1000000);
	fake_lapic_write(h, 0, 0x380, 0);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

/* The TSC runs at 2 GHz. */
static void tsc_deadline_fires_not_early(void **state)
{
	const uint64_t tsc = UINT64_C(1) << 40;

	(void)state;
	start(TSC_DEADLINE, 0, 0);
	machine_tsc_deadline_write(&h->m, 0, tsc + 2001, tsc);
	assert_true(machine_tsc_deadline_read(&h->m, 0) == tsc + 2001);
	assert_true(machine_next_deadline(&h->m, 0) >= 1001);
	assert_true(machine_next_deadline(&h->m, 0) <= 1003);
	assert_true(fake_vdev_run(h, 2000));
	assert_true(fired());
	assert_true(machine_tsc_deadline_read(&h->m, 0) == 0);
}

static void tsc_deadline_in_the_past_fires_at_once(void **state)
{
	(void)state;
	start(TSC_DEADLINE, 0, 0);
	machine_tsc_deadline_write(&h->m, 0, 5, 6);
	assert_true(fired());
	machine_tsc_deadline_write(&h->m, 0, UINT64_MAX, 0); /* far away, must not wrap */
	assert_true(machine_next_deadline(&h->m, 0) > NS_PER_S * 1000000);
	machine_tsc_deadline_write(&h->m, 0, 0, 0);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

static void tsc_deadline_needs_its_mode(void **state)
{
	(void)state;
	start(0, 0, 0);
	machine_tsc_deadline_write(&h->m, 0, 100, 0);
	assert_true(machine_tsc_deadline_read(&h->m, 0) == 0);
	start(TSC_DEADLINE, 0, 1000); /* and the initial count does nothing in it */
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
	machine_tsc_deadline_write(&h->m, 0, 100, 0);
	fake_lapic_write(h, 0, 0x320, VECTOR);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(one_shot_fires_once),
		TEST(dividers),
		TEST(divider_change_keeps_the_count),
		TEST(periodic_keeps_its_phase),
		TEST(shortest_period_is_bounded),
		TEST(mode_change_between_one_shot_and_periodic),
		TEST(masked_timer_counts_silently),
		TEST(count_zero_stops),
		TEST(tsc_deadline_fires_not_early),
		TEST(tsc_deadline_in_the_past_fires_at_once),
		TEST(tsc_deadline_needs_its_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
