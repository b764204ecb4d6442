/* SPDX-License-Identifier: MIT */
/* links: boot/bootinfo.c */
/* tests/unit/test_bootinfo.c - Multiboot 2 tags: what good ones become, and that no bad one is read past its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bootinfo.h>

enum { CMDLINE = 1, LOADER = 2, MODULE = 3, MMAP = 6, FB = 8, RSDP1 = 14, RSDP2 = 15, HEADER = 8 };

static uint8_t tags[16384];
static uint32_t tags_size;
static struct bootinfo bi;

static void start(void)
{
	memset(tags, 0xA5, sizeof(tags));
	tags_size = HEADER;
}

/* Padding keeps the poison: it must not be read. */
static void add(uint32_t type, const void *data, uint32_t size)
{
	uint32_t header[2] = {type, HEADER + size};

	memcpy(tags + tags_size, header, sizeof(header));
	if (size)
		memcpy(tags + tags_size + HEADER, data, size);
	tags_size = (uint32_t)align_up(tags_size + HEADER + size, 8);
}

static void add_text(uint32_t type, const char *text)
{
	add(type, text, (uint32_t)strlen(text) + 1);
}

static void add_mmap(uint32_t entry_size, unsigned count, uint64_t base, uint64_t size, uint32_t type)
{
	static uint8_t data[8 + 40 * 300];
	uint32_t head[2] = {entry_size, 0};

	memset(data, 0xEE, sizeof(data));
	memcpy(data, head, sizeof(head));
	for (unsigned i = 0; i < count; i++) {
		struct {
			uint64_t base, size;
			uint32_t type, zero;
		} e = {base + i * size, size, type, 0};

		memcpy(data + 8 + i * entry_size, &e, sizeof(e));
	}
	add(MMAP, data, 8 + count * entry_size);
}

static void add_module(uint32_t from, uint32_t to, const char *text)
{
	uint8_t data[128];
	uint32_t range[2] = {from, to};

	memcpy(data, range, sizeof(range));
	memcpy(data + 8, text, strlen(text) + 1);
	add(MODULE, data, 8 + (uint32_t)strlen(text) + 1);
}

/* From a copy of exactly that size, so that the sanitizer sees a read behind its end; the strings
 * of bi point into the copy, which lives until the next call. */
static const char *parse_bytes(uint32_t size)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(size ? size : 1);
	memcpy(copy, tags, size);
	return bootinfo_parse(&bi, copy, size);
}

static const char *finish(void)
{
	add(0, NULL, 0);
	memcpy(tags, &tags_size, sizeof(tags_size));
	return parse_bytes(tags_size);
}

static void everything(void **state)
{
	const uint8_t rsdp1[20] = "RSD PTR 1";
	const uint8_t rsdp2[36] = "RSD PTR 2";

	(void)state;
	start();
	add_text(CMDLINE, "stay console=serial");
	add_text(LOADER, "GRUB");
	add_mmap(24, 2, MIB(1), MIB(100), BOOT_MEM_RAM);
	add_mmap(40, 1, GIB(4), GIB(1), 20);
	add_module(0x200000, 0x300001, "nestling.cfg");
	add_module(0x400000, 0x400000, "vmlinuz quiet root=/dev/vda");
	add(RSDP2, rsdp2, sizeof(rsdp2));
	add(RSDP1, rsdp1, sizeof(rsdp1));
	add(99, "unknown", 7);
	assert_null(finish());
	assert_string_equal(bi.cmdline, "stay console=serial");
	assert_string_equal(bi.loader, "GRUB");
	assert_int_equal(bi.tags_size, tags_size);
	assert_int_equal(bi.range_count, 3);
	assert_int_equal(bi.ram_bytes, MIB(200));
	assert_int_equal(bi.ranges[1].start.a, MIB(101));
	assert_int_equal(bi.ranges[2].type, BOOT_MEM_RESERVED);
	assert_int_equal(bi.ranges[2].size, GIB(1));
	assert_int_equal(bi.module_count, 2);
	assert_int_equal(bi.modules[0].size, 0x100001);
	assert_string_equal(bi.modules[0].args, "");
	assert_int_equal(bi.modules[1].name_len, 7);
	assert_string_equal(bi.modules[1].args, "quiet root=/dev/vda");
	assert_ptr_equal(bootinfo_module(&bi, "vmlinuz"), &bi.modules[1]);
	assert_null(bootinfo_module(&bi, "vmlinu"));
	assert_null(bootinfo_module(&bi, "vmlinuz quiet"));
	assert_true(bi.has_rsdp);
	assert_memory_equal(bi.rsdp, rsdp2, sizeof(rsdp2));
}

