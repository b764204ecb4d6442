/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_vdev.c - vdev/port.h for unit tests, and the few accesses that all tests make. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_vdev.h"

#define DEADLINES_MAX 1000000

struct vdev_host *fake_vdev_new(unsigned vcpu_count)
{
	static const uint64_t boot_seconds = 1795449600; /* 2026-11-23 16:00:00 */
	struct vdev_host *h = calloc(1, sizeof(*h));
	const struct machine_config config = {
		.vcpu_count = vcpu_count,
		.memory_below_4g = GIB(1),
		.memory_above_4g = GIB(2),
		.tsc_khz = 2000000,
		.boot_seconds = boot_seconds,
	};

	memset(&h->m, 0xA5, sizeof(h->m)); /* machine_init() must not rely on zeros */
	machine_init(&h->m, &config, h);
	return h;
}

static uint64_t next_deadline(const struct vdev_host *h, unsigned *vcpu)
{
	uint64_t best = DEADLINE_NONE;

	for (unsigned i = 0; i < h->m.config.vcpu_count; i++) {
		uint64_t deadline = machine_next_deadline(&h->m, i);

		if (deadline < best) {
			best = deadline;
			*vcpu = i;
		}
	}
	return best;
}

bool fake_vdev_run(struct vdev_host *h, uint64_t ns)
{
	uint64_t end = h->now_ns + ns;
	unsigned vcpu = 0, served = 0;

	for (uint64_t at = next_deadline(h, &vcpu); at <= end; at = next_deadline(h, &vcpu)) {
		if (at > h->now_ns)
			h->now_ns = at;
		machine_tick(&h->m, vcpu);
		if (++served == DEADLINES_MAX)
			return false;
	}
	h->now_ns = end;
	return true;
}

uint8_t fake_inb(struct vdev_host *h, uint16_t port)
{
	return (uint8_t)machine_io_read(&h->m, 0, port, 1);
}

void fake_outb(struct vdev_host *h, uint16_t port, uint8_t value)
{
	machine_io_write(&h->m, 0, port, value, 1);
}

uint32_t fake_lapic_read(struct vdev_host *h, unsigned vcpu, uint32_t reg)
{
	return (uint32_t)machine_mmio_read(&h->m, vcpu, LAPIC_GPA + reg, 4);
}

void fake_lapic_write(struct vdev_host *h, unsigned vcpu, uint32_t reg, uint32_t value)
{
	machine_mmio_write(&h->m, vcpu, LAPIC_GPA + reg, value, 4);
}

static uint32_t ioapic_window(struct vdev_host *h, unsigned index)
{
	machine_mmio_write(&h->m, 0, IOAPIC_GPA, index, 4);
	return (uint32_t)machine_mmio_read(&h->m, 0, IOAPIC_GPA + 0x10, 4);
}

uint64_t fake_ioapic_read(struct vdev_host *h, unsigned pin)
{
	return ioapic_window(h, 0x10 + 2 * pin) | (uint64_t)ioapic_window(h, 0x11 + 2 * pin) << 32;
}

/* High word first, so that the pin is unmasked last. */
void fake_ioapic_write(struct vdev_host *h, unsigned pin, uint64_t entry)
{
	machine_mmio_write(&h->m, 0, IOAPIC_GPA, 0x11 + 2 * pin, 4);
	machine_mmio_write(&h->m, 0, IOAPIC_GPA + 0x10, entry >> 32, 4);
	machine_mmio_write(&h->m, 0, IOAPIC_GPA, 0x10 + 2 * pin, 4);
	machine_mmio_write(&h->m, 0, IOAPIC_GPA + 0x10, (uint32_t)entry, 4);
}

void fake_lapic_enable(struct vdev_host *h, unsigned vcpu)
{
	fake_lapic_write(h, vcpu, 0xF0, 0x1FF);
}

int fake_take(struct vdev_host *h, unsigned vcpu)
{
	int vector = machine_irq_pending(&h->m, vcpu);

	return vector < 0 ? -1 : machine_irq_ack(&h->m, vcpu);
}

void fake_eoi(struct vdev_host *h, unsigned vcpu)
{
	fake_lapic_write(h, vcpu, 0xB0, 0);
}

/* --- vdev/port.h --- */

uint64_t vdev_port_now_ns(struct vdev_host *host)
{
	return host->now_ns;
}

void vdev_port_kick(struct vdev_host *host, unsigned vcpu)
{
	host->kick_count[vcpu]++;
}

void vdev_port_console_out(struct vdev_host *host, uint8_t byte)
{
	if (host->console_count < FAKE_CONSOLE_BYTES)
		host->console[host->console_count++] = byte;
}

void vdev_port_end(struct vdev_host *host, enum vdev_end why, uint32_t code)
{
	host->end = why;
	host->end_code = code;
}
