/* SPDX-License-Identifier: MIT */
/* links: nested/msrpm12.c nested/iopm12.c tests/unit/fake_l1.c */
/* tests/unit/test_permmap12.c - L1's MSR and I/O maps: which bit answers for which access, and the merged MSR map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/msr.h>
#include <amd/vmcb.h>

#include "nested/permmap12.h"
#include "tests/unit/fake_l1.h"

#define BASE 0x10000

static struct port *l1;

static int setup(void **state)
{
	(void)state;
	l1 = fake_l1_new(MIB(1));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_l1_free(l1);
	return 0;
}

static bool msr_hit(uint32_t msr, bool write)
{
	return msrpm12_intercepts(l1, l1pa(BASE), msr, write);
}

/* One bit set in an empty map concerns one MSR and one direction. */
static void assert_msr_bit(uint32_t msr, unsigned byte, unsigned bit)
{
	l1->ram[BASE + byte] = (uint8_t)(1u << bit);
	assert_true(msr_hit(msr, false));
	assert_false(msr_hit(msr, true));
	l1->ram[BASE + byte] = (uint8_t)(2u << bit);
	assert_false(msr_hit(msr, false));
	assert_true(msr_hit(msr, true));
	l1->ram[BASE + byte] = (uint8_t)~(3u << bit);
	assert_false(msr_hit(msr, false));
	assert_false(msr_hit(msr, true));
	l1->ram[BASE + byte] = 0;
}

static void msr_bits(void **state)
{
	(void)state;
	assert_msr_bit(0x00000000, 0x0000, 0);
	assert_msr_bit(0x00000175, 0x005D, 2);
	assert_msr_bit(0x00001FFF, 0x07FF, 6);
	assert_msr_bit(0xC0000000, 0x0800, 0);
	assert_msr_bit(0xC0000080, 0x0820, 0);
	assert_msr_bit(0xC0000102, 0x0840, 4);
	assert_msr_bit(0xC0001FFF, 0x0FFF, 6);
	assert_msr_bit(0xC0010000, 0x1000, 0);
	assert_msr_bit(0xC0010117, 0x1045, 6);
	assert_msr_bit(0xC0011FFF, 0x17FF, 6);
}

static void uncovered_msrs_are_intercepted(void **state)
{
	static const uint32_t uncovered[] = {0x2000, 0x40000000, 0xBFFFFFFF, 0xC0002000, 0xC000FFFF, 0xC0012000,
					     0xFFFFFFFF};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(uncovered); i++)
		assert_true(msr_hit(uncovered[i], false) && msr_hit(uncovered[i], true));
}

static void unbacked_maps_intercept(void **state)
{
	(void)state;
	fake_l1_hole(l1, BASE + 0x1000, 0x1000);
	assert_false(msr_hit(MSR_EFER, false));
	assert_true(msr_hit(MSR_VM_CR, false));
	assert_false(iopm12_intercepts(l1, l1pa(BASE), 0x7FFF, 1));
	assert_true(iopm12_intercepts(l1, l1pa(BASE), 0x7FFF, 2));
	assert_true(iopm12_intercepts(l1, l1pa(BASE), 0x8000, 1));
	assert_true(iopm12_intercepts(l1, l1pa(BIT(39)), 0xFFFF, 4));
	assert_true(msrpm12_intercepts(l1, l1pa(BIT(39)), MSR_VM_CR, true));
}

static void offset_bits_of_a_base_are_ignored(void **state)
{
	(void)state;
	l1->ram[BASE] = 1;
	assert_true(msrpm12_intercepts(l1, l1pa(BASE + 0xFFF), 0, false));
	assert_true(iopm12_intercepts(l1, l1pa(BASE + 0xFFF), 0, 1));
}

/* For each port and size: intercepted exactly when one of its own bits is set. */
static void every_byte_of_an_io_access_counts(void **state)
{
	static const uint16_t ports[] = {0x0000, 0x0060, 0x03F7, 0x03F8, 0x7FFD, 0x7FFF, 0x8000, 0xFFFC, 0xFFFD, 0xFFFF};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(ports); i++)
		for (unsigned size = 1; size <= 4; size *= 2)
			for (unsigned set = ports[i] ? ports[i] - 1u : 0; set < ports[i] + 6u; set++) {
				bool own = set >= ports[i] && set < ports[i] + size;

				l1->ram[BASE + set / 8] = (uint8_t)(1u << set % 8);
				assert_int_equal(iopm12_intercepts(l1, l1pa(BASE), ports[i], size), own);
				l1->ram[BASE + set / 8] = 0;
			}
}

static void merge_opens_what_both_leave_open(void **state)
{
	static const uint32_t open[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR, MSR_LSTAR,
					MSR_CSTAR, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE};
	uint8_t *map01 = l1->ram + 0x20000, *map02 = l1->ram + 0x30000, *map12 = l1->ram + BASE;

	(void)state;
	/* The maps have one format, so the lookup into L1's serves for all three. */
	memset(map01, 0xFF, MSRPM_SIZE);
	for (size_t i = 0; i < ARRAY_COUNT(open); i++) {
		unsigned byte = (open[i] >> 31) * 0x800 + (open[i] & 0x1FFF) / 4;

		map01[byte] &= (uint8_t)~(3u << 2 * (open[i] % 4));
	}
	memset(map02, 0xFF, MSRPM_SIZE);
	assert_true(msrpm02_merge(l1, l1pa(BASE), true, map01, map02));
	assert_memory_equal(map02, map01, MSRPM_SIZE);

	for (unsigned i = 0; i < MSRPM_SIZE; i++)
		map12[i] = (uint8_t)(i * 0x9D + 0x31);
	assert_true(msrpm02_merge(l1, l1pa(BASE + 0x123), true, map01, map02));
	for (unsigned i = 0; i < MSRPM_SIZE; i++)
		assert_int_equal(map02[i], map01[i] | map12[i]);

	assert_true(msrpm02_merge(l1, l1pa(BASE), false, map01, map02));
	assert_memory_equal(map02, map01, MSRPM_SIZE);

	assert_false(msrpm02_merge(l1, l1pa(MIB(2)), true, map01, map02));
	for (unsigned i = 0; i < MSRPM_SIZE; i++)
		assert_int_equal(map02[i], 0xFF);
	assert_true(msrpm02_merge(l1, l1pa(MIB(2)), false, map01, map02));
	assert_memory_equal(map02, map01, MSRPM_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(msr_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(uncovered_msrs_are_intercepted, setup, teardown),
		cmocka_unit_test_setup_teardown(unbacked_maps_intercept, setup, teardown),
		cmocka_unit_test_setup_teardown(offset_bits_of_a_base_are_ignored, setup, teardown),
		cmocka_unit_test_setup_teardown(every_byte_of_an_io_access_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(merge_opens_what_both_leave_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
