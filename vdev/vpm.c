/* SPDX-License-Identifier: MIT */
/* vdev/vpm.c - ACPI fixed hardware: PM1 event block (0x600), PM1 control block (0x604), PM timer
 * (0x608). ACPI mode is always on: there is no SMI command port in the FADT (vacpi.c).
 * Specification: ACPI 6.3, 4.8.3 Fixed Hardware Registers. */
#include "devices.h"
#include "map.h"

#define PM_RATE UINT64_C(66030950515326656) /* 3579545 Hz, see clock_ticks() */
#define PM_NS_PER_TICK UINT64_C(1199864031882)
#define TIMER_HALF_SHIFT 31 /* the status bit comes when the highest bit of 32 toggles */

#define STATUS_TIMER BIT32(0)
#define CONTROL_SCI_ENABLE BIT32(0)
#define CONTROL_SLEEP_ENABLE BIT32(13)
#define CONTROL_SLEEP_TYPE(v) ((v) >> 10 & 7)

static uint64_t timer_now(const struct machine *m)
{
	return clock_ticks(machine_now_ns(m), PM_RATE);
}

static void update_line(struct machine *m)
{
	machine_irq_line(m, IRQ_SCI, (m->pm.status & m->pm.enable) != 0);
}

/* The deadline exists only while the timer's interrupt is enabled. */
static void account(struct machine *m)
{
	struct vpm *pm = &m->pm;
	uint64_t half = timer_now(m) >> TIMER_HALF_SHIFT, deadline = DEADLINE_NONE;

	if (half != pm->seen_half)
		pm->status |= STATUS_TIMER;
	pm->seen_half = half;
	if ((pm->enable & STATUS_TIMER) != 0)
		deadline = clock_to_ns((half + 1) << TIMER_HALF_SHIFT, PM_NS_PER_TICK);
	machine_set_deadline(m, &pm->deadline_ns, deadline);
	update_line(m);
}

void vpm_tick(struct machine *m)
{
	if (m->pm.deadline_ns != DEADLINE_NONE && m->pm.deadline_ns <= machine_now_ns(m))
		account(m);
}

/* --- event block: status and enable, 16 bits each --- */

/* The part of a 16-bit register that an access of size bytes at an odd or even port means. */
static uint32_t part_shift(uint16_t port)
{
	return (port & 1u) * 8;
}

static uint16_t part_mask(uint16_t port, unsigned size)
{
	return (uint16_t)((size == 1 ? UINT8_MAX : UINT16_MAX) << part_shift(port));
}

static bool is_enable(uint16_t port)
{
	return port >= VPM_EVENT_PORT + 2;
}

uint32_t vpm_event_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)size;
	account(m);
	return (uint32_t)(is_enable(port) ? m->pm.enable : m->pm.status) >> part_shift(port);
}

void vpm_event_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	uint16_t mask = part_mask(port, size), bits = (uint16_t)(value << part_shift(port)) & mask;

	account(m);
	if (is_enable(port))
		m->pm.enable = (uint16_t)((m->pm.enable & ~mask) | bits);
	else
		m->pm.status &= (uint16_t)~bits;
	account(m);
	machine_deadline_changed(m);
}

/* --- control block --- */

uint32_t vpm_control_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)size;
	return (uint32_t)(m->pm.control | CONTROL_SCI_ENABLE) >> part_shift(port);
}

/* The sleep enable bit is a command and reads as 0. Only S5 is in the tables. */
void vpm_control_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	uint16_t mask = part_mask(port, size), bits = (uint16_t)(value << part_shift(port)) & mask;
	uint16_t control = (uint16_t)((m->pm.control & ~mask) | bits);

	m->pm.control = (uint16_t)(control & ~CONTROL_SLEEP_ENABLE);
	if ((control & CONTROL_SLEEP_ENABLE) != 0 && CONTROL_SLEEP_TYPE(control) == VPM_SLEEP_S5)
		vdev_port_end(m->host, VDEV_END_POWER_OFF, 0);
}

/* --- timer --- */

uint32_t vpm_timer_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)size;
	return (uint32_t)timer_now(m) >> (port & 3u) * 8;
}

void vpm_timer_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)m, (void)port, (void)value, (void)size; /* read-only */
}

void vpm_init(struct machine *m)
{
	m->pm.seen_half = timer_now(m) >> TIMER_HALF_SHIFT;
	machine_set_deadline(m, &m->pm.deadline_ns, DEADLINE_NONE);
}
