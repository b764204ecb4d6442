/* SPDX-License-Identifier: MIT */
/* tests/unit/rig.h - one vCPU of an L1 as far as nested/ is concerned: its memory, VMCB01, VMCB02, the maps, and
 * struct nested; driven through nested.h alone, so that tests outlive changes behind it. */
#ifndef RIG_H
#define RIG_H

#include <amd/vmcb.h>

#include "nested/nested.h"
#include "tests/unit/fake_l1.h"

#define RIG_RAM MIB(1)
#define RIG_VMCB12 UINT64_C(0x10000) /* where rig_vmrun() expects VMCB12; the page behind it is free */
#define RIG_MSRPM12 UINT64_C(0x20000)
#define RIG_IOPM12 UINT64_C(0x24000)
#define RIG_L2_CR3 UINT64_C(0x28000)
#define RIG_NPT12 UINT64_C(0x80000)
#define RIG_POOL_PAGES NPT02_POOL_MIN

/* All that L1 can be offered, and the intercept bits that go with it. */
#define RIG_FEATURES UINT32_MAX
#define RIG_ASID_FIRST 2u
#define RIG_ASID_COUNT 6u

/* What the CPU reads; pages as on the machine. */
struct rig_pages {
	struct vmcb vmcb01, vmcb02, spare;
	uint8_t msrpm01[MSRPM_SIZE], msrpm02[MSRPM_SIZE], iopm01[IOPM_SIZE];
	uint8_t npt01[PAGE_SIZE]; /* stands for the root of NPT01; tests that walk it supply a real one */
	uint8_t pool[RIG_POOL_PAGES * PAGE_SIZE];
};

struct rig {
	struct port *l1;
	struct nested n;
	struct vmcb02_inputs in;
	struct rig_pages *pages;
	struct vmcb *vmcb01;
	union {
		struct vmcb02_pages; /* vmcb02, spare */
		struct vmcb02_pages pages02;
	};
};

/* L0's own intercepts in these tests: some of each vector. */
extern const uint32_t rig_intercepts[ICPT_COUNT];

/* An L1 in 64-bit mode with 40 physical address bits, EFER.SVME set, GIF=1; VMCB01 and VMCB02 hold `poison`. */
struct rig *rig_new(uint32_t features, uint8_t poison);
/* The same again, with L1's memory left as it is. */
void rig_reset(struct rig *rig, uint32_t features, uint8_t poison);
void rig_free(struct rig *rig);

/* VMCB12 in L1's memory. */
struct vmcb *rig_vmcb12(struct rig *rig, uint64_t at);
/* Writes there a 64-bit L2 with nested paging that VMRUN accepts; all else is zero. */
struct vmcb *rig_legal(struct rig *rig, uint64_t at);

enum vmrun_outcome rig_vmrun(struct rig *rig, uint64_t at);
/* As rig_vmrun(), for a VMCB12 that must be accepted. */
void rig_enter(struct rig *rig, uint64_t at);
/* The CPU ran VMCB02 and left it; then L1 gets its #VMEXIT with this code. False: see nested_exit_full(). */
bool rig_exit(struct rig *rig, uint64_t code);

#endif
