/* SPDX-License-Identifier: MIT */
/* svm/place.h - which CPUs a guest gets. Pure. */
#ifndef SVM_PLACE_H
#define SVM_PLACE_H

#include <bits.h>

#include "kernel/percpu.h"

struct cpu_set {
	uint64_t bits[CPUS_MAX / 64];
};

static inline void cpu_set_add(struct cpu_set *set, unsigned cpu)
{
	set->bits[cpu / 64] |= BIT(cpu % 64);
}

static inline bool cpu_set_has(const struct cpu_set *set, unsigned cpu)
{
	return set->bits[cpu / 64] & BIT(cpu % 64);
}

/* How many of the machine's CPUs are not taken. */
unsigned place_free(const struct cpu_set *taken, unsigned cpu_count);
/* Chooses a CPU for each of `need` vCPUs. False, and nothing is chosen, when not so many are free. */
bool place_vcpus(const struct cpu_set *taken, unsigned cpu_count, unsigned need, unsigned *cpus);

#endif
