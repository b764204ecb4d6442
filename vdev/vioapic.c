/* SPDX-License-Identifier: MIT */
/* vdev/vioapic.c - the I/O APIC: 24 pins, each turned into an interrupt message by its
 * redirection entry. ISA line n is at pin n, but the timer is at pin 2 (machine.c) and pin 0
 * carries the output of the PIC, of which vcpu.c asks. Layout: Intel 82093AA. */
#include "vlapic.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10

#define INDEX_ID 0x00
#define INDEX_VERSION 0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_REDIRECT 0x10

#define IOAPIC_VERSION_VALUE (0x11u | (VIOAPIC_PINS - 1) << 16)
#define IOAPIC_ID_MASK 0x0F000000u

#define ENTRY_LOGICAL BIT(11)
#define ENTRY_STATUS BIT(12)
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_MASKED BIT(16)
#define ENTRY_WRITABLE (BITS(63, 56) | BITS(16, 15) | BIT(13) | BITS(11, 0))
#define ENTRY_DEST_SHIFT 56
#define XAPIC_DEST_ALL 0xFFu
#define PIN_PIC 0

void vioapic_init(struct machine *m)
{
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		m->ioapic.redirect[pin] = ENTRY_MASKED;
}

bool vioapic_passes_pic(const struct machine *m)
{
	uint64_t entry = m->ioapic.redirect[PIN_PIC];

	return (entry & ENTRY_MASKED) == 0 && apic_mode_of(entry) == APIC_MODE_EXTINT;
}

static void send(struct machine *m, uint64_t entry)
{
	uint32_t dest = (uint32_t)(entry >> ENTRY_DEST_SHIFT);
	const struct apic_message msg = {
		.dest = dest == XAPIC_DEST_ALL ? APIC_DEST_ALL : dest,
		.vector = (uint8_t)(entry & APIC_VECTOR),
		.mode = apic_mode_of(entry),
		.logical = (entry & ENTRY_LOGICAL) != 0,
		.level = (entry & ENTRY_LEVEL) != 0,
	};

	vlapic_send(m, &msg);
}

/* A level-triggered pin is silent from its message until the EOI for that comes back. */
static void service_level(struct machine *m, unsigned pin)
{
	uint64_t *entry = &m->ioapic.redirect[pin];
	const uint64_t blocked = ENTRY_MASKED | ENTRY_REMOTE_IRR;

	if ((m->ioapic.level & BIT32(pin)) == 0 || (*entry & ENTRY_LEVEL) == 0 ||
	    (*entry & blocked) != 0)
		return;
	*entry |= ENTRY_REMOTE_IRR;
	send(m, *entry);
}

/* Edges while the pin is masked are lost, as on the chip. */
void vioapic_set_pin(struct machine *m, unsigned pin, bool high)
{
	uint64_t entry = m->ioapic.redirect[pin];
	bool was_high = (m->ioapic.level & BIT32(pin)) != 0;

	if (!high) {
		m->ioapic.level &= ~BIT32(pin);
		return;
	}
	m->ioapic.level |= BIT32(pin);
	if ((entry & ENTRY_LEVEL) != 0)
		service_level(m, pin);
	else if (!was_high && (entry & ENTRY_MASKED) == 0)
		send(m, entry);
}

void vioapic_eoi(struct machine *m, uint8_t vector)
{
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++) {
		uint64_t *entry = &m->ioapic.redirect[pin];

		if ((*entry & ENTRY_REMOTE_IRR) == 0 || (*entry & APIC_VECTOR) != vector)
			continue;
		*entry &= ~ENTRY_REMOTE_IRR;
		service_level(m, pin);
	}
}

/* Making a pin edge-triggered and back is how software without a directed EOI ends an interrupt. */
static void write_redirect(struct machine *m, unsigned pin, uint64_t value)
{
	uint64_t *entry = &m->ioapic.redirect[pin];

	*entry = (value & ENTRY_WRITABLE) | (*entry & ENTRY_REMOTE_IRR);
	if ((*entry & ENTRY_LEVEL) == 0)
		*entry &= ~ENTRY_REMOTE_IRR;
	service_level(m, pin);
	if (pin == PIN_PIC && vioapic_passes_pic(m) && m->pic.intr)
		vlapic_attention(m, 0, ATTENTION_IRQ);
}

/* An entry is two words: even index low, odd index high. */
static bool is_redirect_index(uint32_t index)
{
	return index >= INDEX_REDIRECT && index < INDEX_REDIRECT + 2 * VIOAPIC_PINS;
}

static uint32_t read_window(const struct vioapic *io)
{
	uint32_t index = io->select;

	if (is_redirect_index(index)) {
		uint64_t entry = io->redirect[(index - INDEX_REDIRECT) / 2];

		return (uint32_t)((index & 1) != 0 ? entry >> 32 : entry);
	}
	switch (index) {
	case INDEX_ID:
	case INDEX_ARBITRATION: return io->id;
	case INDEX_VERSION: return IOAPIC_VERSION_VALUE;
	default: return 0;
	}
}

static void write_window(struct machine *m, uint32_t value)
{
	uint32_t index = m->ioapic.select;

	if (is_redirect_index(index)) {
		unsigned pin = (index - INDEX_REDIRECT) / 2;
		uint64_t entry = m->ioapic.redirect[pin];

		if ((index & 1) != 0)
			write_redirect(m, pin, (uint32_t)entry | (uint64_t)value << 32);
		else
			write_redirect(m, pin, (entry & BITS(63, 32)) | value);
	} else if (index == INDEX_ID) {
		m->ioapic.id = value & IOAPIC_ID_MASK;
	}
}

uint32_t vioapic_mmio_read(struct machine *m, uint32_t offset)
{
	switch (offset) {
	case REG_SELECT: return m->ioapic.select;
	case REG_WINDOW: return read_window(&m->ioapic);
	default: return 0;
	}
}

void vioapic_mmio_write(struct machine *m, uint32_t offset, uint32_t value)
{
	if (offset == REG_SELECT)
		m->ioapic.select = value & 0xFF;
	else if (offset == REG_WINDOW)
		write_window(m, value);
}
