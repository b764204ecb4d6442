/* SPDX-License-Identifier: MIT */
/* links: svm/load.c svm/load_kernel.c svm/load_linux.c svm/load_multiboot.c svm/load_multiboot2.c kernel/printf.c
 * links: boot/bootinfo.c */
/* tests/unit/test_load_multiboot2.c - Multiboot 2 kernels: which wishes of a header are granted, what the kernel is
 * told (read back with boot/bootinfo.c, our own other side), and each way in which loading one fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_guest.h"

#define FILE_SIZE 8192
#define HEADER_AT 0x200
#define BODY_AT 0x1000
#define BODY_SIZE 0x800
#define LOAD_AT MIB(1)
#define OPTIONAL 1
#define WANTS_TOO_MUCH "the kernel's Multiboot 2 header wants what a guest does not have; mark that tag as optional"

static uint8_t file[FILE_SIZE];
static unsigned header_size;
static struct boot_module image;
static struct l1_config config;
static struct l1_entry entry;

static void put(unsigned at, uint64_t value, unsigned bytes)
{
	memcpy(file + at, &value, bytes);
}

/* One segment, linked high, loaded at 1 MiB, with as much bss again. */
static void put_elf64(void)
{
	memcpy(file, "\x7F" "ELF\2\1", 6);
	put(24, 0xFFFFFFFF80100010, 8);
	put(32, 64, 8);
	put(54, 56, 2);
	put(56, 1, 2);
	put(64, 1, 4);
	put(72, BODY_AT, 8);
	put(80, 0xFFFFFFFF80100000, 8);
	put(88, LOAD_AT, 8);
	put(96, BODY_SIZE, 8);
	put(104, 2 * BODY_SIZE, 8);
}

static void put_tag(uint16_t type, uint16_t flags, const uint32_t *words, unsigned count)
{
	unsigned at = HEADER_AT + header_size;

	put(at, type, 2);
	put(at + 2, flags, 2);
	put(at + 4, 8 + 4 * count, 4);
	if (count)
		memcpy(file + at + 8, words, 4 * count);
	header_size = (unsigned)align_up(header_size + 8 + 4 * count, 8);
}

