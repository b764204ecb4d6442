/* SPDX-License-Identifier: MIT */
/* svm/live_segment.c - the segment bases that L0 leaves in the CPU: VMLOAD and VMSAVE move FS and GS, and exits do
 * neither. Apart from decode.c so that unit tests can stand in for the CPU. */
#include <amd/msr.h>

#include "kernel/cpu_insn.h"
#include "svm/decode.h"

uint64_t live_segment_base(unsigned segment)
{
	return rdmsr(segment == SEGMENT_FS ? MSR_FS_BASE : MSR_GS_BASE);
}
