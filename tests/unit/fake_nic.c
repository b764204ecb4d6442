/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_nic.c - the machine around the card: memory, interrupts, configuration space. See fake_nic.h; the
 * card itself: fake_nic_card.c. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "drivers/access.h"
#include "drivers/ioapic.h"
#include "kernel/irq.h"
#include "kernel/lapic.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/pmm.h"
#include "kernel/time.h"
#include "tests/unit/fake_nic.h"

#define BAR_IN_CONFIG 0x10 /* of e1000; virtio has it as BAR 4 */
#define VIRTIO_BAR_IN_CONFIG 0x20
#define MSIX_BAR_IN_CONFIG 0x14
#define ALLOCATIONS_MAX 32

struct fake_nic fake;
const uint8_t fake_mac[NIC_MAC_SIZE] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

/* --- memory: kept for the next card, since the sanitizer takes long to hand it out --- */

static struct allocation {
	uint8_t *start;
	uint64_t size;
	bool used;
} allocations[ALLOCATIONS_MAX];

hpa_t pmm_alloc(uint64_t bytes, uint64_t align)
{
	struct allocation *a = allocations;

	if (!fake.memory_left)
		return hpa(0);
	fake.memory_left--;
	while (a->start && (a->used || a->size != bytes))
		a++;
	CHECK(a < allocations + ALLOCATIONS_MAX - 1 && align == PAGE_SIZE);
	if (!a->start && posix_memalign((void **)&a->start, align, bytes))
		abort();
	a->size = bytes;
	a->used = true;
	memset(a->start, 0, bytes);
	return hpa_of(a->start);
}

/* What the card may touch: memory that the driver has taken. */
void *fake_dma(uint64_t at, uint64_t size)
{
	for (const struct allocation *a = allocations; a->start; a++) {
		uint64_t start = (uintptr_t)a->start;

		if (a->used && at >= start && size <= a->size && at - start <= a->size - size)
			return (void *)(uintptr_t)at;
	}
	CHECK(!"the driver gave the card an address that is not its own");
	return NULL;
}

void fake_nic_free(void)
{
	for (struct allocation *a = allocations; a->start; a++) {
		free(a->start);
		*a = (struct allocation){0};
	}
}

/* --- the machine --- */

void irq_handle(uint8_t vector, void (*fn)(void))
{
	CHECK(vector == IRQ_NIC);
	fake.handler = fn;
}

uint32_t lapic_id(void)
{
	return 3;
}

bool paging_map_mmio(hpa_t start, uint64_t size)
{
	return start.a < BIT(40) && size < BIT(40);
}

bool ioapic_route_pci(const struct acpi_info *info, uint8_t irq, uint8_t vector, uint32_t apic_id)
{
	CHECK(vector == IRQ_NIC && apic_id == 3);
	fake.line_routed = irq == 11 && info == &fake.acpi;
	return fake.line_routed;
}

void ioapic_mask_pci(const struct acpi_info *info, uint8_t irq)
{
	CHECK(info == &fake.acpi && irq == 11);
	fake.line_routed = false;
}

uint64_t time_now_ns(void)
{
	return fake.now_ns;
}

void time_delay_ns(uint64_t ns)
{
	fake.now_ns += ns;
}

void klog_quiet(const char *fmt, ...)
{
	(void)fmt;
}

/* --- interrupts --- */

static bool is_line_high(void)
{
	return fake.interrupts_always || (fake.kind != FAKE_VIRTIO && (fake.regs[0xC0 / 4] & fake.regs[0xD0 / 4])) ||
	       (fake.kind == FAKE_VIRTIO && fake.isr);
}

/* As long as the line is high and routed; the CPU gets no further before that ends. */
void fake_nic_window(void)
{
	for (unsigned i = 0; is_line_high() && fake.line_routed; i++) {
		CHECK(i < 10000);
		fake.interrupt_count++;
		fake.handler();
	}
}

/* --- access.h --- */

static uint32_t noise(unsigned bytes)
{
	uint32_t v = 0;

	while (bytes-- && fake.noise_size) {
		v = v << 8 | *fake.noise++;
		fake.noise_size--;
	}
	return v;
}

static uint64_t mmio_read(hpa_t at, unsigned bytes)
{
	fake.mmio_count++;
	CHECK(at.a >= FAKE_BAR && at.a + bytes <= FAKE_BAR + FAKE_BAR_SIZE);
	if (fake.noise_size)
		return noise(bytes);
	CHECK(bytes == 4 || fake.kind == FAKE_VIRTIO);
	return fake_card_read((uint32_t)(at.a - FAKE_BAR));
}

static void mmio_write(hpa_t at, uint32_t v, unsigned bytes)
{
	fake.mmio_count++;
	if (at.a >= FAKE_MSIX_BAR && at.a + bytes <= FAKE_MSIX_BAR + PAGE_SIZE)
		return;
	CHECK(at.a >= FAKE_BAR && at.a + bytes <= FAKE_BAR + FAKE_BAR_SIZE);
	fake_card_write((uint32_t)(at.a - FAKE_BAR), v);
}

