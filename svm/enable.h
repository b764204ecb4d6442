/* SPDX-License-Identifier: MIT */
/* svm/enable.h - what SVM this machine has, and switching it on. */
#ifndef SVM_ENABLE_H
#define SVM_ENABLE_H

#include <stdbool.h>

#include <amd/cpuid.h>
#include <bits.h>

/* What the physical CPU offers. Every CPU of a machine is taken to be like the boot CPU. */
struct svm_cpu {
	uint32_t features;   /* CPUID Fn8000_000A EDX */
	bool eraps;          /* Fn8000_0021 EAX */
	uint32_t asid_count; /* ASIDs 1 .. asid_count - 1 are usable */
	uint8_t phys_bits;
	bool has_ibpb; /* PRED_CMD can forget the branches that were predicted */
	bool has_la57; /* canonical addresses have 57 bits, whatever a guest is offered */
	bool debugctl_is_0; /* MSR DEBUGCTL can be read and is 0: VMRUN leaves it alone unless it is virtualised */
};

/* Boot CPU, before anything else of svm/. fatal() with what to do when guests cannot be run here. */
void svm_check_cpu(void);
/* Null, or what keeps guests from this CPU although it has SVM; what to do. */
const char *svm_refusal(const struct svm_cpu *cpu, uint64_t vm_cr);
/* Every CPU: EFER.SVME and a host save area. */
void svm_enable_this_cpu(void);
extern struct svm_cpu svm_this_cpu; /* written by svm_check_cpu() alone */
static inline const struct svm_cpu *svm_cpu(void)
{
	return &svm_this_cpu;
}

/* As SVM_FEAT_*. */
static inline uint64_t svm_hw_features(void)
{
	return svm_cpu()->features | (svm_cpu()->eraps ? SVM_FEAT_ERAPS : 0);
}

#endif
