/* SPDX-License-Identifier: MIT */
/* links: drivers/nic.c drivers/nic_e1000.c drivers/nic_virtio.c drivers/pci.c kernel/printf.c */
/* links: tests/unit/fake_nic.c tests/unit/fake_nic_card.c */
/* tests/unit/test_nic_bad.c - network cards that write into their rings what they must not, and configuration spaces
 * that lead astray. Frames may be lost; nothing is read or written outside of the buffers (the sanitizers watch), no
 * call takes long, and once the card behaves again, it works again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/time.h"
#include "tests/unit/fake_nic.h"

#define ROUNDS 20000

static const char *const names[] = {"e1000", "e1000e", "virtio"};
static struct nic *nic;
static char error[NIC_ERROR_MAX];
static uint8_t got[NIC_BUFFER];
static const uint8_t frame[NIC_FRAME_MAX] = {1, 2, 3};

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static void open_new(int kind)
{
	fake_nic_new(kind);
	nic = nic_open(names[kind], error);
	assert_non_null(nic);
}

static struct nic_counters counters(void)
{
	struct nic_counters c;

	nic_read_counters(nic, &c);
	return c;
}

static uint32_t random32(void)
{
	return (uint32_t)rand() << 16 ^ (uint32_t)rand();
}

/* Numbers as they hurt: small, around sizes, all ones, anything. */
static uint32_t odd_number(void)
{
	static const uint32_t odd[] = {0, 1, 12, 13, 59, 60, 255, 256, 257, 1514, 1526, 1527, 2048, 2049, 65535, UINT32_MAX};

	return rand() % 4 ? odd[(unsigned)rand() % ARRAY_COUNT(odd)] : random32();
}

/* In the room that the caller gives, and not more. */
static size_t receive(void)
{
	size_t max = (unsigned)rand() % (NIC_FRAME_MAX + 2), length;
	uint8_t *exact = malloc(max);

	length = nic_receive(nic, exact, max);
	assert_true(length <= max);
	free(exact);
	return length;
}

static void send(void)
{
	uint8_t *to = nic_send_buffer(nic);

	if (!to)
		return;
	memset(to, 0x55, NIC_FRAME_MAX);
	nic_send(nic, (unsigned)rand() % (NIC_FRAME_MAX + 1));
	if (rand() % 2)
		nic_kick(nic);
}

/* However long it has misbehaved: restarted at most twice, it sends and receives. */
static void assert_recovers(void)
{
	uint8_t *to;

	for (unsigned i = 0; i < 40; i++) {
		fake.now_ns += NS_PER_SEC / 4;
		nic_tend(nic);
		nic_kick(nic);
		while (nic_receive(nic, got, sizeof(got)))
			;
	}
	assert_true(nic_tend(nic));
	fake.sent_count = 0;
	to = nic_send_buffer(nic);
	assert_non_null(to);
	memcpy(to, frame, 100);
	nic_send(nic, 100);
	nic_kick(nic);
	assert_true(fake.sent_count >= 1);
	assert_true(fake_nic_deliver(frame, sizeof(frame)));
	assert_int_equal(nic_receive(nic, got, sizeof(got)), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
}

/* --- e1000 --- */

static void fill_e1000_ring(uint8_t status, uint8_t errors, uint16_t length)
{
	for (unsigned i = 0; i < NIC_RING; i++) {
		fake_e1000_rx()[i].status = status;
		fake_e1000_rx()[i].errors = errors;
		fake_e1000_rx()[i].length = length;
	}
}

static void e1000_lengths(void **state)
{
	(void)state;
	open_new(FAKE_E1000);
	fill_e1000_ring(3, 0, 65535);
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
	assert_int_equal(counters().faults, NIC_RING);
	fill_e1000_ring(3, 0, 1515);
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
	fill_e1000_ring(3, 0, 0);
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
	assert_int_equal(counters().rx_dropped, 2 * NIC_RING);
	fill_e1000_ring(3, 0x10, 100);
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
	assert_int_equal(counters().rx_errors, NIC_RING);
	fill_e1000_ring(3, 0x60, 100); /* checksums of IP and TCP, which we did not ask for */
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 100);
}

/* A frame over three buffers: all of it goes, the next one comes. */
static void e1000_frame_over_several_buffers(void **state)
{
	(void)state;
	open_new(FAKE_E1000E);
	for (unsigned i = 0; i < 4; i++)
		assert_true(fake_nic_deliver(frame, 200 + i));
	fake_e1000_rx()[0].status = fake_e1000_rx()[1].status = 1;
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 203);
	assert_int_equal(counters().faults, 3);
}

/* A ring in which every descriptor is always done: one call ends, and gives a frame or none. */
static void e1000_ring_without_end(void **state)
{
	(void)state;
	open_new(FAKE_E1000);
	for (unsigned i = 0; i < 3 * NIC_RING; i++) {
		fill_e1000_ring(3, 0, 100);
		assert_int_equal(nic_receive(nic, got, sizeof(got)), 100);
	}
	fill_e1000_ring(3, 0xFF, 100);
	fake.floods = true;
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
	assert_true(counters().rx_errors <= NIC_RING);
}

