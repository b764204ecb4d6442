/* SPDX-License-Identifier: MIT */
/* kernel/lapic.c - the local APIC by MMIO (xAPIC) or MSR (x2APIC).
 * Decides x2APIC wherever the CPU has it. Never disables an APIC: that cannot be undone on the
 * emulators. Registers are 32 bits wide and accessed as such. Manual: APM2 chapter 16.
 * Users: kernel/irq.c (end of interrupt), kernel/smp.c (start, kick), kernel/time.c (timer). */
#include "kernel/lapic.h"

#include "kernel/cpu_insn.h"
#include "kernel/irq.h"
#include "kernel/panic.h"

#include <amd/cpuid.h>
#include <amd/msr.h>

/* Register offsets of the MMIO window; the x2APIC MSR number is offset / 16. */
enum lapic_reg {
	REG_ID = 0x020,
	REG_TPR = 0x080,
	REG_EOI = 0x0B0,
	REG_SPURIOUS = 0x0F0,
	REG_ICR_LOW = 0x300,
	REG_ICR_HIGH = 0x310,
	REG_LVT_TIMER = 0x320,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3E0,
};

#define SPURIOUS_ENABLE BIT32(8)
#define LVT_MASKED BIT32(16)
#define LVT_TIMER_PERIODIC BIT32(17)
#define TIMER_DIVIDE_1 0xBu
#define ICR_FIXED (0u << 8)
#define ICR_NMI (4u << 8)
#define ICR_INIT (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_PENDING BIT32(12)
#define ICR_ASSERT BIT32(14)
#define ICR_ALL_BUT_SELF (3u << 18)
#define XAPIC_ID_SHIFT 24
#define ICR_POLLS_MAX 100000

static bool is_x2apic;		 /* [I] */
static volatile uint8_t *window; /* [I] null in x2APIC mode and before set-up */
static bool is_up;		 /* [I] */

static uint32_t x2apic_msr(enum lapic_reg reg)
{
	return MSR_X2APIC_FIRST + (uint32_t)reg / 16;
}

static uint32_t reg_read(enum lapic_reg reg)
{
	if (is_x2apic)
		return (uint32_t)rdmsr(x2apic_msr(reg));
	return *(volatile uint32_t *)(window + reg);
}

static void reg_write(enum lapic_reg reg, uint32_t v)
{
	if (is_x2apic)
		wrmsr(x2apic_msr(reg), v);
	else
		*(volatile uint32_t *)(window + reg) = v;
}

/* x2APIC writes do not wait for earlier stores, and the receiver reads what we stored for it. */
static void icr_write_x2apic(uint32_t apic_id, uint32_t command)
{
	__asm__ volatile("mfence; lfence" : : : "memory");
	wrmsr(x2apic_msr(REG_ICR_LOW), (uint64_t)apic_id << 32 | command);
}

static void icr_write(uint32_t apic_id, uint32_t command)
{
	if (is_x2apic) {
		icr_write_x2apic(apic_id, command);
		return;
	}
	reg_write(REG_ICR_HIGH, apic_id << XAPIC_ID_SHIFT);
	reg_write(REG_ICR_LOW, command);
	for (unsigned i = 0; i < ICR_POLLS_MAX && reg_read(REG_ICR_LOW) & ICR_PENDING; i++)
		pause();
}

/* Decided once, on the boot CPU. Firmware may have chosen x2APIC, which cannot be left again. */
static void choose_mode(void)
{
	struct cpuid_regs features = cpuid(CPUID_FEATURES, 0);

	if (!(features.edx & CPUID_1_EDX_APIC))
		fatal("this CPU has no local APIC, or the firmware disabled it; enable it there");
	is_x2apic = features.ecx & CPUID_1_ECX_X2APIC;
}

static void enable(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_EN;

	wrmsr(MSR_APIC_BASE, base);
	if (is_x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
	else
		window = (volatile uint8_t *)align_down(base, PAGE_SIZE);
}

void lapic_init_this_cpu(void)
{
	if (!is_up)
		choose_mode();
	enable();
	is_up = true;
	/* Software-enabled first: before that, every LVT entry stays masked whatever is written (APM2 16.4.7). */
	reg_write(REG_SPURIOUS, SPURIOUS_ENABLE | IRQ_SPURIOUS);
	reg_write(REG_TIMER_INITIAL, 0);
	reg_write(REG_TPR, 0);
	reg_write(REG_LVT_TIMER, LVT_TIMER_PERIODIC | IRQ_TIMER); /* silent while its count is 0 */
	reg_write(REG_LVT_LINT0, LVT_MASKED); /* the legacy PIC; it is masked as well */
	reg_write(REG_LVT_ERROR, LVT_MASKED);
	reg_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_1);
}

bool lapic_is_x2apic(void)
{
	return is_x2apic;
}

uint32_t lapic_id(void)
{
	uint32_t id = reg_read(REG_ID);

	return is_x2apic ? id : id >> XAPIC_ID_SHIFT;
}

void lapic_eoi(void)
{
	reg_write(REG_EOI, 0);
}

void lapic_send_ipi(uint32_t apic_id, uint8_t vector)
{
	icr_write(apic_id, ICR_FIXED | ICR_ASSERT | vector);
}

void lapic_send_init(uint32_t apic_id)
{
	icr_write(apic_id, ICR_INIT | ICR_ASSERT);
}

void lapic_send_startup(uint32_t apic_id, uint8_t page)
{
	icr_write(apic_id, ICR_STARTUP | ICR_ASSERT | page);
}

void lapic_send_nmi(uint32_t apic_id)
{
	icr_write(apic_id, ICR_NMI | ICR_ASSERT);
}

void lapic_send_nmi_to_others(void)
{
	if (is_up)
		icr_write(0, ICR_NMI | ICR_ASSERT | ICR_ALL_BUT_SELF);
}

void lapic_timer_start(uint32_t count)
{
	reg_write(REG_TIMER_INITIAL, count);
}

uint32_t lapic_timer_left(void)
{
	return reg_read(REG_TIMER_CURRENT);
}
