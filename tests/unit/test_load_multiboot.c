/* SPDX-License-Identifier: MIT */
/* links: svm/load.c svm/load_kernel.c svm/load_linux.c svm/load_multiboot.c svm/load_multiboot2.c kernel/printf.c */
/* tests/unit/test_load_multiboot.c - Multiboot 1 kernels in their three forms, what they are told, and each way
 * in which loading one fails. */
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

static uint8_t file[FILE_SIZE];
static struct boot_module image;
static struct l1_config config;
static struct l1_entry entry;

static void put(unsigned at, uint64_t value, unsigned bytes)
{
	memcpy(file + at, &value, bytes);
}

static void put_header(uint32_t flags)
{
	put(HEADER_AT, 0x1BADB002, 4);
	put(HEADER_AT + 4, flags, 4);
	put(HEADER_AT + 8, -(0x1BADB002 + flags), 4);
}

static void put_ident(uint8_t class)
{
	memcpy(file, "\x7F" "ELF", 4);
	file[4] = class;
	file[5] = 1;
}

/* One segment, linked at C0100000h, loaded at 1 MiB, with as much bss again. */
static void put_elf32(void)
{
	put_ident(1);
	put(24, 0xC0100010, 4); /* entry */
	put(28, 52, 4);         /* phoff */
	put(42, 32, 2);         /* phentsize */
	put(44, 2, 2);          /* phnum */
	put(52, 4, 4);          /* a note: passed over */
	put(84, 1, 4);
	put(88, BODY_AT, 4);
	put(92, 0xC0100000, 4);
	put(96, LOAD_AT, 4);
	put(100, BODY_SIZE, 4);
	put(104, 2 * BODY_SIZE, 4);
}

