/* SPDX-License-Identifier: MIT */
/* lib/modes.h - L2s in other processor modes than long mode, and tables in the formats that go with them. They map 4 GiB
 * one to one and serve as page tables of L1 or L2, or as nested tables. */
#ifndef MODES_H
#define MODES_H

#include "vm.h"

#define LOW_CODE 0x6000u	/* below 1 MiB and below the start page of lib/smp.c */
#define LOW_STACK 0x5F00u
#define REAL_LIMIT 0xFFFF
#define PAGE_4M UINT64_C(0x400000)

/* Four entries of PDPT, with 2 MiB pages; or one directory of 4 MiB pages. */
uint64_t *pae_tables(void);
uint32_t *tables_4m(void);

/* Each takes an L2 as vm_new() made it. Code for real mode is copied to LOW_CODE. */
void mode_compat(struct vm *v);
void mode_pae(struct vm *v);
void mode_legacy(struct vm *v);
void mode_unpaged(struct vm *v);
void mode_real(struct vm *v);
void mode_paged_real(struct vm *v);

#endif
