/* SPDX-License-Identifier: MIT */
/* svm/load_linux.c - loads a Linux bzImage by the 64-bit boot protocol.
 * Decides where kernel, initrd, command line and page tables lie; touches the memory of the L1 only.
 * Manual: Linux, Documentation/arch/x86/boot.rst and zero-page.rst. Opposite: load_multiboot.c. */
#include "svm/load.h"

#include "kernel/string.h"
#include "svm/config.h"

/* The setup header, at 1F1h of the image and of boot_params alike. */
#define HEADER_AT 0x1F1u
#define HEADER_END_AT 0x201u /* the byte behind the jump: the header ends 202h + its value */
#define HEADER_MAX 0x290u
#define SECTOR 512u

struct setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize;
	uint16_t ram_size, vid_mode, root_dev;
	uint16_t boot_flag;
	uint16_t jump;
	uint32_t magic;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg, kernel_version;
	uint8_t type_of_loader, loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image, ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver, ext_loader_type;
	uint32_t cmd_line_ptr, initrd_addr_max;
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel, min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size, hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset, payload_length;
	uint64_t setup_data, pref_address;
	uint32_t init_size;
} PACKED;

_Static_assert(HEADER_AT + offsetof(struct setup_header, magic) == 0x202, "magic");
_Static_assert(HEADER_AT + offsetof(struct setup_header, cmd_line_ptr) == 0x228, "cmd_line_ptr");
_Static_assert(HEADER_AT + offsetof(struct setup_header, init_size) == 0x260, "init_size");

#define BOOT_FLAG 0xAA55u
#define HEADER_MAGIC 0x53726448u /* "HdrS" */
#define PROTOCOL_MIN 0x20Cu      /* the first with xloadflags */
#define XLF_KERNEL_64 BIT(0)
#define SETUP_SECTS_DEFAULT 4u
#define LOADER_UNKNOWN 0xFFu
#define ENTRY_64 0x200u

/* boot_params, the "zero page". */
#define PARAMS_ACPI_RSDP 0x070u
#define PARAMS_E820_COUNT 0x1E8u
#define PARAMS_E820_TABLE 0x2D0u

struct e820_entry {
	uint64_t base, size;
	uint32_t type;
} PACKED;

#define BOOT_CS 0x10u
#define BOOT_DS 0x18u
#define CMDLINE_AT (LOAD_INFO + PAGE_SIZE)
#define CMDLINE_ROOM (LOAD_INFO_SIZE - PAGE_SIZE)
#define IDENTITY_GIB 4u

bool load_is_linux(struct image image)
{
	const struct setup_header *h = image_part(image, HEADER_AT, sizeof(*h));

	return h && h->boot_flag == BOOT_FLAG && h->magic == HEADER_MAGIC;
}

/* Where the kernel proper begins in the file. */
static uint64_t kernel_offset(const struct setup_header *h)
{
	return (1u + (h->setup_sects ? h->setup_sects : SETUP_SECTS_DEFAULT)) * SECTOR;
}

/* Only the low run will do: the first page tables reach no further. */
static bool fits_low(const struct l1 *l1, uint64_t at, uint64_t room)
{
	return room <= l1->low.size && at <= l1->low.size - room;
}

/* Its preferred address; lower, if it can move, when that lies too high for this guest. */
static uint64_t kernel_address(const struct l1 *l1, const struct setup_header *h, uint64_t room)
{
	if (fits_low(l1, h->pref_address, room) || !h->relocatable_kernel)
		return h->pref_address;
	return align_up(LOAD_HIGH_START, max_u64(h->kernel_alignment, PAGE_SIZE));
}

static const char *load_kernel(struct l1 *l1, struct image file, const struct setup_header *h, uint64_t *at,
			       uint64_t *end)
{
	uint64_t offset = kernel_offset(h), room = max_u64(h->init_size, file.size);
	bool power_of_two = h->kernel_alignment && !(h->kernel_alignment & (h->kernel_alignment - 1));

	if (h->version < PROTOCOL_MIN || !(h->xloadflags & XLF_KERNEL_64))
		return "the Linux kernel has no 64-bit entry; use an x86-64 kernel of version 3.8 or later";
	if (!power_of_two || !image_part(file, offset, ENTRY_64 + 1))
		return "the Linux image is damaged or cut; copy it again";
	*at = kernel_address(l1, h, room);
	if (*at < LOAD_HIGH_START)
		return "the Linux kernel wants to lie below 1 MiB; use a relocatable kernel";
	if (!fits_low(l1, *at, room))
		return "memory is too small for the Linux kernel; raise memory in " CONFIG_FILE;
	memcpy(l1_ptr(l1, l1pa(*at), room), file.at + offset, file.size - offset);
	*end = *at + room;
	return NULL;
}

/* As high as the kernel allows, so that it does not stand in the way of its unpacking. */
static const char *load_initrd(struct l1 *l1, const struct boot_module *initrd, struct setup_header *h,
			       uint64_t kernel_end)
{
	uint64_t top = min_u64(l1->low.size, (uint64_t)h->initrd_addr_max + 1);

	if (!initrd)
		return NULL;
	if (initrd->size > top || align_down(top - initrd->size, PAGE_SIZE) < kernel_end)
		return "memory is too small for kernel and initrd; raise memory in " CONFIG_FILE;

	uint64_t at = align_down(top - initrd->size, PAGE_SIZE);

	memcpy(l1_ptr(l1, l1pa(at), initrd->size), hpa_ptr(initrd->start), initrd->size);
	h->ramdisk_image = (uint32_t)at;
	h->ramdisk_size = (uint32_t)initrd->size;
	return NULL;
}

