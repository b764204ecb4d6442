/* SPDX-License-Identifier: MIT */
/* vdev/vacpi.c - builds the ACPI tables of a machine: RSDP, RSDT, XSDT, FACS, FADT, MADT, DSDT
 * (compiled from dsdt.asl, see vdev.mk) and an SSDT with one processor device per vCPU.
 * Layouts and sources: acpi_tables.h. Port numbers: map.h. */
#include <string.h>
#include "acpi_tables.h"
#include "devices.h"
#include "map.h"

static const uint8_t dsdt_aml[] = {
#include "dsdt.inc"
};

#define TABLE_ALIGN 64 /* the FACS needs it; the RSDP needs 16 */
/* All tables of the largest machine; vacpi_build() refuses a smaller buffer. */
#define TABLES_MAX KIB(4)

#define CMOS_CENTURY 0x32
#define LINT_NMI 1

/* Where the next table goes. All tables lie below 4 GiB, so 32-bit pointers reach them. */
struct rom {
	uint8_t *bytes;
	size_t used;
	uint64_t gpa;
};

static uint8_t checksum(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

/* Copies a table into the ROM and returns its guest address. */
static uint64_t place(struct rom *rom, const void *table, size_t size)
{
	uint64_t gpa;

	rom->used = align_up(rom->used, TABLE_ALIGN);
	gpa = rom->gpa + rom->used;
	memcpy(rom->bytes + rom->used, table, size);
	rom->used += size;
	return gpa;
}

static void fill_header(struct acpi_header *h, const char *signature, uint8_t revision, size_t size)
{
	memcpy(h->signature, signature, sizeof(h->signature));
	h->length = (uint32_t)size;
	h->revision = revision;
	memcpy(h->oem_id, "NSTLNG", sizeof(h->oem_id));
	memcpy(h->oem_table_id, "NESTLING", sizeof(h->oem_table_id));
	h->oem_revision = 1;
	memcpy(h->creator_id, "NSTL", sizeof(h->creator_id));
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = checksum(h, size);
}

/* --- FADT --- */

static uint64_t place_facs(struct rom *rom)
{
	struct acpi_facs facs = {.signature = "FACS", .length = sizeof(facs), .version = 2};

	return place(rom, &facs, sizeof(facs));
}

static struct acpi_address io_register(uint16_t port, uint8_t bytes)
{
	return (struct acpi_address){
		.space = ACPI_SPACE_IO,
		.bit_width = (uint8_t)(bytes * 8),
		.access_size = (uint8_t)(bytes == 4 ? 3 : bytes), /* 1, 2, 3: byte, word, dword */
		.address = port,
	};
}

static uint64_t place_fadt(struct rom *rom, uint64_t facs, uint64_t dsdt)
{
	struct acpi_fadt f = {
		.facs = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.x_dsdt = dsdt,
		.sci_irq = IRQ_SCI,
		.pm1a_event = VPM_EVENT_PORT,
		.pm1a_control = VPM_CONTROL_PORT,
		.pm_timer = VPM_TIMER_PORT,
		.pm1_event_bytes = 4,
		.pm1_control_bytes = 2,
		.pm_timer_bytes = 4,
		.x_pm1a_event = io_register(VPM_EVENT_PORT, 4),
		.x_pm1a_control = io_register(VPM_CONTROL_PORT, 2),
		.x_pm_timer = io_register(VPM_TIMER_PORT, 4),
		.c2_latency = FADT_LATENCY_NONE,
		.c3_latency = FADT_LATENCY_NONE,
		.century = CMOS_CENTURY,
		.boot_flags = FADT_BOOT_LEGACY_DEVICES | FADT_BOOT_NO_VGA | FADT_BOOT_NO_MSI,
		.flags = FADT_FLAG_WBINVD | FADT_FLAG_C1 | FADT_FLAG_NO_POWER_BUTTON |
			 FADT_FLAG_NO_SLEEP_BUTTON | FADT_FLAG_NO_RTC_WAKE | FADT_FLAG_TIMER_32 |
			 FADT_FLAG_RESET,
		.reset_register = io_register(VRESET_CONTROL_PORT, 1),
		.reset_value = VRESET_CONTROL_NOW,
	};

	/* The word at 0x600 is the widest piece the event block is read in. */
	f.x_pm1a_event.access_size = 2;
	fill_header(&f.header, "FACP", FADT_REVISION, sizeof(f));
	return place(rom, &f, sizeof(f));
}

/* --- MADT --- */

struct madt {
	struct acpi_madt head;
	struct acpi_madt_ioapic ioapic;
	struct acpi_madt_override timer, sci;
	struct acpi_madt_lapic_nmi nmi;
	struct acpi_madt_lapic lapic[MACHINE_MAX_VCPUS]; /* last: the table ends at the vCPU count */
} PACKED;

static uint64_t place_madt(struct rom *rom, unsigned vcpu_count)
{
	struct madt t = {
		.head = {.lapic_address = VLAPIC_GPA, .flags = MADT_FLAG_PCAT},
		.ioapic = {.type = MADT_IOAPIC, .length = sizeof(t.ioapic), .address = VIOAPIC_GPA},
		.timer = {.type = MADT_OVERRIDE, .length = sizeof(t.timer), .source = IRQ_PIT,
			  .gsi = VPIT_IOAPIC_PIN, .flags = MADT_AS_BUS},
		.sci = {.type = MADT_OVERRIDE, .length = sizeof(t.sci), .source = IRQ_SCI,
			.gsi = IRQ_SCI, .flags = MADT_LEVEL_HIGH},
		.nmi = {.type = MADT_LAPIC_NMI, .length = sizeof(t.nmi),
			.processor_uid = MADT_ALL_PROCESSORS, .lint = LINT_NMI},
	};
	size_t size = offsetof(struct madt, lapic) + vcpu_count * sizeof(t.lapic[0]);

	for (unsigned i = 0; i < vcpu_count; i++) {
		t.lapic[i] = (struct acpi_madt_lapic){
			.type = MADT_LAPIC,
			.length = sizeof(t.lapic[i]),
			.processor_uid = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = MADT_LAPIC_ENABLED,
		};
	}
	fill_header(&t.head.header, "APIC", 3, size);
	return place(rom, &t, size);
}

/* --- SSDT: Scope (\_SB) { Device (C000) { _HID "ACPI0007", _UID 0 } ... } --- */

#define AML_EXT 0x5B
#define AML_DEVICE 0x82 /* after AML_EXT */
#define AML_NAME 0x08
#define AML_STRING 0x0D
#define AML_BYTE 0x0A
#define AML_SCOPE 0x10
#define AML_LENGTH_2 0x40 /* a package length in two bytes: low nibble first */

struct aml_processor {
	uint8_t device[2], length; /* length: of what follows the two opcode bytes */
	char name[4];
	uint8_t name_hid;
	char hid[4];
	uint8_t string;
	char hid_value[9];
	uint8_t name_uid;
	char uid[4];
	uint8_t byte, uid_value;
} PACKED;

struct ssdt {
	struct acpi_header header;
	uint8_t scope, length[2];
	char root[5];
	struct aml_processor processor[MACHINE_MAX_VCPUS];
} PACKED;

static struct aml_processor aml_processor(unsigned i)
{
	static const char digits[] = "0123456789ABCDEF";
	struct aml_processor p = {
		.device = {AML_EXT, AML_DEVICE},
		.length = sizeof(p) - sizeof(p.device),
		.name = {'C', '0', digits[i >> 4], digits[i & 0xF]},
		.name_hid = AML_NAME,
		.hid = {'_', 'H', 'I', 'D'},
		.string = AML_STRING,
		.hid_value = "ACPI0007",
		.name_uid = AML_NAME,
		.uid = {'_', 'U', 'I', 'D'},
		.byte = AML_BYTE,
		.uid_value = (uint8_t)i,
	};

	return p;
}

static uint64_t place_ssdt(struct rom *rom, unsigned vcpu_count)
{
	size_t size = offsetof(struct ssdt, processor) + vcpu_count * sizeof(struct aml_processor);
	size_t length = size - offsetof(struct ssdt, length);
	struct ssdt t = {
		.scope = AML_SCOPE,
		.length = {(uint8_t)(AML_LENGTH_2 | (length & 0xF)), (uint8_t)(length >> 4)},
		.root = {'\\', '_', 'S', 'B', '_'},
	};

	for (unsigned i = 0; i < vcpu_count; i++)
		t.processor[i] = aml_processor(i);
	fill_header(&t.header, "SSDT", 2, size);
	return place(rom, &t, size);
}

/* --- roots --- */

static uint64_t place_rsdt(struct rom *rom, const uint64_t *tables)
{
	struct acpi_rsdt t;

	for (unsigned i = 0; i < ACPI_ROOT_ENTRIES; i++)
		t.entry[i] = (uint32_t)tables[i];
	fill_header(&t.header, "RSDT", 1, sizeof(t));
	return place(rom, &t, sizeof(t));
}

static uint64_t place_xsdt(struct rom *rom, const uint64_t *tables)
{
	struct acpi_xsdt t;

	for (unsigned i = 0; i < ACPI_ROOT_ENTRIES; i++)
		t.entry[i] = tables[i];
	fill_header(&t.header, "XSDT", 1, sizeof(t));
	return place(rom, &t, sizeof(t));
}

static void fill_rsdp(uint8_t *at, uint64_t rsdt, uint64_t xsdt)
{
	struct acpi_rsdp r = {
		.revision = 2, .rsdt = (uint32_t)rsdt, .length = sizeof(r), .xsdt = xsdt};

	memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
	memcpy(r.oem_id, "NSTLNG", sizeof(r.oem_id));
	r.checksum = checksum(&r, ACPI_RSDP_V1_BYTES);
	r.extended_checksum = checksum(&r, sizeof(r));
	memcpy(at, &r, sizeof(r));
}

size_t vacpi_build(uint8_t *buffer, size_t size, uint64_t gpa, const struct machine_config *config)
{
	struct rom rom = {.bytes = buffer, .used = sizeof(struct acpi_rsdp), .gpa = gpa};
	uint64_t facs, dsdt, tables[ACPI_ROOT_ENTRIES];

	if (size < TABLES_MAX || config->vcpu_count > MACHINE_MAX_VCPUS)
		return 0;
	memset(buffer, 0, TABLES_MAX);
	facs = place_facs(&rom);
	dsdt = place(&rom, dsdt_aml, sizeof(dsdt_aml));
	tables[0] = place_fadt(&rom, facs, dsdt);
	tables[1] = place_madt(&rom, config->vcpu_count);
	tables[2] = place_ssdt(&rom, config->vcpu_count);
	fill_rsdp(buffer, place_rsdt(&rom, tables), place_xsdt(&rom, tables));
	return rom.used;
}