#define PUT_TAG(type, flags, ...)                                                                  \
	put_tag(type, flags, (uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4)

static void begin_header(void)
{
	memset(file + HEADER_AT, 0, BODY_AT - HEADER_AT);
	header_size = 16;
}

static void end_header(void)
{
	put_tag(0, 0, NULL, 0);
	put(HEADER_AT, 0xE85250D6, 4);
	put(HEADER_AT + 8, header_size, 4);
	put(HEADER_AT + 12, -(0xE85250D6 + header_size), 4);
}

static int setup(void **state)
{
	memset(file, 0, sizeof(file));
	memset(file + BODY_AT, 0xC3, BODY_SIZE);
	put_elf64();
	begin_header();
	end_header();
	config = (struct l1_config){.name = "a", .memory = GUEST_RAM, .vcpus = 1, .cmdline = {"", 0}};
	return guest_setup(state);
}

static void again(void **state)
{
	guest_teardown(state);
	setup(state);
}

static const char *load_size(size_t size)
{
	image = fake_module("kernel", file, size);
	config.image = &image;

	const char *error = load_image(&guest, &config, &entry);

	free_module(&image);
	return error;
}

static const char *load(void)
{
	return load_size(sizeof(file));
}

static void state_at_entry(void **state)
{
	(void)state;
	assert_null(load());
	assert_memory_equal(guest_at(LOAD_AT, BODY_SIZE), file + BODY_AT, BODY_SIZE);
	assert_int_equal(guest_word(LOAD_AT + 2 * BODY_SIZE - 4, 4), 0);
	assert_int_equal(entry.mode, ENTRY_PROTECTED32);
	assert_int_equal(entry.rip, LOAD_AT + 0x10);
	assert_int_equal(entry.rax, 0x36D76289);
	assert_int_equal(entry.rbx % 8, 0);
	assert_int_equal(entry.cr0, CR0_PE | CR0_ET);
	assert_int_equal(entry.cr4, 0);
	assert_int_equal(entry.efer, 0);
}

/* Xen puts its real-mode code below what these say. */
static void bios_data_area(void **state)
{
	(void)state;
	assert_null(load());
	assert_int_equal(guest_word(0x400, 2), 0x3F8);
	assert_int_equal(guest_word(0x40E, 2), 0x9FC0);
	assert_int_equal(guest_word(0x413, 2), 639);
	assert_int_equal(guest_word(0x9FC00, 1), 1);
}

/* Version 2 comes first when a kernel has both headers. */
static void both_versions(void **state)
{
	(void)state;
	put(0x800, 0x1BADB002, 4);
	put(0x808, -0x1BADB002, 4);
	assert_null(load());
	assert_int_equal(entry.rax, 0x36D76289);
}

static void entry_tag(void **state)
{
	(void)state;
	begin_header();
	PUT_TAG(3, 0, LOAD_AT + 0x20);
	end_header();
	assert_null(load());
	assert_int_equal(entry.rip, LOAD_AT + 0x20);
}

/* The addresses count even when the file is ELF. */
static void address_tag(void **state)
{
	(void)state;
	begin_header();
	PUT_TAG(2, 0, LOAD_AT + 0x100, LOAD_AT, LOAD_AT + 0x180, LOAD_AT + 0x200);
	PUT_TAG(3, 0, LOAD_AT + 0x140);
	end_header();
	assert_null(load());
	assert_memory_equal(guest_at(LOAD_AT, 0x180), file + HEADER_AT - 0x100, 0x180);
	assert_int_equal(guest_word(LOAD_AT + 0x1FC, 4), 0);
	assert_int_equal(guest_word(LOAD_AT + 0x200, 4), 0xA5A5A5A5);
	assert_int_equal(entry.rip, LOAD_AT + 0x140);
}

static void wishes(void **state)
{
	(void)state;
	begin_header();
	PUT_TAG(1, 0, 1, 2, 3, 4, 6, 14, 15);
	PUT_TAG(1, OPTIONAL, 8, 100);
	PUT_TAG(4, 0, 2);
	PUT_TAG(5, OPTIONAL, 0, 0, 0);
	put_tag(6, 0, NULL, 0);
	PUT_TAG(10, 0, 0, UINT32_MAX, 1, 0);
	PUT_TAG(99, OPTIONAL, 1, 2, 3);
	end_header();
	assert_null(load());
}

static void unfulfilled_wishes(void **state)
{
	(void)state;
	begin_header();
	PUT_TAG(1, 0, 6, 8); /* a framebuffer */
	end_header();
	assert_string_equal(load(), WANTS_TOO_MUCH);
	again(state);
	begin_header();
	PUT_TAG(4, 0, 1); /* some console of the loader's */
	end_header();
	assert_string_equal(load(), WANTS_TOO_MUCH);
	again(state);
	begin_header();
	PUT_TAG(5, 0, 0, 0, 0);
	end_header();
	assert_string_equal(load(), WANTS_TOO_MUCH);
	again(state);
	begin_header();
	put_tag(2, 0, NULL, 0); /* too short */
	end_header();
	assert_string_equal(load(), WANTS_TOO_MUCH);
}

/* What the kernel is told, seen through the eyes of a kernel: ourselves. */
static void information(void **state)
{
	struct boot_module first = fake_module("first", "12345", 5), second = fake_module("second", "", 0);
	static struct bootinfo bi;

	(void)state;
	config.cmdline = (struct text){"a=1 b", 5};
	config.module_count = 2;
	config.modules[0] = (struct config_module){&first, {"other x y", 9}};
	config.modules[1] = (struct config_module){&second, {"", 0}};
	memcpy(guest_at(L1_ACPI_BASE, 36), "RSD PTR ................|acpi 2 tail", 36);
	assert_null(load());
	assert_null(bootinfo_parse(&bi, guest_at(entry.rbx, 8), LOAD_INFO_SIZE));
	assert_string_equal(bi.cmdline, "a=1 b");
	assert_string_equal(bi.loader, "Nestling");
	assert_int_equal(bi.range_count, 3);
	assert_int_equal(bi.ranges[0].size, 0x9FC00);
	assert_int_equal(bi.ranges[1].type, BOOT_MEM_RESERVED);
	assert_int_equal(bi.ranges[2].start.a, MIB(1));
	assert_int_equal(bi.ranges[2].size, GUEST_RAM - MIB(1));
	assert_true(bi.has_rsdp);
	assert_memory_equal(bi.rsdp, guest_at(L1_ACPI_BASE, 36), 36);
	assert_int_equal(bi.module_count, 2);
	assert_int_equal(bi.modules[0].name_len, 5);
	assert_memory_equal(bi.modules[0].name, "other x y", 10);
	assert_int_equal(bi.modules[0].size, 5);
	assert_int_equal(bi.modules[0].start.a, align_up(LOAD_AT + 2 * BODY_SIZE, PAGE_SIZE));
	assert_memory_equal(guest_at(bi.modules[0].start.a, 5), "12345", 5);
	assert_string_equal(bi.modules[1].name, "second");
	assert_int_equal(bi.modules[1].size, 0);

	second.size = GUEST_RAM;
	assert_string_equal(load(), "memory is too small for the modules; raise memory in nestling.cfg");
	free_module(&first);
	free_module(&second);
}

static void mistakes(void **state)
{
	static char long_line[KIB(64)];

	(void)state;
	put(HEADER_AT + 16 + 4, 4, 4); /* the end tag becomes a tag that is too short */
	put(HEADER_AT + 16, 6, 2);
	assert_string_equal(load(), "the tags of the kernel's Multiboot 2 header have no end; rebuild the kernel");
	again(state);
	file[0] = 0;
	assert_string_equal(load(), "the kernel is no x86 ELF file and its Multiboot header has no addresses; rebuild "
				    "it");
	again(state);
	put(24, 0x10, 8);
	assert_string_equal(load(), "the entry point of the kernel lies outside of its segments; rebuild it");
	again(state);
	config.initrd = &image;
	assert_string_equal(load(), "a Multiboot kernel takes no initrd; use module instead");
	again(state);
	memset(long_line, 'x', sizeof(long_line));
	config.cmdline = (struct text){long_line, sizeof(long_line)};
	assert_string_equal(load(), "the command line is too long; shorten cmdline");
	again(state);
	struct boot_module module = fake_module("m", "1", 1);
	config.module_count = 1;
	config.modules[0] = (struct config_module){&module, {long_line, sizeof(long_line)}};
	assert_string_equal(load(), "the modules' arguments are too long; shorten them");
	free_module(&module);
}

/* Whatever is cut off or flipped: no read outside of the file, no write outside of the guest (sanitizers). */
static void damaged_files(void **state)
{
	(void)state;
	begin_header();
	PUT_TAG(1, 0, 6);
	PUT_TAG(2, 0, LOAD_AT, LOAD_AT, 0, 0);
	PUT_TAG(3, 0, LOAD_AT + 0x140);
	end_header();
	for (size_t size = 0; size < HEADER_AT + 128; size++)
		load_size(size);
	for (unsigned at = 0; at < HEADER_AT + 128; at++) {
		file[at] ^= 0xFF;
		load();
		file[at] ^= 0xFF;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(state_at_entry, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(bios_data_area, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(both_versions, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(entry_tag, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(address_tag, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(wishes, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(unfulfilled_wishes, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(information, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(mistakes, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(damaged_files, setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
