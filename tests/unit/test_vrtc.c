/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vrtc.c - the clock and the CMOS memory: time, formats, alarms, memory sizes. */
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
	h = fake_vdev_new(3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(h);
	return 0;
}

static uint8_t get(uint8_t index)
{
	fake_outb(h, 0x70, index);
	return fake_inb(h, 0x71);
}

static void put(uint8_t index, uint8_t value)
{
	fake_outb(h, 0x70, index);
	fake_outb(h, 0x71, value);
}

static void expect_time(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t hour,
			uint8_t minute, uint8_t second)
{
	assert_int_equal(get(0x32), century);
	assert_int_equal(get(9), year);
	assert_int_equal(get(8), month);
	assert_int_equal(get(7), day);
	assert_int_equal(get(4), hour);
	assert_int_equal(get(2), minute);
	assert_int_equal(get(0), second);
}

static void set_time(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t hour,
		     uint8_t minute, uint8_t second)
{
	uint8_t b = get(11);

	put(11, b | 0x80);
	put(0x32, century);
	put(9, year);
	put(8, month);
	put(7, day);
	put(4, hour);
	put(2, minute);
	put(0, second);
	put(11, b);
}

static void tells_the_time_it_was_given(void **state)
{
	(void)state;
	expect_time(0x20, 0x26, 0x11, 0x23, 0x16, 0, 0);
	assert_int_equal(get(6), 2); /* a Monday */
	h->now_ns = 3725 * NS_PER_S;
	expect_time(0x20, 0x26, 0x11, 0x23, 0x17, 0x02, 0x05);
}

static void formats(void **state)
{
	(void)state;
	put(11, 0x06);
	assert_int_equal(get(4), 16);
	put(11, 0x00);
	assert_int_equal(get(4), 0x84);
	set_time(0x20, 0x26, 0x11, 0x23, 0x12, 0, 0); /* 12 am is midnight */
	put(11, 0x02);
	assert_int_equal(get(4), 0x00);
	put(11, 0x00);
	set_time(0x20, 0x26, 0x11, 0x23, 0x92, 0, 0);
	put(11, 0x02);
	assert_int_equal(get(4), 0x12);
}

static void time_rolls_over(void **state)
{
	static const struct { uint8_t from[3], to[3]; } rows[] = {
		{{0x20, 0x23, 0x02}, {0x20, 0x23, 0x03}}, {{0x20, 0x24, 0x02}, {0x20, 0x24, 0x02}},
		{{0x19, 0x99, 0x12}, {0x20, 0x00, 0x01}}, {{0x20, 0x00, 0x02}, {0x20, 0x00, 0x02}},
		{{0x21, 0x00, 0x02}, {0x21, 0x00, 0x03}}};
	static const uint8_t from_day[] = {0x28, 0x28, 0x31, 0x28, 0x28};
	static const uint8_t to_day[] = {0x01, 0x29, 0x01, 0x29, 0x01};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		set_time(rows[i].from[0], rows[i].from[1], rows[i].from[2], from_day[i], 0x23, 0x59,
			 0x59);
		h->now_ns += NS_PER_S;
		expect_time(rows[i].to[0], rows[i].to[1], rows[i].to[2], to_day[i], 0, 0, 0);
	}
}

/* Every day from 1970 to 2199 comes back as it was set. */
static void every_day_survives(void **state)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned weekday = 4;

	(void)state;
	put(11, 0x06);
	for (unsigned year = 1970; year < 2200; year++) {
		bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

		for (unsigned month = 1; month <= 12; month++) {
			unsigned last = days[month - 1] + (leap && month == 2);

			for (unsigned day = 1; day <= last; day++) {
				set_time((uint8_t)(year / 100), (uint8_t)(year % 100),
					 (uint8_t)month, (uint8_t)day, 12, 30, 0);
				expect_time((uint8_t)(year / 100), (uint8_t)(year % 100),
					    (uint8_t)month, (uint8_t)day, 12, 30, 0);
				assert_int_equal(get(6), weekday++ % 7 + 1);
			}
		}
	}
}

static void nonsense_time_is_harmless(void **state)
{
	(void)state;
	for (unsigned value = 0; value < 256; value++) {
		uint8_t v = (uint8_t)value;

		set_time(v, v, v, v, v, v, v);
		get(0);
	}
}

