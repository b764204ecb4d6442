/* SPDX-License-Identifier: MIT */
/* svm/load.c - chooses the loader by the image's own signature; what all loaders share.
 * Touches the memory of the L1 only. Next: load_linux.c, load_multiboot.c, load_multiboot2.c. */
#include "svm/load.h"

#include <amd/smram.h>

#include "kernel/string.h"
#include "svm/config.h"

const void *image_part(struct image image, uint64_t offset, uint64_t size)
{
	if (offset > image.size || size > image.size - offset)
		return NULL;
	return image.at + offset;
}

unsigned load_memory_map(const struct l1 *l1, struct load_range ranges[LOAD_RANGES_MAX])
{
	unsigned n = 0;

	ranges[n++] = (struct load_range){0, LOAD_LOW_TOP, LOAD_MEM_RAM};
	ranges[n++] = (struct load_range){L1_ACPI_BASE, L1_ACPI_SIZE, LOAD_MEM_RESERVED};
	ranges[n++] = (struct load_range){LOAD_HIGH_START, l1->low.size - LOAD_HIGH_START, LOAD_MEM_RAM};
	if (l1->high.size)
		ranges[n++] = (struct load_range){l1->high.base, l1->high.size, LOAD_MEM_RAM};
	return n;
}

/* What a BIOS leaves in its data area and kernels look up there: the port of COM1, where the extended area lies
 * that begins with its own size, and the size of low memory. And a handler for SMIs: RSM. */
#define BDA_COM1 UINT64_C(0x400)
#define BDA_EBDA_SEGMENT UINT64_C(0x40E)
#define BDA_LOW_KIB UINT64_C(0x413)
#define COM1_PORT 0x3F8
#define EBDA_KIB 1
#define INSN_RSM 0xAA0F

static void put_u16(const struct l1 *l1, uint64_t at, uint16_t value)
{
	memcpy(l1_ptr(l1, l1pa(at), sizeof(value)), &value, sizeof(value));
}

static void put_bios_data(const struct l1 *l1)
{
	put_u16(l1, BDA_COM1, COM1_PORT);
	put_u16(l1, BDA_EBDA_SEGMENT, LOAD_LOW_TOP >> 4);
	put_u16(l1, BDA_LOW_KIB, LOAD_LOW_TOP / KIB(1));
	put_u16(l1, LOAD_LOW_TOP, EBDA_KIB);
	put_u16(l1, SMBASE_RESET + SMM_ENTRY_RIP, INSN_RSM);
}

const char *load_image(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry)
{
	struct image image = {hpa_ptr(config->image->start), config->image->size};

	*entry = (struct l1_entry){0};
	put_bios_data(l1);
	if (load_is_linux(image))
		return load_linux(l1, config, entry);
	if (load_is_multiboot2(image)) /* before version 1: it tells a kernel that has both headers more */
		return load_multiboot2(l1, config, entry);
	if (load_is_multiboot(image))
		return load_multiboot(l1, config, entry);
	return "it is neither a Linux bzImage nor a Multiboot kernel; name another module as image";
}
