/* SPDX-License-Identifier: MIT */
/* links: nested/msr.c tests/unit/fake_l1.c */
/* tests/unit/test_msr.c - the SVM MSRs as L1 sees them (APM2 15.30, 15.31): values, #GPs, the lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/msr.h>

#include "nested/nested.h"
#include "tests/unit/fake_l1.h"

static struct nested n;

static int setup(void **state)
{
	(void)state;
	memset(&n, 0, sizeof(n));
	n.caps.phys_mbz = BITS(63, 40);
	return 0;
}

static uint64_t read_msr(uint32_t msr)
{
	uint64_t value = UINT64_MAX;
	bool fault = true;

	assert_true(nested_msr_read(&n, msr, &value, &fault));
	assert_false(fault);
	return value;
}

/* True: accepted. */
static bool write_msr(uint32_t msr, uint64_t value)
{
	bool fault = true;

	assert_true(nested_msr_write(&n, msr, value, &fault));
	return !fault;
}

static void hsave_takes_page_addresses(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		bool legal = bit >= 12 && bit < 40;

		assert_true(write_msr(MSR_VM_HSAVE_PA, 0));
		assert_int_equal(write_msr(MSR_VM_HSAVE_PA, BIT(bit)), legal);
		assert_int_equal(read_msr(MSR_VM_HSAVE_PA), legal ? BIT(bit) : 0);
	}
}

/* Bits 4:0 exist; a #GP leaves the old value. */
static void vm_cr_bits(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		n.vm_cr = 0;
		assert_int_equal(write_msr(MSR_VM_CR, BIT(bit)), bit < 5);
		assert_int_equal(read_msr(MSR_VM_CR), bit < 5 ? BIT(bit) : 0);
	}
}

static void lock_freezes_itself_and_svmdis(void **state)
{
	(void)state;
	assert_true(write_msr(MSR_VM_CR, VM_CR_LOCK));
	assert_true(write_msr(MSR_VM_CR, VM_CR_SVMDIS | VM_CR_R_INIT));
	assert_int_equal(read_msr(MSR_VM_CR), VM_CR_LOCK | VM_CR_R_INIT);
	n.vm_cr = VM_CR_LOCK | VM_CR_SVMDIS;
	assert_true(write_msr(MSR_VM_CR, 0));
	assert_int_equal(read_msr(MSR_VM_CR), VM_CR_LOCK | VM_CR_SVMDIS);
	n.vm_cr = VM_CR_SVMDIS;
	assert_true(write_msr(MSR_VM_CR, 0));
	assert_int_equal(read_msr(MSR_VM_CR), 0);
}

/* Setting SVMDIS while SVM is in use is a #GP, locked or not. */
static void no_svmdis_under_svme(void **state)
{
	(void)state;
	n.svme = true;
	for (unsigned locked = 0; locked < 2; locked++) {
		n.vm_cr = locked ? VM_CR_LOCK : 0;
		assert_false(write_msr(MSR_VM_CR, VM_CR_SVMDIS));
		assert_int_equal(read_msr(MSR_VM_CR), locked ? VM_CR_LOCK : 0);
		assert_true(write_msr(MSR_VM_CR, VM_CR_R_INIT));
	}
}

static void small_msrs(void **state)
{
	(void)state;
	assert_int_equal(read_msr(MSR_IGNNE), 0);
	assert_true(write_msr(MSR_IGNNE, 1));
	assert_false(write_msr(MSR_IGNNE, 2));
	assert_true(write_msr(MSR_SVM_KEY, UINT64_MAX));
	assert_int_equal(read_msr(MSR_SVM_KEY), 0); /* never tells a key */
}

static void others_are_not_ours(void **state)
{
	static const uint32_t others[] = {MSR_EFER, MSR_TSC_RATIO, MSR_PAT, 0xC0010113, MSR_SMM_CTL, 0xC0010119, 0, UINT32_MAX};
	uint64_t value;
	bool fault;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		assert_false(nested_msr_read(&n, others[i], &value, &fault));
		assert_false(nested_msr_write(&n, others[i], 0, &fault));
		assert_false(fault);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(hsave_takes_page_addresses, setup),
		cmocka_unit_test_setup(vm_cr_bits, setup),
		cmocka_unit_test_setup(lock_freezes_itself_and_svmdis, setup),
		cmocka_unit_test_setup(no_svmdis_under_svme, setup),
		cmocka_unit_test_setup(small_msrs, setup),
		cmocka_unit_test_setup(others_are_not_ours, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
