/* SPDX-License-Identifier: MIT */
/* vdev/port.h - everything the devices ask of their surroundings. svm/vdev_port.c answers on the
 * machine, tests/unit/fake_vdev.c in the unit tests; the linker chooses. None of these may call
 * back into vdev/: the caller holds the machine's lock and is in the middle of a change. */
#ifndef VDEV_PORT_H
#define VDEV_PORT_H

#include <stdint.h>

/* Whoever owns the machine; the devices only hand the pointer back. */
struct vdev_host;

enum vdev_end {
	VDEV_END_POWER_OFF = 1, /* ACPI S5 */
	VDEV_END_RESET,		/* 0xCF9, 8042 pulse, port 0x92 */
	VDEV_END_DEBUG_EXIT,	/* port 0xF4; the code is what the guest wrote */
};

/* Guest time: nanoseconds since the machine was made, never backwards. */
uint64_t vdev_port_now_ns(struct vdev_host *host);

/* This vCPU has to look again: at its interrupts, its signals and its next deadline. May be the
 * calling vCPU itself; then there is nothing to do, because it looks before it runs on. */
void vdev_port_kick(struct vdev_host *host, unsigned vcpu);

void vdev_port_console_out(struct vdev_host *host, uint8_t byte);

/* The guest asked for its end. Returns; the machine ends when the vCPU comes out of the device. */
void vdev_port_end(struct vdev_host *host, enum vdev_end why, uint32_t code);

#endif
