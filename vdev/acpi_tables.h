/* SPDX-License-Identifier: MIT */
/* vdev/acpi_tables.h - layout of the ACPI tables that vacpi.c fills.
 * Specification: ACPI 6.3, 5.2 ACPI System Description Tables; section numbers stand at each. */
#ifndef VDEV_ACPI_TABLES_H
#define VDEV_ACPI_TABLES_H

#include <compiler.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_AT(type, field, offset)                                                               \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define ACPI_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)

/* 5.2.5.3 Root System Description Pointer */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum; /* of everything */
	uint8_t reserved[3];
} PACKED;
ACPI_SIZE(acpi_rsdp, 36);
#define ACPI_RSDP_V1_BYTES 20

/* 5.2.6 System Description Table Header */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;
ACPI_SIZE(acpi_header, 36);

/* 5.2.3.2 Generic Address Structure */
struct acpi_address {
	uint8_t space, bit_width, bit_offset, access_size;
	uint64_t address;
} PACKED;
ACPI_SIZE(acpi_address, 12);

#define ACPI_SPACE_IO 1

/* 5.2.7 and 5.2.8: the root tables, here with the tables this machine has */
#define ACPI_ROOT_ENTRIES 3 /* FADT, MADT, SSDT */

struct acpi_rsdt {
	struct acpi_header header;
	uint32_t entry[ACPI_ROOT_ENTRIES];
} PACKED;

struct acpi_xsdt {
	struct acpi_header header;
	uint64_t entry[ACPI_ROOT_ENTRIES];
} PACKED;

/* 5.2.10 Firmware ACPI Control Structure */
struct acpi_facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version, reserved[31];
} PACKED;
ACPI_SIZE(acpi_facs, 64);

/* 5.2.9 Fixed ACPI Description Table, as of ACPI 5.0 */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t reserved1, preferred_profile;
	uint16_t sci_irq;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios_request, pstate_control;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control;
	uint32_t pm2_control, pm_timer, gpe0, gpe1;
	uint8_t pm1_event_bytes, pm1_control_bytes, pm2_control_bytes, pm_timer_bytes;
	uint8_t gpe0_bytes, gpe1_bytes, gpe1_base, cst_control;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_flags;
	uint8_t reserved2;
	uint32_t flags;
	struct acpi_address reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct acpi_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct acpi_address x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_address sleep_control, sleep_status;
} PACKED;
ACPI_AT(acpi_fadt, sci_irq, 46);
ACPI_AT(acpi_fadt, pm1a_event, 56);
ACPI_AT(acpi_fadt, pm_timer, 76);
ACPI_AT(acpi_fadt, pm1_event_bytes, 88);
ACPI_AT(acpi_fadt, c2_latency, 96);
ACPI_AT(acpi_fadt, century, 108);
ACPI_AT(acpi_fadt, boot_flags, 109);
ACPI_AT(acpi_fadt, flags, 112);
ACPI_AT(acpi_fadt, reset_value, 128);
ACPI_AT(acpi_fadt, x_dsdt, 140);
ACPI_AT(acpi_fadt, x_pm_timer, 208);
ACPI_SIZE(acpi_fadt, 268);

#define FADT_REVISION 5
#define FADT_FLAG_WBINVD 0x001u	       /* WBINVD works */
#define FADT_FLAG_C1 0x004u	       /* HLT works on all processors */
#define FADT_FLAG_NO_POWER_BUTTON 0x010u
#define FADT_FLAG_NO_SLEEP_BUTTON 0x020u
#define FADT_FLAG_NO_RTC_WAKE 0x040u     /* the RTC has no bit in the event block */
#define FADT_FLAG_TIMER_32 0x100u      /* the PM timer has 32 bits */
#define FADT_FLAG_RESET 0x400u	       /* the reset register exists */
#define FADT_BOOT_LEGACY_DEVICES 0x01u
#define FADT_BOOT_NO_VGA 0x04u
#define FADT_BOOT_NO_MSI 0x08u
#define FADT_LATENCY_NONE UINT16_MAX   /* no C2, no C3 */

/* 5.2.12 Multiple APIC Description Table and its entries */
struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_address, flags;
} PACKED;
ACPI_SIZE(acpi_madt, 44);
#define MADT_FLAG_PCAT 1u /* there are 8259s too */

enum acpi_madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
};

struct acpi_madt_lapic {
	uint8_t type, length, processor_uid, apic_id;
	uint32_t flags;
} PACKED;
ACPI_SIZE(acpi_madt_lapic, 8);
#define MADT_LAPIC_ENABLED 1u

struct acpi_madt_ioapic {
	uint8_t type, length, ioapic_id, reserved;
	uint32_t address, first_gsi;
} PACKED;
ACPI_SIZE(acpi_madt_ioapic, 12);

struct acpi_madt_override {
	uint8_t type, length, bus, source;
	uint32_t gsi;
	uint16_t flags;
} PACKED;
ACPI_SIZE(acpi_madt_override, 10);
#define MADT_AS_BUS 0u		/* polarity and trigger as usual on ISA */
#define MADT_LEVEL_HIGH 0x000Du

struct acpi_madt_lapic_nmi {
	uint8_t type, length, processor_uid;
	uint16_t flags;
	uint8_t lint;
} PACKED;
ACPI_SIZE(acpi_madt_lapic_nmi, 6);
#define MADT_ALL_PROCESSORS 0xFFu

#endif
