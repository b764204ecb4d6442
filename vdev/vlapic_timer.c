/* SPDX-License-Identifier: MIT */
/* vdev/vlapic_timer.c - the local APIC's counter: one-shot, periodic, TSC deadline.
 * The counter's input clock is 1 GHz, so a count is a nanosecond shifted by the divider.
 * Manual: APM2 16.4.1, APIC Timer Interrupt. */
#include "vlapic.h"

/* A guest that asks for faster periodic interrupts than this gets them at this pace; otherwise it
 * could keep its vCPU in the interrupt path forever. */
#define SHORTEST_PERIOD_NS UINT64_C(100000)
/* Far enough: beyond it a deadline counts as never (146 years). */
#define LONGEST_DELAY_NS (UINT64_C(1) << 62)

enum timer_mode {
	TIMER_ONE_SHOT,
	TIMER_PERIODIC,
	TIMER_TSC_DEADLINE,
	TIMER_RESERVED,
};

static enum timer_mode mode_of(uint32_t lvt)
{
	return (enum timer_mode)((lvt & APIC_LVT_TIMER_MASK) >> APIC_LVT_TIMER_SHIFT);
}

/* Bits 3, 1 and 0 hold the exponent of the divider minus one; 111b means divide by 1. */
static unsigned divide_shift(const struct vlapic_timer *t)
{
	unsigned code = (t->divide & 3) | (t->divide & 8) >> 1;

	return (code + 1) & 7;
}

static uint64_t clamped_period(const struct vlapic_timer *t)
{
	return max_u64((uint64_t)t->initial << divide_shift(t), SHORTEST_PERIOD_NS);
}

static void stop(struct vlapic_timer *t)
{
	t->deadline_ns = DEADLINE_NONE;
	t->tsc_deadline = 0;
}

void vlapic_timer_reset(struct vlapic_timer *t)
{
	t->initial = 0;
	t->divide = 0;
	stop(t);
}

/* Going to or from TSC deadline disarms; between the other two the count goes on. */
void vlapic_timer_lvt_changed(struct vlapic *l, uint32_t old_lvt)
{
	enum timer_mode old = mode_of(old_lvt), new = mode_of(l->lvt[LVT_TIMER]);

	if (old != new && (old >= TIMER_TSC_DEADLINE || new >= TIMER_TSC_DEADLINE))
		stop(&l->timer);
}

void vlapic_timer_set_initial(struct machine *m, unsigned vcpu, uint32_t count)
{
	struct vlapic *l = &m->lapic[vcpu];
	struct vlapic_timer *t = &l->timer;

	if (mode_of(l->lvt[LVT_TIMER]) >= TIMER_TSC_DEADLINE)
		return;
	t->initial = count;
	t->deadline_ns = DEADLINE_NONE;
	if (count != 0)
		t->deadline_ns = machine_now_ns(m) + ((uint64_t)count << divide_shift(t));
}

static uint32_t remaining(const struct vlapic_timer *t, uint64_t now)
{
	uint64_t left, unit_mask = BIT(divide_shift(t)) - 1;

	if (t->deadline_ns == DEADLINE_NONE || t->deadline_ns <= now)
		return 0;
	left = (t->deadline_ns - now + unit_mask) >> divide_shift(t);
	return (uint32_t)min_u64(left, t->initial);
}

uint32_t vlapic_timer_count(struct machine *m, unsigned vcpu)
{
	const struct vlapic *l = &m->lapic[vcpu];

	vlapic_timer_tick(m, vcpu);
	if (mode_of(l->lvt[LVT_TIMER]) >= TIMER_TSC_DEADLINE)
		return 0;
	return remaining(&l->timer, machine_now_ns(m));
}

/* The count itself stays; only its pace changes. */
void vlapic_timer_set_divide(struct machine *m, unsigned vcpu, uint32_t divide)
{
	struct vlapic_timer *t = &m->lapic[vcpu].timer;
	uint64_t now = machine_now_ns(m);
	uint32_t left = remaining(t, now);

	t->divide = divide & 0xB;
	if (left != 0 && t->tsc_deadline == 0)
		t->deadline_ns = now + ((uint64_t)left << divide_shift(t));
}

/* Periods that were missed are dropped, and the phase is kept. */
static uint64_t next_period(const struct vlapic_timer *t, uint64_t now)
{
	uint64_t period = clamped_period(t);
	uint64_t next = t->deadline_ns + period;

	return next > now ? next : now + period - (now - t->deadline_ns) % period;
}

void vlapic_timer_tick(struct machine *m, unsigned vcpu)
{
	struct vlapic *l = &m->lapic[vcpu];
	uint64_t now;

	if (l->timer.deadline_ns == DEADLINE_NONE)
		return;
	now = machine_now_ns(m);
	if (l->timer.deadline_ns > now)
		return;
	if (mode_of(l->lvt[LVT_TIMER]) == TIMER_PERIODIC)
		l->timer.deadline_ns = next_period(&l->timer, now);
	else
		stop(&l->timer);
	vlapic_fire_lvt(m, vcpu, LVT_TIMER);
}

/* --- IA32_TSC_DEADLINE --- */

uint64_t machine_tsc_deadline_read(const struct machine *m, unsigned vcpu)
{
	return m->lapic[vcpu].timer.tsc_deadline;
}

/* Rounded up, so that the interrupt never comes before the TSC has got there. */
static uint64_t tsc_to_ns(const struct machine *m, uint64_t ticks)
{
	unsigned __int128 ns = ((unsigned __int128)ticks * m->ns_per_tsc >> 32) + 1;

	return ns < LONGEST_DELAY_NS ? (uint64_t)ns : LONGEST_DELAY_NS;
}

void machine_tsc_deadline_write(struct machine *m, unsigned vcpu, uint64_t value,
				uint64_t guest_tsc)
{
	struct vlapic *l = &m->lapic[vcpu];

	if (mode_of(l->lvt[LVT_TIMER]) != TIMER_TSC_DEADLINE)
		return;
	stop(&l->timer);
	if (value == 0)
		return;
	l->timer.tsc_deadline = value;
	l->timer.deadline_ns = machine_now_ns(m);
	if (value > guest_tsc)
		l->timer.deadline_ns += tsc_to_ns(m, value - guest_tsc);
	vlapic_timer_tick(m, vcpu);
}
