/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vpit.c - the 8254: counters, latches, gate, and interrupts of counter 0. */
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
	h = fake_vdev_new(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(h);
	return 0;
}

#define HZ UINT64_C(1193182)

static void load(unsigned counter, uint8_t mode, uint16_t count)
{
	fake_outb(h, 0x43, (uint8_t)(counter << 6 | 0x30 | mode << 1));
	fake_outb(h, (uint16_t)(0x40 + counter), (uint8_t)count);
	fake_outb(h, (uint16_t)(0x40 + counter), (uint8_t)(count >> 8));
}

static uint16_t read_latched(unsigned counter)
{
	uint8_t low;

	fake_outb(h, 0x43, (uint8_t)(counter << 6));
	low = fake_inb(h, (uint16_t)(0x40 + counter));
	return (uint16_t)(low | fake_inb(h, (uint16_t)(0x40 + counter)) << 8);
}

static void pass_ticks(uint64_t ticks)
{
	h->now_ns += ticks * NS_PER_S / HZ + 1;
}

static unsigned ticks_taken(uint64_t ns, uint64_t step)
{
	unsigned count = 0;

	fake_outb(h, 0x20, 0x11);
	fake_outb(h, 0x21, 0x20);
	fake_outb(h, 0x21, 0x04);
	fake_outb(h, 0x21, 0x03); /* automatic EOI */
	fake_outb(h, 0x21, 0xFE);
	for (uint64_t t = 0; t < ns; t += step) {
		assert_true(fake_vdev_run(h, step));
		while (fake_take(h, 0) == 0x20)
			count++;
	}
	return count;
}

static void counts_down_and_latches(void **state)
{
	(void)state;
	load(0, 2, 10000);
	pass_ticks(2500);
	assert_in_range(read_latched(0), 7499, 7500);
	pass_ticks(10000);
	assert_in_range(read_latched(0), 7498, 7500);
}

static void latch_stays_until_read(void **state)
{
	uint8_t low;

	(void)state;
	load(0, 2, 10000);
	fake_outb(h, 0x43, 0x00);
	pass_ticks(5000);
	low = fake_inb(h, 0x40);
	pass_ticks(1000);
	assert_int_equal(low | fake_inb(h, 0x40) << 8, 10000);
	assert_in_range(read_latched(0), 3990, 4000);
}

static void periodic_interrupts_keep_the_rate(void **state)
{
	(void)state;
	load(0, 2, 1193);
	assert_in_range(ticks_taken(NS_PER_S, NS_PER_MS / 10), 999, 1001);
}

static void square_wave_has_the_same_rate(void **state)
{
	(void)state;
	load(0, 3, 0); /* 65536: the 18.2 Hz of a PC */
	assert_in_range(ticks_taken(10 * NS_PER_S, NS_PER_MS), 181, 183);
}

static void missed_periods_are_dropped(void **state)
{
	(void)state;
	load(0, 2, 1193);
	h->now_ns += NS_PER_S;
	assert_in_range(ticks_taken(10 * NS_PER_MS, NS_PER_MS / 10), 10, 12);
}

static void fast_rate_is_bounded(void **state)
{
	(void)state;
	load(0, 2, 1);
	assert_in_range(ticks_taken(NS_PER_S, NS_PER_MS / 20), 9000, 11000);
}

static void terminal_count_fires_once(void **state)
{
	(void)state;
	load(0, 0, 1000);
	assert_true(machine_next_deadline(&h->m, 0) != DEADLINE_NONE);
	assert_int_equal(ticks_taken(NS_PER_S, NS_PER_MS), 1);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

/* Linux stops the timer by a control word without a count. */
static void control_word_stops(void **state)
{
	(void)state;
	load(0, 2, 1000);
	fake_outb(h, 0x43, 0x30);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

/* How kernels measure: gate on, counter 2 in mode 0, wait until its output rises. */
static void counter_2_measures_time(void **state)
{
	(void)state;
	fake_outb(h, 0x61, 0x01);
	load(2, 0, 11932);
	assert_int_equal(fake_inb(h, 0x61) & 0x23, 0x01);
	h->now_ns += 9990000;
	assert_int_equal(fake_inb(h, 0x61) & 0x20, 0);
	h->now_ns += 11000;
	assert_int_equal(fake_inb(h, 0x61) & 0x20, 0x20);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

static void gate_pauses_and_resumes(void **state)
{
	(void)state;
	fake_outb(h, 0x61, 0x01);
	load(2, 0, 10000);
	pass_ticks(1000);
	fake_outb(h, 0x61, 0x00);
	pass_ticks(50000);
	assert_in_range(read_latched(2), 8998, 9000);
	fake_outb(h, 0x61, 0x01);
	pass_ticks(1000);
	assert_in_range(read_latched(2), 7996, 8000);
}

static void gate_triggers_one_shot(void **state)
{
	(void)state;
	load(2, 1, 1000);
	assert_int_equal(fake_inb(h, 0x61) & 0x20, 0x20);
	fake_outb(h, 0x61, 0x01);
	assert_int_equal(fake_inb(h, 0x61) & 0x20, 0);
	pass_ticks(1001);
	assert_int_equal(fake_inb(h, 0x61) & 0x20, 0x20);
}

static void read_back_gives_status(void **state)
{
	(void)state;
	fake_outb(h, 0x43, 0x34);
	fake_outb(h, 0x43, 0xE2); /* status of counter 0 */
	assert_int_equal(fake_inb(h, 0x40), 0x80 | 0x40 | 0x34);
	fake_outb(h, 0x40, 100);
	fake_outb(h, 0x40, 0);
	fake_outb(h, 0x43, 0xC2); /* status and count */
	assert_int_equal(fake_inb(h, 0x40), 0x80 | 0x34);
	assert_int_equal(fake_inb(h, 0x40), 100);
	assert_int_equal(fake_inb(h, 0x40), 0);
}

/* A deadline may never be early, or the vCPU would spin on it. */
static void deadline_is_never_early(void **state)
{
	(void)state;
	for (unsigned count = 120; count < 65536; count += 61) {
		h->now_ns += 123456789;
		load(0, 0, (uint16_t)count);
		h->now_ns = machine_next_deadline(&h->m, 0);
		machine_tick(&h->m, 0);
		assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(counts_down_and_latches),
		TEST(latch_stays_until_read),
		TEST(periodic_interrupts_keep_the_rate),
		TEST(square_wave_has_the_same_rate),
		TEST(missed_periods_are_dropped),
		TEST(fast_rate_is_bounded),
		TEST(terminal_count_fires_once),
		TEST(control_word_stops),
		TEST(counter_2_measures_time),
		TEST(gate_pauses_and_resumes),
		TEST(gate_triggers_one_shot),
		TEST(read_back_gives_status),
		TEST(deadline_is_never_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
