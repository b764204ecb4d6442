/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_nic_card.c - the card of fake_nic.h. The registers are those of the manuals that the drivers name,
 * written down a second time. */
#include <string.h>

#include <check.h>

#include "tests/unit/fake_nic.h"

/* --- e1000 --- */

enum { CTRL = 0, STATUS = 8, EERD = 0x14, ICR = 0xC0, IMS = 0xD0, IMC = 0xD8, RCTL = 0x100, TCTL = 0x400,
       RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810,
       TDT = 0x3818, RAL = 0x5400, RAH = 0x5404 };

static uint32_t *reg(uint32_t at)
{
	CHECK(at % 4 == 0 && at < FAKE_REGISTERS);
	return &fake.regs[at / 4];
}

static uint64_t reg64(uint32_t at)
{
	return *reg(at) | (uint64_t)*reg(at + 4) << 32;
}

static void e1000_reset(void)
{
	memset(fake.regs, 0, sizeof(fake.regs));
	if (fake.uses_eeprom)
		return;
	memcpy(reg(RAL), fake_mac, 4);
	memcpy(reg(RAH), fake_mac + 4, 2);
	*reg(RAH) |= BIT32(31);
}

volatile struct e1000_rx *fake_e1000_rx(void)
{
	return fake_dma(reg64(RDBAL), *reg(RDLEN));
}

volatile struct e1000_tx *fake_e1000_tx(void)
{
	return fake_dma(reg64(TDBAL), *reg(TDLEN));
}

static void keep_sent(const void *frame, size_t length)
{
	unsigned i = fake.sent_count++ % FAKE_SENT_MAX;

	CHECK(length <= NIC_BUFFER);
	fake.sent[i].length = length;
	memcpy(fake.sent[i].bytes, frame, length);
}

static void e1000_transmit(void)
{
	uint32_t size = *reg(TDLEN) / 16;

	while (size && (*reg(TCTL) & 2) && !fake.tx_stalls && *reg(TDH) != *reg(TDT)) {
		volatile struct e1000_tx *d = &fake_e1000_tx()[*reg(TDH)];

		CHECK((d->command & 0x29) == 9); /* end of frame, status wanted, legacy format */
		keep_sent(fake_dma(d->address, d->length), d->length);
		d->status |= 1;
		*reg(TDH) = (*reg(TDH) + 1) % size;
		*reg(ICR) |= 1;
	}
}

static bool e1000_deliver(const void *frame, size_t length)
{
	volatile struct e1000_rx *d;

	if (!(*reg(RCTL) & 2) || *reg(RDH) == *reg(RDT))
		return false;
	d = &fake_e1000_rx()[*reg(RDH)];
	memcpy(fake_dma(d->address, NIC_BUFFER), frame, length);
	d->length = (uint16_t)length;
	d->errors = 0;
	d->status = 3;
	*reg(RDH) = (*reg(RDH) + 1) % (*reg(RDLEN) / 16);
	*reg(ICR) |= BIT32(7);
	return true;
}

static uint32_t e1000_read(uint32_t at)
{
	uint32_t v = *reg(at);

	if (at == STATUS)
		return (fake.link_up ? 2 : 0) | v;
	if (at == EERD)
		return (v & 1) && (v >> 8) < 3 ? v | 16 | (uint32_t)fake_mac[v >> 8 << 1] << 16 |
							 (uint32_t)fake_mac[(v >> 8 << 1) + 1] << 24
					       : v;
	if (at == ICR)
		*reg(ICR) = 0;
	return v;
}

static void e1000_flood(void)
{
	for (unsigned i = 0; i < NIC_RING; i++) {
		fake_e1000_rx()[i].errors = 0xFF;
		fake_e1000_rx()[i].status = 3;
	}
}

static void e1000_write(uint32_t at, uint32_t v)
{
	uint32_t was = *reg(at);

	*reg(at) = v;
	switch (at) {
	case CTRL:
		if (v & BIT32(26)) {
			e1000_reset();
			*reg(CTRL) = fake.never_ready ? BIT32(26) : 0;
		}
		break;
	case ICR: *reg(ICR) = was & ~v; break;
	case IMS: *reg(IMS) = was | v; break;
	case IMC: *reg(IMS) &= ~v; break;
	case TDT: e1000_transmit(); break;
	case RDT:
		if (fake.floods)
			e1000_flood();
		break;
	default: break;
	}
}

/* --- virtio --- */

static struct fake_queue *selected(void)
{
	static struct fake_queue none;

	return fake.queue_select < 2 ? &fake.queues[fake.queue_select] : &none;
}

static uint32_t virtio_read(uint32_t at)
{
	switch (at) {
	case 0x04: return (uint32_t)(fake.features >> (32 * (fake.regs[0] & 1)));
	case 0x10: return fake.vectors[0];
	case 0x14: return fake.status;
	case 0x16: return fake.queue_select;
	case 0x18: return selected()->size;
	case 0x1A: return fake.vectors[0];
	case 0x1C: return selected()->enabled;
	case 0x1E: return fake.queue_select;
	case FAKE_ISR:
		fake.isr = 0;
		return 1;
	case FAKE_DEVICE + 6: return fake.link_up;
	default: break;
	}
	return at >= FAKE_DEVICE && at < FAKE_DEVICE + NIC_MAC_SIZE ? fake_mac[at - FAKE_DEVICE] : 0;
}

