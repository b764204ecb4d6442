/* SPDX-License-Identifier: MIT */
/* vdev/vpit.c - the 8254 timer: three counters, and port 0x61, where the gate and the output of
 * counter 2 are (the speaker; kernels measure their clocks with it).
 * Nothing counts down here: a counter is the tick at which it started. Counts are binary; the BCD
 * bit of the control word is remembered for the status and has no other effect. */
#include "devices.h"

#define PIT_RATE UINT64_C(22010322987356910)   /* 1193182 Hz, see clock_ticks() */
#define PIT_NS_PER_TICK UINT64_C(3599591090044)
/* Shortest period served, in ticks (about 100 us): a guest cannot keep vCPU 0 busy with ticks. */
#define SHORTEST_PERIOD 120
#define COUNT_MAX 0x10000u

#define PORT_COUNTER0 0x40
#define PORT_CONTROL 0x43

#define CONTROL_COUNTER(v) ((v) >> 6)
#define CONTROL_READ_BACK 3
#define CONTROL_ACCESS(v) ((v) >> 4 & 3)
#define CONTROL_KEPT 0x3F
#define READ_BACK_NOT_COUNT 0x20
#define READ_BACK_NOT_STATUS 0x10
#define STATUS_OUTPUT 0x80
#define STATUS_NULL_COUNT 0x40

#define CONTROL_B_GATE2 0x01
#define CONTROL_B_SPEAKER 0x02
#define CONTROL_B_REFRESH 0x10
#define CONTROL_B_OUT2 0x20
#define SPEAKER_CHANNEL 2

enum access {
	ACCESS_LATCH, /* as a command: latch the count */
	ACCESS_LOW,
	ACCESS_HIGH,
	ACCESS_BOTH,
};

enum mode {
	MODE_TERMINAL_COUNT,
	MODE_ONE_SHOT, /* started by the gate */
	MODE_RATE,
	MODE_SQUARE,
	MODE_STROBE,
	MODE_GATE_STROBE, /* started by the gate */
};

/* Modes 6 and 7 are names for 2 and 3. */
static enum mode mode_of(const struct vpit_channel *c)
{
	unsigned bits = c->control >> 1 & 7;

	return (enum mode)(bits > MODE_GATE_STROBE ? bits & 3 : bits);
}

static bool is_periodic(const struct vpit_channel *c)
{
	return mode_of(c) == MODE_RATE || mode_of(c) == MODE_SQUARE;
}

static bool is_started_by_gate(const struct vpit_channel *c)
{
	return mode_of(c) == MODE_ONE_SHOT || mode_of(c) == MODE_GATE_STROBE;
}

static enum access access_of(const struct vpit_channel *c)
{
	return (enum access)CONTROL_ACCESS(c->control);
}

static uint64_t ticks_now(const struct machine *m)
{
	return clock_ticks(machine_now_ns(m), PIT_RATE);
}

static uint64_t elapsed_of(const struct vpit_channel *c, uint64_t now)
{
	return c->counting ? now - c->start : c->elapsed;
}

/* --- what a counter shows --- */

static uint16_t count_of(const struct vpit_channel *c, uint64_t now)
{
	uint64_t elapsed = elapsed_of(c, now);

	switch (mode_of(c)) {
	case MODE_RATE: return (uint16_t)(c->reload - elapsed % c->reload);
	case MODE_SQUARE: return (uint16_t)((c->reload - elapsed * 2 % c->reload) & ~1u);
	case MODE_TERMINAL_COUNT:
	case MODE_ONE_SHOT:
	case MODE_STROBE:
	case MODE_GATE_STROBE: return (uint16_t)(c->reload - elapsed);
	}
	return 0;
}

