/* SPDX-License-Identifier: MIT */
/* links: drivers/nic.c drivers/nic_e1000.c drivers/nic_virtio.c drivers/pci.c kernel/printf.c */
/* links: tests/unit/fake_nic.c tests/unit/fake_nic_card.c */
/* tests/unit/test_nic.c - network cards that behave, of all three kinds: frames both ways, full rings, the link,
 * interrupts, restarts; and what there is to say when a card cannot be used. Cards that do not behave: test_nic_bad.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/time.h"
#include "tests/unit/fake_nic.h"

#define ALL_KINDS(kind) for (int kind = FAKE_E1000; kind <= FAKE_VIRTIO; kind++)

static const char *const names[] = {"e1000", "e1000e", "virtio"};
static struct nic *nic;
static char error[NIC_ERROR_MAX];
static uint8_t got[NIC_BUFFER];

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static void open_new(int kind)
{
	fake_nic_new(kind);
	nic = nic_open(names[kind], error);
	if (!nic)
		fail_msg("%s", error);
}

static struct nic_counters counters(void)
{
	struct nic_counters c;

	nic_read_counters(nic, &c);
	return c;
}

/* Frame number n, of that many bytes. */
static uint8_t *make_frame(uint8_t *to, unsigned n, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = (uint8_t)(n * 7 + i);
	return to;
}

static bool deliver(unsigned n, size_t length)
{
	uint8_t frame[NIC_BUFFER];

	return fake_nic_deliver(make_frame(frame, n, length), length);
}

static void assert_received(unsigned n, size_t length)
{
	uint8_t want[NIC_BUFFER];

	assert_int_equal(nic_receive(nic, got, NIC_FRAME_MAX), length);
	assert_memory_equal(got, make_frame(want, n, length), length);
}

static bool queue(unsigned n, size_t length)
{
	uint8_t *to = nic_send_buffer(nic);

	if (!to)
		return false;
	make_frame(to, n, length);
	nic_send(nic, length);
	return true;
}

static void assert_sent(unsigned n, size_t length)
{
	uint8_t want[NIC_BUFFER];

	assert_int_equal(fake.sent[n % FAKE_SENT_MAX].length, length);
	assert_memory_equal(fake.sent[n % FAKE_SENT_MAX].bytes, make_frame(want, n, length), length);
}

static void frames_both_ways(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		assert_memory_equal(nic_mac(nic), fake_mac, NIC_MAC_SIZE);
		assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
		for (unsigned n = 0; n < 3 * NIC_RING; n++) {
			size_t length = 60 + n * 2 % (NIC_FRAME_MAX - 59);

			assert_true(queue(n, length));
			nic_kick(nic);
			assert_sent(n, length);
			assert_true(deliver(n, length));
			assert_received(n, length);
		}
		assert_true(deliver(1, NIC_FRAME_MAX));
		assert_received(1, NIC_FRAME_MAX);
		assert_true(deliver(1, NIC_HEADER));
		assert_received(1, NIC_HEADER);
		assert_int_equal(counters().rx_frames, 3 * NIC_RING + 2);
		assert_int_equal(counters().tx_frames, 3 * NIC_RING);
		assert_int_equal(counters().faults + counters().rx_dropped + counters().tx_full, 0);
	}
}

/* Not with what the frame before has left in the buffer. */
static void short_frames_are_padded_with_zeros(void **state)
{
	static const uint8_t zeros[60];

	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		for (unsigned n = 0; n < NIC_RING + 1; n++) {
			assert_true(queue(n, n < NIC_RING ? 1514 : 14));
			nic_kick(nic);
		}
		assert_int_equal(fake.sent[NIC_RING].length, 60);
		assert_memory_equal(fake.sent[NIC_RING].bytes + 14, zeros, 46);
	}
}

/* An access to the card costs more than a frame. */
static void card_is_told_once_per_batch(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		unsigned before;

		open_new(kind);
		before = fake.mmio_count;
		for (unsigned n = 0; n < 16; n++)
			assert_true(queue(n, 100) && deliver(n, 100));
		for (unsigned n = 0; n < 16; n++)
			assert_received(n, 100);
		assert_int_equal(fake.mmio_count, before);
		assert_int_equal(fake.sent_count, 0);
		nic_kick(nic);
		assert_int_equal(fake.sent_count, 16);
		assert_true(fake.mmio_count - before <= 2);
		before = fake.mmio_count;
		nic_kick(nic);
		assert_int_equal(fake.mmio_count, before);
	}
}

