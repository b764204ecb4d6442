/* SPDX-License-Identifier: MIT */
/* nested/walk12.h - a software walk of L1's nested page table (NPT12): L2-physical to L1-physical. */
#ifndef NESTED_WALK12_H
#define NESTED_WALK12_H

#include <addr.h>
#include <amd/cpu.h>

#include "port.h"

/* What a PDPTE of the PAE format must not have, besides address bits at or above MAXPHYADDR (APM2 5.2.3). */
#define PDPTE_MBZ (BITS(63, 52) | BITS(8, 5) | BITS(2, 1))

/* The paging mode that L1 had when it executed VMRUN decides the format of NPT12 (APM2 15.25.3). */
struct npt12 {
	uint64_t ncr3;     /* as in VMCB12: 64 bits wide in every format, so tables may lie above 4 GiB */
	uint64_t phys_mbz; /* bits 63 down to L1's MAXPHYADDR */
	uint8_t levels;    /* 4: long mode, 3: PAE, 2: legacy */
	bool nxe;          /* L1's EFER.NXE */
	bool pse;          /* L1's CR4.PSE, matters for 2 levels */
	bool smep;         /* L1's CR4.SMEP: fetches are reported as such even without NXE */
	bool pages_1g;
	bool gmet;         /* guest mode execute trap: U says who may execute, not who may access (APM2 15.25.12) */
};

#define WALK12_LEVELS 4

/* An entry that a walk has read, with the bits that it has set. */
struct walk12_entry {
	const uint64_t *at;
	uint64_t value;
};

struct walk12 {
	bool ok;
	bool raced;         /* neither ok nor refused: L1 kept changing an entry under the walk, let L2 try again */
	uint64_t error;     /* when refused: EXITINFO1 low word as #NPF reports it: PF_P, PF_W, PF_U, PF_RSV, PF_ID;
			     * when ok: 0, or WALK12_SUPERVISOR where some level lacks U, which is allowed under GMET */
	l1pa_t l1pa;        /* when ok: where the address lies in L1's memory */
	uint64_t page_size; /* size of the NPT12 leaf: 4 KiB, 2 MiB, 4 MiB or 1 GiB */
	bool writable;      /* all levels allow writes */
	bool executable;
	bool dirty;         /* leaf D bit is set (after this walk) */
	unsigned leaf_level;
	/* For npt12_neighbour() only: the leaf entry in L1's memory, and what the levels above it allow. */
	const void *leaf;
	bool upper_writable, upper_executable;
};

/* Beside PF_ID: L2 fetches at a CPL below 3, which matters under GMET. */
#define WALK12_SUPERVISOR BIT(63)

/* Walks for a user access of the given kind (PF_W, PF_ID or 0; PF_U is always meant, APM2 15.25.5, but for
 * WALK12_SUPERVISOR), sets A on
 * the way and D on the leaf for a write, by compare-exchange, as hardware does. */
struct walk12 npt12_walk(struct port *port, const struct npt12 *npt12, l2pa_t at, uint64_t access);

/* The same, long format only. An ok walk leaves the entries that it rests on in path[leaf_level - 1] and above. */
struct walk12 npt12_walk_path(struct port *port, const struct npt12 *npt12, l2pa_t at, uint64_t access,
			      struct walk12_entry path[WALK12_LEVELS]);

/* What a walk would find `pages` 4 KiB pages further on, seen without a walk and without changing A or D: ok only
 * if NPT12 maps it already accessed. `of` is an ok walk whose leaf entry lies in the same 16-entry window, or
 * whose large leaf covers both pages. */
struct walk12 npt12_neighbour(const struct npt12 *npt12, const struct walk12 *of, int64_t pages);

/* Is it worth asking? What was never accessed is nobody's neighbour, and mostly there are many of these. */
#define NPT12_USED (PTE_P | PTE_A | PTE_U)
static inline bool npt12_may_be_neighbour(const struct npt12 *npt12, const struct walk12 *of, int64_t pages)
{
	const uint64_t *leaf = of->leaf;

	return npt12->levels == 2 || of->page_size != PAGE_SIZE ||
	       (__atomic_load_n(leaf + pages, __ATOMIC_RELAXED) & NPT12_USED) == NPT12_USED;
}

#endif
