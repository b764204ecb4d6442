/* SPDX-License-Identifier: MIT */
/* links: vdev/vacpi.c */
/* tests/unit/test_vacpi.c - the ACPI tables: pointers, checksums, one processor per vCPU; and ACPICA's
 * disassembler understands each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vdev/acpi_tables.h"
#include "vdev/vdev.h"

static uint8_t rom[VACPI_ROM_SIZE];
static size_t used;

static int build(unsigned vcpu_count)
{
	const struct machine_config config = {.vcpu_count = vcpu_count};

	memset(rom, 0xCC, sizeof(rom));
	used = vacpi_build(rom, sizeof(rom), VACPI_ROM_GPA, &config);
	return used != 0 ? 0 : -1;
}

static int setup(void **state)
{
	(void)state;
	return build(3);
}

static uint8_t sum(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint8_t total = 0;

	for (size_t i = 0; i < size; i++)
		total = (uint8_t)(total + bytes[i]);
	return total;
}

static const void *at(uint64_t gpa)
{
	assert_in_range(gpa, VACPI_ROM_GPA, VACPI_ROM_GPA + used - 1);
	return rom + (gpa - VACPI_ROM_GPA);
}

static const struct acpi_rsdp *rsdp(void)
{
	return (const struct acpi_rsdp *)rom;
}

static const struct acpi_header *checked_table(uint64_t gpa)
{
	const struct acpi_header *h = at(gpa);

	assert_in_range(h->length, sizeof(*h), used);
	at(gpa + h->length - 1);
	assert_int_equal(sum(h, h->length), 0);
	return h;
}

static const struct acpi_header *find_table(const char *signature)
{
	const struct acpi_xsdt *xsdt = (const void *)checked_table(rsdp()->xsdt);

	for (unsigned i = 0; i < ACPI_ROOT_ENTRIES; i++) {
		const struct acpi_header *h = checked_table(xsdt->entry[i]);

		if (memcmp(h->signature, signature, 4) == 0)
			return h;
	}
	fail_msg("no table %s", signature);
	return NULL;
}

static const struct acpi_fadt *fadt(void)
{
	return (const void *)find_table("FACP");
}

static void rsdp_is_valid(void **state)
{
	(void)state;
	assert_memory_equal(rsdp()->signature, "RSD PTR ", 8);
	assert_int_equal(rsdp()->revision, 2);
	assert_int_equal(sum(rom, ACPI_RSDP_V1_BYTES), 0);
	assert_int_equal(sum(rom, sizeof(struct acpi_rsdp)), 0);
}

static void both_roots_name_the_same_tables(void **state)
{
	const struct acpi_rsdt *rsdt = (const void *)checked_table(rsdp()->rsdt);
	const struct acpi_xsdt *xsdt = (const void *)checked_table(rsdp()->xsdt);

	(void)state;
	for (unsigned i = 0; i < ACPI_ROOT_ENTRIES; i++)
		assert_int_equal(rsdt->entry[i], xsdt->entry[i]);
}

static void fadt_points_to_facs_and_dsdt(void **state)
{
	(void)state;
	assert_int_equal(fadt()->facs % 64, 0);
	assert_memory_equal(at(fadt()->facs), "FACS", 4);
	assert_int_equal(fadt()->dsdt, fadt()->x_dsdt);
	assert_memory_equal(checked_table(fadt()->dsdt)->signature, "DSDT", 4);
	assert_int_equal(fadt()->smi_command, 0); /* ACPI mode is always on */
	assert_int_equal(fadt()->flags & FADT_FLAG_RESET, FADT_FLAG_RESET);
}

/* Walks the entries as a kernel does, by their length bytes. */
static void madt_lists_every_vcpu(void **state)
{
	(void)state;
	for (unsigned vcpu_count = 1; vcpu_count <= MACHINE_MAX_VCPUS; vcpu_count++) {
		const struct acpi_header *madt;
		unsigned lapics = 0, types = 0;

		assert_int_equal(build(vcpu_count), 0);
		madt = find_table("APIC");
		for (uint32_t i = sizeof(struct acpi_madt); i < madt->length;) {
			const uint8_t *entry = (const uint8_t *)madt + i;

			types |= 1u << entry[0];
			if (entry[0] == MADT_LAPIC)
				assert_int_equal(entry[3], lapics++);
			assert_true(entry[1] >= 2 && i + entry[1] <= madt->length);
			i += entry[1];
		}
		assert_int_equal(lapics, vcpu_count);
		assert_int_equal(types, 1u << MADT_LAPIC | 1u << MADT_IOAPIC | 1u << MADT_OVERRIDE |
						1u << MADT_LAPIC_NMI);
	}
}

static void small_buffer_is_refused(void **state)
{
	const struct machine_config config = {.vcpu_count = 1};

	(void)state;
	memset(rom, 0xCC, sizeof(rom));
	assert_int_equal(vacpi_build(rom, 4095, VACPI_ROM_GPA, &config), 0);
	assert_int_equal(rom[0], 0xCC);
	assert_in_range(vacpi_build(rom, 4096, VACPI_ROM_GPA, &config), 1, 4096);
	assert_int_equal(rom[4096], 0xCC);
}

/* iasl -d leaves <name>.dsl; expected must be in it. */
static void disassemble(const struct acpi_header *table, const char *expected)
{
	char name[] = "build/tests/vacpi-XXXXXX", command[512];
	FILE *f = fdopen(mkstemp(name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(table, 1, table->length, f), table->length);
	fclose(f);
	snprintf(command, sizeof(command),
		 "iasl -d %s >%s.log 2>&1 && ! grep -qiE 'error|warning' %s.log &&"
		 " grep -q '%s' %s.dsl",
		 name, name, name, expected, name);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "rm -f %s %s.log %s.dsl", name, name, name);
	assert_int_equal(system(command), 0);
}

static void acpica_understands_them(void **state)
{
	(void)state;
	assert_int_equal(build(MACHINE_MAX_VCPUS), 0);
	disassemble(checked_table(fadt()->dsdt), "_S5");
	disassemble(find_table("SSDT"), "Device (C00F)");
	disassemble(find_table("FACP"), "000000000000060[48]");
	disassemble(find_table("APIC"), "Interrupt Source Override");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rsdp_is_valid, setup),
		cmocka_unit_test_setup(both_roots_name_the_same_tables, setup),
		cmocka_unit_test_setup(fadt_points_to_facs_and_dsdt, setup),
		cmocka_unit_test(madt_lists_every_vcpu),
		cmocka_unit_test(small_buffer_is_refused),
		cmocka_unit_test(acpica_understands_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
