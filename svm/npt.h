/* SPDX-License-Identifier: MIT */
/* svm/npt.h - NPT01: our nested page table for one L1. RAM only, identity of L1-physical to a contiguous run of
 * host memory, with the largest pages that alignment allows. Whatever is not mapped is a device or nothing. */
#ifndef SVM_NPT_H
#define SVM_NPT_H

#include <addr.h>

struct npt {
	hpa_t root;
	bool pages_1g; /* the CPU knows pages of 1 GiB */
};

/* Makes an empty table. False when memory is short. */
bool npt_init(struct npt *npt);
/* Maps [at, at + size) to `host`, all 4 KiB aligned, read/write/execute; nothing may be mapped there yet. False when
 * memory is short; what has been mapped stays, npt_destroy() frees it. */
bool npt_map(struct npt *npt, l1pa_t at, hpa_t host, uint64_t size);
/* Gives all table pages back. */
void npt_destroy(struct npt *npt);

#endif
