/* SPDX-License-Identifier: MIT */
/* svm/load_multiboot2.c - loads a Multiboot 2 kernel: ELF32, ELF64, or flat with an address tag.
 * Decides which wishes of its header a guest can be granted and what the kernel is told; touches the memory of the
 * L1 only. Strings are passed as GRUB's multiboot2 and module2 do: what the description says, without a file name.
 * Manual: Multiboot2 Specification 2.0. Next: load_kernel.c. Opposite: load_multiboot.c, boot/bootinfo.c. */
#include "kernel/string.h"
#include "svm/load_kernel.h"

#define SEARCH_SIZE 32768u
#define HEADER_MAGIC 0xE85250D6u
#define LOADER_MAGIC 0x36D76289u
#define ARCH_I386 0u
#define TAG_ALIGN 8u

struct header {
	uint32_t magic, arch, length, checksum;
};

#define TAG_OPTIONAL 1u
enum {
	HEADER_END = 0,
	HEADER_REQUEST = 1,
	HEADER_ADDRESS = 2,
	HEADER_ENTRY = 3,
	HEADER_CONSOLE = 4,
	HEADER_MODULE_ALIGN = 6,
	HEADER_RELOCATABLE = 10,
};
#define CONSOLE_REQUIRED 1u

struct header_tag {
	uint16_t type, flags;
	uint32_t size; /* this header included, padding not */
};

/* What a header asks for. */
struct wishes {
	bool has_addresses, has_entry;
	struct flat_addresses addresses;
	uint32_t entry;
};

enum {
	INFO_END = 0,
	INFO_CMDLINE = 1,
	INFO_LOADER = 2,
	INFO_MODULE = 3,
	INFO_MEMORY = 4,
	INFO_MMAP = 6,
	INFO_RSDP1 = 14,
	INFO_RSDP2 = 15,
};
#define INFO_GIVEN \
	(BIT32(INFO_CMDLINE) | BIT32(INFO_LOADER) | BIT32(INFO_MODULE) | BIT32(INFO_MEMORY) | BIT32(INFO_MMAP) | \
	 BIT32(INFO_RSDP1) | BIT32(INFO_RSDP2))
#define RSDP1_SIZE 20u
#define RSDP2_SIZE 36u

struct info_tag {
	uint32_t type, size;
};

struct info_mmap {
	uint64_t base, length;
	uint32_t type, reserved;
};

/* --- the header --- */

/* Its offset in the file, or UINT64_MAX. All of its `length` bytes are in the file. */
static uint64_t find_header(struct image file, struct header *h)
{
	uint64_t end = min_u64(file.size, SEARCH_SIZE);

	for (uint64_t at = 0; at + sizeof(*h) <= end; at += TAG_ALIGN) {
		memcpy(h, file.at + at, sizeof(*h));
		if (h->magic == HEADER_MAGIC && h->arch == ARCH_I386 &&
		    h->magic + h->arch + h->length + h->checksum == 0 && h->length >= sizeof(*h) &&
		    image_part(file, at, h->length))
			return at;
	}
	return UINT64_MAX;
}

bool load_is_multiboot2(struct image image)
{
	struct header h;

	return find_header(image, &h) != UINT64_MAX;
}

static bool can_give(const uint32_t *types, uint32_t size)
{
	for (uint32_t i = 0; i < size / sizeof(*types); i++) {
		if (types[i] >= 32 || !(INFO_GIVEN & BIT32(types[i])))
			return false;
	}
	return true;
}

/* False: the tag is unknown, or asks for what a guest does not have. `size` bytes follow the tag's own header. */
static bool grant(struct wishes *w, uint16_t type, const uint32_t *data, uint32_t size)
{
	switch (type) {
	case HEADER_REQUEST:
		return can_give(data, size);
	case HEADER_ADDRESS:
		if (size < sizeof(w->addresses))
			return false;
		memcpy(&w->addresses, data, sizeof(w->addresses));
		w->has_addresses = true;
		return true;
	case HEADER_ENTRY:
		if (size < sizeof(w->entry))
			return false;
		w->entry = *data;
		w->has_entry = true;
		return true;
	case HEADER_CONSOLE:
		return size >= sizeof(*data) && !(*data & CONSOLE_REQUIRED);
	case HEADER_MODULE_ALIGN: /* they always are */
	case HEADER_RELOCATABLE:  /* it may be loaded elsewhere, and is loaded where it was linked */
		return true;
	default:
		return false;
	}
}

static const char *read_header(struct wishes *w, const uint8_t *header, uint32_t length)
{
	uint64_t at = sizeof(struct header);

	*w = (struct wishes){0};
	while (at + sizeof(struct header_tag) <= length) {
		const struct header_tag *tag = (const struct header_tag *)(header + at);

		if (tag->type == HEADER_END)
			return NULL;
		if (tag->size < sizeof(*tag) || tag->size > length - at)
			break;
		if (!grant(w, tag->type, (const uint32_t *)(tag + 1), tag->size - (uint32_t)sizeof(*tag)) &&
		    !(tag->flags & TAG_OPTIONAL))
			return "the kernel's Multiboot 2 header wants what a guest does not have; mark that tag as "
			       "optional";
		at = align_up(at + tag->size, TAG_ALIGN);
	}
	return "the tags of the kernel's Multiboot 2 header have no end; rebuild the kernel";
}

