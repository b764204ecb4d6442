/* SPDX-License-Identifier: MIT */
/* kernel/paging.h - our own page tables: all of physical memory, one to one. */
#ifndef KERNEL_PAGING_H
#define KERNEL_PAGING_H

#include <addr.h>
#include <bootinfo.h>

/* Builds the tables from memory below 4 GiB, which is all that the boot tables reach, and loads
 * them. Everything up to the end of RAM, and at least 4 GiB, is mapped; what is no RAM, uncached. */
void paging_init(const struct bootinfo *bi);

/* The end of what is mapped from 0 on. */
uint64_t paging_top(void);

/* Maps device memory that lies above paging_top(), in 2 MiB pages, uncached. Before the APs run. False, and nothing
 * is mapped, when the CPU has no such addresses. */
bool paging_map_mmio(hpa_t start, uint64_t size);

#endif
