/* SPDX-License-Identifier: MIT */
/* drivers/ioapic.c - the I/O APICs, by index and data register.
 * Decides fixed delivery to one physical destination. Where inputs are: kernel/acpi.c (MADT). */
#include "drivers/ioapic.h"

enum {
	REG_INDEX = 0x00,
	REG_DATA = 0x10,
	IOAPIC_VERSION = 0x01,
	IOAPIC_TABLE = 0x10, /* two registers per input */
	LAST_INPUT_SHIFT = 16,
	DESTINATION_SHIFT = 24,
	DESTINATION_MAX = 0xFE,
};

#define ENTRY_ACTIVE_LOW BIT32(13)
#define ENTRY_LEVEL BIT32(15)
#define ENTRY_MASKED BIT32(16)
#define PCI_IRQS (BIT32(5) | BIT32(9) | BIT32(10) | BIT32(11)) /* PCs have no ISA device there */

static volatile uint32_t *reg(const struct acpi_ioapic *ioapic, uint32_t offset)
{
	return hpa_ptr(hpa(ioapic->base.a + offset));
}

static uint32_t ioapic_read(const struct acpi_ioapic *ioapic, uint32_t index)
{
	*reg(ioapic, REG_INDEX) = index;
	return *reg(ioapic, REG_DATA);
}

static void ioapic_write(const struct acpi_ioapic *ioapic, uint32_t index, uint32_t v)
{
	*reg(ioapic, REG_INDEX) = index;
	*reg(ioapic, REG_DATA) = v;
}

static uint32_t input_count(const struct acpi_ioapic *ioapic)
{
	return (ioapic_read(ioapic, IOAPIC_VERSION) >> LAST_INPUT_SHIFT & 0xFF) + 1;
}

/* The masked low half goes first and the unmasked one last: never a half-written entry in use. */
static void set_input(const struct acpi_ioapic *ioapic, uint32_t input, uint32_t low, uint32_t high)
{
	ioapic_write(ioapic, IOAPIC_TABLE + 2 * input, ENTRY_MASKED);
	ioapic_write(ioapic, IOAPIC_TABLE + 2 * input + 1, high);
	ioapic_write(ioapic, IOAPIC_TABLE + 2 * input, low);
}

void ioapic_init(const struct acpi_info *info)
{
	for (uint32_t i = 0; i < info->ioapic_count; i++) {
		uint32_t count = input_count(&info->ioapics[i]);

		for (uint32_t input = 0; input < count; input++)
			set_input(&info->ioapics[i], input, ENTRY_MASKED, 0);
	}
}

/* The I/O APIC that has this interrupt, and which of its inputs; null: none has. */
static const struct acpi_ioapic *find_input(const struct acpi_info *info, uint32_t gsi, uint32_t *input)
{
	for (uint32_t i = 0; i < info->ioapic_count; i++) {
		const struct acpi_ioapic *ioapic = &info->ioapics[i];

		*input = gsi - ioapic->first_gsi;
		if (gsi >= ioapic->first_gsi && *input < input_count(ioapic))
			return ioapic;
	}
	return NULL;
}

static bool route(const struct acpi_info *info, uint32_t gsi, uint32_t low, uint32_t apic_id)
{
	uint32_t input;
	const struct acpi_ioapic *ioapic = find_input(info, gsi, &input);

	if (apic_id > DESTINATION_MAX || !ioapic)
		return false;
	set_input(ioapic, input, low, apic_id << DESTINATION_SHIFT);
	return true;
}

bool ioapic_route_isa(const struct acpi_info *info, uint8_t irq, uint8_t vector, uint32_t apic_id)
{
	const struct acpi_isa_irq *isa = &info->isa_irqs[irq];
	uint32_t low = vector | (isa->active_low ? ENTRY_ACTIVE_LOW : 0) |
		       (isa->level ? ENTRY_LEVEL : 0);

	return route(info, isa->gsi, low, apic_id);
}

/* Edge-triggered is the default of MADT for ISA, and means here that it says nothing about this one. */
bool ioapic_route_pci(const struct acpi_info *info, uint8_t irq, uint8_t vector, uint32_t apic_id)
{
	if (irq >= ACPI_ISA_IRQS || !(PCI_IRQS & BIT32(irq)))
		return false;
	if (info->isa_irqs[irq].level)
		return ioapic_route_isa(info, irq, vector, apic_id);
	return route(info, info->isa_irqs[irq].gsi, vector | ENTRY_ACTIVE_LOW | ENTRY_LEVEL, apic_id);
}

void ioapic_mask_pci(const struct acpi_info *info, uint8_t irq)
{
	uint32_t input;
	const struct acpi_ioapic *ioapic = find_input(info, info->isa_irqs[irq].gsi, &input);

	if (ioapic)
		set_input(ioapic, input, ENTRY_MASKED, 0);
}
