/* SPDX-License-Identifier: MIT */
/* kernel/acpi.c - RSDP, RSDT or XSDT, MADT, FADT, MCFG, and \_S5_ of the DSDT.
 * Pure: decides which bytes of a table to believe (length, checksum, bounds first) and fills struct
 * acpi_info. Manual: ACPI 6.5 chapters 5.2 (tables), 20.2 (AML);
 * PCI Firmware 3.3 chapter 4.1.2 (MCFG). Next: kernel/power.c, kernel/smp.c. */
#include "kernel/acpi.h"

#include "kernel/string.h"

#include <compiler.h>

enum {
	RSDP1_SIZE = 20,
	TABLE_SIZE_MAX = 16 << 20,
	MADT_FLAGS_END = 44,
	MCFG_RESERVED_END = 44,
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_X2APIC = 9,
	MADT_CPU_ENABLED = 1,
	MADT_ISA_BUS = 0,
	MPS_FIELD = 3,
	MPS_ACTIVE_LOW = 3,
	MPS_TRIGGER_SHIFT = 2,
	MPS_LEVEL = 3,
	XAPIC_BROADCAST = 0xFF,
	FADT_TIMER_32BIT = 1 << 8,
	FADT_HAS_RESET = 1 << 10,
	GAS_MEMORY = 0,
	GAS_PORT = 1,
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0A,
	AML_WORD = 0x0B,
	AML_PACKAGE = 0x12,
};

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;

struct table {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} PACKED;

struct gas {
	uint8_t space, width, offset, access;
	uint64_t address;
} PACKED;

struct fadt {
	struct table header;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
	uint8_t not_used[32];
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control,
		x_pm_timer;
} PACKED;

_Static_assert(sizeof(struct table) == 36, "ACPI table header");
_Static_assert(offsetof(struct fadt, flags) == 112, "FADT flags");
_Static_assert(offsetof(struct fadt, x_pm_timer) == 208, "FADT X_PM_TMR_BLK");

struct madt_lapic {
	uint8_t type, length, processor, apic_id;
	uint32_t flags;
} PACKED;

struct madt_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t apic_id, flags, processor;
} PACKED;

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t base, first_gsi;
} PACKED;

struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

struct mcfg_entry {
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved;
} PACKED;

static bool sums_to_zero(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (size--)
		sum = (uint8_t)(sum + *p++);
	return sum == 0;
}

/* The table at that address when it may be believed, else null. */
static const struct table *table_at(uint64_t address, uint64_t limit)
{
	const struct table *t = hpa_ptr(hpa(address));

	if (!address || address >= limit || limit - address < sizeof(*t))
		return NULL;
	if (t->length < sizeof(*t) || t->length > TABLE_SIZE_MAX || t->length > limit - address)
		return NULL;
	return sums_to_zero(t, t->length) ? t : NULL;
}

static bool has_signature(const struct table *t, const char *signature)
{
	return memcmp(t->signature, signature, sizeof(t->signature)) == 0;
}

/* A CPU may be listed in both forms; starting it twice would reset it. */
static void add_cpu(struct acpi_info *info, uint32_t apic_id, uint32_t flags)
{
	if (!(flags & MADT_CPU_ENABLED) || info->cpu_count == ACPI_CPUS_MAX)
		return;
	for (uint32_t i = 0; i < info->cpu_count; i++)
		if (info->cpu_ids[i] == apic_id)
			return;
	info->cpu_ids[info->cpu_count++] = apic_id;
}

static void add_override(struct acpi_info *info, const struct madt_override *o)
{
	if (o->bus != MADT_ISA_BUS || o->irq >= ACPI_ISA_IRQS)
		return;
	info->isa_irqs[o->irq] = (struct acpi_isa_irq){
		.gsi = o->gsi,
		.active_low = (o->flags & MPS_FIELD) == MPS_ACTIVE_LOW,
		.level = (o->flags >> MPS_TRIGGER_SHIFT & MPS_FIELD) == MPS_LEVEL,
	};
}

