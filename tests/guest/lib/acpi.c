/* SPDX-License-Identifier: MIT */
/* lib/acpi.c - finds ACPI tables in low memory (ACPI 5.2.5) and counts the CPUs of the MADT.
 * Reads only the 32-bit RSDT: every machine the kernels run on has one. */
#include "test.h"
#include "str.h"

#define BIOS_AREA 0xE0000u
#define BIOS_AREA_END 0x100000u
#define RSDP_RSDT 16
#define SDT_LENGTH 4
#define SDT_HEADER 36
#define MADT_ENTRIES 44
#define MADT_LOCAL_APIC 0
#define MADT_FLAGS 4
#define MADT_ENABLED 1

uint32_t acpi_read32(uint64_t at)
{
	uint32_t v;

	memcpy(&v, (const void *)(uintptr_t)at, sizeof(v));
	return v;
}

static uint8_t read8(uint64_t at)
{
	return *(const uint8_t *)(uintptr_t)at;
}

uint8_t acpi_sum(uint64_t at, uint32_t bytes)
{
	uint8_t total = 0;

	for (uint32_t i = 0; i < bytes; i++)
		total = (uint8_t)(total + read8(at + i));
	return total;
}

uint64_t acpi_rsdp(void)
{
	for (uint64_t at = BIOS_AREA; at < BIOS_AREA_END; at += 16)
		if (memcmp((const void *)(uintptr_t)at, "RSD PTR ", 8) == 0)
			return at;
	return 0;
}

uint64_t acpi_table(const char *signature)
{
	uint64_t rsdp = acpi_rsdp(), rsdt;

	if (!rsdp)
		return 0;
	rsdt = acpi_read32(rsdp + RSDP_RSDT);
	for (uint64_t at = rsdt + SDT_HEADER; at < rsdt + acpi_read32(rsdt + SDT_LENGTH); at += 4)
		if (memcmp((const void *)(uintptr_t)acpi_read32(at), signature, 4) == 0)
			return acpi_read32(at);
	return 0;
}

unsigned acpi_cpu_count(void)
{
	uint64_t madt = acpi_table("APIC"), end;
	unsigned count = 0;

	if (!madt)
		return 1;
	end = madt + acpi_read32(madt + SDT_LENGTH);
	for (uint64_t at = madt + MADT_ENTRIES; at < end && read8(at + 1); at += read8(at + 1))
		if (read8(at) == MADT_LOCAL_APIC && acpi_read32(at + MADT_FLAGS) & MADT_ENABLED)
			count++;
	return count;
}
