/* SPDX-License-Identifier: MIT */
/* svm/features.h - the SVM features that an L1 can be offered: their names, and which of them it gets. Pure. */
#ifndef SVM_FEATURES_H
#define SVM_FEATURES_H

#include <amd/cpuid.h>
#include <compiler.h>

#include <stddef.h>

struct svm_feature {
	const char *name;    /* in nestling.cfg and in the log */
	uint64_t bit;        /* SVM_FEAT_* */
	uint64_t needs;      /* other features without which this one makes no sense */
	const char *without; /* the CPU must have it: what is said when it has not; null: software makes it */
};

#define SVM_FEATURE_COUNT 15
extern const struct svm_feature svm_features[SVM_FEATURE_COUNT];

/* Bits of what is offered when `off` is not wanted, on a CPU that has `hw`. */
uint64_t svm_features_offered(uint64_t off, uint64_t hw);
/* The names of these bits into `text`, each behind a space. */
void svm_features_list(char *text, size_t size, uint64_t bits);
/* Those that are not offered, each with the reason, separated by commas. */
void svm_features_explain(char *text, size_t size, uint64_t off, uint64_t hw);
#define SVM_FEATURES_TEXT 400 /* room for all of that */

#endif
