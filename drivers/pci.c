/* SPDX-License-Identifier: MIT */
/* drivers/pci.c - PCI configuration space.
 * Decides which functions exist, and believes no capability list and no BAR that leads astray: walks are bounded, and
 * registers lie neither in memory nor where nothing can be mapped. Manuals: PCI Local Bus 3.0 chapters 6.1 to 6.8, PCI
 * Express Base 4.0 chapter 7.2 (ECAM), APM2 16.11 (message format). Users: the network drivers. */
#include "drivers/pci.h"

#include "drivers/access.h"
#include "drivers/ioapic.h"
#include "kernel/lapic.h"
#include "kernel/paging.h"

enum {
	PORT_ADDRESS = 0xCF8,
	PORT_DATA = 0xCFC,
	BUS_SHIFT = 16,
	DEVICE_SHIFT = 11,
	FUNCTION_SHIFT = 8,
	FUNCTIONS = 8,
	FUNCTIONS_TOTAL = 256 * 32 * FUNCTIONS,
	ECAM_SHIFT = 12, /* of a function's number */

	CONFIG_ID = 0x00,
	CONFIG_COMMAND = 0x04,
	CONFIG_STATUS = 0x06,
	CONFIG_HEADER_TYPE = 0x0E,
	CONFIG_BAR0 = 0x10,
	CONFIG_CAPABILITIES = 0x34,
	CONFIG_LINE = 0x3C,
	CONFIG_PIN = 0x3D,
	HEADER_DEVICE = 0x00,
	HEADER_MULTI_FUNCTION = 0x80,
	BARS = 6,

	COMMAND_IO = 1 << 0,
	COMMAND_MEMORY = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	COMMAND_NO_LINE = 1 << 10,
	STATUS_HAS_CAPABILITIES = 1 << 4,
	CAPABILITIES_START = 0x40,
	CAPABILITIES_MAX = (256 - CAPABILITIES_START) / 4,

	BAR_IO = 1 << 0,
	BAR_TYPE = 3 << 1,
	BAR_64BIT = 2 << 1,
	BAR_FLAGS = 0xF,

	MSI_CONTROL_SHIFT = 16, /* the control word is the upper half of the first register */
	MSI_ADDRESS = 4,
	MSI_DATA_32BIT = 8,
	MSI_ADDRESS_HIGH = 8,
	MSI_DATA_64BIT = 12,
	MSIX_TABLE = 4,
	MSIX_BAR_MASK = 7,
	MSIX_ENTRY_SIZE = 16,
	MSIX_ENTRY_ADDRESS_HIGH = 4,
	MSIX_ENTRY_DATA = 8,
	MSIX_ENTRY_CONTROL = 12,
};

#define ADDRESS_ENABLE BIT32(31)
#define NO_DEVICE UINT32_MAX
#define MSI_ENABLE BIT32(MSI_CONTROL_SHIFT + 0)
#define MSI_COUNT (7u << (MSI_CONTROL_SHIFT + 4)) /* how many messages; 0 is one */
#define MSI_IS_64BIT BIT32(MSI_CONTROL_SHIFT + 7)
#define MSIX_MASK_ALL BIT32(MSI_CONTROL_SHIFT + 14)
#define MSIX_ENABLE BIT32(MSI_CONTROL_SHIFT + 15)
#define MESSAGE_ADDRESS 0xFEE00000u /* fixed delivery to one CPU by its APIC ID */
#define MESSAGE_DESTINATION_SHIFT 12
#define MESSAGE_DESTINATION_MAX 0xFEu
#define COMMAND_BITS 0xFFFFu /* zeros to the status bits in the upper half leave them as they are */

static const struct acpi_info *acpi;  /* [I] */
static const struct bootinfo *boot;   /* [I] */
static struct acpi_ecam ecam;	      /* [I] base 0: not to be used */

void pci_init(const struct acpi_info *acpi_info, const struct bootinfo *bootinfo)
{
	uint64_t size;

	acpi = acpi_info;
	boot = bootinfo;
	ecam = acpi->ecam;
	size = (uint64_t)(ecam.last_bus + 1) << (BUS_SHIFT - FUNCTION_SHIFT + ECAM_SHIFT);
	if (ecam.base.a && !paging_map_mmio(ecam.base, size))
		ecam.base = hpa(0);
}

/* --- configuration space --- */

static bool is_in_ecam(const struct pci_device *d)
{
	return ecam.base.a && d->bus >= ecam.first_bus && d->bus <= ecam.last_bus;
}

static uint32_t address_of(const struct pci_device *d)
{
	return (uint32_t)d->bus << BUS_SHIFT | (uint32_t)d->device << DEVICE_SHIFT |
	       (uint32_t)d->function << FUNCTION_SHIFT;
}

static hpa_t ecam_address(const struct pci_device *d, uint32_t offset)
{
	return hpa(ecam.base.a + ((uint64_t)address_of(d) << (ECAM_SHIFT - FUNCTION_SHIFT)) + offset);
}

