/* SPDX-License-Identifier: MIT */
/* svm/load_multiboot.c - loads a Multiboot 1 kernel: ELF32, ELF64, or flat with addresses in the header.
 * Decides what the kernel is told; touches the memory of the L1 only.
 * Manual: Multiboot Specification 0.6.96. Next: load_kernel.c. Opposite: load_multiboot2.c. */
#include "kernel/printf.h"
#include "kernel/string.h"
#include "svm/load_kernel.h"

#define SEARCH_SIZE 8192u
#define HEADER_MAGIC 0x1BADB002u
#define LOADER_MAGIC 0x2BADB002u
#define WANT_PAGE_ALIGN BIT32(0)
#define WANT_MEMORY BIT32(1)
#define WANT_UNDERSTOOD (WANT_PAGE_ALIGN | WANT_MEMORY)
#define WANT_MASK 0xFFFFu /* the rest is optional */
#define HAS_ADDRESSES BIT32(16)

struct header {
	uint32_t magic, flags, checksum;
	struct flat_addresses addresses; /* with HAS_ADDRESSES, as the next one */
	uint32_t entry_addr;
};
#define HEADER_MIN offsetof(struct header, addresses)

#define INFO_MEMORY BIT32(0)
#define INFO_CMDLINE BIT32(2)
#define INFO_MODULES BIT32(3)
#define INFO_MMAP BIT32(6)
#define INFO_LOADER BIT32(9)

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr, config_table, boot_loader_name, apm_table;
};

struct info_module {
	uint32_t start, end, string, reserved;
};

struct info_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} PACKED;

/* --- the header --- */

/* Its offset in the file, or UINT64_MAX. */
static uint64_t find_header(struct image file, struct header *h)
{
	uint64_t end = min_u64(file.size, SEARCH_SIZE);

	for (uint64_t at = 0; at + HEADER_MIN <= end; at += sizeof(uint32_t)) {
		const void *part = image_part(file, at, sizeof(*h));

		memset(h, 0, sizeof(*h));
		memcpy(h, file.at + at, part ? sizeof(*h) : HEADER_MIN);
		if (h->magic != HEADER_MAGIC || h->magic + h->flags + h->checksum != 0)
			continue;
		if (part || !(h->flags & HAS_ADDRESSES))
			return at;
	}
	return UINT64_MAX;
}

bool load_is_multiboot(struct image image)
{
	struct header h;

	return find_header(image, &h) != UINT64_MAX;
}

/* --- the image --- */

static const char *load_file(struct kernel *k)
{
	struct header h;
	uint64_t header_at = find_header(k->file, &h);

	if (h.flags & WANT_MASK & ~WANT_UNDERSTOOD)
		return "the kernel's Multiboot header wants what a guest does not have; build it without bits 2 to 15";
	if (!(h.flags & HAS_ADDRESSES))
		return kernel_load_elf(k);
	k->entry = h.entry_addr;
	return kernel_load_flat(k, &h.addresses, header_at);
}

/* --- modules and boot information --- */

/* "name args", as loaders traditionally pass it; 0 when there is no room. */
static uint32_t info_string(struct info_area *area, const struct boot_module *file, struct text args)
{
	uint64_t size = file->name_len + 1 + args.len + 1;
	uint32_t at = info_take(area, size);

	if (at)
		ksnprintf(info_ptr(area, at, size), size, "%.*s%s%.*s", (int)file->name_len, file->name,
			  args.len ? " " : "", (int)args.len, args.at);
	return at;
}

static const char *load_modules(struct kernel *k, struct info_area *area, const struct l1_config *config,
				struct info *info)
{
	uint64_t list_size = config->module_count * sizeof(struct info_module);

	info->mods_count = config->module_count;
	info->mods_addr = info_take(area, list_size);
	for (unsigned i = 0; i < config->module_count; i++) {
		const struct config_module *m = &config->modules[i];
		struct info_module entry = {0};
		const char *error = kernel_load_module(k, m->file, &entry.start);

		if (error)
			return error;
		entry.end = entry.start + (uint32_t)m->file->size;
		entry.string = info_string(area, m->file, m->args);
		if (!entry.string)
			return "the modules' arguments are too long; shorten them";
		memcpy(info_ptr(area, info->mods_addr + i * (uint32_t)sizeof(entry), sizeof(entry)), &entry,
		       sizeof(entry));
	}
	return NULL;
}

static void write_memory_map(struct info_area *area, struct info *info)
{
	struct load_range ranges[LOAD_RANGES_MAX];
	unsigned count = load_memory_map(area->l1, ranges);

	info->mmap_length = count * (uint32_t)sizeof(struct info_mmap);
	info->mmap_addr = info_take(area, info->mmap_length);
	for (unsigned i = 0; i < count; i++) {
		struct info_mmap e = {sizeof(e) - sizeof(e.size), ranges[i].base, ranges[i].size, ranges[i].type};

		memcpy(info_ptr(area, info->mmap_addr + i * (uint32_t)sizeof(e), sizeof(e)), &e, sizeof(e));
	}
	info->mem_lower = (uint32_t)(LOAD_LOW_TOP / KIB(1));
	info->mem_upper = (uint32_t)((area->l1->low.size - LOAD_HIGH_START) / KIB(1));
}

static const char *load_info(struct kernel *k, struct info_area *area, const struct l1_config *config)
{
	static const struct boot_module loader = {.name = LOAD_NAME, .name_len = sizeof(LOAD_NAME) - 1};
	uint32_t at = info_take(area, sizeof(struct info));
	struct info info = {.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER};

	write_memory_map(area, &info);
	info.boot_loader_name = info_string(area, &loader, (struct text){"", 0});
	info.cmdline = info_string(area, config->image, config->cmdline);
	if (!info.cmdline)
		return "the command line is too long; shorten cmdline";
	if (config->module_count)
		info.flags |= INFO_MODULES;

	const char *error = load_modules(k, area, config, &info);

	memcpy(info_ptr(area, at, sizeof(info)), &info, sizeof(info));
	return error;
}

const char *load_multiboot(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry)
{
	struct kernel k = kernel_begin(l1, config);
	struct info_area area;
	const char *error = load_file(&k);

	if (!error)
		error = kernel_begin_at(&k, config, LOADER_MAGIC, &area, entry);
	return error ? error : load_info(&k, &area, config);
}