static void virtio_reset(void)
{
	memset(fake.queues, 0, sizeof(fake.queues));
	memset(fake.vectors, 0xFF, sizeof(fake.vectors));
	fake.isr = 0;
	fake.queues[0].size = fake.queue_max[0];
	fake.queues[1].size = fake.queue_max[1];
	fake.status = fake.never_ready ? 0xFF : 0;
}

/* The descriptor that the driver offers next, or null; *id its number. */
static volatile struct virtq_desc *offered(unsigned queue, uint16_t *id)
{
	struct fake_queue *q = &fake.queues[queue];
	const volatile struct virtq_avail *avail;

	if (!q->enabled || !(fake.status & 4))
		return NULL;
	avail = fake_dma(q->avail, 4 + 2 * q->size);
	CHECK((uint16_t)(avail->index - q->taken) <= q->size || fake.is_bad);
	if (avail->index == q->taken)
		return NULL;
	*id = avail->ring[q->taken % q->size];
	q->taken++;
	CHECK(*id < q->size);
	return (volatile struct virtq_desc *)fake_dma(q->desc, 16 * q->size) + *id;
}

volatile struct virtq_used *fake_virtio_used(unsigned queue)
{
	return fake_dma(fake.queues[queue].used, 4 + 8 * fake.queues[queue].size);
}

/* A message, or the line of virtio, which reading ISR lowers. */
static void virtio_interrupt(unsigned queue)
{
	const volatile struct virtq_avail *avail = fake_dma(fake.queues[queue].avail, sizeof(*avail));
	uint32_t control = (uint32_t)fake.config[0x42] | (uint32_t)fake.config[0x43] << 8;

	if (avail->flags & 1)
		return;
	if (!(control & 0x8000)) {
		fake.isr = 1;
	} else if (fake.vectors[queue] == 0) {
		fake.interrupt_count++;
		fake.handler();
	}
}

static void give_back(unsigned queue, uint16_t id, uint32_t length)
{
	volatile struct virtq_used *used = fake_virtio_used(queue);
	uint16_t i = used->index % fake.queues[queue].size;

	used->ring[i].id = id;
	used->ring[i].length = length;
	used->index++;
	virtio_interrupt(queue);
}

static void virtio_transmit(void)
{
	static const uint8_t no_offload[12];
	volatile struct virtq_desc *d;
	uint16_t id;

	while (!fake.tx_stalls && (d = offered(1, &id)) != NULL) {
		const uint8_t *bytes = fake_dma(d->address, d->length);

		CHECK(d->flags == 0 && d->length > 12 && !memcmp(bytes, no_offload, 12));
		keep_sent(bytes + 12, d->length - 12);
		give_back(1, id, 0);
	}
}

static bool virtio_deliver(const void *frame, size_t length)
{
	uint16_t id;
	volatile struct virtq_desc *d = offered(0, &id);

	if (!d)
		return false;
	CHECK(d->flags == 2 && d->length >= 12 + length);
	memset(fake_dma(d->address, d->length), 0, 12);
	memcpy((uint8_t *)fake_dma(d->address, d->length) + 12, frame, length);
	give_back(0, id, (uint32_t)(12 + length));
	return true;
}

static void set_address(uint64_t *to, uint32_t at, uint32_t v)
{
	*to = at % 8 ? (uint32_t)*to | (uint64_t)v << 32 : (*to & BITS(63, 32)) | v;
}

static void virtio_write(uint32_t at, uint32_t v)
{
	struct fake_queue *q = selected();

	switch (at) {
	case 0x00: fake.regs[0] = v; break;
	case 0x08: fake.regs[1] = v; break;
	case 0x0C: set_address(&fake.driver_features, fake.regs[1] * 4, v); break;
	case 0x10: fake.vectors[0] = (uint16_t)v; break;
	case 0x14:
		if (v == 0)
			virtio_reset();
		else if (fake.driver_features & ~fake.features)
			v &= ~8u; /* FEATURES_OK */
		if (v)
			fake.status = (uint8_t)v;
		break;
	case 0x16: fake.queue_select = (uint16_t)v; break;
	case 0x18: q->size = (uint16_t)v; break;
	case 0x1A: fake.vectors[fake.queue_select & 1] = (uint16_t)v; break;
	case 0x1C: q->enabled = v; break;
	case 0x20: case 0x24: set_address(&q->desc, at, v); break;
	case 0x28: case 0x2C: set_address(&q->avail, at, v); break;
	case 0x30: case 0x34: set_address(&q->used, at, v); break;
	case FAKE_NOTIFY + 4: virtio_transmit(); break;
	default: break;
	}
}

/* --- both --- */

bool fake_nic_deliver(const void *frame, size_t length)
{
	return fake.kind == FAKE_VIRTIO ? virtio_deliver(frame, length) : e1000_deliver(frame, length);
}

void fake_nic_transmit(void)
{
	if (fake.kind == FAKE_VIRTIO)
		virtio_transmit();
	else
		e1000_transmit();
}

uint32_t fake_card_read(uint32_t at)
{
	return fake.kind == FAKE_VIRTIO ? virtio_read(at) : e1000_read(at);
}

void fake_card_write(uint32_t at, uint32_t v)
{
	if (fake.kind == FAKE_VIRTIO)
		virtio_write(at, v);
	else
		e1000_write(at, v);
}

void fake_card_reset(void)
{
	if (fake.kind == FAKE_VIRTIO)
		virtio_reset();
	else
		e1000_reset();
}
