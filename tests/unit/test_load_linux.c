/* SPDX-License-Identifier: MIT */
/* links: svm/load.c svm/load_kernel.c svm/load_linux.c svm/load_multiboot.c svm/load_multiboot2.c kernel/printf.c */
/* tests/unit/test_load_linux.c - where a bzImage and its companions land, and each way in which that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_guest.h"

#define SETUP_SECTS 2
#define KERNEL_OFFSET ((SETUP_SECTS + 1) * 512)
#define KERNEL_SIZE 4096
#define IMAGE_SIZE (KERNEL_OFFSET + KERNEL_SIZE)
#define INIT_SIZE MIB(8)
#define PREFERRED MIB(16)

static uint8_t file[IMAGE_SIZE];
static struct boot_module image, initrd;
static struct l1_config config;
static struct l1_entry entry;

static void put(unsigned at, uint64_t value, unsigned bytes)
{
	memcpy(file + at, &value, bytes);
}

/* A header as a relocatable x86-64 kernel has it. */
static int setup(void **state)
{
	memset(file, 0, sizeof(file));
	file[0x1F1] = SETUP_SECTS;
	put(0x1FE, 0xAA55, 2);
	put(0x200, 0x6AEB, 2); /* jump: the header ends at 26Ch */
	memcpy(file + 0x202, "HdrS", 4);
	put(0x206, 0x20F, 2);
	put(0x22C, 0x7FFFFFFF, 4);
	put(0x230, MIB(2), 4);
	file[0x234] = 1;
	put(0x236, 1, 2);
	put(0x238, 2047, 4);
	put(0x258, PREFERRED, 8);
	put(0x260, INIT_SIZE, 4);
	put(0x264, 0x12345678, 4); /* handover_offset: behind what we know, to be passed on */
	memset(file + KERNEL_OFFSET, 0xC3, KERNEL_SIZE);
	config = (struct l1_config){.name = "a", .memory = GUEST_RAM, .vcpus = 1, .cmdline = {"", 0}};
	return guest_setup(state);
}

static void again(void **state)
{
	guest_teardown(state);
	setup(state);
}

static const char *load(void)
{
	image = fake_module("vmlinuz", file, sizeof(file));
	config.image = &image;

	const char *error = load_image(&guest, &config, &entry);

	free_module(&image);
	return error;
}

static void boots_where_it_prefers(void **state)
{
	(void)state;
	assert_null(load());
	assert_int_equal(entry.mode, ENTRY_LONG64);
	assert_int_equal(entry.rip, PREFERRED + 0x200);
	assert_memory_equal(guest_at(PREFERRED, KERNEL_SIZE), file + KERNEL_OFFSET, KERNEL_SIZE);
	assert_int_equal(entry.cs_sel, 0x10);
	assert_int_equal(entry.data_sel, 0x18);
	assert_int_equal(entry.cr0, CR0_PE | CR0_ET | CR0_PG);
	assert_int_equal(entry.cr4, CR4_PAE);
	assert_int_equal(entry.efer, EFER_LME | EFER_LMA);
}

static void boot_params_are_filled(void **state)
{
	const char *cmdline = "console=ttyS0 and what stands behind it";
	uint64_t params;

	(void)state;
	config.cmdline = (struct text){cmdline, 13};
	assert_null(load());
	params = entry.rsi;
	assert_int_equal(guest_word(params + 0x202, 4), 0x53726448);
	assert_int_equal(guest_word(params + 0x210, 1), 0xFF);
	assert_int_equal(guest_word(params + 0x214, 4), PREFERRED);
	assert_int_equal(guest_word(params + 0x264, 4), 0x12345678);
	assert_int_equal(guest_word(params + 0x070, 8), L1_ACPI_BASE);
	assert_string_equal(guest_at(guest_word(params + 0x228, 4), 14), "console=ttyS0");
	assert_int_equal(guest_word(params + 0x000, 8), 0);
	assert_int_equal(guest_word(params + 0x218, 8), 0); /* no initrd */

	static const uint64_t map[][3] = {
		{0, 0x9FC00, 1}, {0xE0000, 0x20000, 2}, {MIB(1), GUEST_RAM - MIB(1), 1}};

	assert_int_equal(guest_word(params + 0x1E8, 1), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(guest_word(params + 0x2D0 + i * 20, 8), map[i][0]);
		assert_int_equal(guest_word(params + 0x2D8 + i * 20, 8), map[i][1]);
		assert_int_equal(guest_word(params + 0x2E0 + i * 20, 4), map[i][2]);
	}
}

