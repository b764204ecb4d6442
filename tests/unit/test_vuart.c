/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vuart.c - the 16550A: detection as Linux does it, interrupts, FIFO and backlog. */
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

#define COM1 0x3F8

static void unmask_com1(void)
{
	fake_outb(h, 0x20, 0x11);
	fake_outb(h, 0x21, 0x20);
	fake_outb(h, 0x21, 0x04);
	fake_outb(h, 0x21, 0x03);
	fake_outb(h, 0x21, 0xEF);
	fake_outb(h, COM1 + 4, 0x0B);
}

static void type(const char *text)
{
	for (; *text != '\0'; text++)
		machine_console_in(&h->m, (uint8_t)*text);
}

static void polled_output(void **state)
{
	(void)state;
	for (const char *c = "hello"; *c != '\0'; c++) {
		assert_int_equal(fake_inb(h, COM1 + 5) & 0x60, 0x60);
		fake_outb(h, COM1, (uint8_t)*c);
	}
	assert_int_equal(h->console_count, 5);
	assert_memory_equal(h->console, "hello", 5);
}

/* The steps of the Linux 8250 driver: IER bits, scratch, loopback, FIFO. */
static void linux_detects_a_16550a(void **state)
{
	(void)state;
	fake_outb(h, COM1 + 1, 0x00);
	assert_int_equal(fake_inb(h, COM1 + 1), 0x00);
	fake_outb(h, COM1 + 1, 0xFF);
	assert_int_equal(fake_inb(h, COM1 + 1), 0x0F);
	fake_outb(h, COM1 + 1, 0x00);
	fake_outb(h, COM1 + 4, 0x1A);
	assert_int_equal(fake_inb(h, COM1 + 6) & 0xF0, 0x90);
	fake_outb(h, COM1 + 4, 0x00);
	fake_outb(h, COM1 + 2, 0x01);
	assert_int_equal(fake_inb(h, COM1 + 2), 0xC1);
	fake_outb(h, COM1 + 2, 0x00);
	assert_int_equal(fake_inb(h, COM1 + 2), 0x01);
	fake_outb(h, COM1 + 7, 0x5A);
	assert_int_equal(fake_inb(h, COM1 + 7), 0x5A);
	fake_outb(h, COM1 + 3, 0x80);
	fake_outb(h, COM1, 0x01);
	fake_outb(h, COM1 + 1, 0x00);
	assert_int_equal(fake_inb(h, COM1), 0x01);
	fake_outb(h, COM1 + 3, 0x03);
	assert_int_equal(h->console_count, 0);
}

/* Linux 8250 decides by this whether the transmitter-empty interrupt can be trusted. */
static void thre_interrupt_comes_at_each_enabling(void **state)
{
	(void)state;
	unmask_com1();
	fake_outb(h, COM1 + 1, 0x02);
	assert_int_equal(fake_inb(h, COM1 + 2), 0x02);
	assert_int_equal(fake_inb(h, COM1 + 2), 0x01);
	fake_outb(h, COM1 + 1, 0x00);
	fake_outb(h, COM1 + 1, 0x02);
	assert_int_equal(fake_inb(h, COM1 + 2), 0x02);
}

#define CHARACTER_NS (12 * 10 * UINT64_C(8681)) /* 9600 baud, 8 bits, no parity, 1 stop bit */

static void set_8n1(void)
{
	fake_outb(h, COM1 + 3, 0x03);
}

/* PC16550D, FIFO interrupt mode: not before the time of a character is over. */
static void each_byte_written_gives_an_edge(void **state)
{
	(void)state;
	unmask_com1();
	set_8n1();
	fake_outb(h, COM1 + 1, 0x02);
	assert_int_equal(fake_take(h, 0), 0x24);
	fake_outb(h, COM1, 'a'); /* without reading IIR before */
	assert_int_equal(fake_take(h, 0), -1);
	assert_true(fake_vdev_run(h, CHARACTER_NS));
	assert_int_equal(fake_take(h, 0), 0x24);
	fake_inb(h, COM1 + 2);
	assert_int_equal(fake_take(h, 0), -1);
	fake_outb(h, COM1, 'b');
	assert_true(fake_vdev_run(h, CHARACTER_NS - 1));
	assert_int_equal(fake_take(h, 0), -1);
	assert_true(fake_vdev_run(h, 1));
	assert_int_equal(fake_take(h, 0), 0x24);
}

/* What Linux does with a single byte: no second interrupt. */
static void disabled_in_time_it_gives_no_edge(void **state)
{
	(void)state;
	unmask_com1();
	set_8n1();
	fake_outb(h, COM1 + 1, 0x02);
	assert_int_equal(fake_take(h, 0), 0x24);
	fake_inb(h, COM1 + 2);
	fake_outb(h, COM1, 'a');
	fake_outb(h, COM1 + 1, 0x00);
	assert_int_equal(fake_inb(h, COM1 + 2), 0x01);
	assert_true(fake_vdev_run(h, 2 * CHARACTER_NS));
	assert_int_equal(fake_take(h, 0), -1);
}

/* Enabled while the byte is on its way, it comes behind that; the registers say at once that there is room. */
static void enabled_while_sending_it_waits(void **state)
{
	(void)state;
	unmask_com1();
	set_8n1();
	fake_outb(h, COM1, 'a');
	assert_true(fake_vdev_run(h, CHARACTER_NS / 2));
	fake_outb(h, COM1 + 1, 0x02);
	assert_int_equal(fake_inb(h, COM1 + 5) & 0x60, 0x60);
	assert_int_equal(fake_take(h, 0), -1);
	assert_true(fake_vdev_run(h, CHARACTER_NS / 2));
	assert_int_equal(fake_take(h, 0), 0x24);
	assert_int_equal(fake_inb(h, COM1 + 2), 0x02);
}

