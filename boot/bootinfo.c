/* SPDX-License-Identifier: MIT */
/* boot/bootinfo.c - turns the tags of Multiboot 2 into struct bootinfo.
 * Pure: reads only tags..tags+size, checks each length before use, and touches nothing else.
 * Manual: Multiboot2 Specification 2.0, section 3.6. Opposite: boot/start.asm, which asks for them. */
#include <bootinfo.h>
#include <compiler.h>

#include <string.h>

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_LOADER = 2,
	TAG_MODULE = 3,
	TAG_MMAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_RSDP1 = 14,
	TAG_RSDP2 = 15,
	TAG_ALIGN = 8,
	RSDP1_SIZE = 20,
	FB_TYPE_RGB = 1,
	FB_TYPE_TEXT = 2,
};

struct tag {
	uint32_t type;
	uint32_t size; /* this header included, padding not */
};

struct tag_module {
	struct tag tag;
	uint32_t start, end;
	char text[];
};

struct tag_mmap {
	struct tag tag;
	uint32_t entry_size, entry_version;
};

struct mmap_entry {
	uint64_t base, size;
	uint32_t type, zero;
};

struct tag_fb {
	struct tag tag;
	uint64_t base;
	uint32_t pitch, width, height;
	uint8_t bits_per_pixel, type;
	uint16_t reserved;
} PACKED;

struct tag_fb_rgb {
	struct tag_fb fb;
	uint8_t red_shift, red_size, green_shift, green_size, blue_shift, blue_size;
} PACKED;

static bool is_terminated(const char *s, size_t size)
{
	return size > 0 && memchr(s, '\0', size);
}

static const char *parse_string(const char **out, const struct tag *tag)
{
	const char *text = (const char *)(tag + 1);

	if (!is_terminated(text, tag->size - sizeof(*tag)))
		return "a string of the boot loader has no end";
	*out = text;
	return NULL;
}

static const char *parse_module(struct bootinfo *bi, const struct tag *tag)
{
	const struct tag_module *t = (const struct tag_module *)tag;

	if (tag->size < sizeof(*t) || !is_terminated(t->text, tag->size - sizeof(*t)))
		return "malformed module tag";
	if (t->end < t->start)
		return "a module ends before it starts";
	if (bi->module_count == BOOT_MODULES_MAX)
		return "more than 32 modules";

	struct boot_module *m = &bi->modules[bi->module_count++];
	const char *space = strchr(t->text, ' ');

	m->name = t->text;
	m->name_len = space ? (size_t)(space - t->text) : strlen(t->text);
	m->args = space ? space + 1 : "";
	m->start = hpa(t->start);
	m->size = t->end - t->start;
	return NULL;
}

static enum boot_mem mem_type(uint32_t type)
{
	switch (type) {
	case BOOT_MEM_RAM:
	case BOOT_MEM_ACPI:
	case BOOT_MEM_NVS:
	case BOOT_MEM_BAD:
		return (enum boot_mem)type;
	default:
		return BOOT_MEM_RESERVED;
	}
}

static const char *add_range(struct bootinfo *bi, const struct mmap_entry *e)
{
	if (e->size == 0)
		return NULL;
	if (e->base + e->size < e->base)
		return "a memory range wraps around";
	if (bi->range_count == BOOT_MMAP_MAX)
		return "more than 256 memory ranges";
	bi->ranges[bi->range_count++] =
		(struct boot_range){hpa(e->base), e->size, mem_type(e->type)};
	if (e->type == BOOT_MEM_RAM)
		bi->ram_bytes += e->size;
	return NULL;
}

static const char *parse_mmap(struct bootinfo *bi, const struct tag *tag)
{
	const struct tag_mmap *t = (const struct tag_mmap *)tag;

	if (tag->size < sizeof(*t) || t->entry_size < sizeof(struct mmap_entry))
		return "malformed memory map tag";

	uint64_t count = (tag->size - sizeof(*t)) / t->entry_size;

	for (uint64_t i = 0; i < count; i++) {
		struct mmap_entry e;

		memcpy(&e, (const char *)(t + 1) + i * t->entry_size, sizeof(e));
		const char *error = add_range(bi, &e);
		if (error)
			return error;
	}
	return NULL;
}

