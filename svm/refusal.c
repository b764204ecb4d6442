/* SPDX-License-Identifier: MIT */
/* svm/refusal.c - why guests cannot be run on a CPU that has SVM, for the one line that people read. Pure: reads what
 * enable.c has found, so that firmware settings which no emulator has are tested on the host.
 * Manual: APM2 15.4 (Enabling SVM): CPUID shows SVM even where firmware has disabled it. Before: enable.c. */
#include <amd/cpuid.h>
#include <amd/msr.h>

#include "svm/enable.h"

#define ASID_COUNT_MIN 4 /* host, L1, and two for L2s */

const char *svm_refusal(const struct svm_cpu *cpu, uint64_t vm_cr)
{
	if ((vm_cr & VM_CR_SVMDIS) && (cpu->features & SVM_FEAT_SVML))
		return "SVM is disabled and locked with a key (VM_CR.SVMDIS); enable SVM in the firmware setup";
	if (vm_cr & VM_CR_SVMDIS)
		return "SVM is disabled by the firmware (VM_CR.SVMDIS); enable SVM (AMD-V) in the firmware setup";
	if (!(cpu->features & SVM_FEAT_NP))
		return "this CPU has no nested paging; use a newer AMD CPU (family 10h or later)";
	if (cpu->asid_count < ASID_COUNT_MIN)
		return "this CPU has too few ASIDs (it needs 4); use a newer AMD CPU";
	return NULL;
}