static const char *load_file(struct kernel *k)
{
	struct header h;
	struct wishes w;
	uint64_t header_at = find_header(k->file, &h);
	const char *error = read_header(&w, k->file.at + header_at, h.length);

	if (!error)
		error = w.has_addresses ? kernel_load_flat(k, &w.addresses, header_at) : kernel_load_elf(k);
	if (w.has_entry)
		k->entry = w.entry;
	return error;
}

/* --- boot information --- */

/* Appends a tag; the place for what it holds, or null when there is no room. */
static void *put_tag(struct info_area *area, uint32_t type, uint64_t size)
{
	struct info_tag tag = {type, (uint32_t)(sizeof(tag) + size)};
	uint32_t at = info_take(area, sizeof(tag) + size);

	if (!at)
		return NULL;

	struct info_tag *to = info_ptr(area, at, sizeof(tag) + size);

	*to = tag;
	return to + 1;
}

/* `before` bytes of something else come first; the caller fills them. */
static uint8_t *put_text_tag(struct info_area *area, uint32_t type, uint64_t before, struct text text)
{
	uint8_t *to = put_tag(area, type, before + text.len + 1);

	if (to) {
		memcpy(to + before, text.at, text.len);
		to[before + text.len] = '\0';
	}
	return to;
}

static void put_memory(struct info_area *area)
{
	struct load_range ranges[LOAD_RANGES_MAX];
	unsigned count = load_memory_map(area->l1, ranges);
	uint32_t *sizes = put_tag(area, INFO_MEMORY, 2 * sizeof(*sizes));
	uint32_t *map = put_tag(area, INFO_MMAP, 2 * sizeof(*map) + count * sizeof(struct info_mmap));

	sizes[0] = (uint32_t)(LOAD_LOW_TOP / KIB(1));
	sizes[1] = (uint32_t)((area->l1->low.size - LOAD_HIGH_START) / KIB(1));
	map[0] = sizeof(struct info_mmap);
	map[1] = 0; /* version of the entries */
	for (unsigned i = 0; i < count; i++) {
		struct info_mmap e = {ranges[i].base, ranges[i].size, ranges[i].type, 0};

		memcpy((uint8_t *)(map + 2) + i * sizeof(e), &e, sizeof(e));
	}
}

/* l1_reset() has put the tables there. */
static void put_acpi(struct info_area *area)
{
	const void *rsdp = l1_ptr(area->l1, l1pa(L1_ACPI_BASE), RSDP2_SIZE);

	memcpy(put_tag(area, INFO_RSDP1, RSDP1_SIZE), rsdp, RSDP1_SIZE);
	memcpy(put_tag(area, INFO_RSDP2, RSDP2_SIZE), rsdp, RSDP2_SIZE);
}

/* A module without text of its own is told its name. */
static const char *put_module(struct info_area *area, struct kernel *k, const struct config_module *m)
{
	struct text name = {m->file->name, m->file->name_len};
	uint32_t bounds[2];
	const char *error = kernel_load_module(k, m->file, &bounds[0]);

	if (error)
		return error;
	bounds[1] = bounds[0] + (uint32_t)m->file->size;

	uint8_t *to = put_text_tag(area, INFO_MODULE, sizeof(bounds), m->args.len ? m->args : name);

	if (!to)
		return "the modules' arguments are too long; shorten them";
	memcpy(to, bounds, sizeof(bounds));
	return NULL;
}

/* The last tag, and the total at the front. */
static const char *put_end(struct info_area *area, uint32_t start)
{
	if (!put_tag(area, INFO_END, 0))
		return "the modules' arguments are too long; shorten them";

	uint32_t total = (uint32_t)(area->base + area->used - start);

	memcpy(info_ptr(area, start, sizeof(total)), &total, sizeof(total));
	return NULL;
}

static const char *put_info(struct info_area *area, struct kernel *k, const struct l1_config *config)
{
	static const struct text loader = {LOAD_NAME, sizeof(LOAD_NAME) - 1};
	uint32_t start = info_take(area, sizeof(struct info_tag)); /* total size, and a reserved word */
	const char *error = NULL;

	memset(info_ptr(area, start, sizeof(struct info_tag)), 0, sizeof(struct info_tag));
	put_text_tag(area, INFO_LOADER, 0, loader);
	put_memory(area);
	put_acpi(area);
	if (!put_text_tag(area, INFO_CMDLINE, 0, config->cmdline))
		return "the command line is too long; shorten cmdline";
	for (unsigned i = 0; i < config->module_count && !error; i++)
		error = put_module(area, k, &config->modules[i]);
	return error ? error : put_end(area, start);
}

const char *load_multiboot2(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry)
{
	struct kernel k = kernel_begin(l1, config);
	struct info_area area;
	const char *error = load_file(&k);

	if (!error)
		error = kernel_begin_at(&k, config, LOADER_MAGIC, &area, entry);
	return error ? error : put_info(&area, &k, config);
}
