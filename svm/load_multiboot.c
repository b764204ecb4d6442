/* SPDX-License-Identifier: MIT */
/* svm/load_multiboot.c - loads a Multiboot 1 kernel: ELF32, ELF64, or flat with addresses in the header.
 * Decides where modules and boot information lie; touches the memory of the L1 only.
 * Manual: Multiboot Specification 0.6.96; ELF gABI chapters 4 and 5. Opposite: load_linux.c. */
#include "svm/load.h"

#include "kernel/printf.h"
#include "kernel/string.h"
#include "svm/config.h"

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
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* with HAS_ADDRESSES */
};
#define HEADER_MIN offsetof(struct header, header_addr)

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

#define ELF_MAGIC 0x464C457Fu
#define ELF_CLASS_AT 4u
#define ELF_CLASS64 2u
#define ELF_DATA_AT 5u
#define ELF_LITTLE_ENDIAN 1u
#define PT_LOAD 1u

struct elf32_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum;
} PACKED;

struct elf64_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum;
} PACKED;

struct elf32_segment {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
} PACKED;

struct elf64_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
} PACKED;

/* What the loader knows of the image, whatever its format. */
struct mb {
	struct l1 *l1;
	struct image file;
	uint64_t low, high; /* bounds of what was loaded, in L1's memory */
	uint64_t entry;
	uint32_t info, gdt; /* where they were put */
};

struct segment {
	uint64_t offset, paddr, filesz, memsz;
};

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

static const char *load_segment(struct mb *mb, struct segment s)
{
	const void *from = image_part(mb->file, s.offset, s.filesz);

	if (s.memsz == 0)
		return NULL;
	if (!from || s.filesz > s.memsz)
		return "the kernel image is damaged or cut; copy it again";

	uint8_t *to = l1_ptr(mb->l1, l1pa(s.paddr), s.memsz);

	if (!to || s.paddr + s.memsz > mb->l1->low.size)
		return "the kernel does not fit into the guest's memory; raise memory in " CONFIG_FILE;
	memcpy(to, from, s.filesz);
	memset(to + s.filesz, 0, s.memsz - s.filesz);
	mb->low = min_u64(mb->low, s.paddr);
	mb->high = max_u64(mb->high, s.paddr + s.memsz);
	return NULL;
}

/* The form with addresses in the header: one segment, and 0 stands for "to the end" and for "no bss". */
static const char *load_flat(struct mb *mb, const struct header *h, uint64_t header_at)
{
	uint64_t before = h->header_addr - (uint64_t)h->load_addr;

	if (h->header_addr < h->load_addr || before > header_at)
		return "the addresses in the Multiboot header contradict each other; rebuild the kernel";

	struct segment s = {.offset = header_at - before, .paddr = h->load_addr};

	s.filesz = mb->file.size - s.offset;
	if (h->load_end_addr)
		s.filesz = (uint64_t)h->load_end_addr - h->load_addr;
	s.memsz = h->bss_end_addr ? (uint64_t)h->bss_end_addr - h->load_addr : s.filesz;
	mb->entry = h->entry_addr;
	return load_segment(mb, s);
}

/* The entry point is a virtual address; execution begins without paging. */
static void take_entry(struct mb *mb, uint64_t entry, uint64_t vaddr, struct segment s)
{
	if (entry >= vaddr && entry - vaddr < s.memsz)
		mb->entry = s.paddr + (entry - vaddr);
}

static const char *load_elf32(struct mb *mb)
{
	const struct elf32_header *h = image_part(mb->file, 0, sizeof(*h));

	for (unsigned i = 0; h && i < h->phnum; i++) {
		const struct elf32_segment *p =
			image_part(mb->file, h->phoff + (uint64_t)i * h->phentsize, sizeof(*p));

		if (!p)
			return "the program headers lie outside of the file; copy it again";
		if (p->type != PT_LOAD)
			continue;

		struct segment s = {p->offset, p->paddr, p->filesz, p->memsz};
		const char *error = load_segment(mb, s);

		if (error)
			return error;
		take_entry(mb, h->entry, p->vaddr, s);
	}
	return NULL;
}

static const char *load_elf64(struct mb *mb)
{
	const struct elf64_header *h = image_part(mb->file, 0, sizeof(*h));

	for (unsigned i = 0; h && i < h->phnum; i++) {
		const struct elf64_segment *p =
			image_part(mb->file, h->phoff + (uint64_t)i * h->phentsize, sizeof(*p));

		if (!p)
			return "the program headers lie outside of the file; copy it again";
		if (p->type != PT_LOAD)
			continue;

		struct segment s = {p->offset, p->paddr, p->filesz, p->memsz};
		const char *error = load_segment(mb, s);

		if (error)
			return error;
		take_entry(mb, h->entry, p->vaddr, s);
	}
	return NULL;
}

