/* SPDX-License-Identifier: MIT */
/* svm/msr_store.h - MSRs of an L1 vCPU that are only remembered: nothing in the CPU depends on them. */
#ifndef SVM_MSR_STORE_H
#define SVM_MSR_STORE_H

#include <stdint.h>

#define MTRR_VARIABLE_COUNT 8
#define MTRR_FIXED_COUNT 11

struct msr_store {
	uint64_t mtrr_variable[2 * MTRR_VARIABLE_COUNT]; /* base and mask in turn */
	uint64_t mtrr_fixed[MTRR_FIXED_COUNT];
	uint64_t mtrr_def_type;
	uint64_t hwcr, de_cfg, ls_cfg;
	uint64_t pv_wall_clock, pv_system_time; /* pvclock.c */
};

#endif