/* What is received does not wait for what is sent. */
static void receiving_is_not_held(void **state)
{
	(void)state;
	unmask_com1();
	fake_outb(h, COM1 + 1, 0x03);
	assert_int_equal(fake_take(h, 0), 0x24);
	fake_outb(h, COM1, 'a');
	type("x");
	assert_int_equal(fake_take(h, 0), 0x24);
}

static void time_of_a_character_follows_the_divisor(void **state)
{
	(void)state;
	unmask_com1();
	fake_outb(h, COM1 + 3, 0x80);
	fake_outb(h, COM1, 0x01); /* 115200 */
	fake_outb(h, COM1 + 1, 0x00);
	fake_outb(h, COM1 + 3, 0x0F); /* 8 bits, parity, 2 stop bits */
	fake_outb(h, COM1 + 1, 0x02);
	assert_int_equal(fake_take(h, 0), 0x24);
	fake_outb(h, COM1, 'a');
	assert_true(fake_vdev_run(h, 12 * 8681 - 1));
	assert_int_equal(fake_take(h, 0), -1);
	assert_true(fake_vdev_run(h, 1));
	assert_int_equal(fake_take(h, 0), 0x24);
}

static void received_data_interrupts(void **state)
{
	(void)state;
	unmask_com1();
	fake_outb(h, COM1 + 2, 0x81); /* trigger level 8 */
	fake_outb(h, COM1 + 1, 0x01);
	type("x");
	assert_int_equal(fake_take(h, 0), 0x24);
	assert_int_equal(fake_inb(h, COM1 + 2), 0xCC);
	type("1234567");
	assert_int_equal(fake_inb(h, COM1 + 2), 0xC4);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(fake_inb(h, COM1), "x1234567"[i]);
	assert_int_equal(fake_inb(h, COM1 + 2), 0xC1);
	assert_int_equal(fake_inb(h, COM1 + 5) & 1, 0);
}

static void out2_lets_the_interrupt_through(void **state)
{
	(void)state;
	unmask_com1();
	fake_outb(h, COM1 + 4, 0x03);
	fake_outb(h, COM1 + 1, 0x01);
	type("x");
	assert_int_equal(fake_take(h, 0), -1);
	fake_outb(h, COM1 + 4, 0x0B);
	assert_int_equal(fake_take(h, 0), 0x24);
}

static void pasted_text_is_not_lost(void **state)
{
	(void)state;
	fake_outb(h, COM1 + 2, 0x01);
	for (unsigned i = 0; i < 4096; i++) {
		assert_int_equal(machine_console_room(&h->m), 4096 - i);
		machine_console_in(&h->m, (uint8_t)(i * 7));
	}
	assert_int_equal(machine_console_room(&h->m), 0);
	assert_int_equal(fake_inb(h, COM1 + 5) & 0x03, 0x01);
	machine_console_in(&h->m, 0);
	assert_int_equal(fake_inb(h, COM1 + 5) & 0x03, 0x03); /* now it is: overrun, once */
	assert_int_equal(fake_inb(h, COM1 + 5) & 0x03, 0x01);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(fake_inb(h, COM1), (uint8_t)(i * 7));
	assert_int_equal(fake_inb(h, COM1 + 5) & 0x01, 0x00);
}

static void clearing_the_fifo_keeps_the_backlog(void **state)
{
	(void)state;
	fake_outb(h, COM1 + 2, 0x01);
	type("0123456789abcdefX");
	fake_outb(h, COM1 + 2, 0x03);
	assert_int_equal(fake_inb(h, COM1), 'X');
}

static void loopback(void **state)
{
	(void)state;
	fake_outb(h, COM1 + 2, 0x01);
	fake_outb(h, COM1 + 4, 0x10);
	for (unsigned i = 0; i < 20; i++)
		fake_outb(h, COM1, (uint8_t)('a' + i));
	type("lost");
	assert_int_equal(fake_inb(h, COM1 + 5) & 0x03, 0x03);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(fake_inb(h, COM1), 'a' + i);
	assert_int_equal(fake_inb(h, COM1 + 5) & 0x01, 0);
	assert_int_equal(h->console_count, 0);
}

static void overrun_interrupts_when_enabled(void **state)
{
	(void)state;
	fake_outb(h, COM1 + 1, 0x04);
	for (unsigned i = 0; i < 4097; i++)
		machine_console_in(&h->m, 'x');
	assert_int_equal(fake_inb(h, COM1 + 2), 0x06);
	fake_inb(h, COM1 + 5);
	assert_int_equal(fake_inb(h, COM1 + 2), 0x01);
}

static void word_access_means_two_registers(void **state)
{
	(void)state;
	machine_io_write(&h->m, 0, COM1 + 6, 0x5A00, 2);
	assert_int_equal(machine_io_read(&h->m, 0, COM1 + 6, 2), 0x5AB0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(polled_output),
		TEST(linux_detects_a_16550a),
		TEST(thre_interrupt_comes_at_each_enabling),
		TEST(each_byte_written_gives_an_edge),
		TEST(disabled_in_time_it_gives_no_edge),
		TEST(enabled_while_sending_it_waits),
		TEST(receiving_is_not_held),
		TEST(time_of_a_character_follows_the_divisor),
		TEST(received_data_interrupts),
		TEST(out2_lets_the_interrupt_through),
		TEST(pasted_text_is_not_lost),
		TEST(clearing_the_fifo_keeps_the_backlog),
		TEST(loopback),
		TEST(overrun_interrupts_when_enabled),
		TEST(word_access_means_two_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
