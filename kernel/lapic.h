/* SPDX-License-Identifier: MIT */
/* kernel/lapic.h - this CPU's local APIC: interrupts to other CPUs, end of interrupt, timer. */
#ifndef KERNEL_LAPIC_H
#define KERNEL_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

/* On every CPU, the boot CPU first: it decides between xAPIC and x2APIC for all. */
void lapic_init_this_cpu(void);
bool lapic_is_x2apic(void);
uint32_t lapic_id(void);
void lapic_eoi(void);

void lapic_send_ipi(uint32_t apic_id, uint8_t vector);
void lapic_send_init(uint32_t apic_id);
/* `page` is the page number, below 256, at which the CPU shall start. */
void lapic_send_startup(uint32_t apic_id, uint8_t page);
void lapic_send_nmi(uint32_t apic_id);
/* Does nothing before lapic_init_this_cpu(). */
void lapic_send_nmi_to_others(void);

/* Counts down at the timer's full rate, again and again; 0 stops it. Interrupts with IRQ_TIMER at each zero. */
void lapic_timer_start(uint32_t count);
uint32_t lapic_timer_left(void);

#endif