static bool output_of(const struct vpit_channel *c, uint64_t now)
{
	uint64_t elapsed = elapsed_of(c, now);

	switch (mode_of(c)) {
	case MODE_TERMINAL_COUNT: return !c->null_count && elapsed >= c->reload;
	case MODE_ONE_SHOT: return !c->counting || elapsed >= c->reload;
	case MODE_RATE: return !c->gate || elapsed % c->reload != c->reload - 1;
	case MODE_SQUARE: return !c->gate || elapsed % c->reload < (c->reload + 1) / 2;
	case MODE_STROBE:
	case MODE_GATE_STROBE: return elapsed != c->reload;
	}
	return false;
}

/* --- interrupts of counter 0 --- */

static void set_next_tick(struct machine *m, uint64_t tick)
{
	m->pit.next_tick = tick;
	machine_set_deadline(m, &m->pit.deadline_ns,
			     tick == DEADLINE_NONE ? DEADLINE_NONE : clock_to_ns(tick, PIT_NS_PER_TICK));
	machine_deadline_changed(m);
}

/* Modes started by a gate never start: the gate of counter 0 is always high. */
static void plan_interrupt(struct machine *m)
{
	const struct vpit_channel *c = &m->pit.channel[0];

	if (c->null_count || is_started_by_gate(c))
		set_next_tick(m, DEADLINE_NONE);
	else
		set_next_tick(m, c->start + c->reload);
}

/* Periods that were missed are dropped, and the phase is kept. */
static uint64_t next_period(const struct machine *m, uint64_t now)
{
	uint64_t reload = m->pit.channel[0].reload;
	uint64_t next = m->pit.next_tick + reload;

	if (next > now && reload >= SHORTEST_PERIOD)
		return next;
	return now + reload - (now - m->pit.next_tick) % reload +
	       (SHORTEST_PERIOD - 1) / reload * reload;
}

void vpit_tick(struct machine *m)
{
	uint64_t now;

	if (m->pit.deadline_ns == DEADLINE_NONE)
		return;
	now = ticks_now(m);
	if (now < m->pit.next_tick)
		return;
	set_next_tick(m, is_periodic(&m->pit.channel[0]) ? next_period(m, now) : DEADLINE_NONE);
	machine_irq_line(m, IRQ_PIT, true);
	machine_irq_line(m, IRQ_PIT, false);
}

/* --- loading and the gate --- */

static void restart(struct vpit_channel *c, uint64_t now)
{
	c->start = now;
	c->elapsed = 0;
	c->counting = true;
}

static void load(struct machine *m, unsigned which, uint32_t count)
{
	struct vpit_channel *c = &m->pit.channel[which];

	c->reload = count == 0 ? COUNT_MAX : count;
	c->null_count = false;
	restart(c, ticks_now(m));
	c->counting = c->gate && !is_started_by_gate(c);
	if (which == 0)
		plan_interrupt(m);
}

static void set_gate(struct vpit_channel *c, bool gate, uint64_t now)
{
	bool rises = gate && !c->gate, falls = !gate && c->gate;

	c->gate = gate;
	if (falls && !is_started_by_gate(c)) {
		c->elapsed = elapsed_of(c, now);
		c->counting = false;
	}
	if (!rises || c->null_count)
		return;
	if (is_periodic(c) || is_started_by_gate(c)) {
		restart(c, now);
	} else {
		c->start = now - c->elapsed;
		c->counting = true;
	}
}

/* --- ports 0x40 to 0x43 --- */

static void latch_count(struct vpit_channel *c, uint64_t now)
{
	if (c->count_latched)
		return;
	c->count_latch = count_of(c, now);
	c->count_latched = true;
}

static void latch_status(struct vpit_channel *c, uint64_t now)
{
	if (c->status_latched)
		return;
	c->status_latch = (uint8_t)(c->control | (output_of(c, now) ? STATUS_OUTPUT : 0) |
				    (c->null_count ? STATUS_NULL_COUNT : 0));
	c->status_latched = true;
}

