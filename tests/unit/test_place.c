/* SPDX-License-Identifier: MIT */
/* links: svm/place.c */
/* tests/unit/test_place.c - every machine of up to 6 CPUs, every set of taken ones, every need: the lowest free CPUs
 * are chosen, CPU 0 last, and nothing at all when they are too few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "svm/place.h"

#define UNTOUCHED 99u

static void check(unsigned count, uint64_t taken_bits, unsigned need)
{
	struct cpu_set taken = {.bits = {taken_bits}};
	unsigned cpus[8], expected[8], n = 0;

	for (unsigned i = 0; i < 8; i++)
		cpus[i] = UNTOUCHED;
	for (unsigned cpu = 1; cpu < count; cpu++) {
		if (!(taken_bits & BIT(cpu)))
			expected[n++] = cpu;
	}
	if (!(taken_bits & 1))
		expected[n++] = 0;
	assert_int_equal(place_free(&taken, count), n);
	assert_int_equal(place_vcpus(&taken, count, need, cpus), need <= n);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(cpus[i], need <= n && i < need ? expected[i] : UNTOUCHED);
}

static void every_small_machine(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= 6; count++) {
		for (uint64_t taken = 0; taken < BIT(count); taken++) {
			for (unsigned need = 1; need <= 7; need++)
				check(count, taken, need);
		}
	}
}

static void the_largest_machine(void **state)
{
	struct cpu_set taken = {{0}};
	unsigned cpus[2];

	(void)state;
	for (unsigned cpu = 0; cpu < CPUS_MAX - 1; cpu++)
		cpu_set_add(&taken, cpu);
	assert_int_equal(place_free(&taken, CPUS_MAX), 1);
	assert_false(place_vcpus(&taken, CPUS_MAX, 2, cpus));
	assert_true(place_vcpus(&taken, CPUS_MAX, 1, cpus));
	assert_int_equal(cpus[0], CPUS_MAX - 1);
	assert_true(cpu_set_has(&taken, 63));
	assert_false(cpu_set_has(&taken, CPUS_MAX - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_small_machine),
		cmocka_unit_test(the_largest_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