/* Sent is what the card says is sent, but never more than was to be sent. */
static void e1000_says_all_is_sent(void **state)
{
	(void)state;
	open_new(FAKE_E1000);
	fake.tx_stalls = true;
	for (unsigned i = 0; i < 3 * NIC_RING; i++) {
		for (unsigned n = 0; n < NIC_RING; n++)
			fake_e1000_tx()[n].status = 0xFF;
		send();
	}
	fake.tx_stalls = false;
	assert_recovers();
}

static void e1000_anything(void **state)
{
	(void)state;
	for (int kind = FAKE_E1000; kind <= FAKE_E1000E; kind++) {
		open_new(kind);
		for (unsigned i = 0; i < ROUNDS; i++) {
			volatile struct e1000_rx *rx = &fake_e1000_rx()[(unsigned)rand() % NIC_RING];
			volatile struct e1000_tx *tx = &fake_e1000_tx()[(unsigned)rand() % NIC_RING];

			rx->status = (uint8_t)(rand() % 4 ? 3 : rand());
			rx->errors = (uint8_t)(rand() % 4 ? 0 : rand());
			rx->length = (uint16_t)odd_number();
			rx->address = random32();
			tx->status = (uint8_t)rand();
			receive();
			fake.tx_stalls = true; /* what it reads is its own affair */
			send();
			if (rand() % 50 == 0)
				nic_tend(nic);
		}
		for (unsigned n = 0; n < NIC_RING; n++)
			fake_e1000_rx()[n].address = 0;
		fake.regs[0x100 / 4] = 0; /* RCTL: it has forgotten everything */
		fake.tx_stalls = false;
		assert_recovers();
	}
}

/* --- virtio --- */

static void use(unsigned queue, uint32_t id, uint32_t length)
{
	volatile struct virtq_used *used = fake_virtio_used(queue);

	fake.is_bad = true;
	used->ring[used->index % NIC_RING].id = id;
	used->ring[used->index % NIC_RING].length = length;
	used->index++;
}

static void virtio_ids(void **state)
{
	static const uint32_t bad[] = {NIC_RING, 65536, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		open_new(FAKE_VIRTIO);
		use(0, bad[i], 112);
		assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
		assert_int_equal(counters().faults, 1);
		assert_true(fake_nic_deliver(frame, 100));
		assert_int_equal(nic_receive(nic, got, sizeof(got)), 0); /* its ring is not to be believed any more */
		assert_null(nic_send_buffer(nic));
		assert_true(nic_arm(nic));
		assert_recovers();
		assert_int_equal(counters().restarts, 1);
	}
}

/* Buffers that the device does not have: never sent, or given back before. */
static void virtio_buffer_given_back_twice(void **state)
{
	(void)state;
	open_new(FAKE_VIRTIO);
	use(1, 0, 0);
	nic_tend(nic);
	assert_int_equal(counters().faults, 1);
	assert_recovers();
	open_new(FAKE_VIRTIO);
	send();
	nic_kick(nic);
	use(1, fake_virtio_used(1)->ring[0].id, 0);
	nic_tend(nic);
	assert_int_equal(counters().faults, 1);
	assert_recovers();
}

static void virtio_index_jumps(void **state)
{
	(void)state;
	for (unsigned queue = 0; queue < 2; queue++) {
		open_new(FAKE_VIRTIO);
		fake_virtio_used(queue)->index = NIC_RING + 1;
		nic_tend(nic);
		assert_int_equal(nic_receive(nic, got, sizeof(got)), 0);
		assert_int_equal(counters().faults, 1);
		assert_recovers();
	}
}

static void virtio_lengths(void **state)
{
	static const uint32_t bad[] = {0, 11, 12 + 1515, NIC_BUFFER, UINT32_MAX};

	(void)state;
	open_new(FAKE_VIRTIO);
	for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++)
		use(0, i, bad[i]);
	use(0, 5, 12);
	use(0, 6, 12 + 100);
	assert_int_equal(nic_receive(nic, got, sizeof(got)), 100);
	assert_int_equal(counters().faults, ARRAY_COUNT(bad));
	assert_int_equal(counters().rx_dropped, 1);
}

static void virtio_asks_for_its_reset(void **state)
{
	(void)state;
	open_new(FAKE_VIRTIO);
	fake.status |= 0x40; /* DEVICE_NEEDS_RESET */
	assert_recovers();
	assert_int_equal(counters().restarts, 1);
}

