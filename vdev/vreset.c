/* SPDX-License-Identifier: MIT */
/* vdev/vreset.c - the ports with which a guest ends its machine: reset control (0xCF9, also the
 * FADT's reset register), the keyboard controller's pulse (0x64), fast reset (0x92), and the debug
 * exit of test kernels (0xF4). There is no keyboard controller beyond that. */
#include "devices.h"

#define CONTROL_KEPT 0x0E
#define CONTROL_RESET 0x04 /* its rising edge resets */
#define KEYBOARD_PULSE_RESET 0xFE
#define FAST_RESET 0x01
#define FAST_A20 0x02

static void reset(struct machine *m)
{
	vdev_port_end(m->host, VDEV_END_RESET, 0);
}

uint32_t vreset_control_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)port, (void)size;
	return m->reset.control;
}

void vreset_control_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	bool rises = (value & ~(uint32_t)m->reset.control & CONTROL_RESET) != 0;

	(void)port, (void)size;
	m->reset.control = value & CONTROL_KEPT;
	if (rises)
		reset(m);
}

/* Status 0: ready for a command. Guests wait for that before they pulse. */
uint32_t vreset_keyboard_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)m, (void)port, (void)size;
	return 0;
}

void vreset_keyboard_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)port, (void)size;
	if (value == KEYBOARD_PULSE_RESET)
		reset(m);
}

/* A20 is always on: guests see it so and need not wait for it. */
uint32_t vreset_fast_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)m, (void)port, (void)size;
	return FAST_A20;
}

void vreset_fast_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)port, (void)size;
	if ((value & FAST_RESET) != 0)
		reset(m);
}

uint32_t vreset_debug_exit_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)m, (void)port, (void)size;
	return 0;
}

void vreset_debug_exit_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)port, (void)size;
	vdev_port_end(m->host, VDEV_END_DEBUG_EXIT, value);
}
