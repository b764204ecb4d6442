/* SPDX-License-Identifier: MIT */
/* svm/code_page.h - where the page that holds CS:RIP lies in host memory, remembered between exits. */
#ifndef SVM_CODE_PAGE_H
#define SVM_CODE_PAGE_H

#include <bits.h>

#define CODE_PAGES 64 /* a power of two; enough for code that several L2s run in turn */
#define CODE_PAGE_LEVELS 4

struct vcpu;
struct npt02_root;

struct code_page {
	uint64_t page, cr3, mode;     /* what the walk depended on: linear page, CR3, CR4 with EFER and CPL */
	const struct npt02_root *root; /* L2's nested tables; null: none */
	uint64_t drops;               /* of its shadow, when the walk was made */
	unsigned levels;              /* entries that the walk went through, and what they said */
	const uint64_t *entry[CODE_PAGE_LEVELS];
	uint64_t value[CODE_PAGE_LEVELS];
	const uint8_t *host;
};

/* The bytes at this linear address up to the end of its page, for the level that runs. Null: not in long mode, not
 * mapped for execution, or not in RAM; then the slow way must find out which. */
const uint8_t *code_bytes(struct vcpu *v, uint64_t linear);

#endif
