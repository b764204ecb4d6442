/* SPDX-License-Identifier: MIT */
/* svm/load.h - puts images into the memory of an L1 and says how its first vCPU begins.
 * An image is input like any other: every read of it is checked, every mistake has a name. */
#ifndef SVM_LOAD_H
#define SVM_LOAD_H

#include <addr.h>
#include <amd/cpu.h>

struct l1;
struct l1_config;

enum entry_mode { ENTRY_PROTECTED32, ENTRY_LONG64 };

/* Registers of vCPU 0 at its first instruction; what is not here is 0 or as after reset. Segments are flat:
 * CS code, the others data, with the selectors given. */
struct l1_entry {
	enum entry_mode mode;
	uint64_t rip, rsp, rax, rbx, rsi;
	uint64_t cr0, cr3, cr4, efer;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	uint16_t cs_sel, data_sel;
};

/* Loads the image, initrd, modules and command line of `config`. Null, or what is wrong; what to do. */
const char *load_image(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry);

/* --- between load.c and the loaders --- */

/* The areas below 1 MiB that the loaders use, apart from each other. */
#define LOAD_INFO UINT64_C(0x10000) /* boot_params, or Multiboot information with its strings */
#define LOAD_INFO_SIZE KIB(64)
#define LOAD_GDT UINT64_C(0x20000)
#define LOAD_PAGE_TABLES UINT64_C(0x21000)
#define LOAD_STACK_TOP UINT64_C(0x28000)
#define LOAD_LOW_TOP UINT64_C(0x9FC00) /* 639 KiB: where the usual PC ends low memory */
#define LOAD_HIGH_START MIB(1)

#define LOAD_NAME "Nestling" /* as boot loader */

/* A file image, or a part of it. */
struct image {
	const uint8_t *at;
	uint64_t size;
};

/* The bytes [offset, offset + size) of the image; null unless they are all inside. */
const void *image_part(struct image image, uint64_t offset, uint64_t size);

/* Memory map entries as both protocols number them. */
enum load_mem { LOAD_MEM_RAM = 1, LOAD_MEM_RESERVED = 2 };
struct load_range {
	uint64_t base, size;
	enum load_mem type;
};
#define LOAD_RANGES_MAX 4
unsigned load_memory_map(const struct l1 *l1, struct load_range ranges[LOAD_RANGES_MAX]);

bool load_is_linux(struct image image);
const char *load_linux(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry);
bool load_is_multiboot2(struct image image);
const char *load_multiboot2(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry);
bool load_is_multiboot(struct image image);
const char *load_multiboot(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry);

#endif
