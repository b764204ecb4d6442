/* SPDX-License-Identifier: MIT */
/* lib/lapic.c - the local APIC by its MMIO page: interrupts to oneself, to others, one-shot timer.
 * A self-NMI goes out with a physical destination: with the self shorthand the delivery mode is
 * fixed on real parts as well (APM 16.5). */
#include "test.h"

#define REG_ID 0x20
#define REG_EOI 0xB0
#define REG_SPURIOUS 0xF0
#define REG_ICR_LOW 0x300
#define REG_ICR_HIGH 0x310
#define REG_LVT_TIMER 0x320
#define REG_TIMER_COUNT 0x380
#define REG_TIMER_DIVIDE 0x3E0
#define SPURIOUS_ON 0x1FFu
#define ICR_SELF 0x40000u
#define ICR_BUSY 0x1000u
#define DIVIDE_BY_1 0xBu

uint32_t lapic_read(uint32_t reg)
{
	return *(volatile uint32_t *)(uintptr_t)(LAPIC_BASE + reg);
}

void lapic_write(uint32_t reg, uint32_t v)
{
	*(volatile uint32_t *)(uintptr_t)(LAPIC_BASE + reg) = v;
}

void lapic_on(void)
{
	lapic_write(REG_SPURIOUS, SPURIOUS_ON);
}

uint32_t lapic_id(void)
{
	return lapic_read(REG_ID) >> 24;
}

void lapic_eoi(void)
{
	lapic_write(REG_EOI, 0);
}

static void icr_wait(void)
{
	for (unsigned n = 0; n < SPIN_LONG && lapic_read(REG_ICR_LOW) & ICR_BUSY; n++)
		pause();
}

void ipi_self(uint8_t vector)
{
	lapic_write(REG_ICR_LOW, ICR_SELF | vector);
	icr_wait();
}

void ipi_send(uint32_t apic_id, uint32_t icr_low)
{
	lapic_write(REG_ICR_HIGH, apic_id << 24);
	lapic_write(REG_ICR_LOW, icr_low);
	icr_wait();
}

void ipi_self_nmi(void)
{
	ipi_send(lapic_id(), ICR_NMI);
}

void lapic_timer_once(uint8_t vector, uint32_t count)
{
	lapic_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
	lapic_write(REG_LVT_TIMER, vector);
	lapic_write(REG_TIMER_COUNT, count);
}
