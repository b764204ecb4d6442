/* SPDX-License-Identifier: MIT */
/* nested/npt02.h - the shadow nested page table that L2 really runs on: NPT12 (L1's) seen through NPT01 (ours).
 * It is a TLB made of memory: filled on #NPF, dropped when L1 asks for what would drop TLB entries. One per vCPU,
 * from a fixed pool of pages, never given back piecemeal. */
#ifndef NESTED_NPT02_H
#define NESTED_NPT02_H

#include <addr.h>

#include "walk12.h"

#define NPT02_ROOTS 16 /* shadow roots kept at once, least recently used goes first */

struct npt02_root {
	bool used;
	uint32_t asid12;
	struct npt12 npt12;  /* the key, with asid12 */
	hpa_t table;         /* top-level shadow table */
	uint64_t last_use;
};

struct npt02 {
	uint8_t *pool;        /* pool_pages pages, page aligned, set by npt02_init */
	uint32_t pool_pages;
	uint32_t next_free;   /* bump allocation; everything is dropped when it runs out */
	uint64_t use_clock;
	uint64_t fills, drops, exhausted; /* counters */
	struct npt02_root roots[NPT02_ROOTS];
};

/* `pool` must be page aligned and identity mapped (hpa_of works on it). At least 64 pages. */
void npt02_init(struct npt02 *npt02, void *pool, uint32_t pool_pages);

/* The shadow root for L1's table and ASID; made empty when there was none. Sets *fresh when the TLB may hold
 * entries of an earlier use of that slot, so that the caller flushes. */
struct npt02_root *npt02_get(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12, bool *fresh);

void npt02_drop_all(struct npt02 *npt02);
void npt02_drop_asid(struct npt02 *npt02, uint32_t asid12);
/* INVLPGA by L1: one page of one ASID: a guest-virtual address, so all of that ASID's entries may be meant. */

enum npt02_verdict {
	NPT02_UNDECIDED,
	NPT02_FILLED,  /* entry installed: run L2 again */
	NPT02_REFLECT, /* NPT12 denies it: #VMEXIT(NPF) to L1 with result.exitinfo1 */
	NPT02_DEVICE,  /* NPT12 allows it, L1 has no RAM there: L0 serves result.l1pa as if L1 had accessed it */
};

struct npt02_result {
	enum npt02_verdict verdict;
	uint64_t exitinfo1;
	l1pa_t l1pa;
	uint32_t dropped; /* not 0: the pool ran out and everything was dropped: flush the TLB too */
};

/* Decides a #NPF that VMCB02 took at `at` with hardware's EXITINFO1, per NPT12 alone, and fills the shadow. */
struct npt02_result npt02_fault(struct npt02 *npt02, struct npt02_root *root, struct port *port, l2pa_t at,
				uint64_t exitinfo1);

#endif