uint32_t pci_read32(const struct pci_device *d, uint32_t offset)
{
	if (is_in_ecam(d))
		return mmio_read32(ecam_address(d, offset));
	port_write32(PORT_ADDRESS, ADDRESS_ENABLE | address_of(d) | offset);
	return port_read32(PORT_DATA);
}

void pci_write32(const struct pci_device *d, uint32_t offset, uint32_t v)
{
	if (is_in_ecam(d)) {
		mmio_write32(ecam_address(d, offset), v);
		return;
	}
	port_write32(PORT_ADDRESS, ADDRESS_ENABLE | address_of(d) | offset);
	port_write32(PORT_DATA, v);
}

uint16_t pci_read16(const struct pci_device *d, uint32_t offset)
{
	return (uint16_t)(pci_read32(d, offset & ~3u) >> (offset % 4 * 8));
}

uint8_t pci_read8(const struct pci_device *d, uint32_t offset)
{
	return (uint8_t)(pci_read32(d, offset & ~3u) >> (offset % 4 * 8));
}

static void change_command(const struct pci_device *d, uint32_t clear, uint32_t set)
{
	pci_write32(d, CONFIG_COMMAND, (pci_read32(d, CONFIG_COMMAND) & COMMAND_BITS & ~clear) | set);
}

/* --- which there are --- */

static bool probe(uint32_t number, struct pci_device *d)
{
	*d = (struct pci_device){.bus = (uint8_t)(number >> (BUS_SHIFT - FUNCTION_SHIFT)),
				 .device = (uint8_t)(number / FUNCTIONS % 32),
				 .function = (uint8_t)(number % FUNCTIONS)};

	uint32_t id = pci_read32(d, CONFIG_ID);

	d->vendor_id = (uint16_t)id;
	d->device_id = (uint16_t)(id >> 16);
	return id != NO_DEVICE && d->vendor_id != 0;
}

bool pci_next(uint32_t *cursor, struct pci_device *d)
{
	while (*cursor < FUNCTIONS_TOTAL) {
		bool is_there = probe(*cursor, d);
		bool is_alone = d->function == 0 &&
				!(is_there && (pci_read8(d, CONFIG_HEADER_TYPE) & HEADER_MULTI_FUNCTION));

		*cursor += is_alone ? FUNCTIONS : 1;
		if (is_there)
			return true;
	}
	return false;
}

uint32_t pci_capability(const struct pci_device *d, uint8_t id, unsigned n)
{
	uint32_t at = pci_read8(d, CONFIG_CAPABILITIES) & ~3u;

	if (!(pci_read16(d, CONFIG_STATUS) & STATUS_HAS_CAPABILITIES))
		return 0;
	for (unsigned i = 0; i < CAPABILITIES_MAX && at >= CAPABILITIES_START; i++) {
		if (pci_read8(d, at) == id && n-- == 0)
			return at;
		at = pci_read8(d, at + 1) & ~3u;
	}
	return 0;
}

/* --- registers --- */

static bool is_memory(uint64_t start, uint64_t size)
{
	for (uint32_t i = 0; i < boot->range_count; i++) {
		const struct boot_range *r = &boot->ranges[i];
		bool used = r->type == BOOT_MEM_RAM || r->type == BOOT_MEM_ACPI || r->type == BOOT_MEM_NVS;

		if (used && start < r->start.a + r->size && r->start.a < start + size)
			return true;
	}
	return false;
}

/* Base and size of a memory BAR. The size shows when all ones are written; meanwhile the device must not decode. */
static uint64_t read_bar(const struct pci_device *d, uint32_t offset, bool is_64bit, uint64_t *size)
{
	uint32_t command = pci_read32(d, CONFIG_COMMAND) & COMMAND_BITS;
	uint32_t low = pci_read32(d, offset), high = is_64bit ? pci_read32(d, offset + 4) : 0;
	uint64_t ones = is_64bit ? 0 : BITS(63, 32);

	change_command(d, COMMAND_IO | COMMAND_MEMORY, 0);
	pci_write32(d, offset, UINT32_MAX);
	ones |= pci_read32(d, offset) & ~(uint32_t)BAR_FLAGS;
	pci_write32(d, offset, low);
	if (is_64bit) {
		pci_write32(d, offset + 4, UINT32_MAX);
		ones |= (uint64_t)pci_read32(d, offset + 4) << 32;
		pci_write32(d, offset + 4, high);
	}
	pci_write32(d, CONFIG_COMMAND, command);
	*size = ~ones + 1;
	return (uint64_t)high << 32 | (low & ~(uint32_t)BAR_FLAGS);
}