static void full_transmit_ring(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		unsigned n = 0;

		open_new(kind);
		fake.tx_stalls = true;
		while (queue(n, 1514))
			n++;
		nic_kick(nic);
		assert_true(n >= NIC_RING - 1);
		assert_null(nic_send_buffer(nic));
		assert_int_equal(counters().tx_full, 2);
		fake.tx_stalls = false;
		fake_nic_transmit();
		for (unsigned i = 0; i < 10; i++)
			assert_true(queue(n++, 1514));
		nic_kick(nic);
		assert_int_equal(fake.sent_count, n);
		for (unsigned i = 0; i < n; i++)
			assert_sent(i, 1514);
	}
}

static void full_receive_ring(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		unsigned n = 0;

		open_new(kind);
		for (unsigned round = 0; round < 3; round++) {
			for (n = 0; deliver(n, 1000); n++)
				;
			assert_true(n >= NIC_RING - NIC_RING / 8);
			for (unsigned i = 0; i < n; i++)
				assert_received(i, 1000);
			assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
		}
	}
}

static void frames_that_do_not_fit(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		assert_true(deliver(0, 200) && deliver(1, 13) && deliver(2, 100));
		memset(got, 0xEE, sizeof(got));
		assert_int_equal(nic_receive(nic, got, 100), 100); /* the third */
		assert_int_equal(got[0], 14);
		assert_int_equal(got[100], 0xEE);
		assert_int_equal(counters().rx_dropped, 2);
		assert_int_equal(counters().rx_frames, 1);
	}
}

static void link_goes_and_comes(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		assert_true(nic_tend(nic));
		fake.link_up = false;
		assert_false(nic_tend(nic));
		fake.link_up = true;
		assert_true(nic_tend(nic));
		assert_int_equal(counters().restarts, 0);
	}
	fake.features &= ~BIT(16); /* of a virtio that does not tell: it is up */
	nic = nic_open("virtio", error);
	fake.link_up = false;
	assert_true(nic_tend(nic));
}

/* --- interrupts --- */

static void one_interrupt_per_arming(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		assert_true(nic_has_interrupt(nic));
		deliver(0, 100);
		fake_nic_window();
		assert_int_equal(fake.interrupt_count, 0);
		assert_false(nic_arm(nic)); /* one is there already */
		fake_nic_window();
		assert_received(0, 100);
		for (unsigned n = 1; n <= 3; n++) {
			fake.interrupt_count = 0;
			assert_true(nic_arm(nic));
			fake_nic_window();
			assert_int_equal(fake.interrupt_count, 0);
			deliver(n, 100);
			fake_nic_window();
			assert_int_equal(fake.interrupt_count, 1);
			deliver(n, 100);
			fake_nic_window();
			assert_int_equal(fake.interrupt_count, 1);
			assert_received(n, 100);
			assert_received(n, 100);
		}
	}
}

static void interrupt_when_there_is_room_again(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		fake.tx_stalls = true;
		while (queue(0, 1514))
			;
		nic_kick(nic);
		assert_true(nic_arm(nic));
		fake.tx_stalls = false;
		fake_nic_transmit();
		fake_nic_window();
		assert_int_equal(fake.interrupt_count, 1);
		assert_false(nic_arm(nic)); /* there is room */
		assert_non_null(nic_send_buffer(nic));
		deliver(1, 100); /* what was asked for comes, for whatever reason */
		fake_nic_window();
		assert_received(1, 100);
		fake.interrupt_count = 0;
		assert_true(nic_arm(nic));
		assert_true(queue(0, 1514));
		nic_kick(nic);
		fake_nic_window();
		assert_int_equal(fake.interrupt_count, 0);
	}
}

/* Another device on the same line, which nobody serves: the CPU must come out of its window. */
static void endless_interrupt_is_masked(void **state)
{
	(void)state;
	for (int kind = FAKE_E1000; kind <= FAKE_E1000E; kind++) {
		open_new(kind);
		fake.interrupts_always = true;
		fake_nic_window();
		assert_false(fake.line_routed || nic_has_interrupt(nic));
		assert_true(nic_arm(nic));
		assert_int_equal(fake.regs[0xD0 / 4], 0); /* IMS: nothing is asked for */
		deliver(0, 100);
		assert_received(0, 100);
	}
}

static void line_instead_of_messages(void **state)
{
	(void)state;
	fake_nic_new(FAKE_VIRTIO);
	fake.config[0x34] = 0x50; /* no MSI-X */
	nic = nic_open("auto", error);
	assert_true(nic && fake.line_routed);
	assert_true(nic_arm(nic));
	deliver(0, 100);
	fake_nic_window();
	assert_int_equal(fake.interrupt_count, 1);
	assert_received(0, 100);
	fake_nic_new(FAKE_E1000);
	fake.config[0x3C] = 4; /* where the UART is */
	nic = nic_open("auto", error);
	assert_true(nic && !nic_has_interrupt(nic));
}

