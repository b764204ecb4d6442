/* SPDX-License-Identifier: MIT */
/* svm/load_kernel.c - puts a kernel, ELF or flat, and its modules into the memory of an L1.
 * Decides where modules and boot information lie; touches the memory of the L1 only.
 * Manual: ELF gABI chapters 4 and 5. Users: load_multiboot.c, load_multiboot2.c. */
#include "svm/load_kernel.h"

#include "kernel/string.h"

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

/* Also for what comes from no ELF64 file. */
struct segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
} PACKED;

/* What both kinds of file header say. */
struct elf {
	bool is_64;
	uint16_t phnum, phentsize;
	uint64_t phoff, entry;
};

struct kernel kernel_begin(struct l1 *l1, const struct l1_config *config)
{
	return (struct kernel){
		.l1 = l1,
		.file = {hpa_ptr(config->image->start), config->image->size},
		.low = UINT64_MAX,
		.entry = UINT64_MAX,
	};
}

/* --- segments --- */

static const char *load_segment(struct kernel *k, struct segment s)
{
	const void *from = image_part(k->file, s.offset, s.filesz);

	if (s.memsz == 0)
		return NULL;
	if (!from || s.filesz > s.memsz)
		return "the kernel image is damaged or cut; copy it again";

	uint8_t *to = l1_ptr(k->l1, l1pa(s.paddr), s.memsz);

	if (s.paddr < L1_HOLE_END && s.memsz > L1_HOLE_BASE - min_u64(s.paddr, L1_HOLE_BASE))
		return "the kernel wants to lie at A0000h to BFFFFh, where no memory is; link it elsewhere";
	if (!to || s.paddr + s.memsz > k->l1->low.size)
		return "the kernel does not fit into the guest's memory; raise memory in " CONFIG_FILE;
	/* Else 65535 segments, one on the other, would take as many times as long. */
	k->loaded += s.memsz;
	if (k->loaded > k->l1->low.size)
		return "the segments of the kernel overlap; rebuild it";
	memcpy(to, from, s.filesz);
	memset(to + s.filesz, 0, s.memsz - s.filesz);
	k->low = min_u64(k->low, s.paddr);
	k->high = max_u64(k->high, s.paddr + s.memsz);
	return NULL;
}

const char *kernel_load_flat(struct kernel *k, const struct flat_addresses *a, uint64_t header_at)
{
	uint64_t before = a->header_addr - (uint64_t)a->load_addr;

	if (a->header_addr < a->load_addr || before > header_at)
		return "the addresses in the Multiboot header contradict each other; rebuild the kernel";

	struct segment s = {.offset = header_at - before, .paddr = a->load_addr};

	s.filesz = k->file.size - s.offset;
	if (a->load_end_addr)
		s.filesz = (uint64_t)a->load_end_addr - a->load_addr;
	s.memsz = a->bss_end_addr ? (uint64_t)a->bss_end_addr - a->load_addr : s.filesz;
	return load_segment(k, s);
}

/* Program header `i`; false: it lies outside of the file. */
static bool read_header(const struct kernel *k, const struct elf *elf, unsigned i, struct segment *out)
{
	uint64_t at = elf->phoff + (uint64_t)i * elf->phentsize;
	const void *p = image_part(k->file, at, elf->is_64 ? sizeof(*out) : sizeof(struct elf32_segment));
	const struct elf32_segment *p32 = p;

	if (p && elf->is_64)
		memcpy(out, p, sizeof(*out));
	else if (p)
		*out = (struct segment){.type = p32->type, .offset = p32->offset, .vaddr = p32->vaddr,
					.paddr = p32->paddr, .filesz = p32->filesz, .memsz = p32->memsz};
	return p != NULL;
}

static const char *load_segments(struct kernel *k, const struct elf *elf)
{
	struct segment p;

	for (unsigned i = 0; i < elf->phnum; i++) {
		if (!read_header(k, elf, i, &p))
			return "the program headers lie outside of the file; copy it again";
		if (p.type != PT_LOAD)
			continue;

		const char *error = load_segment(k, p);

		if (error)
			return error;
		if (elf->entry >= p.vaddr && elf->entry - p.vaddr < p.memsz) /* virtual; paging is off at first */
			k->entry = p.paddr + (elf->entry - p.vaddr);
	}
	return NULL;
}

