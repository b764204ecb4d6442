/* SPDX-License-Identifier: MIT */
/* links: kernel/acpi.c */
/* tests/unit/test_acpi.c - ACPI tables built in memory below 4 GiB, as firmware does; good ones, damaged ones, \_S5_. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "kernel/acpi.h"

#define ARENA_SIZE KIB(64)
#define NO_LIMIT UINT64_MAX

enum { HEADER = 36, FADT_SIZE = 244 };

static uint8_t *arena; /* the RSDT has 32-bit addresses */
static size_t used;
static uint8_t rsdp[BOOT_RSDP_SIZE];
static struct acpi_info info;

static int map_arena(void **state)
{
	(void)state;
	arena = mmap(NULL, ARENA_SIZE + PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (arena == MAP_FAILED)
		return -1;
	return mprotect(arena + ARENA_SIZE, PAGE_SIZE, PROT_NONE); /* a read behind it faults */
}

static int start(void **state)
{
	(void)state;
	memset(arena, 0, ARENA_SIZE);
	used = 0;
	return 0;
}

static void fix_sum(uint8_t *bytes, size_t size, size_t at)
{
	uint8_t sum = 0;

	bytes[at] = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bytes[at] = (uint8_t)-sum;
}

static void put(uint8_t *at, uint64_t value, size_t size)
{
	memcpy(at, &value, size);
}

/* A table with that body, at a new place. */
static uint8_t *add_table(const char *signature, const void *body, size_t size)
{
	uint8_t *t = arena + used;

	used = align_up(used + HEADER + size, 16);
	memcpy(t, signature, 4);
	put(t + 4, HEADER + size, 4);
	memcpy(t + HEADER, body, size);
	fix_sum(t, HEADER + size, 9);
	return t;
}

static uint8_t *add_root(bool extended, uint8_t *const *tables, size_t count)
{
	uint8_t body[64];
	size_t entry = extended ? 8 : 4;

	for (size_t i = 0; i < count; i++)
		put(body + i * entry, (uintptr_t)tables[i], entry);
	return add_table(extended ? "XSDT" : "RSDT", body, count * entry);
}

static void make_rsdp(uint8_t revision, const uint8_t *rsdt, const uint8_t *xsdt)
{
	memset(rsdp, 0, sizeof(rsdp));
	memcpy(rsdp, "RSD PTR ", 8);
	rsdp[15] = revision;
	put(rsdp + 16, (uintptr_t)rsdt, 4);
	put(rsdp + 20, sizeof(rsdp), 4);
	put(rsdp + 24, (uintptr_t)xsdt, 8);
	fix_sum(rsdp, 20, 8);
	fix_sum(rsdp, sizeof(rsdp), 32);
}

static const uint8_t madt_body[] = {
	0, 0, 0xE0, 0xFE, 1, 0, 0, 0,			    /* LAPIC address, flags */
	0, 8, 0, 4, 1, 0, 0, 0,				    /* CPU, APIC ID 4 */
	0, 8, 1, 5, 0, 0, 0, 0,				    /* not enabled */
	0, 8, 2, 0xFF, 1, 0, 0, 0,			    /* the broadcast address is no CPU */
	9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,    /* the same CPU again */
	9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0,    /* APIC ID 256 */
	1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 24, 0, 0, 0,	    /* I/O APIC from GSI 24 */
	2, 10, 0, 0, 2, 0, 0, 0, 0, 0,			    /* IRQ 0 is GSI 2 */
	2, 10, 0, 9, 20, 0, 0, 0, 0x0F, 0,		    /* IRQ 9: GSI 20, low, level */
	2, 10, 1, 4, 30, 0, 0, 0, 0, 0,			    /* not ISA */
	2, 10, 0, 99, 30, 0, 0, 0, 0, 0,		    /* no such IRQ */
	77, 2,						    /* unknown */
};

static uint8_t *add_madt(void)
{
	return add_table("APIC", madt_body, sizeof(madt_body));
}

/* Name (_S5, Package (4) { 5, 6, 0, 0 }) */
static const uint8_t dsdt_body[] = {0x10, 8,	'_', 'S', '5', '_', 0x12, 8, 4,
				    0x0A, 5, 0x0A, 6,	0,   0};

static uint8_t *add_dsdt(void)
{
	return add_table("DSDT", dsdt_body + 1, sizeof(dsdt_body) - 1);
}

static uint8_t *add_fadt(const uint8_t *dsdt, bool extended)
{
	uint8_t body[FADT_SIZE - HEADER] = {0};
	uint8_t *f = body - HEADER; /* offsets as the specification counts them */

	put(f + 40, (uintptr_t)dsdt, 4);
	put(f + 48, 0xB2, 4);
	f[52] = 0xA0;
	put(f + 64, 0x604, 4);
	put(f + 76, 0x608, 4);
	put(f + 112, 1 << 8 | 1 << 10, 4);
	f[116] = 1; /* reset register: port */
	put(f + 120, 0xCF9, 8);
	f[128] = 0x0E;
	if (!extended)
		return add_table("FACP", body, 116 - HEADER); /* as ACPI 1.0 has it */
	put(f + 140, (uintptr_t)dsdt, 8);
	f[172] = 1; /* X_PM1a_CNT_BLK: port */
	put(f + 176, 0x1804, 8);
	f[208] = 1; /* X_PM_TMR_BLK: port */
	put(f + 212, 0x1808, 8);
	return add_table("FACP", body, sizeof(body));
}

static void assert_madt(void)
{
	assert_int_equal(info.cpu_count, 2);
	assert_int_equal(info.cpu_ids[0], 4);
	assert_int_equal(info.cpu_ids[1], 256);
	assert_int_equal(info.ioapic_count, 1);
	assert_int_equal(info.ioapics[0].base.a, 0xFEC00000);
	assert_int_equal(info.ioapics[0].first_gsi, 24);
	assert_int_equal(info.isa_irqs[0].gsi, 2);
	assert_false(info.isa_irqs[0].active_low);
	assert_int_equal(info.isa_irqs[9].gsi, 20);
	assert_true(info.isa_irqs[9].active_low && info.isa_irqs[9].level);
	assert_int_equal(info.isa_irqs[4].gsi, 4);
}

static void new_tables(void **state)
{
	uint8_t *tables[] = {add_madt(), add_fadt(add_dsdt(), true)};

	(void)state;
	make_rsdp(2, NULL, add_root(true, tables, 2));
	assert_null(acpi_parse(&info, rsdp, NO_LIMIT));
	assert_madt();
	assert_int_equal(info.pm1a_control, 0x1804);
	assert_int_equal(info.pm_timer_port, 0x1808);
	assert_true(info.pm_timer_is_32bit);
	assert_int_equal(info.reset.kind, ACPI_REG_PORT);
	assert_int_equal(info.reset.address, 0xCF9);
	assert_int_equal(info.reset_value, 0x0E);
	assert_true(info.has_s5);
	assert_int_equal(info.s5_type_a, 5);
	assert_int_equal(info.s5_type_b, 6);
}

static void old_tables(void **state)
{
	uint8_t *tables[] = {add_fadt(add_dsdt(), false), add_madt()};

	(void)state;
	make_rsdp(0, add_root(false, tables, 2), NULL);
	assert_null(acpi_parse(&info, rsdp, NO_LIMIT));
	assert_madt();
	assert_int_equal(info.pm1a_control, 0x604);
	assert_int_equal(info.pm_timer_port, 0x608);
	assert_int_equal(info.smi_command, 0xB2);
	assert_int_equal(info.acpi_enable, 0xA0);
	assert_int_equal(info.reset.kind, ACPI_REG_NONE); /* behind the end of this table */
	assert_true(info.has_s5);
}

static void damaged_xsdt_falls_back(void **state)
{
	uint8_t *tables[] = {add_madt()};
	uint8_t *xsdt = add_root(true, tables, 1);

	(void)state;
	make_rsdp(2, add_root(false, tables, 1), xsdt);
	xsdt[HEADER]++;
	assert_null(acpi_parse(&info, rsdp, NO_LIMIT));
	assert_madt();
}

static void damaged_roots(void **state)
{
	uint8_t *tables[] = {add_madt()};
	uint8_t *root = add_root(false, tables, 1);

	(void)state;
	make_rsdp(0, root, NULL);
	assert_null(acpi_parse(&info, rsdp, NO_LIMIT));
	assert_string_equal(acpi_parse(&info, rsdp, (uintptr_t)root + HEADER - 1),
			    "the ACPI root table is missing or damaged");
	rsdp[10]++;
	assert_string_equal(acpi_parse(&info, rsdp, NO_LIMIT), "the ACPI root pointer is damaged");
	make_rsdp(0, NULL, NULL);
	assert_string_equal(acpi_parse(&info, rsdp, NO_LIMIT),
			    "the ACPI root table is missing or damaged");
}

static void damaged_tables_are_left_out(void **state)
{
	uint8_t *tables[] = {add_madt(), add_madt(), add_madt(), NULL};

	(void)state;
	make_rsdp(2, NULL, add_root(true, tables, 4));
	tables[0][HEADER]++;		     /* checksum */
	put(tables[1] + 4, HEADER - 1, 4);   /* too short */
	put(tables[2] + 4, UINT32_MAX, 4);   /* too long */
	assert_null(acpi_parse(&info, rsdp, NO_LIMIT));
	assert_int_equal(info.cpu_count, 0);
	assert_int_equal(info.isa_irqs[7].gsi, 7);
}

/* Whatever entry is cut short, what is behind the table is not read as part of it. */
static void madt_cut_anywhere(void **state)
{
	(void)state;
	for (size_t size = 0; size < sizeof(madt_body); size++) {
		used = 0;

		uint8_t *tables[] = {add_table("APIC", madt_body, size)};

		memset(arena + HEADER + size, 0x01, 256);
		used += 256;
		make_rsdp(2, NULL, add_root(true, tables, 1));
		assert_null(acpi_parse(&info, rsdp, NO_LIMIT));
		assert_true(info.cpu_count <= 2 && info.ioapic_count <= 1);
		if (size < 16)
			assert_int_equal(info.cpu_count, 0);
	}
}

static const uint8_t mcfg_body[] = {
	0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0xF0, 0, 0, 0, 0, 1, 0, 0, 255, 0, 0, 0, 0, /* segment 1 */
	1, 0, 0, 0xF1, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, /* not aligned to a bus */
	0, 0, 0, 0xF2, 0, 0, 0, 0, 0, 0, 9, 8, 0, 0, 0, 0,   /* ends before it begins */
	0, 0, 0, 0xB0, 2, 0, 0, 0, 0, 0, 4, 63, 0, 0, 0, 0,
	0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 64, 127, 0, 0, 0, 0,
};

static void mcfg_of_segment_0(void **state)
{
	(void)state;
	for (size_t size = 0; size <= sizeof(mcfg_body); size++) {
		used = 0;

		uint8_t *tables[] = {add_table("MCFG", mcfg_body, size)};

		make_rsdp(2, NULL, add_root(true, tables, 1));
		assert_null(acpi_parse(&info, rsdp, NO_LIMIT));
		assert_int_equal(info.ecam.base.a, size < 72 ? 0 : 0x2B0000000);
		assert_int_equal(info.ecam.first_bus, size < 72 ? 0 : 4);
		assert_int_equal(info.ecam.last_bus, size < 72 ? 0 : 63);
	}
}

static bool find_s5(const uint8_t *aml, size_t size, uint8_t *a, uint8_t *b)
{
	uint8_t *end = arena + ARENA_SIZE - size;

	memcpy(end, aml, size);
	return acpi_find_s5(end, size, a, b);
}

static void s5_forms(void **state)
{
	const uint8_t rooted[] = {8, '\\', '_', 'S', '5', '_', 0x12, 6, 4, 0, 1, 0, 0};
	const uint8_t words[] = {8,    '_',  'S', '5', '_', 0x12, 0x40, 0, 2,
				 0x0B, 0x07, 0,   0x0B, 0x03, 0};
	const uint8_t use[] = {0x70, '_', 'S', '5', '_', 0x12, 6, 4, 0, 1, 0, 0};
	const uint8_t no_package[] = {8, '_', 'S', '5', '_', 0x0A, 6, 4, 0, 1, 0, 0};
	uint8_t a = 99, b = 99;

	(void)state;
	assert_true(find_s5(rooted, sizeof(rooted), &a, &b));
	assert_true(a == 0 && b == 1);
	assert_true(find_s5(words, sizeof(words), &a, &b));
	assert_true(a == 7 && b == 3);
	assert_false(find_s5(use, sizeof(use), &a, &b));
	assert_false(find_s5(no_package, sizeof(no_package), &a, &b));
	for (size_t size = 0; size < sizeof(words) - 1; size++)
		assert_false(find_s5(words, size, &a, &b));
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_tables),
		TEST(old_tables),
		TEST(damaged_xsdt_falls_back),
		TEST(damaged_roots),
		TEST(damaged_tables_are_left_out),
		TEST(madt_cut_anywhere),
		TEST(mcfg_of_segment_0),
		TEST(s5_forms),
	};

	return cmocka_run_group_tests_name("acpi", tests, map_arena, NULL);
}