static const char *load_kernel(struct mb *mb)
{
	struct header h;
	uint64_t header_at = find_header(mb->file, &h);
	uint32_t elf_magic;

	memcpy(&elf_magic, mb->file.at, sizeof(elf_magic)); /* the header was found: there are 12 bytes */
	if (h.flags & WANT_MASK & ~WANT_UNDERSTOOD)
		return "the kernel's Multiboot header wants what a guest does not have; build it without bits 2 to 15";
	if (h.flags & HAS_ADDRESSES)
		return load_flat(mb, &h, header_at);
	if (elf_magic != ELF_MAGIC || mb->file.at[ELF_DATA_AT] != ELF_LITTLE_ENDIAN)
		return "the kernel is no x86 ELF file and its Multiboot header has no addresses; rebuild it";
	return mb->file.at[ELF_CLASS_AT] == ELF_CLASS64 ? load_elf64(mb) : load_elf32(mb);
}

/* --- modules and boot information --- */

/* Fills LOAD_INFO_SIZE bytes at `base`, from the start upwards. */
struct info_area {
	struct l1 *l1;
	uint64_t base, used;
};

/* The L1 address of `size` bytes of it, 0 when it is full. */
static uint32_t info_take(struct info_area *area, uint64_t size)
{
	uint64_t at = align_up(area->used, sizeof(uint32_t));

	if (size > LOAD_INFO_SIZE || at > LOAD_INFO_SIZE - size)
		return 0;
	area->used = at + size;
	return (uint32_t)(area->base + at);
}

static void *info_ptr(const struct info_area *area, uint32_t at, uint64_t size)
{
	return l1_ptr(area->l1, l1pa(at), size);
}

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

static const char *load_modules(struct mb *mb, struct info_area *area, const struct l1_config *config,
				struct info *info)
{
	uint64_t list_size = config->module_count * sizeof(struct info_module);

	info->mods_count = config->module_count;
	info->mods_addr = info_take(area, list_size);
	for (unsigned i = 0; i < config->module_count; i++) {
		const struct config_module *m = &config->modules[i];
		uint64_t at = align_up(max_u64(mb->high, LOAD_HIGH_START), PAGE_SIZE);
		struct info_module entry = {(uint32_t)at, (uint32_t)(at + m->file->size), 0, 0};

		if (at > mb->l1->low.size || m->file->size > mb->l1->low.size - at)
			return "memory is too small for the modules; raise memory in " CONFIG_FILE;
		memcpy(l1_ptr(mb->l1, l1pa(at), m->file->size), hpa_ptr(m->file->start), m->file->size);
		mb->high = at + m->file->size;
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

/* Below 1 MiB, where kernels expect it, unless the kernel itself lies there; then behind the kernel. */
static uint64_t info_place(struct mb *mb)
{
	if (mb->low >= LOAD_INFO + LOAD_INFO_SIZE || mb->high <= LOAD_INFO)
		return LOAD_INFO;

	uint64_t at = align_up(max_u64(mb->high, LOAD_HIGH_START), PAGE_SIZE);

	mb->high = at + LOAD_INFO_SIZE;
	return l1_ptr(mb->l1, l1pa(at), LOAD_INFO_SIZE) ? at : 0;
}

/* The specification leaves the GDT open; kernels that reload a segment before they have their own live longer. */
static const uint64_t flat_gdt[] = {0, UINT64_C(0x00CF9B000000FFFF), UINT64_C(0x00CF93000000FFFF)};
#define FLAT_CS 0x08
#define FLAT_DS 0x10

static const char *load_info(struct mb *mb, const struct l1_config *config)
{
	static const struct boot_module loader = {.name = "Nestling", .name_len = sizeof("Nestling") - 1};
	struct info_area area = {mb->l1, info_place(mb), 0};
	struct info info = {.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER};

	if (!area.base)
		return "memory is too small for the kernel; raise memory in " CONFIG_FILE;
	mb->info = info_take(&area, sizeof(info));
	mb->gdt = info_take(&area, sizeof(flat_gdt));
	memcpy(info_ptr(&area, mb->gdt, sizeof(flat_gdt)), flat_gdt, sizeof(flat_gdt));
	write_memory_map(&area, &info);
	info.boot_loader_name = info_string(&area, &loader, (struct text){"", 0});
	info.cmdline = info_string(&area, config->image, config->cmdline);
	if (!info.cmdline)
		return "the command line is too long; shorten cmdline";
	if (config->module_count)
		info.flags |= INFO_MODULES;

	const char *error = load_modules(mb, &area, config, &info);

	memcpy(info_ptr(&area, mb->info, sizeof(info)), &info, sizeof(info));
	return error;
}

const char *load_multiboot(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry)
{
	struct mb mb = {
		.l1 = l1,
		.file = {hpa_ptr(config->image->start), config->image->size},
		.low = UINT64_MAX,
		.entry = UINT64_MAX,
	};
	const char *error = load_kernel(&mb);

	if (!error && config->initrd)
		error = "a Multiboot kernel takes no initrd; use module instead";
	if (!error && mb.entry >= l1->low.size)
		error = "the entry point of the kernel lies outside of its segments; rebuild it";
	if (!error)
		error = load_info(&mb, config);
	if (error)
		return error;
	*entry = (struct l1_entry){
		.mode = ENTRY_PROTECTED32,
		.rip = mb.entry,
		.rax = LOADER_MAGIC,
		.rbx = mb.info,
		.cr0 = CR0_PE | CR0_ET,
		.gdt_base = mb.gdt,
		.gdt_limit = sizeof(flat_gdt) - 1,
		.cs_sel = FLAT_CS,
		.data_sel = FLAT_DS,
	};
	return NULL;
}
