/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_guest.c - what somebody may send to have a guest made of: any description, or any image, with the
 * signatures of the three kinds put in, so that their loaders get to see it. A description is refused with a line that
 * names it, or all that it asks for is within bounds; an image is refused, or lies in the guest's memory. Nothing is
 * read or written outside of image and RAM (the sanitizers watch). */
#include <stdlib.h>
#include <string.h>

#include "kernel/pmm.h"
#include "svm/config.h"
#include "svm/load.h"
#include "tests/fuzz/fuzz.h"

#define RAM MIB(16)
#define IMAGE_BYTES 4096u
#define FRONT_BYTES 160u /* of the input: ELF header and two program headers */
#define HEADER_AT 0x200u

/* svm/files.c needs memory for uploads alone. */
hpa_t pmm_alloc(uint64_t bytes, uint64_t align)
{
	(void)bytes, (void)align;
	abort();
}

void pmm_free(hpa_t start, uint64_t bytes)
{
	(void)start, (void)bytes;
	abort();
}

uint64_t pmm_free_bytes(void)
{
	return 0;
}

static struct files files;
static struct config config;
static struct l1 guest;

/* A block of exactly that size. */
static struct boot_module module(const char *name, const void *bytes, size_t size)
{
	void *copy = malloc(size ? size : 1);

	memcpy(copy, bytes, size);
	return (struct boot_module){
		.name = name, .name_len = strlen(name), .args = "", .start = hpa_of(copy), .size = size};
}

/* --- descriptions --- */

static void check_guest(const struct l1_config *g)
{
	CHECK(config_is_name((struct text){g->name, strlen(g->name)}));
	CHECK(g->memory >= CONFIG_MEMORY_MIN && g->memory <= CONFIG_MEMORY_MAX && g->memory % SIZE_2M == 0);
	CHECK(g->vcpus >= 1 && g->vcpus <= MACHINE_MAX_VCPUS);
	CHECK(g->image && g->module_count <= CONFIG_MODULES_MAX);
	for (unsigned i = 0; i < g->module_count; i++)
		CHECK(g->modules[i].file);
}

static void describe(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1);

	memcpy(text, data, size);
	if (config_parse(&config, "d", text, size, &files)) {
		CHECK(config.guest_count >= 1 && config.guest_count <= L1_MAX);
		for (unsigned i = 0; i < config.guest_count; i++)
			check_guest(&config.guests[i]);
	} else {
		CHECK(!strncmp(config.error, "d line ", 7) || !strncmp(config.error, "d describes", 11));
		CHECK(memchr(config.error, '\0', CONFIG_ERROR_MAX));
	}
	free(text);
}

/* --- images --- */

static void put(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static uint32_t get(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

enum kind { RAW, LINUX, MULTIBOOT, MULTIBOOT2 };

static void sign(uint8_t *image, enum kind kind)
{
	uint8_t *header = image + HEADER_AT;

	if (kind == LINUX) {
		image[0x1FE] = 0x55;
		image[0x1FF] = 0xAA;
		memcpy(image + 0x202, "HdrS", 4);
	} else if (kind == MULTIBOOT) {
		put(header, 0x1BADB002);
		put(header + 8, -(0x1BADB002 + get(header + 4)));
	} else if (kind == MULTIBOOT2) {
		put(header, 0xE85250D6);
		put(header + 4, 0);
		put(header + 12, -(0xE85250D6 + get(header + 8)));
	}
}

/* The first bytes of the input are the image's, the others stand around HEADER_AT. */
static void load(const uint8_t *data, size_t size, enum kind kind, bool elf)
{
	static uint8_t image[IMAGE_BYTES];
	size_t front = min_u64(size, FRONT_BYTES), at = kind == LINUX ? 0x1F1 : HEADER_AT;
	struct l1_config c = {.name = "g", .memory = RAM, .vcpus = 1, .cmdline = {"a=b", 3}};
	struct l1_entry entry;

	memset(image, 0x90, sizeof(image));
	memcpy(image, data, front);
	memcpy(image + at, data + front, min_u64(size - front, sizeof(image) - at));
	if (elf)
		memcpy(image, "\x7F" "ELF", 4);
	sign(image, kind);

	struct boot_module file = module("image", image, kind == RAW ? size : sizeof(image));
	struct boot_module other = module("other", image, 100);

	c.image = &file;
	if (kind == LINUX)
		c.initrd = &other;
	else
		c.modules[c.module_count++] = (struct config_module){.file = &other, .args = {"x y", 3}};
	guest.config = &c;
	guest.name = c.name;
	if (!load_image(&guest, &c, &entry))
		CHECK(entry.rip < RAM);
	free(hpa_ptr(file.start));
	free(hpa_ptr(other.start));
}

/* The first byte chooses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bootinfo boot = {
		.module_count = 2,
		.modules = {{.name = "k", .name_len = 1, .args = ""}, {.name = "init", .name_len = 4, .args = ""}},
	};

	if (!size)
		return 0;
	if (!guest.low.size) {
		files_init(&files, &boot);
		guest.low = (struct l1_ram){0, RAM, hpa_of(aligned_alloc(PAGE_SIZE, RAM))};
	}
	if (data[0] & 1)
		load(data + 1, size - 1, (enum kind)(data[0] >> 1 & 3), data[0] & 8);
	else
		describe(data + 1, size - 1);
	return 0;
}
