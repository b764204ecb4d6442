/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vpm.c - ACPI fixed hardware, and the ports that end the machine. */
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

static uint32_t in(uint16_t port, unsigned size)
{
	return machine_io_read(&h->m, 0, port, size);
}

static void out(uint16_t port, uint32_t value, unsigned size)
{
	machine_io_write(&h->m, 0, port, value, size);
}

static void timer_runs_at_its_rate(void **state)
{
	uint32_t before;

	(void)state;
	h->now_ns = 5;
	before = in(0x608, 4);
	h->now_ns += NS_PER_S;
	assert_in_range(in(0x608, 4) - before, 3579544, 3579546);
	assert_int_equal(in(0x60A, 1), in(0x608, 4) >> 16 & 0xFF);
	assert_int_equal(in(0x60A, 2), in(0x608, 4) >> 16);
}

/* 2^31 ticks take just under 600 s. */
static void timer_status_and_interrupt(void **state)
{
	(void)state;
	fake_ioapic_write(h, 9, BIT(15) | 0x59);
	out(0x602, 0x0001, 2);
	assert_true(fake_vdev_run(h, 599 * NS_PER_S));
	assert_int_equal(in(0x600, 2), 0);
	assert_true(fake_vdev_run(h, NS_PER_S));
	assert_int_equal(fake_take(h, 0), 0x59);
	assert_int_equal(in(0x600, 2), 1);
	out(0x600, 1, 1);
	assert_int_equal(in(0x600, 2), 0);
	fake_eoi(h, 0);
	assert_int_equal(fake_take(h, 0), -1);
	assert_true(fake_vdev_run(h, 600 * NS_PER_S));
	assert_int_equal(fake_take(h, 0), 0x59);
}

static void enable_register_by_bytes_and_as_part_of_a_word(void **state)
{
	(void)state;
	out(0x603, 0x05, 1);
	out(0x602, 0x20, 1);
	assert_int_equal(in(0x602, 2), 0x0520);
	assert_int_equal(in(0x600, 4), 0x05200000);
}

static void acpi_mode_is_always_on(void **state)
{
	(void)state;
	assert_int_equal(in(0x604, 2) & 1, 1);
	out(0x604, 0, 2);
	assert_int_equal(in(0x604, 2) & 1, 1);
}

static void power_off(void **state)
{
	(void)state;
	out(0x604, 5u << 10, 2); /* without the command bit */
	assert_int_equal(h->end, 0);
	out(0x604, 1u << 13 | 3u << 10, 2); /* S3 is not offered */
	assert_int_equal(h->end, 0);
	out(0x604, 1u << 13 | 5u << 10, 2);
	assert_int_equal(h->end, VDEV_END_POWER_OFF);
	assert_int_equal(in(0x604, 2) & 1u << 13, 0);
}

static void power_off_by_bytes(void **state)
{
	(void)state;
	out(0x605, 0x34, 1);
	assert_int_equal(h->end, VDEV_END_POWER_OFF);
}

static void reset_ports(void **state)
{
	static const struct { uint16_t port; uint8_t value; } rows[] = {
		{0xCF9, 0x06}, {0xCF9, 0x0E}, {0x64, 0xFE}, {0x92, 0x01}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		h->end = 0;
		fake_outb(h, 0xCF9, 0x02);
		assert_int_equal(h->end, 0);
		fake_outb(h, rows[i].port, rows[i].value);
		assert_int_equal(h->end, VDEV_END_RESET);
	}
}

static void debug_exit_tells_its_code(void **state)
{
	(void)state;
	out(0xF4, 0x12345678, 4);
	assert_int_equal(h->end, VDEV_END_DEBUG_EXIT);
	assert_int_equal(h->end_code, 0x12345678);
	out(0xF4, 0x21, 1);
	assert_int_equal(h->end_code, 0x21);
}

static void keyboard_controller_is_ready_and_empty(void **state)
{
	(void)state;
	assert_int_equal(in(0x64, 1), 0);
	out(0x64, 0xD1, 1);
	assert_int_equal(h->end, 0);
	assert_int_equal(in(0x92, 1), 0x02);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(timer_runs_at_its_rate),
		TEST(timer_status_and_interrupt),
		TEST(enable_register_by_bytes_and_as_part_of_a_word),
		TEST(acpi_mode_is_always_on),
		TEST(power_off),
		TEST(power_off_by_bytes),
		TEST(reset_ports),
		TEST(debug_exit_tells_its_code),
		TEST(keyboard_controller_is_ready_and_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
