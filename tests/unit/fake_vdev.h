/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_vdev.h - a machine for unit tests: the clock is a variable, and what the devices
 * tell their host is counted. */
#ifndef FAKE_VDEV_H
#define FAKE_VDEV_H

#include <bits.h>

#include "vdev/port.h"
#include "vdev/vdev.h"

#define FAKE_CONSOLE_BYTES 256
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

struct vdev_host {
	struct machine m;
	uint64_t now_ns;
	unsigned kick_count[MACHINE_MAX_VCPUS];
	uint8_t console[FAKE_CONSOLE_BYTES];
	size_t console_count;
	enum vdev_end end; /* 0: none */
	uint32_t end_code;
};

/* A machine with so many vCPUs, 1 GiB below and 2 GiB above 4 GiB, a 2 GHz TSC, in 2026. */
struct vdev_host *fake_vdev_new(unsigned vcpu_count);

/* Lets time pass, serving every deadline on the way; false: the deadlines do not move on. */
bool fake_vdev_run(struct vdev_host *h, uint64_t ns);

uint8_t fake_inb(struct vdev_host *h, uint16_t port);
void fake_outb(struct vdev_host *h, uint16_t port, uint8_t value);

#define LAPIC_GPA UINT64_C(0xFEE00000)
#define IOAPIC_GPA UINT64_C(0xFEC00000)
uint32_t fake_lapic_read(struct vdev_host *h, unsigned vcpu, uint32_t reg);
void fake_lapic_write(struct vdev_host *h, unsigned vcpu, uint32_t reg, uint32_t value);
uint64_t fake_ioapic_read(struct vdev_host *h, unsigned pin);
void fake_ioapic_write(struct vdev_host *h, unsigned pin, uint64_t entry);

/* Switches the local APIC on in software. */
void fake_lapic_enable(struct vdev_host *h, unsigned vcpu);
/* Takes the pending interrupt and returns its vector; -1: none. */
int fake_take(struct vdev_host *h, unsigned vcpu);
void fake_eoi(struct vdev_host *h, unsigned vcpu);

#endif