const char *kernel_load_elf(struct kernel *k)
{
	const struct elf32_header *h = image_part(k->file, 0, sizeof(*h));
	const struct elf64_header *h64 = image_part(k->file, 0, sizeof(*h64));
	uint32_t magic = 0;

	if (h)
		memcpy(&magic, h, sizeof(magic));
	if (magic != ELF_MAGIC || h->ident[ELF_DATA_AT] != ELF_LITTLE_ENDIAN)
		return "the kernel is no x86 ELF file and its Multiboot header has no addresses; rebuild it";
	if (h->ident[ELF_CLASS_AT] != ELF_CLASS64)
		return load_segments(k, &(struct elf){false, h->phnum, h->phentsize, h->phoff, h->entry});
	if (!h64)
		return "the kernel image is damaged or cut; copy it again";
	return load_segments(k, &(struct elf){true, h64->phnum, h64->phentsize, h64->phoff, h64->entry});
}

/* --- modules and boot information --- */

static uint64_t behind(const struct kernel *k)
{
	return align_up(max_u64(k->high, LOAD_HIGH_START), PAGE_SIZE);
}

const char *kernel_load_module(struct kernel *k, const struct boot_module *file, uint32_t *at)
{
	uint64_t to = behind(k);

	if (to > k->l1->low.size || file->size > k->l1->low.size - to)
		return "memory is too small for the modules; raise memory in " CONFIG_FILE;
	memcpy(l1_ptr(k->l1, l1pa(to), file->size), hpa_ptr(file->start), file->size);
	k->high = to + file->size;
	*at = (uint32_t)to;
	return NULL;
}

static const char *info_begin(struct info_area *area, struct kernel *k)
{
	*area = (struct info_area){k->l1, LOAD_INFO, 0};
	if (k->low >= LOAD_INFO + LOAD_INFO_SIZE || k->high <= LOAD_INFO)
		return NULL;
	area->base = behind(k);
	k->high = area->base + LOAD_INFO_SIZE;
	if (!l1_ptr(k->l1, l1pa(area->base), LOAD_INFO_SIZE))
		return "memory is too small for the kernel; raise memory in " CONFIG_FILE;
	return NULL;
}

uint32_t info_take(struct info_area *area, uint64_t size)
{
	uint64_t at = align_up(area->used, sizeof(uint64_t));

	if (size > LOAD_INFO_SIZE || at > LOAD_INFO_SIZE - size)
		return 0;
	area->used = at + size;
	return (uint32_t)(area->base + at);
}

void *info_ptr(const struct info_area *area, uint32_t at, uint64_t size)
{
	return l1_ptr(area->l1, l1pa(at), size);
}

/* --- the start --- */

static const char *kernel_check(const struct kernel *k, const struct l1_config *config)
{
	if (config->initrd)
		return "a Multiboot kernel takes no initrd; use module instead";
	if (k->entry >= k->l1->low.size)
		return "the entry point of the kernel lies outside of its segments; rebuild it";
	return NULL;
}

/* The specifications leave the GDT open; kernels that reload a segment before they have their own live longer. */
static const uint64_t flat_gdt[] = {0, UINT64_C(0x00CF9B000000FFFF), UINT64_C(0x00CF93000000FFFF)};
#define FLAT_CS 0x08
#define FLAT_DS 0x10

static void kernel_enter(const struct kernel *k, struct info_area *area, uint32_t magic, struct l1_entry *entry)
{
	uint32_t gdt = info_take(area, sizeof(flat_gdt));

	memcpy(info_ptr(area, gdt, sizeof(flat_gdt)), flat_gdt, sizeof(flat_gdt));
	*entry = (struct l1_entry){
		.mode = ENTRY_PROTECTED32,
		.rip = k->entry,
		.rax = magic,
		.rbx = area->base + align_up(area->used, sizeof(uint64_t)),
		.cr0 = CR0_PE | CR0_ET,
		.gdt_base = gdt,
		.gdt_limit = sizeof(flat_gdt) - 1,
		.cs_sel = FLAT_CS,
		.data_sel = FLAT_DS,
	};
}

const char *kernel_begin_at(struct kernel *k, const struct l1_config *config, uint32_t magic, struct info_area *area,
			 struct l1_entry *entry)
{
	const char *error = kernel_check(k, config);

	if (!error)
		error = info_begin(area, k);
	if (!error)
		kernel_enter(k, area, magic, entry);
	return error;
}
