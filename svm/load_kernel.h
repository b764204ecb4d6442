/* SPDX-License-Identifier: MIT */
/* svm/load_kernel.h - what the loaders of both Multiboot versions share: a kernel's segments in the memory of an
 * L1, room for what it is told, its modules, and the state that both begin in. */
#ifndef SVM_LOAD_KERNEL_H
#define SVM_LOAD_KERNEL_H

#include "svm/config.h"
#include "svm/load.h"

/* A kernel while it is loaded, whatever its format. */
struct kernel {
	struct l1 *l1;
	struct image file;
	uint64_t low, high; /* bounds of what was put into L1's memory; what comes next goes to `high` or above */
	uint64_t loaded;    /* bytes of all segments so far */
	uint64_t entry;     /* physical; UINT64_MAX: not known yet */
};

struct kernel kernel_begin(struct l1 *l1, const struct l1_config *config);

/* All of these: null, or what is wrong; what to do. */

/* ELF32 or ELF64, by its program headers. */
const char *kernel_load_elf(struct kernel *kernel);

/* The form with addresses in the header, which is at `header_at` in the file: one segment; 0 stands for "to the
 * end of the file" and for "no bss". Sets no entry point. */
struct flat_addresses {
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr;
};
const char *kernel_load_flat(struct kernel *kernel, const struct flat_addresses *a, uint64_t header_at);

/* Behind the kernel, on a page of its own; its L1 address comes in *at. */
const char *kernel_load_module(struct kernel *kernel, const struct boot_module *file, uint32_t *at);

/* LOAD_INFO_SIZE bytes for what the kernel is told, filled from the start upwards. */
struct info_area {
	struct l1 *l1;
	uint64_t base, used;
};

/* The L1 address of `size` bytes of it, aligned to 8; 0 when it is full. */
uint32_t info_take(struct info_area *area, uint64_t size);
void *info_ptr(const struct info_area *area, uint32_t at, uint64_t size);

/* The loaded kernel begins in flat 32-bit protected mode without paging, with `magic` in EAX and, in EBX, the address
 * of what is put into the area next. The area lies below 1 MiB, where kernels expect it, unless the kernel itself is
 * there; then behind the kernel. Null, or why the kernel cannot be started. */
const char *kernel_begin_at(struct kernel *kernel, const struct l1_config *config, uint32_t magic, struct info_area *area,
			 struct l1_entry *entry);

#endif
