/* SPDX-License-Identifier: MIT */
/* kernel/smp.h - the other CPUs: start them, give them work, wake them. */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include <addr.h>

struct percpu;

/* CPUs that run, the boot CPU included. Their indices are 0 .. count-1. */
unsigned smp_cpu_count(void);
struct percpu *smp_cpu(unsigned cpu);

/* Runs fn(arg) on another CPU, on its own stack, as soon as that CPU is idle. smp_call returns at
 * once; smp_call_wait when fn has returned. */
void smp_call(unsigned cpu, void (*fn)(void *), void *arg);
void smp_call_wait(unsigned cpu, void (*fn)(void *), void *arg);

/* An interrupt that does nothing but end a guest run or a halt on that CPU. */
void smp_kick(unsigned cpu);
/* Set-up, for a CPU that does not let an interrupt end every guest run: from now on a kick is an NMI as well. */
void smp_kick_by_nmi_too(void);

/* Makes CPU 0 of the one that runs. Then starts those with the given APIC IDs, by way of one free
 * page below 1 MiB. */
void smp_init_boot_cpu(void);
void smp_start_all(const uint32_t *apic_ids, unsigned count, hpa_t low_page);

/* Where an idle CPU waits for smp_call. */
_Noreturn void smp_idle(void);

#endif
