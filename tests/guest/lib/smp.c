/* SPDX-License-Identifier: MIT */
/* lib/smp.c - the second vCPU: INIT, two Startup-IPIs, then a mailbox with one function at a time.
 * It shares L1's tables, has a host save page of its own and takes no interrupts. */
#include "test.h"

#define AP_BASE 0x8000u
#define AP_VECTOR 0x08u
#define DELAY_INIT 1000000u
#define DELAY_STARTUP 200000u

extern const uint8_t ap_begin[], ap_end[];
extern void (*volatile ap_entry)(void);

static struct mailbox {
	void (*volatile fn)(void *);
	void *volatile arg;
	volatile bool is_up;
} box;
static uint8_t ap_hsave[PAGE_SIZE] ALIGNED(4096);

static void ap_loop(void)
{
	if (cpuid(0x80000001, 0).c & BIT32(2))
		wrmsr(MSR_HSAVE_PA, pa(ap_hsave));
	box.is_up = true;
	for (;;) {
		if (box.fn) {
			box.fn(box.arg);
			box.fn = NULL;
		}
		pause();
	}
}

static bool wait_up(unsigned tries)
{
	while (tries-- && !box.is_up)
		pause();
	return box.is_up;
}

/* The second CPU is the one whose APIC id differs from ours: 0 or 1. */
static bool ap_start(void)
{
	uint32_t id = lapic_id() ^ 1;

	__builtin_memcpy((void *)(uintptr_t)AP_BASE, ap_begin, (size_t)(ap_end - ap_begin));
	ap_entry = ap_loop;
	ipi_send(id, ICR_INIT);
	spin(DELAY_INIT);
	ipi_send(id, ICR_STARTUP | AP_VECTOR);
	if (wait_up(DELAY_STARTUP))
		return true;
	ipi_send(id, ICR_STARTUP | AP_VECTOR);
	return wait_up(SPIN_LONG);
}

bool smp_run(void (*fn)(void *), void *arg)
{
	static bool is_absent;	/* asked once, waited for once */

	if (acpi_cpu_count() < 2) {
		skip("one CPU");
		return false;
	}
	if (!box.is_up && (is_absent || !ap_start())) {
		is_absent = true;
		return expect("second vCPU started", 0, 1);
	}
	box.arg = arg;
	box.fn = fn;
	return true;
}

void smp_forget(void)
{
	box.is_up = false;
	box.fn = NULL;
}

void smp_wait(void)
{
	while (box.fn)
		pause();
}
