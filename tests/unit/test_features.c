/* SPDX-License-Identifier: MIT */
/* links: svm/features.c kernel/printf.c */
/* tests/unit/test_features.c - which SVM features a guest is offered, and what the log says of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "svm/features.h"

/* Every CPU that guests run on has this one. */
#define HW_LEAST SVM_FEAT_NP

static uint64_t all(void)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < SVM_FEATURE_COUNT; i++)
		bits |= svm_features[i].bit;
	return bits;
}

static void each_has_one_bit_and_needs_earlier_ones(void **state)
{
	uint64_t seen = 0;

	(void)state;
	for (size_t i = 0; i < SVM_FEATURE_COUNT; i++) {
		const struct svm_feature *f = &svm_features[i];

		assert_non_null(f->name);
		assert_true(f->bit && !(f->bit & (f->bit - 1)) && !(seen & f->bit));
		assert_int_equal(f->needs & ~seen, 0);
		seen |= f->bit;
	}
}

/* Switched off one at a time: it is gone, and what needs it; the rest stays. */
static void each_can_be_switched_off(void **state)
{
	(void)state;
	assert_int_equal(svm_features_offered(0, UINT64_MAX), all());
	for (size_t i = 0; i < SVM_FEATURE_COUNT; i++) {
		uint64_t off = svm_features[i].bit, gone = off;

		for (size_t j = i; j < SVM_FEATURE_COUNT; j++)
			gone |= svm_features[j].needs & gone ? svm_features[j].bit : 0;
		assert_int_equal(svm_features_offered(off, UINT64_MAX), all() & ~gone);
	}
}

/* What software makes is there on any CPU, the rest when the CPU has it. */
static void the_cpu_decides_on_the_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < SVM_FEATURE_COUNT; i++) {
		const struct svm_feature *f = &svm_features[i];

		assert_int_equal((svm_features_offered(0, HW_LEAST) & f->bit) != 0, f->without == NULL);
		assert_true(svm_features_offered(0, HW_LEAST | f->bit) & f->bit);
	}
}

static void reasons(void **state)
{
	char text[SVM_FEATURES_TEXT];

	(void)state;
	svm_features_explain(text, sizeof(text), 0, UINT64_MAX);
	assert_string_equal(text, "");
	svm_features_explain(text, sizeof(text), SVM_FEAT_VGIF | SVM_FEAT_NRIPS, UINT64_MAX);
	assert_string_equal(text, " nrips (switched off), vgif (switched off), vnmi (needs vgif)");
	svm_features_list(text, sizeof(text), SVM_FEAT_NP | SVM_FEAT_VNMI);
	assert_string_equal(text, " np vnmi");
}

/* Whatever the room, nothing is written behind it. */
static void text_is_cut(void **state)
{
	char text[64];

	(void)state;
	for (size_t size = 1; size < sizeof(text); size++) {
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = '~';
		svm_features_explain(text, size, UINT64_MAX, 0);
		assert_int_equal(text[size], '~');
		svm_features_list(text, size, UINT64_MAX);
		assert_int_equal(text[size], '~');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_one_bit_and_needs_earlier_ones), cmocka_unit_test(each_can_be_switched_off),
		cmocka_unit_test(the_cpu_decides_on_the_rest), cmocka_unit_test(reasons),
		cmocka_unit_test(text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