hpa_t pci_map_bar(const struct pci_device *d, unsigned n, uint64_t size)
{
	uint32_t offset = CONFIG_BAR0 + 4 * n;
	bool is_device = (pci_read8(d, CONFIG_HEADER_TYPE) & ~HEADER_MULTI_FUNCTION) == HEADER_DEVICE;

	if (!is_device || n >= BARS)
		return hpa(0);

	uint32_t low = pci_read32(d, offset);
	bool is_64bit = (low & BAR_TYPE) == BAR_64BIT;
	uint64_t real_size, base;

	if ((low & BAR_IO) || (is_64bit && n + 1 == BARS))
		return hpa(0);
	base = read_bar(d, offset, is_64bit, &real_size);
	if (!base || real_size < size || base + size < base || is_memory(base, size) ||
	    !paging_map_mmio(hpa(base), size))
		return hpa(0);
	change_command(d, 0, COMMAND_MEMORY);
	return hpa(base);
}

void pci_enable_dma(const struct pci_device *d)
{
	change_command(d, 0, COMMAND_MASTER);
}

/* --- interrupts --- */

static uint32_t message_address(void)
{
	return MESSAGE_ADDRESS | lapic_id() << MESSAGE_DESTINATION_SHIFT;
}

static bool connect_msi(const struct pci_device *d, uint8_t vector)
{
	uint32_t at = pci_capability(d, PCI_CAP_MSI, 0);

	if (!at || at + MSI_DATA_64BIT >= 256)
		return false;

	uint32_t control = pci_read32(d, at) & ~(MSI_ENABLE | MSI_COUNT);
	bool is_64bit = control & MSI_IS_64BIT;

	pci_write32(d, at + MSI_ADDRESS, message_address());
	if (is_64bit)
		pci_write32(d, at + MSI_ADDRESS_HIGH, 0);
	pci_write32(d, at + (is_64bit ? MSI_DATA_64BIT : MSI_DATA_32BIT), vector);
	pci_write32(d, at, control | MSI_ENABLE);
	return true;
}

static bool connect_msix(const struct pci_device *d, uint8_t vector)
{
	uint32_t at = pci_capability(d, PCI_CAP_MSIX, 0);

	if (!at || at + MSIX_TABLE >= 256)
		return false;

	uint32_t table = pci_read32(d, at + MSIX_TABLE), control = pci_read32(d, at) & ~(MSIX_ENABLE | MSIX_MASK_ALL);
	uint64_t offset = table & ~(uint32_t)MSIX_BAR_MASK;
	hpa_t bar = pci_map_bar(d, table & MSIX_BAR_MASK, offset + MSIX_ENTRY_SIZE);
	hpa_t entry = hpa(bar.a + offset);

	if (!bar.a)
		return false;
	pci_write32(d, at, control | MSIX_ENABLE | MSIX_MASK_ALL);
	mmio_write32(entry, message_address());
	mmio_write32(hpa(entry.a + MSIX_ENTRY_ADDRESS_HIGH), 0);
	mmio_write32(hpa(entry.a + MSIX_ENTRY_DATA), vector);
	mmio_write32(hpa(entry.a + MSIX_ENTRY_CONTROL), 0);
	pci_write32(d, at, control | MSIX_ENABLE);
	return true;
}

static bool connect_line(const struct pci_device *d, uint8_t vector)
{
	if (!pci_read8(d, CONFIG_PIN) || !ioapic_route_pci(acpi, pci_read8(d, CONFIG_LINE), vector, lapic_id()))
		return false;
	change_command(d, COMMAND_NO_LINE, 0);
	return true;
}

bool pci_connect_interrupt(struct pci_device *d, uint8_t vector)
{
	bool by_message = lapic_id() <= MESSAGE_DESTINATION_MAX;

	change_command(d, 0, COMMAND_NO_LINE);
	if (by_message && connect_msi(d, vector))
		d->interrupt = PCI_INTERRUPT_MSI;
	else if (by_message && connect_msix(d, vector))
		d->interrupt = PCI_INTERRUPT_MSIX;
	else
		d->interrupt = connect_line(d, vector) ? PCI_INTERRUPT_LINE : PCI_INTERRUPT_NONE;
	return d->interrupt != PCI_INTERRUPT_NONE;
}

static void clear_control(const struct pci_device *d, uint8_t id, uint32_t bit)
{
	uint32_t at = pci_capability(d, id, 0);

	if (at)
		pci_write32(d, at, pci_read32(d, at) & ~bit);
}

void pci_disconnect_interrupt(struct pci_device *d)
{
	if (d->interrupt == PCI_INTERRUPT_MSI)
		clear_control(d, PCI_CAP_MSI, MSI_ENABLE);
	if (d->interrupt == PCI_INTERRUPT_MSIX)
		clear_control(d, PCI_CAP_MSIX, MSIX_ENABLE);
	if (d->interrupt == PCI_INTERRUPT_LINE)
		ioapic_mask_pci(acpi, pci_read8(d, CONFIG_LINE));
	change_command(d, 0, COMMAND_NO_LINE);
	d->interrupt = PCI_INTERRUPT_NONE;
}
