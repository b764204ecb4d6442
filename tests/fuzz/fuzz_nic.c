/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_nic.c - any network card: the input is what the card writes into its rings and what its registers
 * read as, amid sending and receiving. Nothing is read or written outside of the buffers (the sanitizers watch),
 * received frames fit into the room given, nothing loops, and when the card behaves again it is made to work again. */
#include <stdlib.h>
#include <string.h>

#include "kernel/time.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_nic.h"

#define NOISE_MAX 64

static struct nic *nic;

/* Reads words of the input that the card writes where a driver reads: of the receive ring all but the addresses, of
 * the transmit ring the status, of virtio's used rings everything. */
static void card_writes(struct input *in)
{
	uint8_t which = (uint8_t)input_bytes(in, 1), n = (uint8_t)input_bytes(in, 1);
	uint64_t v = input_bytes(in, 1 + (which >> 1 & 7));

	if (fake.kind != FAKE_VIRTIO) {
		if (!fake.regs[0x3808 / 4]) /* TDLEN: has no rings after a reset */
			return;
		if (which & 1)
			fake_e1000_tx()[n].status = (uint8_t)v;
		else
			memcpy((uint8_t *)(uintptr_t)&fake_e1000_rx()[n] + 8, &v, sizeof(v));
	} else if (fake.queues[which & 1].enabled) {
		volatile struct virtq_used *used = fake_virtio_used(which & 1);

		fake.is_bad = true;
		if (which & 0x10)
			used->flags = (uint16_t)v;
		if (which & 0x20)
			used->index = (uint16_t)(used->index + v);
		else
			memcpy((uint8_t *)(uintptr_t)&used->ring[n % fake.queues[which & 1].size], &v, sizeof(v));
	}
}

static void receive(struct input *in)
{
	static const uint16_t usual[] = {0, 1, 60, 128, NIC_FRAME_MAX - 1, NIC_FRAME_MAX, NIC_BUFFER, 4096};
	size_t max = usual[input_bytes(in, 1) % ARRAY_COUNT(usual)];
	uint8_t *room = malloc(max);

	CHECK(nic_receive(nic, room, max) <= max);
	free(room);
}

static void send(struct input *in)
{
	uint16_t length = (uint16_t)(input_bytes(in, 2) % (NIC_FRAME_MAX + 1));
	uint8_t *to = nic_send_buffer(nic);

	if (!to)
		return;
	memset(to, 0x55, NIC_FRAME_MAX);
	nic_send(nic, length);
}

static void deliver(struct input *in)
{
	static const uint8_t frame[NIC_FRAME_MAX];

	fake_nic_deliver(frame, input_bytes(in, 2) % (NIC_FRAME_MAX + 1));
}

static void card_changes(struct input *in)
{
	static const unsigned registers[] = {0x00, 0x08, 0xC0, 0xD0, 0x100};
	uint8_t what = (uint8_t)input_bytes(in, 1);

	fake.tx_stalls = what & 1;
	fake.link_up = what & 2;
	fake.never_ready = what & 4;
	fake.interrupts_always = what & 8;
	if (fake.kind != FAKE_VIRTIO) {
		fake.regs[registers[what >> 4 & 3] / 4] = (uint32_t)input_bytes(in, 4);
	} else if (what & 0x10) {
		fake.status = (uint8_t)input_bytes(in, 1);
		fake.queue_max[what >> 5 & 1] = (uint16_t)input_bytes(in, 2);
	}
}

static void read_noise(struct input *in)
{
	static uint8_t noise[NOISE_MAX];

	fake.noise_size = input_bytes(in, 1) % NOISE_MAX;
	for (size_t i = 0; i < fake.noise_size; i++)
		noise[i] = (uint8_t)input_bytes(in, 1);
	fake.noise = noise;
}

static void tend(struct input *in)
{
	fake.now_ns += input_bytes(in, 1) * NS_PER_SEC / 16;
	nic_tend(nic);
}

static void arm(struct input *in)
{
	unsigned before = fake.interrupt_count;

	(void)in;
	nic_arm(nic);
	fake_nic_window();
	CHECK(fake.interrupt_count - before < 1000);
}

static void step(struct input *in)
{
	switch (input_bytes(in, 1) % 9) {
	case 0: receive(in); break;
	case 1: send(in); break;
	case 2: nic_kick(nic); break;
	case 3: tend(in); break;
	case 4: arm(in); break;
	case 5: deliver(in); break;
	case 6: card_changes(in); break;
	case 7: read_noise(in); break;
	default: card_writes(in); break;
	}
}

/* The card loses its settings, which it is allowed to; from then on it follows its manual. */
static void check_recovers(void)
{
	static uint8_t frame[NIC_FRAME_MAX];

	fake.tx_stalls = fake.never_ready = fake.interrupts_always = false;
	fake.link_up = true;
	fake.noise_size = 0;
	fake.queue_max[0] = fake.queue_max[1] = NIC_RING;
	fake.status = 0x40;
	fake.regs[0x100 / 4] = 0;
	for (unsigned i = 0; i < 12; i++) {
		fake.now_ns += NS_PER_SEC / 4;
		nic_tend(nic);
	}
	CHECK(nic_tend(nic) && nic_send_buffer(nic));
	nic_send(nic, 100);
	fake.sent_count = 0;
	nic_kick(nic);
	CHECK(fake.sent_count == 1 && fake.sent[0].length == 100);
	CHECK(fake_nic_deliver(frame, 200) && nic_receive(nic, frame, sizeof(frame)) == 200);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	char error[NIC_ERROR_MAX];

	fake_nic_new((int)(input_bytes(&in, 1) % 3));
	nic = nic_open("auto", error);
	CHECK(nic);
	while (!input_ended(&in))
		step(&in);
	check_recovers();
	return 0;
}