/* `entry` has `length` valid bytes, at least two. */
static void parse_madt_entry(struct acpi_info *info, const uint8_t *entry, uint8_t length)
{
	const struct madt_lapic *lapic = (const void *)entry;
	const struct madt_x2apic *x2apic = (const void *)entry;
	const struct madt_ioapic *ioapic = (const void *)entry;

	switch (entry[0]) {
	case MADT_LAPIC:
		if (length >= sizeof(*lapic) && lapic->apic_id != XAPIC_BROADCAST)
			add_cpu(info, lapic->apic_id, lapic->flags);
		break;
	case MADT_X2APIC:
		if (length >= sizeof(*x2apic))
			add_cpu(info, x2apic->apic_id, x2apic->flags);
		break;
	case MADT_IOAPIC:
		if (length >= sizeof(*ioapic) && info->ioapic_count < ACPI_IOAPICS_MAX)
			info->ioapics[info->ioapic_count++] =
				(struct acpi_ioapic){hpa(ioapic->base), ioapic->first_gsi};
		break;
	case MADT_OVERRIDE:
		if (length >= sizeof(struct madt_override))
			add_override(info, (const void *)entry);
		break;
	default:
		break;
	}
}

static void parse_madt(struct acpi_info *info, const struct table *madt)
{
	const uint8_t *bytes = (const uint8_t *)madt;
	uint32_t at = MADT_FLAGS_END;

	while (at + 2 <= madt->length) {
		uint8_t length = bytes[at + 1];

		if (length < 2 || length > madt->length - at)
			return;
		parse_madt_entry(info, bytes + at, length);
		at += length;
	}
}

/* An extended address, when the table is long enough to have it, replaces the old 32-bit port. */
static uint16_t port_of(uint32_t old, const struct gas *extended)
{
	if (extended->address && extended->space == GAS_PORT)
		return (uint16_t)extended->address;
	return (uint16_t)old;
}

static struct acpi_reg reset_register(const struct fadt *fadt)
{
	if (!(fadt->flags & FADT_HAS_RESET) || !fadt->reset.address)
		return (struct acpi_reg){0};
	if (fadt->reset.space == GAS_PORT)
		return (struct acpi_reg){ACPI_REG_PORT, fadt->reset.address};
	if (fadt->reset.space == GAS_MEMORY)
		return (struct acpi_reg){ACPI_REG_MEMORY, fadt->reset.address};
	return (struct acpi_reg){0};
}

static void parse_aml(struct acpi_info *info, const struct table *t)
{
	if (t && !info->has_s5)
		info->has_s5 = acpi_find_s5((const uint8_t *)(t + 1), t->length - sizeof(*t),
					    &info->s5_type_a, &info->s5_type_b);
}

static void parse_fadt(struct acpi_info *info, const struct table *t, uint64_t limit)
{
	struct fadt fadt = {0}; /* an older, shorter table leaves zeroes behind its end */

	memcpy(&fadt, t, min_u64(t->length, sizeof(fadt)));
	info->pm_timer_port = port_of(fadt.pm_timer, &fadt.x_pm_timer);
	info->pm_timer_is_32bit = fadt.flags & FADT_TIMER_32BIT;
	info->pm1a_control = port_of(fadt.pm1a_control, &fadt.x_pm1a_control);
	info->pm1b_control = port_of(fadt.pm1b_control, &fadt.x_pm1b_control);
	info->smi_command = (uint16_t)fadt.smi_command;
	info->acpi_enable = fadt.acpi_enable;
	info->reset = reset_register(&fadt);
	info->reset_value = fadt.reset_value;
	parse_aml(info, table_at(fadt.x_dsdt ? fadt.x_dsdt : fadt.dsdt, limit));
}

/* Segment 0 is the one that ports CF8h and CFCh reach; machines of our size have no other. */
static void parse_mcfg(struct acpi_info *info, const struct table *mcfg)
{
	const uint8_t *bytes = (const uint8_t *)mcfg;
	struct mcfg_entry e;

	for (uint32_t at = MCFG_RESERVED_END; at + sizeof(e) <= mcfg->length; at += sizeof(e)) {
		memcpy(&e, bytes + at, sizeof(e));
		if (e.segment == 0 && e.base % MIB(1) == 0 && e.first_bus <= e.last_bus && !info->ecam.base.a)
			info->ecam = (struct acpi_ecam){hpa(e.base), e.first_bus, e.last_bus};
	}
}

