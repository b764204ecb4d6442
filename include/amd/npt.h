/* SPDX-License-Identifier: MIT */
/* amd/npt.h - nested page fault information. Manual: APM2 15.25.6 (Nested versus Guest Page Faults).
 * The entries themselves have the format of ordinary page tables: amd/cpu.h. */
#ifndef AMD_NPT_H
#define AMD_NPT_H

#include <bits.h>

/* EXITINFO1 of #VMEXIT(NPF): low bits as PF_*, and exactly one of these. */
#define NPF_FINAL BIT(32) /* while translating the final guest-physical address */
#define NPF_WALK BIT(33)  /* while translating the address of a guest page table entry */

#endif
