/* SPDX-License-Identifier: MIT */
/* drivers/ioapic.h - the I/O APICs: where device interrupts go. */
#ifndef DRIVERS_IOAPIC_H
#define DRIVERS_IOAPIC_H

#include "kernel/acpi.h"

/* Masks every input of every I/O APIC. */
void ioapic_init(const struct acpi_info *info);

/* Lets an ISA interrupt through, as `vector`, to one CPU. False when no I/O APIC has its input or
 * the CPU's APIC ID has more than 8 bits. */
bool ioapic_route_isa(const struct acpi_info *info, uint8_t irq, uint8_t vector, uint32_t apic_id);

/* The same for a PCI line that the firmware has put on an ISA interrupt, one of those that PCs keep for PCI. Level, and
 * active low unless MADT says otherwise; if both are wrong, it comes without end: then mask it. */
bool ioapic_route_pci(const struct acpi_info *info, uint8_t irq, uint8_t vector, uint32_t apic_id);
void ioapic_mask_pci(const struct acpi_info *info, uint8_t irq);

#endif