static void update_in_progress_before_each_second(void **state)
{
	(void)state;
	assert_int_equal(get(10) & 0x80, 0);
	h->now_ns = NS_PER_S - 200000;
	assert_int_equal(get(10) & 0x80, 0x80);
	h->now_ns = NS_PER_S;
	assert_int_equal(get(10) & 0x80, 0);
}

static void unmask_rtc(void)
{
	fake_outb(h, 0xA0, 0x11);
	fake_outb(h, 0xA1, 0x28);
	fake_outb(h, 0xA1, 0x02);
	fake_outb(h, 0xA1, 0x03);
	fake_outb(h, 0xA1, 0x00);
	fake_outb(h, 0x20, 0x11);
	fake_outb(h, 0x21, 0x20);
	fake_outb(h, 0x21, 0x04);
	fake_outb(h, 0x21, 0x03);
	fake_outb(h, 0x21, 0x00);
}

static void alarm_at_its_second(void **state)
{
	(void)state;
	unmask_rtc();
	put(5, 0x16);
	put(3, 0x00);
	put(1, 0x07);
	put(11, 0x22);
	assert_true(fake_vdev_run(h, 6999 * NS_PER_MS));
	assert_int_equal(fake_take(h, 0), -1);
	assert_true(fake_vdev_run(h, NS_PER_MS));
	assert_int_equal(fake_take(h, 0), 0x28);
	assert_int_equal(get(12) & 0xB0, 0x80 | 0x20 | 0x10);
	assert_int_equal(get(12), 0);
	put(1, 0xFF); /* any second */
	assert_true(fake_vdev_run(h, NS_PER_S));
	assert_int_equal(get(12) & 0x20, 0x20);
}

static void update_interrupts_each_second(void **state)
{
	unsigned count = 0;

	(void)state;
	unmask_rtc();
	put(11, 0x12);
	for (unsigned i = 0; i < 50; i++) {
		assert_true(fake_vdev_run(h, 100 * NS_PER_MS));
		if (fake_take(h, 0) == 0x28) {
			assert_int_equal(get(12) & 0xB0, 0x80 | 0x10);
			count++;
		}
	}
	assert_int_equal(count, 5);
}

static void periodic_interrupts_have_the_rate(void **state)
{
	static const struct { uint8_t rate; unsigned hz; } rows[] = {
		{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {10, 64}, {15, 2}};

	(void)state;
	unmask_rtc();
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		unsigned count = 0;

		put(10, 0x20 | rows[i].rate);
		put(11, 0x42);
		get(12);
		for (unsigned t = 0; t < 20000; t++) {
			assert_true(fake_vdev_run(h, 50000));
			if (fake_take(h, 0) == 0x28) {
				get(12);
				count++;
			}
		}
		assert_in_range(count, rows[i].hz - 1, rows[i].hz + 1);
	}
}

static void no_interrupts_no_deadline(void **state)
{
	(void)state;
	put(11, 0x72);
	assert_true(machine_next_deadline(&h->m, 0) != DEADLINE_NONE);
	put(11, 0x02);
	assert_true(machine_next_deadline(&h->m, 0) == DEADLINE_NONE);
}

static void memory_sizes(void **state)
{
	(void)state;
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 63 * 1024);
	assert_int_equal(get(0x34) | get(0x35) << 8, (1024 - 16) * 16);
	assert_int_equal(get(0x5B) | get(0x5C) << 8 | get(0x5D) << 16, 2048 * 16);
	assert_int_equal(get(0x5F), 2);
	assert_int_equal(get(13), 0x80);
	put(0x0F, 0x0A);
	assert_int_equal(get(0x8F), 0x0A); /* bit 7 of the index is not part of it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(tells_the_time_it_was_given),
		TEST(formats),
		TEST(time_rolls_over),
		TEST(every_day_survives),
		TEST(nonsense_time_is_harmless),
		TEST(update_in_progress_before_each_second),
		TEST(alarm_at_its_second),
		TEST(update_interrupts_each_second),
		TEST(periodic_interrupts_have_the_rate),
		TEST(no_interrupts_no_deadline),
		TEST(memory_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
