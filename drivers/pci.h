/* SPDX-License-Identifier: MIT */
/* drivers/pci.h - PCI functions: which there are, where their registers lie, where their interrupts go.
 * For set-up on the boot CPU, before the others run. Numbers: PCI Local Bus 3.0 chapter 6. */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include <bootinfo.h>

#include "kernel/acpi.h"

enum {
	PCI_CAP_MSI = 0x05,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_MSIX = 0x11,
};

struct pci_device {
	uint8_t bus, device, function;
	uint16_t vendor_id, device_id;
	enum pci_interrupt { PCI_INTERRUPT_NONE, PCI_INTERRUPT_LINE, PCI_INTERRUPT_MSI, PCI_INTERRUPT_MSIX } interrupt;
};

/* Keeps both. Without MCFG, and for buses it does not cover, ports CF8h and CFCh are used. */
void pci_init(const struct acpi_info *acpi, const struct bootinfo *boot);

/* One function after the other, by address; *cursor starts at 0. False: that was all. */
bool pci_next(uint32_t *cursor, struct pci_device *d);

/* Configuration space; `offset` below 256 and aligned. */
uint8_t pci_read8(const struct pci_device *d, uint32_t offset);
uint16_t pci_read16(const struct pci_device *d, uint32_t offset);
uint32_t pci_read32(const struct pci_device *d, uint32_t offset);
void pci_write32(const struct pci_device *d, uint32_t offset, uint32_t v);

/* Where number n, from 0, of the capabilities with that ID lies in configuration space; 0: there are not so many. */
uint32_t pci_capability(const struct pci_device *d, uint8_t id, unsigned n);

/* The address of memory BAR n, mapped, with decoding on. hpa 0: it has less than `size` bytes, is not set, or lies
 * where memory is or where the CPU cannot reach: then nothing has been changed. */
hpa_t pci_map_bar(const struct pci_device *d, unsigned n, uint64_t size);

/* Lets the device read and write memory: after a reset, since the firmware's driver may have left it at work. */
void pci_enable_dma(const struct pci_device *d);

/* Sends the device's interrupt to this CPU as `vector`: by MSI, MSI-X (vector 0 of its table), or by its line, if the
 * firmware has put that on an ISA interrupt (ioapic_route_pci()). False: by none of them. */
bool pci_connect_interrupt(struct pci_device *d, uint8_t vector);
void pci_disconnect_interrupt(struct pci_device *d);

#endif
