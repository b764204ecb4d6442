/* SPDX-License-Identifier: MIT */
/* tests/unit/seen02.h - what the CPU would find in a shadow nested page table. */
#ifndef SEEN02_H
#define SEEN02_H

#include "nested/npt02.h"

struct seen02 {
	bool present, writable, executable;
	uint64_t l1pa, size;
};

/* Fails the test when an entry has bits that no entry may have, or a table lies outside the pool. */
struct seen02 seen02(const struct npt02 *npt02, const struct port *l1, const struct npt02_root *root, uint64_t at);

#endif