static void put_elf64(void)
{
	put_ident(2);
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

static int setup(void **state)
{
	memset(file, 0, sizeof(file));
	memset(file + BODY_AT, 0xC3, BODY_SIZE);
	put_header(3);
	put_elf32();
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

static void assert_body_loaded(void)
{
	static const uint8_t zeroes[BODY_SIZE];

	assert_memory_equal(guest_at(LOAD_AT, BODY_SIZE), file + BODY_AT, BODY_SIZE);
	assert_memory_equal(guest_at(LOAD_AT + BODY_SIZE, BODY_SIZE), zeroes, BODY_SIZE);
	assert_int_equal(guest_word(LOAD_AT + 2 * BODY_SIZE, 4), 0xA5A5A5A5);
}

static void elf32(void **state)
{
	(void)state;
	assert_null(load());
	assert_body_loaded();
	assert_int_equal(entry.mode, ENTRY_PROTECTED32);
	assert_int_equal(entry.rip, LOAD_AT + 0x10);
	assert_int_equal(entry.rax, 0x2BADB002);
	assert_int_equal(entry.cr0, CR0_PE | CR0_ET);
	assert_int_equal(entry.efer, 0);
}

static void elf64(void **state)
{
	(void)state;
	put_elf64();
	assert_null(load());
	assert_body_loaded();
	assert_int_equal(entry.mode, ENTRY_PROTECTED32);
	assert_int_equal(entry.rip, LOAD_AT + 0x10);
}

/* With addresses in the header, which count even when the file is ELF. */
static void flat(void **state)
{
	(void)state;
	put_header(BIT32(16));
	put(HEADER_AT + 12, LOAD_AT + 0x100, 4); /* header_addr: the image begins 100h before it */
	put(HEADER_AT + 16, LOAD_AT, 4);
	put(HEADER_AT + 20, LOAD_AT + 0x180, 4);
	put(HEADER_AT + 24, LOAD_AT + 0x200, 4);
	put(HEADER_AT + 28, LOAD_AT + 0x140, 4);
	assert_null(load());
	assert_memory_equal(guest_at(LOAD_AT, 0x180), file + HEADER_AT - 0x100, 0x180);
	assert_int_equal(guest_word(LOAD_AT + 0x1FC, 4), 0);
	assert_int_equal(guest_word(LOAD_AT + 0x200, 4), 0xA5A5A5A5);
	assert_int_equal(entry.rip, LOAD_AT + 0x140);

	put(HEADER_AT + 20, 0, 8); /* all of the file, no bss */
	assert_null(load());
	assert_memory_equal(guest_at(LOAD_AT, FILE_SIZE - 0x100), file + 0x100, FILE_SIZE - 0x100);
}

static void information(void **state)
{
	uint64_t info;

	(void)state;
	config.cmdline = (struct text){"a=1 b", 5};
	assert_null(load());
	info = entry.rbx;
	assert_int_equal(guest_word(info, 4), BIT32(0) | BIT32(2) | BIT32(6) | BIT32(9));
	assert_int_equal(guest_word(info + 4, 4), 639);
	assert_int_equal(guest_word(info + 8, 4), (GUEST_RAM - MIB(1)) / 1024);
	assert_string_equal(guest_at(guest_word(info + 16, 4), 13), "kernel a=1 b");
	assert_string_equal(guest_at(guest_word(info + 64, 4), 9), "Nestling");

	uint64_t map = guest_word(info + 48, 4);

	assert_int_equal(guest_word(info + 44, 4), 3 * 24);
	assert_int_equal(guest_word(map, 4), 20);
	assert_int_equal(guest_word(map + 4, 8), 0);
	assert_int_equal(guest_word(map + 12, 8), 0x9FC00);
	assert_int_equal(guest_word(map + 20, 4), 1);
	assert_int_equal(guest_word(map + 24 + 20, 4), 2);
	assert_int_equal(guest_word(map + 48 + 4, 8), MIB(1));
	assert_int_equal(guest_word(map + 48 + 12, 8), GUEST_RAM - MIB(1));
}

static void modules(void **state)
{
	struct boot_module first = fake_module("first", "12345", 5), second = fake_module("second", "", 0);

	(void)state;
	config.module_count = 2;
	config.modules[0] = (struct config_module){&first, {"x y", 3}};
	config.modules[1] = (struct config_module){&second, {"", 0}};
	assert_null(load());

	uint64_t list = guest_word(entry.rbx + 24, 4), start = guest_word(list, 4);

	assert_true(guest_word(entry.rbx, 4) & BIT32(3));
	assert_int_equal(guest_word(entry.rbx + 20, 4), 2);
	assert_int_equal(start, align_up(LOAD_AT + 2 * BODY_SIZE, PAGE_SIZE));
	assert_int_equal(guest_word(list + 4, 4), start + 5);
	assert_memory_equal(guest_at(start, 5), "12345", 5);
	assert_string_equal(guest_at(guest_word(list + 8, 4), 10), "first x y");
	assert_int_equal(guest_word(list + 16, 4), start + PAGE_SIZE);
	assert_string_equal(guest_at(guest_word(list + 24, 4), 7), "second");

	second.size = GUEST_RAM;
	assert_string_equal(load(), "memory is too small for the modules; raise memory in nestling.cfg");
	free_module(&first);
	free_module(&second);
}

/* A kernel below 1 MiB must not be overwritten with what it is told. */
static void information_gives_way(void **state)
{
	(void)state;
	put(96, 0xF800, 4);
	assert_null(load());
	assert_memory_equal(guest_at(0xF800, BODY_SIZE), file + BODY_AT, BODY_SIZE);
	assert_true(entry.rbx >= MIB(1));
	assert_true(entry.gdt_base >= MIB(1));
}

static void the_hole_below_1m(void **state)
{
	(void)state;
	put(96, 0xA0000 - 2 * BODY_SIZE, 4);
	assert_null(load());
	put(96, 0xA0000 - 2 * BODY_SIZE + 1, 4);
	assert_string_equal(load(), "the kernel wants to lie at A0000h to BFFFFh, where no memory is; link it elsewhere");
	put(96, 0xBFFFF, 4);
	assert_string_equal(load(), "the kernel wants to lie at A0000h to BFFFFh, where no memory is; link it elsewhere");
	put(96, 0xC0000, 4);
	assert_null(load());
}

static void mistakes(void **state)
{
	(void)state;
	put_header(4);
	assert_string_equal(load(), "the kernel's Multiboot header wants what a guest does not have; build it without "
				    "bits 2 to 15");
	again(state);
	file[0] = 0;
	assert_string_equal(load(), "the kernel is no x86 ELF file and its Multiboot header has no addresses; rebuild "
				    "it");
	again(state);
	put(100, FILE_SIZE, 4);
	assert_string_equal(load(), "the kernel image is damaged or cut; copy it again");
	again(state);
	put(88, 0xFFFFFFF0, 4);
	assert_string_equal(load(), "the kernel image is damaged or cut; copy it again");
	again(state);
	put(104, BODY_SIZE - 1, 4);
	assert_string_equal(load(), "the kernel image is damaged or cut; copy it again");
	again(state);
	put(96, GUEST_RAM - BODY_SIZE, 4);
	assert_string_equal(load(), "the kernel does not fit into the guest's memory; raise memory in nestling.cfg");
	again(state);
	put(44, 3, 2); /* a second segment, as large as memory allows and over the first one */
	put(116, 1, 4);
	put(128, LOAD_AT, 4);
	put(136, GUEST_RAM - LOAD_AT, 4);
	assert_null(load());
	put(104, LOAD_AT + 1, 4);
	assert_string_equal(load(), "the segments of the kernel overlap; rebuild it");
	again(state);
	put(28, FILE_SIZE - 8, 4);
	assert_string_equal(load(), "the program headers lie outside of the file; copy it again");
	again(state);
	put_elf64();
	put(32, UINT64_MAX - 8, 8);
	assert_string_equal(load(), "the program headers lie outside of the file; copy it again");
	again(state);
	put(24, 0x10, 4);
	assert_string_equal(load(), "the entry point of the kernel lies outside of its segments; rebuild it");
	again(state);
	put_header(BIT32(16));
	put(HEADER_AT + 12, LOAD_AT, 4);
	put(HEADER_AT + 16, LOAD_AT + 4, 4);
	assert_string_equal(load(), "the addresses in the Multiboot header contradict each other; rebuild the kernel");
	again(state);
	config.initrd = &image;
	assert_string_equal(load(), "a Multiboot kernel takes no initrd; use module instead");
	again(state);
	static char long_line[KIB(64)];
	memset(long_line, 'x', sizeof(long_line));
	config.cmdline = (struct text){long_line, sizeof(long_line)};
	assert_string_equal(load(), "the command line is too long; shorten cmdline");
}

/* Whatever is cut off or flipped: no read outside of the file, no write outside of the guest (sanitizers). */
static void damaged_files(void **state)
{
	(void)state;
	for (size_t size = 0; size < HEADER_AT + 64; size++)
		load_size(size);
	put_header(BIT32(16));
	for (size_t size = HEADER_AT; size < HEADER_AT + 64; size++)
		load_size(size);
	put_header(3);
	for (unsigned at = 0; at < 128; at++) {
		file[at] ^= 0xFF;
		load();
		file[at] ^= 0xFF;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(elf32, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(elf64, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(flat, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(information, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(modules, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(information_gives_way, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(the_hole_below_1m, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(mistakes, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(damaged_files, setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
