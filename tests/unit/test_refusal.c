/* SPDX-License-Identifier: MIT */
/* links: svm/refusal.c */
/* tests/unit/test_refusal.c - CPUs that have SVM but cannot run guests: each reason by its own line, in the order of
 * APM2 15.4. No emulator can disable SVM by firmware, so this is where those lines are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpuid.h>
#include <amd/msr.h>

#include "svm/enable.h"

static const struct svm_cpu good = {.features = SVM_FEAT_NP, .asid_count = 4};

static void expect(struct svm_cpu cpu, uint64_t vm_cr, const char *part)
{
	const char *refusal = svm_refusal(&cpu, vm_cr);

	assert_non_null(refusal);
	assert_non_null(strstr(refusal, part));
	assert_non_null(strchr(refusal, ';')); /* what to do */
}

static void test_usable(void **state)
{
	(void)state;
	assert_null(svm_refusal(&good, 0));
	assert_null(svm_refusal(&good, VM_CR_LOCK)); /* locked while enabled */
}

static void test_disabled_by_firmware(void **state)
{
	struct svm_cpu cpu = good;

	(void)state;
	expect(cpu, VM_CR_SVMDIS, "disabled by the firmware");
	expect(cpu, VM_CR_SVMDIS | VM_CR_LOCK, "disabled by the firmware");
	cpu.features |= SVM_FEAT_SVML;
	expect(cpu, VM_CR_SVMDIS | VM_CR_LOCK, "locked with a key");
	assert_null(svm_refusal(&cpu, 0));
}

static void test_too_old(void **state)
{
	struct svm_cpu cpu = good;

	(void)state;
	cpu.features = 0;
	expect(cpu, 0, "no nested paging");
	expect(cpu, VM_CR_SVMDIS, "disabled by the firmware"); /* the one that can be cured comes first */
	cpu = good;
	cpu.asid_count = 3;
	expect(cpu, 0, "too few ASIDs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_disabled_by_firmware),
		cmocka_unit_test(test_too_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
