/* SPDX-License-Identifier: MIT */
/* lib/smm.h - a handler of system-management interrupts, the same for all scenarios: it notes what it finds, writes words
 * where the scenario wants them, and returns. It runs in real mode with segments of 4 GiB at SMBASE + 8000h, and shares
 * its notes with all CPUs. APM vol. 2 chapter 10. */
#ifndef SMM_H
#define SMM_H

#include "test.h"

#define MSR_HWCR 0xC0010015u
#define MSR_SMM_BASE 0xC0010111u
#define SMMLOCK BIT(0)

#define SMBASE 0x30000u
#define SMBASE_OTHER 0x50000u
#define HANDLER 0x8000u
#define NOTES 0x34000u		/* the handler knows this number */

/* Offsets in the state-save area, from SMBASE (table 10-1). */
enum map {
	MAP_CS = 0xFE10, MAP_FS_BASE = 0xFE48, MAP_AUTO_HALT = 0xFEC9, MAP_EFER = 0xFED0, MAP_SVM_STATE = 0xFED8,
	MAP_VMCB = 0xFEE0, MAP_REVISION = 0xFEFC, MAP_SMBASE = 0xFF00, MAP_HOST_CR3 = 0xFF38, MAP_CR3 = 0xFF50,
	MAP_CR0 = 0xFF58, MAP_RIP = 0xFF78, MAP_R15 = 0xFF80, MAP_RBX = 0xFFE0,
};

#define POKES 8
/* Written by the handler; pokes are {address, value} words that it writes. */
struct notes {
	uint32_t count, cr0, cr4, efer, cs, inside, inside_twice, spins, poke_count;
	uint32_t poke[2 * POKES];
};
_Static_assert(offsetof(struct notes, poke) == 36, "the handler's offsets");

static volatile struct notes *const notes = (void *)(uintptr_t)NOTES;

/* Puts the handler where SMBASE is after reset. False, and the scenario is skipped, where SMRAM is not ours to write:
 * firmware has it. */
bool smm_setup(void);
/* The handler alone, at another SMBASE. */
void smm_place_handler(uint32_t smbase);
/* The handler writes this word there. */
void smm_poke(uint32_t at, uint32_t value);
/* Eight bytes of the state-save area. */
uint64_t smm_map(uint32_t smbase, enum map at);

#endif
