/* SPDX-License-Identifier: MIT */
/* nested/walk12.h - a software walk of L1's nested page table (NPT12): L2-physical to L1-physical. */
#ifndef NESTED_WALK12_H
#define NESTED_WALK12_H

#include <addr.h>

#include "port.h"

/* The paging mode that L1 had when it executed VMRUN decides the format of NPT12 (APM2 15.25.3). */
struct npt12 {
	uint64_t ncr3;     /* as in VMCB12 */
	uint8_t levels;    /* 4: long mode, 3: PAE, 2: legacy */
	bool nxe;          /* L1's EFER.NXE */
	bool pse;          /* L1's CR4.PSE, matters for 2 levels */
	bool pages_1g;
	uint64_t phys_mbz; /* address bits at or above L1's MAXPHYADDR */
};

struct walk12 {
	bool ok;
	uint64_t error;      /* when refused: EXITINFO1 low word as #NPF reports it: PF_P, PF_W, PF_U, PF_RSV, PF_ID */
	l1pa_t l1pa;         /* when ok: where the address lies in L1's memory */
	uint64_t page_size;  /* size of the NPT12 leaf */
	bool writable;       /* all levels allow writes */
	bool executable;
	bool dirty;          /* leaf D bit is set (after this walk) */
};

/* Walks for a user access of the given kind (PF_W, PF_ID or 0; PF_U is always meant, APM2 15.25.5), sets A on
 * the way and D on the leaf for a write, by compare-exchange, as hardware does. */
struct walk12 npt12_walk(struct port *port, const struct npt12 *npt12, l2pa_t at, uint64_t access);

#endif