/* At a restart, when the driver has queues already. */
static void virtio_queue_sizes(void **state)
{
	static const uint16_t bad[] = {0, 1, 3, 255}, odd[] = {2, 16, 1024};

	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_COUNT(bad); i++) {
		open_new(FAKE_VIRTIO);
		fake.queue_max[i % 2] = bad[i / 2];
		fake.status = 0x40;
		for (unsigned n = 0; n < 12; n++) {
			fake.now_ns += NS_PER_SEC / 2;
			assert_true(!nic_tend(nic) || n < 5);
		}
		assert_true(!nic_send_buffer(nic) && !nic_receive(nic, got, sizeof(got)));
		fake.queue_max[i % 2] = NIC_RING;
		assert_recovers();
		fake_nic_new(FAKE_VIRTIO);
		fake.queue_max[i % 2] = bad[i / 2];
		assert_null(nic_open("auto", error));
	}
	for (unsigned i = 0; i < ARRAY_COUNT(odd); i++) {
		open_new(FAKE_VIRTIO);
		fake.queue_max[0] = fake.queue_max[1] = odd[i];
		fake.status = 0x40;
		assert_recovers();
	}
}

static void virtio_anything(void **state)
{
	(void)state;
	open_new(FAKE_VIRTIO);
	for (unsigned i = 0; i < ROUNDS; i++) {
		volatile struct virtq_used *used = fake_virtio_used(rand() % 2);

		if (!fake.queues[0].enabled)
			continue;
		used->ring[(unsigned)rand() % NIC_RING].length = odd_number();
		used->ring[(unsigned)rand() % NIC_RING].id = rand() % 8 ? (unsigned)rand() % NIC_RING : odd_number();
		used->flags = (uint16_t)rand();
		if (rand() % 2)
			used->index++;
		if (rand() % 64 == 0)
			used->index = (uint16_t)odd_number();
		fake.tx_stalls = rand() % 2;
		receive();
		send();
		fake.now_ns += NS_PER_SEC / 100;
		nic_tend(nic);
	}
	fake.tx_stalls = false;
	fake.status = 0x40;
	assert_true(counters().restarts > 10 && counters().rx_frames > 10);
	assert_recovers();
}

/* --- registers and configuration space --- */

static void registers_read_as_anything(void **state)
{
	static uint8_t noise[4096];

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		fake_nic_new((int)(i % 3));
		for (unsigned n = 0; n < sizeof(noise); n++)
			noise[n] = (uint8_t)(i % 5 ? rand() : (int)(i / 5));
		fake.noise = noise;
		fake.noise_size = sizeof(noise);
		nic = nic_open("auto", error);
		assert_true(fake.now_ns < 5 * NS_PER_SEC);
		if (!nic)
			continue;
		nic_tend(nic);
		nic_receive(nic, got, sizeof(got));
		send();
	}
}

static void bars_that_lead_astray(void **state)
{
	static const struct {
		uint32_t low, high;
	} bars[] = {
		{0x00000004, 0}, {0x7FFE0004, 0}, /* nowhere, in memory */
		{0x00000004, BIT32(8)},		  /* beyond what the CPU reaches */
		{0xFFFE0004, UINT32_MAX},	  /* the end is at 0 */
		{0xFEB00001, 0},		  /* ports */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bars); i++) {
		for (int kind = FAKE_E1000; kind <= FAKE_VIRTIO; kind++) {
			fake_nic_new(kind);
			memcpy(fake.config + (kind == FAKE_VIRTIO ? 0x20 : 0x10), &bars[i], 8);
			assert_null(nic_open("auto", error));
			assert_non_null(strstr(error, "are not to be found"));
			assert_false(fake.config[4] & 4); /* no bus master */
		}
	}
}

/* Capability lists in a ring, or through anything. */
static void configuration_space_of_anything(void **state)
{
	struct pci_device d = {.device = 3};

	(void)state;
	fake_nic_new(FAKE_VIRTIO);
	fake.config[0x41] = 0x50;
	fake.config[0x8D] = 0x40;
	for (unsigned n = 0; n < 300; n++)
		pci_capability(&d, 9, n);
	assert_int_equal(pci_capability(&d, 9, 300), 0);
	assert_int_equal(pci_capability(&d, 0x42, 0), 0);
	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		fake_nic_new((int)(i % 3));
		for (unsigned n = 0; n < 8; n++)
			fake.config[0x34 + (unsigned)rand() % (256 - 0x34)] = (uint8_t)rand();
		fake.config[0x34] &= 0xFC;
		nic_open("auto", error);
		assert_true(fake.now_ns < 5 * NS_PER_SEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e1000_lengths),
		cmocka_unit_test(e1000_frame_over_several_buffers),
		cmocka_unit_test(e1000_ring_without_end),
		cmocka_unit_test(e1000_says_all_is_sent),
		cmocka_unit_test(e1000_anything),
		cmocka_unit_test(virtio_ids),
		cmocka_unit_test(virtio_buffer_given_back_twice),
		cmocka_unit_test(virtio_index_jumps),
		cmocka_unit_test(virtio_lengths),
		cmocka_unit_test(virtio_asks_for_its_reset),
		cmocka_unit_test(virtio_queue_sizes),
		cmocka_unit_test(virtio_anything),
		cmocka_unit_test(registers_read_as_anything),
		cmocka_unit_test(bars_that_lead_astray),
		cmocka_unit_test(configuration_space_of_anything),
	};
	int failed;

	srand(1);
	failed = cmocka_run_group_tests_name("nic_bad", tests, NULL, NULL);
	fake_nic_free();
	return failed;
}
