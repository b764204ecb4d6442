/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vpic.c - the two 8259As: priorities, initialization, EOI in all forms, cascade, polling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_vdev.h"
#include "vdev/devices.h"

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

static void set(unsigned input, bool high)
{
	vpic_set_input(&h->m, input, high);
}

static void pulse(unsigned input)
{
	set(input, true);
	set(input, false);
}

static void program(uint8_t icw4_master, uint8_t icw4_slave)
{
	static const uint8_t words[2][3] = {{0x11, 0x20, 0x04}, {0x11, 0x28, 0x02}};

	for (unsigned chip = 0; chip < 2; chip++) {
		uint16_t port = chip == 0 ? 0x20 : 0xA0;

		fake_outb(h, port, words[chip][0]);
		fake_outb(h, port + 1, words[chip][1]);
		fake_outb(h, port + 1, words[chip][2]);
		fake_outb(h, port + 1, chip == 0 ? icw4_master : icw4_slave);
		fake_outb(h, port + 1, 0);
	}
}

static void starts_masked_like_firmware(void **state)
{
	(void)state;
	pulse(0);
	assert_int_equal(fake_take(h, 0), -1);
	fake_outb(h, 0x21, 0xFE); /* the edge was remembered behind the mask */
	assert_true(machine_wants_attention(&h->m, 0));
	assert_int_equal(fake_take(h, 0), 0x08);
}

static void highest_first_and_nested(void **state)
{
	(void)state;
	program(1, 1);
	pulse(5);
	pulse(3);
	assert_int_equal(fake_take(h, 0), 0x23);
	assert_int_equal(fake_take(h, 0), -1);
	pulse(1);
	assert_int_equal(fake_take(h, 0), 0x21);
	fake_outb(h, 0x20, 0x20);
	assert_int_equal(fake_take(h, 0), -1);
	fake_outb(h, 0x20, 0x20);
	assert_int_equal(fake_take(h, 0), 0x25);
}

static void slave_comes_through_input_2(void **state)
{
	(void)state;
	program(1, 1);
	pulse(8);
	pulse(12);
	assert_int_equal(fake_take(h, 0), 0x28);
	fake_outb(h, 0x20, 0x0B);
	assert_int_equal(fake_inb(h, 0x20), 0x04);
	fake_outb(h, 0xA0, 0x20);
	assert_int_equal(fake_take(h, 0), -1); /* the master still serves its input 2 */
	fake_outb(h, 0x20, 0x20);
	assert_int_equal(fake_take(h, 0), 0x2C);
}

static void slave_with_auto_eoi_loses_nothing(void **state)
{
	(void)state;
	program(3, 3);
	pulse(9);
	pulse(10);
	assert_int_equal(fake_take(h, 0), 0x29);
	assert_int_equal(fake_take(h, 0), 0x2A);
	assert_int_equal(fake_take(h, 0), -1);
}

static void vanished_level_is_spurious(void **state)
{
	(void)state;
	program(1, 1);
	fake_outb(h, 0x4D0, 0x20);
	set(5, true);
	assert_int_equal(machine_irq_pending(&h->m, 0), 0x25);
	set(5, false);
	assert_int_equal(machine_irq_pending(&h->m, 0), -1);
	assert_int_equal(vpic_acknowledge(&h->m), 0x27);
	fake_outb(h, 0x20, 0x0B);
	assert_int_equal(fake_inb(h, 0x20), 0);
}

static void level_repeats(void **state)
{
	(void)state;
	program(1, 1);
	fake_outb(h, 0x4D1, 0xFF);
	assert_int_equal(fake_inb(h, 0x4D1), 0xDE);
	set(11, true);
	assert_int_equal(fake_take(h, 0), 0x2B);
	fake_outb(h, 0xA0, 0x20);
	fake_outb(h, 0x20, 0x20);
	assert_int_equal(fake_take(h, 0), 0x2B);
}

static void specific_eoi_and_rotation(void **state)
{
	(void)state;
	program(1, 1);
	pulse(4);
	assert_int_equal(fake_take(h, 0), 0x24);
	fake_outb(h, 0x20, 0x64); /* end input 4 */
	fake_outb(h, 0x20, 0xC4); /* input 4 is lowest: 5 is highest now */
	pulse(4);
	pulse(0);
	pulse(5);
	assert_int_equal(fake_take(h, 0), 0x25);
	fake_outb(h, 0x20, 0xA0); /* ends it and makes it lowest */
	assert_int_equal(fake_take(h, 0), 0x20);
	fake_outb(h, 0x20, 0x20);
	assert_int_equal(fake_take(h, 0), 0x24);
}

static void special_mask_lets_lower_through(void **state)
{
	(void)state;
	program(1, 1);
	pulse(1);
	assert_int_equal(fake_take(h, 0), 0x21);
	pulse(6);
	assert_int_equal(fake_take(h, 0), -1);
	fake_outb(h, 0x20, 0x68);
	fake_outb(h, 0x21, 0x02);
	assert_int_equal(fake_take(h, 0), 0x26);
}

static void poll_acknowledges(void **state)
{
	(void)state;
	program(1, 1);
	fake_outb(h, 0x20, 0x0C);
	assert_int_equal(fake_inb(h, 0x20), 0);
	pulse(3);
	fake_outb(h, 0x20, 0x0C);
	assert_int_equal(fake_inb(h, 0x20), 0x83);
	assert_int_equal(fake_take(h, 0), -1);
}

/* Linux 6.1 tells a PIC from nothing by writing the mask and reading it back. */
static void mask_reads_back(void **state)
{
	(void)state;
	fake_outb(h, 0x21, 0xFB);
	assert_int_equal(fake_inb(h, 0x21), 0xFB);
}

static void lint0_in_fixed_mode_turns_it_into_a_vector(void **state)
{
	(void)state;
	program(1, 1);
	fake_lapic_write(h, 0, 0x350, 0x31);
	pulse(0);
	assert_int_equal(fake_take(h, 0), 0x31);
}

static void without_apic_the_pic_is_direct(void **state)
{
	(void)state;
	program(1, 1);
	fake_lapic_write(h, 0, 0x350, 0x10000);
	pulse(0);
	assert_int_equal(fake_take(h, 0), -1);
	assert_true(machine_apic_msr_write(&h->m, 0, 0x1B, LAPIC_GPA));
	assert_true(machine_wants_attention(&h->m, 0));
	assert_int_equal(fake_take(h, 0), 0x20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(starts_masked_like_firmware),
		TEST(highest_first_and_nested),
		TEST(slave_comes_through_input_2),
		TEST(slave_with_auto_eoi_loses_nothing),
		TEST(vanished_level_is_spurious),
		TEST(level_repeats),
		TEST(specific_eoi_and_rotation),
		TEST(special_mask_lets_lower_through),
		TEST(poll_acknowledges),
		TEST(mask_reads_back),
		TEST(lint0_in_fixed_mode_turns_it_into_a_vector),
		TEST(without_apic_the_pic_is_direct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