static void old_rsdp_alone(void **state)
{
	const uint8_t rsdp1[20] = "RSD PTR 1";

	(void)state;
	start();
	add_mmap(24, 1, 0, MIB(1), BOOT_MEM_RAM);
	add(RSDP1, rsdp1, sizeof(rsdp1));
	assert_null(finish());
	assert_memory_equal(bi.rsdp, rsdp1, sizeof(rsdp1));
	for (unsigned i = sizeof(rsdp1); i < BOOT_RSDP_SIZE; i++)
		assert_int_equal(bi.rsdp[i], 0);
	start();
	add_mmap(24, 1, 0, MIB(1), BOOT_MEM_RAM);
	add(RSDP1, rsdp1, sizeof(rsdp1) - 1);
	assert_string_equal(finish(), "malformed ACPI tag");
}

static void framebuffer(void **state)
{
	struct {
		uint64_t base;
		uint32_t pitch, width, height;
		uint8_t bits, type;
		uint16_t reserved;
		uint8_t rgb[6];
		uint8_t pad[2];
	} fb = {GIB(5), 4096, 1024, 768, 32, 1, 0, {16, 8, 8, 8, 0, 8}, {0}};
	const uint32_t plain = 24, with_rgb = 30;

	(void)state;
	start();
	add_mmap(24, 1, 0, MIB(1), BOOT_MEM_RAM);
	add(FB, &fb, with_rgb);
	assert_null(finish());
	assert_int_equal(bi.fb.kind, BOOT_FB_RGB);
	assert_int_equal(bi.fb.base.a, GIB(5));
	assert_int_equal(bi.fb.red_shift, 16);
	assert_int_equal(bi.fb.green_shift, 8);

	for (uint8_t type = 0; type < 4; type++) { /* palette, RGB without its fields, text, unknown */
		start();
		add_mmap(24, 1, 0, MIB(1), BOOT_MEM_RAM);
		fb.type = type;
		add(FB, &fb, plain);
		assert_null(finish());
		assert_int_equal(bi.fb.kind, type == 2 ? BOOT_FB_TEXT : BOOT_FB_NONE);
	}
	start();
	add_mmap(24, 1, 0, MIB(1), BOOT_MEM_RAM);
	add(FB, &fb, plain - 1);
	assert_string_equal(finish(), "malformed framebuffer tag");
}

static void malformed_tags(void **state)
{
	(void)state;
	start();
	assert_string_equal(finish(), "the boot loader gave no memory map");

	start();
	add(CMDLINE, "abc", 3);
	assert_string_equal(finish(), "a string of the boot loader has no end");

	start();
	add(CMDLINE, NULL, 0);
	assert_string_equal(finish(), "a string of the boot loader has no end");

	start();
	add(MODULE, "\0\0\0\0\0\0\0\0abc", 11);
	assert_string_equal(finish(), "malformed module tag");

	start();
	add(MODULE, "abc", 3);
	assert_string_equal(finish(), "malformed module tag");

	start();
	add_module(2, 1, "x");
	assert_string_equal(finish(), "a module ends before it starts");

	start();
	add(MMAP, "abc", 3);
	assert_string_equal(finish(), "malformed memory map tag");

	start();
	add_mmap(0, 1, 0, MIB(1), BOOT_MEM_RAM); /* entries of size 0 would never end */
	assert_string_equal(finish(), "malformed memory map tag");

	start();
	add_mmap(24, 1, UINT64_MAX - 4095, MIB(1), BOOT_MEM_RAM);
	assert_string_equal(finish(), "a memory range wraps around");
}

static void too_many(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i <= BOOT_MODULES_MAX; i++)
		add_module(0, 1, "x");
	assert_string_equal(finish(), "more than 32 modules");

	start();
	add_mmap(24, BOOT_MMAP_MAX + 1, 0, MIB(1), BOOT_MEM_RAM);
	assert_string_equal(finish(), "more than 256 memory ranges");

	start();
	add_mmap(24, BOOT_MMAP_MAX, 0, MIB(1), BOOT_MEM_RAM);
	assert_null(finish());
}

/* A good structure, cut off or with a lying size word, at every place. */
static void cut_anywhere(void **state)
{
	(void)state;
	start();
	add_text(CMDLINE, "stay");
	add_module(0, 1, "a b");
	add_mmap(24, 2, 0, MIB(1), BOOT_MEM_RAM);
	assert_null(finish());

	uint32_t whole = tags_size;

	for (uint32_t size = 0; size < whole; size++) {
		assert_non_null(parse_bytes(size)); /* says more than there is */
		memcpy(tags, &size, sizeof(size));
		if (size >= sizeof(size))
			assert_non_null(parse_bytes(size)); /* the end tag is missing */
		memcpy(tags, &whole, sizeof(whole));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything),
		cmocka_unit_test(old_rsdp_alone),
		cmocka_unit_test(framebuffer),
		cmocka_unit_test(malformed_tags),
		cmocka_unit_test(too_many),
		cmocka_unit_test(cut_anywhere),
	};

	return cmocka_run_group_tests_name("bootinfo", tests, NULL, NULL);
}
