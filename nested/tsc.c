/* SPDX-License-Identifier: MIT */
/* nested/tsc.c - the TSC of L2: L1's, multiplied by L1's TSC_RATIO, plus VMCB12's offset. A CPU that scales is given an
 * offset to match, and the ratio by svm/; without one RDTSC and RDTSCP of L2 exit. Writes VMCB02 alone.
 * Manual: APM2 15.30.5 (TSC Ratio MSR). Before: vmrun.c. Next: svm/exit_simple.c exit_rdtsc(). */
#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "merge.h"

#define RATIO_FRACTION 32

uint64_t nested_tsc(const struct nested *n, uint64_t tsc1)
{
	return (uint64_t)((unsigned __int128)tsc1 * n->tsc_ratio >> RATIO_FRACTION) + n->snap.control.tsc_offset;
}

/* L1's offset is part of what is scaled. Half of all offsets are taken for negative, so this is not for an L1 that sets
 * its TSC to 2^63 or above. */
static uint64_t offset02(const struct nested *n, uint64_t offset01)
{
	__int128 scaled = (__int128)(int64_t)offset01 * (int64_t)n->tsc_ratio;

	return (uint64_t)(scaled >> RATIO_FRACTION) + n->snap.control.tsc_offset;
}

void nested_tsc02(const struct nested *n, const struct vmcb *vmcb01, struct vmcb *vmcb02)
{
	const uint32_t *icpt = vmcb02->control.intercept;

	vmcb_set_tsc_offset(vmcb02, offset02(n, vmcb01->control.tsc_offset));
	if (n->tsc_ratio == TSC_RATIO_ONE || n->caps.hw_tsc_ratio)
		return; /* intercepts that are not needed any more stay until the next VMRUN */
	vmcb_set_intercept(vmcb02, ICPT_MISC1, icpt[ICPT_MISC1] | ICPT1_RDTSC);
	vmcb_set_intercept(vmcb02, ICPT_MISC2, icpt[ICPT_MISC2] | ICPT2_RDTSCP);
}