static void page_tables_map_4_gib(void **state)
{
	(void)state;
	assert_null(load());
	for (uint64_t va = 0; va < GIB(4); va += SIZE_2M) {
		uint64_t pml4e = guest_word(entry.cr3, 8);
		uint64_t pdpte = guest_word((pml4e & PTE_ADDR) + (va >> 30) * 8, 8);
		uint64_t pde = guest_word((pdpte & PTE_ADDR) + (va >> 21 & 511) * 8, 8);

		assert_int_equal(pde, va | PTE_P | PTE_W | PTE_PS);
	}
	assert_int_equal(guest_word(entry.cr3 + 8, 8), 0);
	assert_int_equal(guest_word(entry.gdt_base + 0x10, 8), 0x00AF9B000000FFFF);
	assert_int_equal(guest_word(entry.gdt_base + 0x18, 8), 0x00CF93000000FFFF);
	assert_int_equal(entry.gdt_limit, 0x1F);
}

static void initrd_lies_high(void **state)
{
	static uint8_t bytes[10000];

	(void)state;
	memset(bytes, 0x5C, sizeof(bytes));
	initrd = fake_module("initrd", bytes, sizeof(bytes));
	config.initrd = &initrd;
	assert_null(load());

	uint64_t at = guest_word(entry.rsi + 0x218, 4);

	assert_int_equal(at, align_down(GUEST_RAM - sizeof(bytes), PAGE_SIZE));
	assert_int_equal(guest_word(entry.rsi + 0x21C, 4), sizeof(bytes));
	assert_memory_equal(guest_at(at, sizeof(bytes)), bytes, sizeof(bytes));

	put(0x22C, MIB(40) - 1, 4); /* the highest address that an old kernel allows */
	assert_null(load());
	assert_int_equal(guest_word(entry.rsi + 0x218, 4), align_down(MIB(40) - sizeof(bytes), PAGE_SIZE));

	put(0x22C, PREFERRED + INIT_SIZE + 8191, 4);
	assert_string_equal(load(), "memory is too small for kernel and initrd; raise memory in nestling.cfg");
	free_module(&initrd);
}

static void moves_when_it_must(void **state)
{
	(void)state;
	put(0x258, GUEST_RAM, 8);
	assert_null(load());
	assert_int_equal(entry.rip, MIB(2) + 0x200);
	put(0x258, GIB(4), 8);
	assert_null(load());
	assert_int_equal(entry.rip, MIB(2) + 0x200);
	file[0x234] = 0;
	assert_string_equal(load(), "memory is too small for the Linux kernel; raise memory in nestling.cfg");
}

static void mistakes(void **state)
{
	(void)state;
	put(0x260, GUEST_RAM, 4);
	assert_string_equal(load(), "memory is too small for the Linux kernel; raise memory in nestling.cfg");
	again(state);
	put(0x236, 0, 2);
	assert_string_equal(load(),
			    "the Linux kernel has no 64-bit entry; use an x86-64 kernel of version 3.8 or later");
	again(state);
	put(0x206, 0x20B, 2);
	assert_string_equal(load(),
			    "the Linux kernel has no 64-bit entry; use an x86-64 kernel of version 3.8 or later");
	again(state);
	file[0x1F1] = 60; /* the kernel would begin behind the end of the file */
	assert_string_equal(load(), "the Linux image is damaged or cut; copy it again");
	again(state);
	put(0x230, 3, 4);
	assert_string_equal(load(), "the Linux image is damaged or cut; copy it again");
	again(state);
	put(0x258, PAGE_SIZE, 8);
	assert_string_equal(load(), "the Linux kernel wants to lie below 1 MiB; use a relocatable kernel");
	again(state);
	put(0x238, 3, 4);
	config.cmdline = (struct text){"quiet", 5};
	assert_string_equal(load(), "the command line is longer than this kernel takes; shorten cmdline");
	again(state);
	config.module_count = 1;
	assert_string_equal(load(), "Linux takes no modules; use initrd instead");
	again(state);
	file[0x202] = 0;
	assert_string_equal(load(), "it is neither a Linux bzImage nor a Multiboot kernel; name another module as "
				    "image");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(boots_where_it_prefers, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(boot_params_are_filled, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(page_tables_map_4_gib, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(initrd_lies_high, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(moves_when_it_must, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(mistakes, setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
