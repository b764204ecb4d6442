/* SPDX-License-Identifier: MIT */
/* svm/place.c - gives vCPUs the lowest free CPUs, CPU 0 last: as long as there are others, that one looks after the
 * console and the management plane alone. Pure. User: guests.c. */
#include "svm/place.h"

unsigned place_free(const struct cpu_set *taken, unsigned cpu_count)
{
	unsigned n = 0;

	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		n += !cpu_set_has(taken, cpu);
	return n;
}

bool place_vcpus(const struct cpu_set *taken, unsigned cpu_count, unsigned need, unsigned *cpus)
{
	unsigned n = 0;

	if (need > place_free(taken, cpu_count))
		return false;
	for (unsigned i = 1; n < need; i++) {
		unsigned cpu = i % cpu_count;

		if (!cpu_set_has(taken, cpu))
			cpus[n++] = cpu;
	}
	return true;
}