static void read_back(struct machine *m, uint8_t value)
{
	uint64_t now = ticks_now(m);

	for (unsigned i = 0; i < VPIT_CHANNELS; i++) {
		if ((value & BIT(i + 1)) == 0)
			continue;
		if ((value & READ_BACK_NOT_COUNT) == 0)
			latch_count(&m->pit.channel[i], now);
		if ((value & READ_BACK_NOT_STATUS) == 0)
			latch_status(&m->pit.channel[i], now);
	}
}

static void write_control(struct machine *m, uint8_t value)
{
	unsigned which = CONTROL_COUNTER(value);
	struct vpit_channel *c;

	if (which == CONTROL_READ_BACK) {
		read_back(m, value);
		return;
	}
	c = &m->pit.channel[which];
	if (CONTROL_ACCESS(value) == ACCESS_LATCH) {
		latch_count(c, ticks_now(m));
		return;
	}
	c->control = value & CONTROL_KEPT;
	c->null_count = true;
	c->counting = false;
	c->elapsed = 0;
	c->write_high = false;
	c->read_high = false;
	c->count_latched = false;
	c->status_latched = false;
	if (which == 0)
		plan_interrupt(m);
}

static void write_counter(struct machine *m, unsigned which, uint8_t value)
{
	struct vpit_channel *c = &m->pit.channel[which];

	switch (access_of(c)) {
	case ACCESS_LATCH: return; /* no control word came yet */
	case ACCESS_LOW: load(m, which, value); return;
	case ACCESS_HIGH: load(m, which, (uint32_t)value << 8); return;
	case ACCESS_BOTH: break;
	}
	if (c->write_high)
		load(m, which, (uint32_t)value << 8 | c->write_low);
	else
		c->write_low = value;
	c->write_high = !c->write_high;
}

/* A latched count is used up by reading the byte, or the two bytes, of the access mode. */
static uint8_t read_counter(struct machine *m, unsigned which)
{
	struct vpit_channel *c = &m->pit.channel[which];
	uint16_t count;
	bool high = access_of(c) == ACCESS_HIGH || (access_of(c) == ACCESS_BOTH && c->read_high);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status_latch;
	}
	count = c->count_latched ? c->count_latch : count_of(c, ticks_now(m));
	if (access_of(c) == ACCESS_BOTH)
		c->read_high = !c->read_high;
	if (!c->read_high)
		c->count_latched = false;
	return (uint8_t)(high ? count >> 8 : count);
}

uint32_t vpit_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)size;
	return port == PORT_CONTROL ? UINT8_MAX : read_counter(m, port - PORT_COUNTER0);
}

void vpit_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)size;
	if (port == PORT_CONTROL)
		write_control(m, (uint8_t)value);
	else
		write_counter(m, port - PORT_COUNTER0, (uint8_t)value);
}

/* --- port 0x61 --- */

uint32_t vpit_control_b_read(struct machine *m, uint16_t port, unsigned size)
{
	const struct vpit_channel *c = &m->pit.channel[SPEAKER_CHANNEL];

	(void)port, (void)size;
	m->pit.refresh = !m->pit.refresh;
	return (c->gate ? CONTROL_B_GATE2 : 0u) | (m->pit.speaker ? CONTROL_B_SPEAKER : 0u) |
	       (m->pit.refresh ? CONTROL_B_REFRESH : 0u) |
	       (output_of(c, ticks_now(m)) ? CONTROL_B_OUT2 : 0u);
}

void vpit_control_b_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)port, (void)size;
	m->pit.speaker = (value & CONTROL_B_SPEAKER) != 0;
	set_gate(&m->pit.channel[SPEAKER_CHANNEL], (value & CONTROL_B_GATE2) != 0, ticks_now(m));
}

void vpit_init(struct machine *m)
{
	for (unsigned i = 0; i < VPIT_CHANNELS; i++) {
		m->pit.channel[i].reload = COUNT_MAX;
		m->pit.channel[i].null_count = true;
		m->pit.channel[i].gate = i != SPEAKER_CHANNEL;
	}
	m->pit.next_tick = DEADLINE_NONE;
	machine_set_deadline(m, &m->pit.deadline_ns, DEADLINE_NONE);
}
