/* SPDX-License-Identifier: MIT */
/* nested/msr.c - the SVM MSRs as L1 sees them. They exist whether or not EFER.SVME is set (APM2 15.30), and none of
 * their values but TSC_RATIO is ever given to the CPU. EFER is with the other machine MSRs: svm/exit_msr.c.
 * Manual: APM2 15.30 (SVM Related MSRs), 15.31 (SVM-Lock). */
#include <amd/cpuid.h>
#include <amd/msr.h>

#include "nested.h"

bool nested_msr_read(const struct nested *n, uint32_t msr, uint64_t *value, bool *fault)
{
	*fault = false;
	*value = 0;
	switch (msr) {
	case MSR_VM_CR:
		*value = n->vm_cr;
		return true;
	case MSR_VM_HSAVE_PA:
		*value = n->hsave_pa;
		return true;
	case MSR_TSC_RATIO:
		*value = n->tsc_ratio;
		return (n->caps.features & SVM_FEAT_TSC_RATIO) != 0;
	case MSR_IGNNE:
	case MSR_SVM_KEY: /* reads as zero */
		return true;
	default:
		return false;
	}
}

/* LOCK freezes itself and SVMDIS; SVM cannot be disabled while it is in use. */
static bool write_vm_cr(struct nested *n, uint64_t value)
{
	const uint64_t frozen = VM_CR_LOCK | VM_CR_SVMDIS;

	if (value & ~VM_CR_KNOWN)
		return false;
	if ((value & VM_CR_SVMDIS) && n->svme)
		return false;
	if (n->vm_cr & VM_CR_LOCK)
		value = (value & ~frozen) | (n->vm_cr & frozen);
	n->vm_cr = value;
	return true;
}

static bool write_hsave(struct nested *n, uint64_t value)
{
	if ((value & PAGE_MASK) || (value & n->caps.phys_mbz))
		return false;
	n->hsave_pa = value;
	return true;
}

static bool write_tsc_ratio(struct nested *n, uint64_t value)
{
	if (value & TSC_RATIO_MBZ)
		return false;
	n->tsc_ratio = value;
	nested_choose_anew(n);
	return true;
}

bool nested_msr_write(struct nested *n, uint32_t msr, uint64_t value, bool *fault)
{
	*fault = false;
	switch (msr) {
	case MSR_VM_CR:
		*fault = !write_vm_cr(n, value);
		return true;
	case MSR_VM_HSAVE_PA:
		*fault = !write_hsave(n, value);
		return true;
	case MSR_TSC_RATIO:
		if (!(n->caps.features & SVM_FEAT_TSC_RATIO))
			return false;
		*fault = !write_tsc_ratio(n, value);
		return true;
	case MSR_IGNNE:
		*fault = value > 1;
		return true;
	case MSR_SVM_KEY: /* SVM-Lock is not offered: there is no key to set */
		return true;
	default:
		return false;
	}
}
