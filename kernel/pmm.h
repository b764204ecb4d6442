/* SPDX-License-Identifier: MIT */
/* kernel/pmm.h - physical memory in pages. Thread-safe. */
#ifndef KERNEL_PMM_H
#define KERNEL_PMM_H

#include <addr.h>
#include <bootinfo.h>

/* Zeroed memory; `bytes` is rounded up to whole pages, `align` is a power of two. hpa 0: none left. */
hpa_t pmm_alloc(uint64_t bytes, uint64_t align);
void pmm_free(hpa_t start, uint64_t bytes);
uint64_t pmm_free_bytes(void);
/* All memory that the pool was given at boot. */
uint64_t pmm_total_bytes(void);

/* Adds the RAM of the boot loader's map within [from, to), without the first MiB, the modules, the
 * loader's tags and the kernel itself. */
void pmm_add_boot_memory(const struct bootinfo *bi, uint64_t from, uint64_t to);

/* A free page below 1 MiB for the AP trampoline, outside of the allocator; hpa 0: none. */
hpa_t pmm_low_page(const struct bootinfo *bi);

#endif
