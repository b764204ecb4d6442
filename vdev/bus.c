/* SPDX-License-Identifier: MIT */
/* vdev/bus.c - which device answers a port or an address, and how wide it can be spoken to.
 * Ports nobody claims read as all ones and swallow writes; 0x80, the POST code, is one of them. */
#include "map.h"
#include "vlapic.h"

struct port_range {
	uint16_t first, last;
	unsigned width; /* widest access the device takes whole; wider ones are cut */
	uint32_t (*read)(struct machine *m, uint16_t port, unsigned size);
	void (*write)(struct machine *m, uint16_t port, uint32_t value, unsigned size);
};

#define DEVICE(name) name##_read, name##_write

static const struct port_range port_ranges[] = {
	{0x3F8, 0x3FF, 1, DEVICE(vuart)},
	{0x020, 0x021, 1, DEVICE(vpic)},
	{0x0A0, 0x0A1, 1, DEVICE(vpic)},
	{0x040, 0x043, 1, DEVICE(vpit)},
	{0x061, 0x061, 1, DEVICE(vpit_control_b)},
	{0x070, 0x071, 1, DEVICE(vrtc)},
	{VPM_TIMER_PORT, VPM_TIMER_PORT + 3, 4, DEVICE(vpm_timer)},
	{VPM_EVENT_PORT, VPM_EVENT_PORT + 3, 2, DEVICE(vpm_event)},
	{VPM_CONTROL_PORT, VPM_CONTROL_PORT + 1, 2, DEVICE(vpm_control)},
	{0x4D0, 0x4D1, 1, DEVICE(vpic_elcr)},
	{VRESET_CONTROL_PORT, VRESET_CONTROL_PORT, 1, DEVICE(vreset_control)},
	{0xCF8, 0xCFF, 4, DEVICE(vpci)},
	{0x510, 0x510, 2, DEVICE(vfwcfg)},
	{0x511, 0x511, 1, DEVICE(vfwcfg)},
	{0x064, 0x064, 1, DEVICE(vreset_keyboard)},
	{0x092, 0x092, 1, DEVICE(vreset_fast)},
	{0x0F4, 0x0F4, 4, DEVICE(vreset_debug_exit)},
};

static const struct port_range *find_port(uint32_t port)
{
	for (unsigned i = 0; i < ARRAY_COUNT(port_ranges); i++)
		if (port >= port_ranges[i].first && port <= port_ranges[i].last)
			return &port_ranges[i];
	return NULL;
}

/* How much of an access goes to the range at once: all of it, or one byte where the device is
 * narrower than what is left. */
static unsigned piece_of(const struct port_range *range, unsigned left)
{
	return range != NULL && range->width >= left ? left : 1;
}

static uint32_t size_mask(unsigned size)
{
	return UINT32_MAX >> (32 - 8 * size);
}

/* A word access may touch several devices or end beyond the last port, hence 32-bit ports. */
uint32_t machine_io_read(struct machine *m, unsigned vcpu, uint16_t port, unsigned size)
{
	uint32_t value = 0;

	(void)vcpu; /* no port belongs to one vCPU */
	for (unsigned done = 0, piece; done < size; done += piece) {
		const struct port_range *range = find_port((uint32_t)port + done);
		uint32_t part = UINT32_MAX;

		piece = piece_of(range, size - done);
		if (range != NULL)
			part = range->read(m, (uint16_t)(port + done), piece);
		value |= (part & size_mask(piece)) << (8 * done);
	}
	return value;
}

void machine_io_write(struct machine *m, unsigned vcpu, uint16_t port, uint32_t value,
		      unsigned size)
{
	(void)vcpu;
	for (unsigned done = 0, piece; done < size; done += piece) {
		const struct port_range *range = find_port((uint32_t)port + done);
		uint32_t part = value >> (8 * done);

		piece = piece_of(range, size - done);
		if (range != NULL)
			range->write(m, (uint16_t)(port + done), part & size_mask(piece), piece);
	}
}

/* --- memory --- */

static uint64_t page_of(uint64_t gpa)
{
	return align_down(gpa, PAGE_SIZE);
}

static uint64_t lapic_page(const struct machine *m, unsigned vcpu)
{
	return m->lapic[vcpu].base & APIC_BASE_ADDRESS;
}

/* Each vCPU has its APIC at the same address, unless it moved it. */
bool machine_mmio_claims(const struct machine *m, uint64_t gpa)
{
	uint64_t page = page_of(gpa);

	if (page == VLAPIC_GPA || page == VIOAPIC_GPA)
		return true;
	for (unsigned i = 0; i < m->config.vcpu_count; i++)
		if (page == lapic_page(m, i))
			return true;
	return false;
}

/* Both devices have doubleword registers 16 bytes apart. A narrow read gets its part of one; a
 * wide read gets the register alone, the words after it are empty. */
uint64_t machine_mmio_read(struct machine *m, unsigned vcpu, uint64_t gpa, unsigned size)
{
	uint32_t offset = (uint32_t)(gpa & PAGE_MASK & ~UINT64_C(3)), word;

	if (page_of(gpa) == lapic_page(m, vcpu))
		word = vlapic_mmio_read(m, vcpu, offset);
	else if (page_of(gpa) == VIOAPIC_GPA)
		word = vioapic_mmio_read(m, offset);
	else
		return UINT64_MAX >> (64 - 8 * size);
	word >>= 8 * (gpa & 3);
	return size < 4 ? word & size_mask(size) : word;
}

/* A narrow write counts as the doubleword with zeros above it. */
void machine_mmio_write(struct machine *m, unsigned vcpu, uint64_t gpa, uint64_t value,
			unsigned size)
{
	uint32_t offset = (uint32_t)(gpa & PAGE_MASK), word = (uint32_t)value;

	if (size < 4)
		word &= size_mask(size);
	if (page_of(gpa) == lapic_page(m, vcpu))
		vlapic_mmio_write(m, vcpu, offset, word);
	else if (page_of(gpa) == VIOAPIC_GPA)
		vioapic_mmio_write(m, offset, word);
}