static const char *load_cmdline(struct l1 *l1, struct text cmdline, struct setup_header *h)
{
	if (cmdline.len > h->cmdline_size || cmdline.len >= CMDLINE_ROOM)
		return "the command line is longer than this kernel takes; shorten cmdline";

	char *to = l1_ptr(l1, l1pa(CMDLINE_AT), cmdline.len + 1);

	memcpy(to, cmdline.at, cmdline.len);
	to[cmdline.len] = '\0';
	h->cmd_line_ptr = CMDLINE_AT;
	return NULL;
}

/* `patched` begins as the image's header; fields that a later kernel added behind it are copied as they are. */
static void write_boot_params(struct l1 *l1, struct image file, const struct setup_header *patched)
{
	uint8_t *params = l1_ptr(l1, l1pa(LOAD_INFO), PAGE_SIZE);
	uint64_t end = min_u64(0x202u + file.at[HEADER_END_AT], HEADER_MAX);
	const void *header = image_part(file, HEADER_AT, end - HEADER_AT);
	uint64_t rsdp = L1_ACPI_BASE;
	struct load_range ranges[LOAD_RANGES_MAX];
	unsigned count = load_memory_map(l1, ranges);

	memset(params, 0, PAGE_SIZE);
	if (header && end > HEADER_AT + sizeof(*patched))
		memcpy(params + HEADER_AT, header, end - HEADER_AT);
	memcpy(params + HEADER_AT, patched, sizeof(*patched));
	memcpy(params + PARAMS_ACPI_RSDP, &rsdp, sizeof(rsdp));
	params[PARAMS_E820_COUNT] = (uint8_t)count;
	for (unsigned i = 0; i < count; i++) {
		struct e820_entry e = {ranges[i].base, ranges[i].size, ranges[i].type};

		memcpy(params + PARAMS_E820_TABLE + i * sizeof(e), &e, sizeof(e));
	}
}

/* The first 4 GiB, one to one, in 2 MiB pages: one PML4, one PDPT, four page directories. */
static void write_page_tables(struct l1 *l1)
{
	uint64_t *pml4 = l1_ptr(l1, l1pa(LOAD_PAGE_TABLES), (2 + IDENTITY_GIB) * PAGE_SIZE);
	uint64_t *pdpt = pml4 + PAGE_SIZE / sizeof(*pml4);
	uint64_t *pd = pdpt + PAGE_SIZE / sizeof(*pdpt);
	uint64_t pd_at = LOAD_PAGE_TABLES + 2 * PAGE_SIZE;

	memset(pml4, 0, 2 * PAGE_SIZE);
	pml4[0] = (LOAD_PAGE_TABLES + PAGE_SIZE) | PTE_P | PTE_W;
	for (unsigned i = 0; i < IDENTITY_GIB; i++)
		pdpt[i] = (pd_at + i * PAGE_SIZE) | PTE_P | PTE_W;
	for (uint64_t i = 0; i < GIB(IDENTITY_GIB) / SIZE_2M; i++)
		pd[i] = i * SIZE_2M | PTE_P | PTE_W | PTE_PS;
}

/* Null, null, 64-bit code, data: the selectors are fixed by the protocol. */
static uint16_t write_gdt(struct l1 *l1)
{
	static const uint64_t gdt[] = {0, 0, UINT64_C(0x00AF9B000000FFFF), UINT64_C(0x00CF93000000FFFF)};

	memcpy(l1_ptr(l1, l1pa(LOAD_GDT), sizeof(gdt)), gdt, sizeof(gdt));
	return sizeof(gdt) - 1;
}

const char *load_linux(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry)
{
	struct image file = {hpa_ptr(config->image->start), config->image->size};
	struct setup_header h;
	uint64_t at, end;

	memcpy(&h, file.at + HEADER_AT, sizeof(h));

	const char *error = load_kernel(l1, file, &h, &at, &end);

	if (!error && config->module_count)
		error = "Linux takes no modules; use initrd instead";
	if (!error)
		error = load_initrd(l1, config->initrd, &h, end);
	if (!error)
		error = load_cmdline(l1, config->cmdline, &h);
	if (error)
		return error;
	h.type_of_loader = LOADER_UNKNOWN;
	h.code32_start = (uint32_t)at;
	write_boot_params(l1, file, &h);
	write_page_tables(l1);
	*entry = (struct l1_entry){
		.mode = ENTRY_LONG64,
		.rip = at + ENTRY_64,
		.rsp = LOAD_STACK_TOP,
		.rsi = LOAD_INFO,
		.cr0 = CR0_PE | CR0_ET | CR0_PG,
		.cr3 = LOAD_PAGE_TABLES,
		.cr4 = CR4_PAE,
		.efer = EFER_LME | EFER_LMA,
		.gdt_base = LOAD_GDT,
		.gdt_limit = write_gdt(l1),
		.cs_sel = BOOT_CS,
		.data_sel = BOOT_DS,
	};
	return NULL;
}
