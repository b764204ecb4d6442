/* SPDX-License-Identifier: MIT */
/* svm/load.c - chooses the loader by the image's own signature; what all loaders share.
 * Touches the memory of the L1 only. Next: load_linux.c, load_multiboot.c, load_multiboot2.c. */
#include "svm/load.h"

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

const char *load_image(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry)
{
	struct image image = {hpa_ptr(config->image->start), config->image->size};

	*entry = (struct l1_entry){0};
	if (load_is_linux(image))
		return load_linux(l1, config, entry);
	if (load_is_multiboot2(image)) /* before version 1: it tells a kernel that has both headers more */
		return load_multiboot2(l1, config, entry);
	if (load_is_multiboot(image))
		return load_multiboot(l1, config, entry);
	return "it is neither a Linux bzImage nor a Multiboot kernel; name another module as image";
}