static const char *parse_framebuffer(struct boot_framebuffer *fb, const struct tag *tag)
{
	const struct tag_fb_rgb *t = (const struct tag_fb_rgb *)tag;

	if (tag->size < sizeof(t->fb))
		return "malformed framebuffer tag";
	fb->base = hpa(t->fb.base);
	fb->pitch = t->fb.pitch;
	fb->width = t->fb.width;
	fb->height = t->fb.height;
	fb->bits_per_pixel = t->fb.bits_per_pixel;
	if (t->fb.type == FB_TYPE_TEXT)
		fb->kind = BOOT_FB_TEXT;
	if (t->fb.type != FB_TYPE_RGB || tag->size < sizeof(*t))
		return NULL; /* a palette: no console there, which is no error */
	fb->kind = BOOT_FB_RGB;
	fb->red_shift = t->red_shift;
	fb->green_shift = t->green_shift;
	fb->blue_shift = t->blue_shift;
	return NULL;
}

/* The old RSDP never replaces the new one, whatever order they come in. */
static const char *parse_rsdp(struct bootinfo *bi, const struct tag *tag, size_t wanted)
{
	if (tag->size < sizeof(*tag) + wanted)
		return "malformed ACPI tag";
	if (bi->has_rsdp && wanted < BOOT_RSDP_SIZE)
		return NULL;
	memset(bi->rsdp, 0, sizeof(bi->rsdp));
	memcpy(bi->rsdp, tag + 1, wanted);
	bi->has_rsdp = true;
	return NULL;
}

static const char *parse_tag(struct bootinfo *bi, const struct tag *tag)
{
	switch (tag->type) {
	case TAG_CMDLINE:
		return parse_string(&bi->cmdline, tag);
	case TAG_LOADER:
		return parse_string(&bi->loader, tag);
	case TAG_MODULE:
		return parse_module(bi, tag);
	case TAG_MMAP:
		return parse_mmap(bi, tag);
	case TAG_FRAMEBUFFER:
		return parse_framebuffer(&bi->fb, tag);
	case TAG_RSDP1:
		return parse_rsdp(bi, tag, RSDP1_SIZE);
	case TAG_RSDP2:
		return parse_rsdp(bi, tag, BOOT_RSDP_SIZE);
	default:
		return NULL;
	}
}

const char *bootinfo_parse(struct bootinfo *bi, const void *tags, uint64_t size)
{
	uint32_t total;
	uint64_t at = 2 * sizeof(uint32_t); /* total size and a reserved word come first */

	memset(bi, 0, sizeof(*bi));
	bi->cmdline = "";
	bi->loader = "";
	if (size < at)
		return "no room for the boot loader's tags";
	memcpy(&total, tags, sizeof(total));
	if (total > size)
		return "the boot loader's tags are too long";
	bi->tags = hpa_of(tags);
	bi->tags_size = total;

	while (at + sizeof(struct tag) <= total) {
		const struct tag *tag = (const struct tag *)((const char *)tags + at);

		if (tag->size < sizeof(*tag) || tag->size > total - at)
			return "a tag of the boot loader has a wrong size";
		if (tag->type == TAG_END)
			return bi->range_count ? NULL : "the boot loader gave no memory map";

		const char *error = parse_tag(bi, tag);
		if (error)
			return error;
		at = align_up(at + tag->size, TAG_ALIGN);
	}
	return "the boot loader's tags have no end";
}

const struct boot_module *bootinfo_module(const struct bootinfo *bi, const char *name)
{
	size_t len = strlen(name);

	for (uint32_t i = 0; i < bi->module_count; i++) {
		const struct boot_module *m = &bi->modules[i];

		if (m->name_len == len && memcmp(m->name, name, len) == 0)
			return m;
	}
	return NULL;
}
