/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vioapic.c - the I/O APIC: redirection, level and edge, end of interrupt. */
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

#define LEVEL BIT(15)
#define MASKED BIT(16)
#define REMOTE_IRR BIT(14)
#define PIN_COM1 4

/* The UART's transmitter is always empty: its interrupt line is a switch for these tests. */
static void line(bool high)
{
	fake_outb(h, 0x3FC, 0x08);
	fake_outb(h, 0x3F9, high ? 0x02 : 0x00);
}

static int setup_pins(void **state)
{
	setup(state);
	fake_lapic_enable(h, 1);
	fake_lapic_enable(h, 2);
	return 0;
}

static void starts_masked(void **state)
{
	(void)state;
	for (unsigned pin = 0; pin < 24; pin++)
		assert_true(fake_ioapic_read(h, pin) == MASKED);
	machine_mmio_write(&h->m, 0, IOAPIC_GPA, 1, 4);
	assert_int_equal(machine_mmio_read(&h->m, 0, IOAPIC_GPA + 0x10, 4), 0x00170011);
	machine_mmio_write(&h->m, 0, IOAPIC_GPA, 0x40, 4); /* past the last entry */
	assert_int_equal(machine_mmio_read(&h->m, 0, IOAPIC_GPA + 0x10, 4), 0);
}

static void entry_keeps_only_its_bits(void **state)
{
	(void)state;
	fake_ioapic_write(h, 20, UINT64_MAX);
	assert_true(fake_ioapic_read(h, 20) == UINT64_C(0xFF0000000001AFFF));
}

static void edge_comes_once(void **state)
{
	(void)state;
	fake_ioapic_write(h, PIN_COM1, UINT64_C(1) << 56 | 0x50);
	line(true);
	assert_int_equal(fake_take(h, 1), 0x50);
	assert_int_equal(fake_lapic_read(h, 1, 0x1A0), 0);
	fake_eoi(h, 1);
	assert_int_equal(fake_take(h, 1), -1);
	line(false);
	line(true);
	assert_int_equal(fake_take(h, 1), 0x50);
}

static void edge_while_masked_is_lost(void **state)
{
	(void)state;
	line(true);
	fake_ioapic_write(h, PIN_COM1, UINT64_C(1) << 56 | 0x50);
	assert_int_equal(fake_take(h, 1), -1);
}

static void level_repeats_until_the_line_falls(void **state)
{
	(void)state;
	line(true);
	fake_ioapic_write(h, PIN_COM1, UINT64_C(2) << 56 | LEVEL | 0x50);
	assert_true((fake_ioapic_read(h, PIN_COM1) & REMOTE_IRR) != 0);
	assert_int_equal(fake_take(h, 2), 0x50);
	assert_int_equal(fake_take(h, 2), -1);
	fake_eoi(h, 2);
	assert_int_equal(fake_take(h, 2), 0x50);
	line(false);
	fake_eoi(h, 2);
	assert_int_equal(fake_take(h, 2), -1);
	assert_true((fake_ioapic_read(h, PIN_COM1) & REMOTE_IRR) == 0);
}

/* How Linux ends a level interrupt without a directed EOI. */
static void switching_to_edge_clears_remote_irr(void **state)
{
	const uint64_t entry = UINT64_C(1) << 56 | LEVEL | 0x50;

	(void)state;
	line(true);
	fake_ioapic_write(h, PIN_COM1, entry);
	assert_int_equal(fake_take(h, 1), 0x50);
	fake_ioapic_write(h, PIN_COM1, (entry & ~LEVEL) | MASKED);
	assert_true((fake_ioapic_read(h, PIN_COM1) & REMOTE_IRR) == 0);
	fake_ioapic_write(h, PIN_COM1, entry | MASKED);
	fake_eoi(h, 1);
	assert_int_equal(fake_take(h, 1), -1);
	fake_ioapic_write(h, PIN_COM1, entry);
	assert_int_equal(fake_take(h, 1), 0x50);
}

static void broadcast_and_logical(void **state)
{
	(void)state;
	fake_ioapic_write(h, PIN_COM1, UINT64_C(0xFF) << 56 | 0x50);
	line(true);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fake_take(h, i), 0x50);
	for (unsigned i = 0; i < 3; i++)
		fake_eoi(h, i);
	line(false);
	fake_lapic_write(h, 2, 0xD0, 0x04000000);
	fake_ioapic_write(h, PIN_COM1, UINT64_C(0x04) << 56 | BIT(11) | 0x51);
	line(true);
	assert_int_equal(fake_take(h, 2), 0x51);
	assert_int_equal(fake_take(h, 1), -1);
}

static void timer_is_at_pin_2(void **state)
{
	(void)state;
	fake_ioapic_write(h, 2, 0x60);
	fake_outb(h, 0x43, 0x30);
	fake_outb(h, 0x40, 100);
	fake_outb(h, 0x40, 0);
	assert_true(fake_vdev_run(h, NS_PER_MS));
	assert_int_equal(fake_take(h, 0), 0x60);
}

static void pin_0_passes_the_pic(void **state)
{
	(void)state;
	fake_lapic_write(h, 0, 0x350, 0x10700); /* LINT0 masked */
	fake_outb(h, 0x21, 0xEF);
	line(true);
	assert_int_equal(fake_take(h, 0), -1);
	fake_ioapic_write(h, 0, 0x700);
	assert_true(machine_wants_attention(&h->m, 0));
	assert_int_equal(fake_take(h, 0), 0x08 + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_pins, teardown)
		TEST(starts_masked),
		TEST(entry_keeps_only_its_bits),
		TEST(edge_comes_once),
		TEST(edge_while_masked_is_lost),
		TEST(level_repeats_until_the_line_falls),
		TEST(switching_to_edge_clears_remote_irr),
		TEST(broadcast_and_logical),
		TEST(timer_is_at_pin_2),
		TEST(pin_0_passes_the_pic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
