/* SPDX-License-Identifier: MIT */
/* kernel/time.c - the clock is the TSC, the alarm is the LAPIC timer; both are measured at start.
 * Decides the reference to measure against: the ACPI PM timer, or channel 2 of the PIT.
 * Samples are taken in bursts and the tightest is kept, so that an emulator that loses its CPU for
 * a moment, or `-icount`, gives the same rates. Next: kernel/lapic.c, kernel/irq.c. */
#include "kernel/time.h"

#include "kernel/cpu_insn.h"
#include "kernel/irq.h"
#include "kernel/lapic.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

enum {
	PM_TIMER_HZ = 3579545,
	PIT_HZ = 1193182,
	PIT_CHANNEL2 = 0x42,
	PIT_COMMAND = 0x43,
	PIT_CH2_ONE_SHOT = 0xB0, /* channel 2, low then high byte, mode 0, binary */
	PIT_LATCH_CH2 = 0x80,
	PIT_GATE_PORT = 0x61,
	PIT_GATE_ON = 0x01,
	PIT_SPEAKER = 0x02,
	SAMPLES = 8,
	WINDOWS_PER_SEC = 50, /* measure for 20 ms: the PIT wraps after 54 ms */
};

#define PIT_START 0xFFFFu
#define PERIOD_MIN_NS (20 * NS_PER_US) /* QEMU catches up with each period that it has missed */
/* No TSC runs 2^34 ticks in a window: then the reference stands still. */
#define STUCK_AFTER_TICKS BIT(34)

/* A clock of known rate that counts up. */
struct reference {
	uint32_t hz;
	uint32_t mask;
	uint16_t port; /* of the PM timer; 0: the PIT */
};

struct sample {
	uint64_t tsc;
	uint32_t ref;
	uint32_t lapic;
	uint64_t width; /* TSC ticks that taking it took */
};

static uint64_t tsc_start;    /* [I] */
static uint64_t tsc_khz;      /* [I] */
static uint64_t ns_per_tick;  /* [I] 32.32 fixed point; 0 before time_init() */
static uint64_t lapic_per_ns; /* [I] 32.32 fixed point */

static uint64_t mul_32_32(uint64_t a, uint64_t fixed)
{
	return (uint64_t)((unsigned __int128)a * fixed >> 32);
}

static uint32_t pit_read(void)
{
	outb(PIT_COMMAND, PIT_LATCH_CH2);

	uint32_t low = inb(PIT_CHANNEL2);

	return PIT_START - (low | (uint32_t)inb(PIT_CHANNEL2) << 8);
}

static uint32_t reference_read(const struct reference *ref)
{
	return (ref->port ? inl(ref->port) : pit_read()) & ref->mask;
}

static void reference_start(const struct reference *ref)
{
	if (ref->port)
		return;
	outb(PIT_GATE_PORT, (uint8_t)((inb(PIT_GATE_PORT) & ~PIT_SPEAKER) | PIT_GATE_ON));
	outb(PIT_COMMAND, PIT_CH2_ONE_SHOT);
	outb(PIT_CHANNEL2, PIT_START & 0xFF);
	outb(PIT_CHANNEL2, PIT_START >> 8);
}

static struct sample take_sample(const struct reference *ref)
{
	struct sample best = {.width = UINT64_MAX};

	for (unsigned i = 0; i < SAMPLES; i++) {
		struct sample s = {.tsc = rdtsc()};

		s.ref = reference_read(ref);
		s.lapic = lapic_timer_left();
		s.width = rdtsc() - s.tsc;
		if (s.width < best.width)
			best = s;
	}
	return best;
}

/* Sets the rates. False when the reference does not count. */
static bool measure(const struct reference *ref)
{
	uint32_t window = ref->hz / WINDOWS_PER_SEC;

	reference_start(ref);
	lapic_timer_start(UINT32_MAX);

	struct sample first = take_sample(ref);

	while (((reference_read(ref) - first.ref) & ref->mask) < window)
		if (rdtsc() - first.tsc > STUCK_AFTER_TICKS)
			return false;

	struct sample last = take_sample(ref);
	uint64_t ticks = (last.ref - first.ref) & ref->mask;
	uint64_t lapic_hz = (uint64_t)(first.lapic - last.lapic) * ref->hz / ticks;

	lapic_timer_start(0);
	tsc_khz = (last.tsc - first.tsc) * ref->hz / ticks / 1000;
	if (!tsc_khz || !lapic_hz)
		return false;
	ns_per_tick = (NS_PER_MS << 32) / tsc_khz;
	lapic_per_ns = (lapic_hz << 32) / NS_PER_SEC;
	tsc_start = first.tsc;
	return true;
}

uint64_t time_ns_at(uint64_t tsc)
{
	return mul_32_32(tsc - tsc_start, ns_per_tick);
}

uint64_t time_now_ns(void)
{
	return time_ns_at(rdtsc());
}

uint64_t time_tsc_khz(void)
{
	return tsc_khz;
}

/* Rounds up, so that the interrupt does not come a tick before the time. The timer goes on in periods of the same
 * length until it is set anew, since QEMU may forget the interrupt (docs/engines.md): then the next one counts. */
static void start_timer(uint64_t deadline)
{
	uint64_t now = time_now_ns();
	uint64_t left = max_u64(deadline, now + PERIOD_MIN_NS) - now;

	lapic_timer_start((uint32_t)min_u64(mul_32_32(left, lapic_per_ns) + 1, UINT32_MAX));
}

void time_arm_ns(uint64_t deadline)
{
	struct percpu *cpu = this_cpu();

	if (cpu->timer_deadline == deadline)
		return;
	cpu->timer_deadline = deadline;
	if (deadline == UINT64_MAX)
		lapic_timer_start(0);
	else
		start_timer(deadline);
}

/* A deadline beyond the timer's 32 bits takes several rounds. */
static void timer_interrupt(void)
{
	struct percpu *cpu = this_cpu();

	if (cpu->timer_deadline == UINT64_MAX)
		lapic_timer_start(0); /* a period later, and nobody has set it anew */
	else if (time_now_ns() < cpu->timer_deadline)
		start_timer(cpu->timer_deadline);
	else
		cpu->timer_deadline = UINT64_MAX;
}

void time_delay_ns(uint64_t ns)
{
	uint64_t end = time_now_ns() + ns;

	while (time_now_ns() < end)
		pause();
}

void time_init(uint16_t pm_timer_port, bool is_32bit)
{
	struct reference pm = {PM_TIMER_HZ, is_32bit ? UINT32_MAX : 0xFFFFFF, pm_timer_port};
	struct reference pit = {PIT_HZ, PIT_START, 0};

	irq_handle(IRQ_TIMER, timer_interrupt);
	if (pm_timer_port && measure(&pm))
		return;
	if (!measure(&pit))
		fatal("neither the ACPI PM timer nor the PIT counts; nothing to measure time by");
}
