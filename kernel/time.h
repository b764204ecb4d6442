/* SPDX-License-Identifier: MIT */
/* kernel/time.h - the clock (TSC) and one deadline per CPU (LAPIC timer). */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* Nanoseconds since time_init(), the same on every CPU; 0 before. */
uint64_t time_now_ns(void);
/* The same for the moment when the TSC was `tsc`. */
uint64_t time_ns_at(uint64_t tsc);
uint64_t time_tsc_khz(void);

/* IRQ_TIMER on this CPU at that time, but not within 20 microseconds from now, and maybe once more after it. One
 * deadline per CPU: a new one replaces the old one, UINT64_MAX disarms. */
void time_arm_ns(uint64_t deadline);

/* Spins. For hardware set-up only. */
void time_delay_ns(uint64_t ns);

/* The ACPI PM timer, when there is one: I/O port, and whether it counts 32 bits rather than 24. */
void time_init(uint16_t pm_timer_port, bool is_32bit);

#endif
