/* SPDX-License-Identifier: MIT */
/* bootinfo.h - what the boot loader told us, independent of the loader.
 * Filled once by boot/bootinfo.c, constant afterwards. Strings point into the loader's memory,
 * which kernel/main.c keeps out of the page allocator. */
#ifndef BOOTINFO_H
#define BOOTINFO_H

#include <addr.h>

#define BOOT_MMAP_MAX 256
#define BOOT_MODULES_MAX 32
#define BOOT_RSDP_SIZE 36

/* Types as ACPI and Multiboot 2 number them; every other number counts as reserved. */
enum boot_mem {
	BOOT_MEM_RAM = 1,
	BOOT_MEM_RESERVED = 2,
	BOOT_MEM_ACPI = 3,
	BOOT_MEM_NVS = 4,
	BOOT_MEM_BAD = 5,
};

struct boot_range {
	hpa_t start;
	uint64_t size;
	enum boot_mem type;
};

struct boot_module {
	const char *name; /* first word of the module's command line; not terminated */
	size_t name_len;
	const char *args; /* the rest of it, "" when there is none */
	hpa_t start;
	uint64_t size;
};

enum boot_fb_kind { BOOT_FB_NONE, BOOT_FB_TEXT, BOOT_FB_RGB };

struct boot_framebuffer {
	enum boot_fb_kind kind;
	hpa_t base;
	uint32_t pitch, width, height;
	uint8_t bits_per_pixel;
	uint8_t red_shift, green_shift, blue_shift;
};

struct bootinfo {
	const char *cmdline; /* never null */
	const char *loader;  /* never null */
	hpa_t tags;          /* the loader's own structure */
	uint64_t tags_size;
	uint32_t range_count;
	uint32_t module_count;
	uint64_t ram_bytes; /* sum of the RAM ranges */
	bool has_rsdp;
	uint8_t rsdp[BOOT_RSDP_SIZE]; /* the ACPI 2 one when both are given; else 20 bytes and zeroes */
	struct boot_framebuffer fb;
	struct boot_range ranges[BOOT_MMAP_MAX];
	struct boot_module modules[BOOT_MODULES_MAX];
};

/* Null, or what is wrong with the tags. `size` bounds every read: the bytes readable at `tags`. */
const char *bootinfo_parse(struct bootinfo *bi, const void *tags, uint64_t size);

/* The module of that name, or null. */
const struct boot_module *bootinfo_module(const struct bootinfo *bi, const char *name);

#endif
