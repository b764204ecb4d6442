/* SPDX-License-Identifier: MIT */
/* nested/npt02.h - the shadow nested page table that L2 really runs on: NPT12 (L1's) seen through NPT01 (ours).
 * It is a TLB made of memory: filled on #NPF, dropped when L1 asks for what would drop TLB entries. One per vCPU,
 * from a fixed pool of pages, never given back piecemeal. */
#ifndef NESTED_NPT02_H
#define NESTED_NPT02_H

#include <addr.h>

#include "walk12.h"

#define NPT02_ROOTS 16 /* shadow roots kept at once, least recently used goes first */
#define NPT02_POOL_MIN 64

#define NPT02_SEEN 64 /* entries of L1's table that a watched shadow may rest on; a multiple of NPT02_SEEN_STEP */
#define NPT02_SEEN_STEP 4 /* they are looked at in groups of so many; the last entry fills up its group */
#define NPT02_FEW 16  /* fills; a shadow that needed no more between two flushes of L1's is watched from then on */

/* A key and the shadow of it. `table` belongs to the slot for ever: N_CR3 of VMCB02 holds whatever is dropped. */
struct npt02_root {
	bool empty;          /* nothing hangs below `table` */
	bool flush_due;      /* lost entries since npt02_get() last gave it out */
	uint8_t number;      /* among the roots; the first has 1 */
	bool watched;        /* `seen` has every entry of L1's table that the shadow rests on */
	uint32_t fill_count; /* since it was empty */
	uint32_t seen_count;
	uint32_t asid12;
	struct npt12 npt12;  /* the key, with asid12; ncr3 without the bits that do not count */
	hpa_t table;         /* top-level shadow table */
	uint64_t last_use;
	struct walk12_entry seen[NPT02_SEEN];
};

struct npt02 {
	uint8_t *pool;        /* pool_pages pages, page aligned: first the roots' tables, then what hangs below */
	uint32_t pool_pages;
	uint32_t next_free;   /* bump allocation; everything is dropped when it runs out */
	struct npt02_root *last; /* that npt02_get() gave out */
	uint64_t use_clock;
	uint64_t fills, neighbours, drops, exhausted; /* counters; neighbours: entries filled ahead; drops: how often
						       * something that was in the shadow has gone from it */
	uint32_t used;        /* roots that have a key: the first ones */
	struct npt02_root roots[NPT02_ROOTS];
};

/* `pool` must be page aligned and identity mapped (hpa_of works on it). At least NPT02_POOL_MIN pages. */
void npt02_init(struct npt02 *npt02, void *pool, uint32_t pool_pages);

/* The shadow root for L1's table and ASID; empty when it is new. Sets *fresh when the TLB may hold what this root
 * does not say (any more), so that the caller flushes before L2 runs on it. */
struct npt02_root *npt02_get(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12, bool *fresh);

#define NPT02_ALL 0 /* for every ASID of L1's; it has none of this number */
/* L1 asks for a flush: is there anything to forget? False when all that the shadows of this ASID rest on still says the
 * same in L1's memory, as with an L1 that flushes at each VMRUN. Known only of shadows with few entries. */
bool npt02_is_outdated(const struct npt02 *npt02, uint32_t asid12);

/* Somebody has read L1's table besides and remembers it as long as the shadow stays: npt12_walk_path() for a root that
 * is watched found `path`. */
void npt02_rest_on(struct npt02_root *root, const struct walk12_entry *path, unsigned leaf_level);

/* Forget what NPT12 said: for L1's TLB_CONTROL, and for L0 when it takes memory out of NPT01. Roots stay valid, but
 * empty. The caller flushes the TLB of an L2 that is running; of the others npt02_get() says so. */
void npt02_drop_all(struct npt02 *npt02);
void npt02_drop_asid(struct npt02 *npt02, uint32_t asid12);

enum npt02_verdict {
	NPT02_UNDECIDED,
	NPT02_FILLED,  /* run L2 again: entry installed, or L1 was changing its own just now */
	NPT02_REFLECT, /* NPT12 denies it: #VMEXIT(NPF) to L1 with result.exitinfo1 */
	NPT02_DEVICE,  /* NPT12 allows it, L1 has no RAM there: L0 serves result.l1pa as if L1 had accessed it */
};

struct npt02_result {
	enum npt02_verdict verdict;
	uint64_t exitinfo1; /* for NPT02_REFLECT */
	l1pa_t l1pa;        /* for NPT02_DEVICE */
	uint32_t dropped;   /* present entries or tables that are gone: not 0 means flush the TLB too */
};

/* Decides a #NPF that VMCB02 took at `at` with hardware's EXITINFO1, per NPT12 alone, and fills the shadow. With GMET
 * the caller adds WALK12_SUPERVISOR when L2's CPL is not 3, since U of EXITINFO1 cannot be relied on (erratum 1218). */
struct npt02_result npt02_fault(struct npt02 *npt02, struct npt02_root *root, struct port *port, l2pa_t at,
				uint64_t exitinfo1);

#endif