static void parse_table(struct acpi_info *info, const struct table *t, uint64_t limit)
{
	if (has_signature(t, "APIC"))
		parse_madt(info, t);
	else if (has_signature(t, "FACP"))
		parse_fadt(info, t, limit);
	else if (has_signature(t, "MCFG"))
		parse_mcfg(info, t);
	else if (has_signature(t, "SSDT"))
		parse_aml(info, t);
}

static void parse_root(struct acpi_info *info, const struct table *root, size_t entry_size,
		       uint64_t limit)
{
	const uint8_t *bytes = (const uint8_t *)root;

	for (size_t at = sizeof(*root); at + entry_size <= root->length; at += entry_size) {
		uint64_t address = 0;

		memcpy(&address, bytes + at, entry_size);

		const struct table *t = table_at(address, limit);

		if (t)
			parse_table(info, t, limit);
	}
}

static void set_defaults(struct acpi_info *info)
{
	memset(info, 0, sizeof(*info));
	for (uint32_t irq = 0; irq < ACPI_ISA_IRQS; irq++)
		info->isa_irqs[irq].gsi = irq;
}

const char *acpi_parse(struct acpi_info *info, const uint8_t bytes[BOOT_RSDP_SIZE], uint64_t limit)
{
	struct rsdp rsdp;
	const struct table *root = NULL;
	size_t entry_size = sizeof(uint64_t);

	set_defaults(info);
	memcpy(&rsdp, bytes, sizeof(rsdp));
	if (memcmp(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature)) != 0 ||
	    !sums_to_zero(&rsdp, RSDP1_SIZE))
		return "the ACPI root pointer is damaged";
	if (rsdp.revision >= 2 && sums_to_zero(&rsdp, sizeof(rsdp)))
		root = table_at(rsdp.xsdt, limit);
	if (!root) {
		root = table_at(rsdp.rsdt, limit);
		entry_size = sizeof(uint32_t);
	}
	if (!root)
		return "the ACPI root table is missing or damaged";
	parse_root(info, root, entry_size, limit);
	return NULL;
}

/* A small integer at *at, as packages hold them; moves *at behind it. */
static bool aml_byte(const uint8_t *aml, size_t size, size_t *at, uint8_t *value)
{
	if (*at >= size)
		return false;

	uint8_t op = aml[(*at)++];

	if (op == AML_ZERO || op == AML_ONE) {
		*value = op;
		return true;
	}
	if ((op != AML_BYTE && op != AML_WORD) || *at + (op - AML_BYTE) >= size)
		return false;
	*value = aml[*at];
	*at += op == AML_BYTE ? 1 : 2;
	return true;
}

/* `at` is behind the name "_S5_": Package, its length (1 to 4 bytes), the count, then the values. */
static bool aml_s5_package(const uint8_t *aml, size_t size, size_t at, uint8_t *a, uint8_t *b)
{
	if (at + 2 > size || aml[at] != AML_PACKAGE)
		return false;
	at += 1 + 1 + (size_t)(aml[at + 1] >> 6);
	if (at >= size || aml[at] < 2)
		return false;
	at++;
	return aml_byte(aml, size, &at, a) && aml_byte(aml, size, &at, b);
}

bool acpi_find_s5(const uint8_t *aml, size_t size, uint8_t *type_a, uint8_t *type_b)
{
	static const char name[4] = {'_', 'S', '5', '_'};

	for (size_t at = 1; at + sizeof(name) <= size; at++) {
		bool is_named = aml[at - 1] == AML_NAME ||
				(at > 1 && aml[at - 1] == '\\' && aml[at - 2] == AML_NAME);

		if (is_named && memcmp(aml + at, name, sizeof(name)) == 0 &&
		    aml_s5_package(aml, size, at + sizeof(name), type_a, type_b))
			return true;
	}
	return false;
}
