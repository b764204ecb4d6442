/* SPDX-License-Identifier: MIT */
/* kernel/acpi.h - what we take from the firmware's ACPI tables, and the two things done with it. */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include <addr.h>
#include <bootinfo.h>

#define ACPI_CPUS_MAX 512
#define ACPI_IOAPICS_MAX 16
#define ACPI_ISA_IRQS 16

struct acpi_ioapic {
	hpa_t base;
	uint32_t first_gsi;
};

/* Where an ISA interrupt arrives. Without an override: the GSI of the same number, as ISA does. */
struct acpi_isa_irq {
	uint32_t gsi;
	bool active_low, level;
};

/* PCI configuration space in memory, of segment 0: 4 KiB per function, counted from bus 0 on. base 0: none. */
struct acpi_ecam {
	hpa_t base;
	uint8_t first_bus, last_bus;
};

/* A register as FADT gives it; I/O port or memory. */
struct acpi_reg {
	enum { ACPI_REG_NONE, ACPI_REG_PORT, ACPI_REG_MEMORY } kind;
	uint64_t address;
};

struct acpi_info {
	uint32_t cpu_count;
	uint32_t cpu_ids[ACPI_CPUS_MAX]; /* APIC IDs of the enabled CPUs */
	uint32_t ioapic_count;
	struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
	struct acpi_isa_irq isa_irqs[ACPI_ISA_IRQS];
	struct acpi_ecam ecam;
	uint16_t pm_timer_port; /* 0: none */
	bool pm_timer_is_32bit;
	uint16_t pm1a_control, pm1b_control; /* ports; 0: none */
	uint16_t smi_command;
	uint8_t acpi_enable;
	struct acpi_reg reset;
	uint8_t reset_value;
	bool has_s5;
	uint8_t s5_type_a, s5_type_b;
};

/* Pure: null, or what is wrong. Reads tables wherever the RSDP leads, but nothing at or above
 * `limit`. A table that is missing leaves its part empty and is no error. */
const char *acpi_parse(struct acpi_info *info, const uint8_t rsdp[BOOT_RSDP_SIZE], uint64_t limit);

/* SLP_TYPa and SLP_TYPb out of \_S5_ in the bytes of a DSDT or SSDT. */
bool acpi_find_s5(const uint8_t *aml, size_t size, uint8_t *type_a, uint8_t *type_b);

#endif