uint8_t mmio_read8(hpa_t at)
{
	return (uint8_t)mmio_read(at, 1);
}

uint16_t mmio_read16(hpa_t at)
{
	return (uint16_t)mmio_read(at, 2);
}

uint32_t mmio_read32(hpa_t at)
{
	return (uint32_t)mmio_read(at, 4);
}

void mmio_write8(hpa_t at, uint8_t v)
{
	mmio_write(at, v, 1);
}

void mmio_write16(hpa_t at, uint16_t v)
{
	mmio_write(at, v, 2);
}

void mmio_write32(hpa_t at, uint32_t v)
{
	mmio_write(at, v, 4);
}

/* --- configuration space: the card is 00:03.0 --- */

static uint32_t config_address;

uint32_t port_read32(uint16_t port)
{
	uint32_t v;

	CHECK(port == 0xCFC);
	if ((config_address & BITS(30, 8)) != 3 << 11)
		return UINT32_MAX;
	memcpy(&v, fake.config + (config_address & 0xFC), sizeof(v));
	return v;
}

/* Bits of a BAR that can be written; its size is the lowest of them. */
static uint32_t bar_mask(uint32_t offset)
{
	uint32_t wide = fake.kind == FAKE_VIRTIO ? VIRTIO_BAR_IN_CONFIG : BAR_IN_CONFIG;

	if (offset == wide)
		return (uint32_t)~(FAKE_BAR_SIZE - 1);
	if (offset == MSIX_BAR_IN_CONFIG && fake.kind == FAKE_VIRTIO)
		return ~0xFFFu;
	return offset == wide + 4 ? UINT32_MAX : 0;
}

void port_write32(uint16_t port, uint32_t v)
{
	uint32_t offset = config_address & 0xFC, old;

	if (port == 0xCF8) {
		config_address = v;
		return;
	}
	CHECK(port == 0xCFC && (config_address & BITS(30, 8)) == 3 << 11);
	memcpy(&old, fake.config + offset, sizeof(old));
	if (offset == 4)
		v = (v & 0xFFFF) | (old & 0xFFFF0000); /* the status: nothing in it to clear */
	if (offset >= 0x10 && offset < 0x28)
		v = (v & bar_mask(offset)) | (old & ~bar_mask(offset));
	memcpy(fake.config + offset, &v, sizeof(v));
}

/* --- life --- */

static void put(uint32_t offset, uint32_t v)
{
	memcpy(fake.config + offset, &v, sizeof(v));
}

static void virtio_capability(uint32_t at, uint8_t next, uint32_t type, uint32_t offset, uint32_t length)
{
	put(at, 0x09 | (uint32_t)next << 8 | 20u << 16 | type << 24);
	put(at + 4, 4); /* BAR */
	put(at + 8, offset);
	put(at + 12, length);
	put(at + 16, 4); /* of NOTIFY: bytes per queue */
}

static void make_config(void)
{
	static const uint32_t ids[] = {0x100E8086, 0x10D38086, 0x10001AF4};
	uint32_t bar = fake.kind == FAKE_VIRTIO ? VIRTIO_BAR_IN_CONFIG : BAR_IN_CONFIG;

	put(0x00, ids[fake.kind]);
	put(bar, (uint32_t)FAKE_BAR | 4);
	put(bar + 4, (uint32_t)(FAKE_BAR >> 32));
	put(0x3C, 0x010B); /* pin A, line 11 */
	if (fake.kind != FAKE_VIRTIO)
		return;
	put(MSIX_BAR_IN_CONFIG, (uint32_t)FAKE_MSIX_BAR);
	fake.config[0x06] = 0x10;
	fake.config[0x34] = 0x40;
	put(0x40, 0x00025011);
	put(0x44, 1);
	virtio_capability(0x50, 0x64, 1, FAKE_COMMON, 0x38);
	virtio_capability(0x64, 0x78, 2, FAKE_NOTIFY, 8);
	virtio_capability(0x78, 0x8C, 3, FAKE_ISR, 1);
	virtio_capability(0x8C, 0, 4, FAKE_DEVICE, 8);
}

void fake_nic_new(int kind)
{
	for (struct allocation *a = allocations; a->start; a++)
		a->used = false;
	memset(&fake, 0, offsetof(struct fake_nic, sent));
	fake.kind = kind;
	fake.link_up = true;
	fake.memory_left = UINT32_MAX;
	fake.features = BIT(5) | BIT(16) | BIT(32) | BIT(15) | BIT(0);
	fake.queue_max[0] = fake.queue_max[1] = NIC_RING;
	fake.now_ns = NS_PER_SEC;
	make_config();
	fake_card_reset();
	fake.boot.range_count = 1;
	fake.boot.ranges[0] = (struct boot_range){hpa(0), GIB(2), BOOT_MEM_RAM};
	pci_init(&fake.acpi, &fake.boot);
}