/* --- restarts --- */

static void assert_works(void)
{
	unsigned sent = fake.sent_count;

	assert_true(queue(sent, 100) && deliver(1, 100));
	nic_kick(nic);
	assert_sent(sent, 100);
	assert_received(1, 100);
}

static void pass_seconds(unsigned n)
{
	for (unsigned i = 0; i < 4 * n; i++) {
		fake.now_ns += NS_PER_SEC / 4;
		nic_tend(nic);
	}
}

static void card_that_sends_nothing_is_restarted(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		pass_seconds(5);
		fake.tx_stalls = true;
		fake.link_up = false;
		assert_true(queue(0, 100));
		nic_kick(nic);
		pass_seconds(5);
		assert_int_equal(counters().restarts, 0); /* without a link it may keep them */
		fake.link_up = true;
		pass_seconds(3);
		assert_int_equal(counters().restarts, 1);
		fake.tx_stalls = false;
		assert_true(nic_tend(nic));
		assert_works();
		pass_seconds(5);
		assert_int_equal(counters().restarts, 1);
	}
}

static void card_that_was_reset_is_restarted(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		open_new(kind);
		for (unsigned n = 0; n < 40; n++) {
			assert_true(queue(n, 100) && deliver(n, 100));
			nic_kick(nic);
			nic_receive(nic, got, sizeof(got));
		}
		fake.regs[0x100 / 4] = 0; /* RCTL */
		fake.status = 0;
		pass_seconds(3);
		assert_int_equal(counters().restarts, 1);
		assert_works();
	}
}

/* --- cards that cannot be used --- */

static void names_and_addresses(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		fake_nic_new(kind);
		assert_non_null(nic_open("auto", error));
		assert_non_null(nic_open("00:03.0", error));
		assert_null(nic_open("00:04.0", error));
		assert_non_null(strstr(error, "there is no network card that 00:04.0 means"));
		assert_null(nic_open(names[(kind + 1) % 3], error));
		assert_null(nic_open("eth0", error));
		assert_non_null(strstr(error, "eth0 is no network card"));
		assert_null(nic_open("", error));
	}
	fake.config[2] = 1; /* another device */
	assert_null(nic_open("auto", error));
	open_new(FAKE_E1000E);
	assert_string_equal(nic_name(nic), "e1000e (82574L) at 00:03.0");
}

static void memory_runs_out(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		unsigned needed = kind == FAKE_VIRTIO ? 8 : 4;

		for (unsigned n = 0; n <= needed; n++) {
			fake_nic_new(kind);
			fake.memory_left = n;
			nic = nic_open("auto", error);
			assert_int_equal(nic != NULL, n == needed);
			assert_true(nic || strstr(error, "there is no memory for its"));
		}
	}
}

static void card_does_not_come_up(void **state)
{
	(void)state;
	ALL_KINDS(kind) {
		fake_nic_new(kind);
		fake.never_ready = true;
		assert_null(nic_open("auto", error));
		assert_non_null(strstr(error, "does not work: it does not"));
		assert_true(fake.now_ns < 3 * NS_PER_SEC);
	}
	fake_nic_new(FAKE_VIRTIO);
	fake.features &= ~BIT(32); /* legacy alone */
	assert_null(nic_open("auto", error));
}

static void mac_in_the_eeprom(void **state)
{
	(void)state;
	fake_nic_new(FAKE_E1000);
	fake.uses_eeprom = true;
	nic = nic_open("e1000", error);
	assert_non_null(nic);
	assert_memory_equal(nic_mac(nic), fake_mac, NIC_MAC_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_both_ways),
		cmocka_unit_test(short_frames_are_padded_with_zeros),
		cmocka_unit_test(card_is_told_once_per_batch),
		cmocka_unit_test(full_transmit_ring),
		cmocka_unit_test(full_receive_ring),
		cmocka_unit_test(frames_that_do_not_fit),
		cmocka_unit_test(link_goes_and_comes),
		cmocka_unit_test(one_interrupt_per_arming),
		cmocka_unit_test(interrupt_when_there_is_room_again),
		cmocka_unit_test(endless_interrupt_is_masked),
		cmocka_unit_test(line_instead_of_messages),
		cmocka_unit_test(card_that_sends_nothing_is_restarted),
		cmocka_unit_test(card_that_was_reset_is_restarted),
		cmocka_unit_test(names_and_addresses),
		cmocka_unit_test(memory_runs_out),
		cmocka_unit_test(card_does_not_come_up),
		cmocka_unit_test(mac_in_the_eeprom),
	};
	int failed = cmocka_run_group_tests_name("nic", tests, NULL, NULL);

	fake_nic_free();
	return failed;
}
