/* SPDX-License-Identifier: MIT */
/* t_l1.c - shows the machine that a plain L1 gets, without any nesting: CPUID, MSRs, exceptions, debug
 * registers, local APIC with timer, I/O APIC, PIC, PIT, RTC, ACPI tables with PM timer, second vCPU.
 * References: APM vol. 2 for the CPU, the devices' data sheets for the rest. */
#include "test.h"
#include "str.h"

#define VEC_IPI 0x40
#define VEC_TIMER 0x41
#define VEC_PIT 0x42
#define PIC_BASE 0x20
#define TIMER_COUNT 100000u
#define LVT_PERIODIC 0x20000u
#define REG_LVT_TIMER 0x320
#define REG_LVT_LINT0 0x350
#define REG_TIMER_COUNT 0x380
#define REG_TIMER_NOW 0x390
#define REG_VERSION 0x30
#define LVT_EXTINT 0x700u
#define LVT_MASKED 0x10000u
#define IOAPIC UINT64_C(0xFEC00000)
#define IOAPIC_VERSION 1
#define IOAPIC_REDIRECT 0x10
#define GSI_PIT 2
#define PIT_CHANNEL0 0x40
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_CH0_ONE_SHOT 0x30
#define PIT_CH0_LATCH 0x00
#define PIT_CH2_ONE_SHOT 0xB0
#define PORT_61 0x61
#define PORT_61_OUT2 0x20
#define PIT_10MS 11932u
#define PIC1 0x20
#define PIC2 0xA0
#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define RTC_SECONDS 0
#define RTC_STATUS_B 0x0B
#define RTC_STATUS_D 0x0D
#define MSR_UNKNOWN 0x1FF0u
#define MSR_X2APIC_ID 0x802u
#define X2APIC_ENABLE BIT(10)
#define PM_TIMER_MASK 0xFFFFFFu
#define FADT_PM_TIMER 76

static void cpuid_basic(const struct scenario *s UNUSED)
{
	struct cpuid_regs r = cpuid(0, 0);

	expect("vendor, ebx", r.b, 0x68747541);	/* "Auth" "enti" "cAMD" */
	expect("vendor, edx", r.d, 0x69746E65);
	expect("vendor, ecx", r.c, 0x444D4163);
	expect("leaf 1", r.a >= 1, 1);
	expect("leaf 8000_0008", cpuid(0x80000000, 0).a >= 0x80000008, 1);
	expect("long mode", cpuid_has(0x80000001, 'd', 29), 1);
	expect("hypervisor bit", cpuid_has(1, 'c', 31), 1);
	expect("APIC id", cpuid(1, 0).b >> 24, lapic_id());
}

/* What CPUID offers under SVM must be a set that makes sense. */
static void cpuid_svm(const struct scenario *s UNUSED)
{
	expect("SVM", cpuid_has(0x80000001, 'c', 2), 1);
	expect("SVM revision", cpuid(0x8000000A, 0).a & 0xFF, 1);
	expect("at least two ASIDs", cpuid(0x8000000A, 0).b >= 2, 1);
	expect("AVIC not offered", svm_has(BIT32(13)), 0);
}

static uint64_t msr_value;

static void read_msr(uint64_t msr)
{
	msr_value = rdmsr((uint32_t)msr);
}

static void write_msr(uint64_t msr)
{
	wrmsr((uint32_t)msr, 0);
}

static void msr_unknown(const struct scenario *s UNUSED)
{
	expect_fault(trap_catch(read_msr, MSR_UNKNOWN), VEC_GP, 0);
	expect_fault(trap_catch(write_msr, MSR_UNKNOWN), VEC_GP, 0);
	expect_fault(trap_catch(read_msr, 0x40001234), VEC_GP, 0);
}

static void msr_tsc(const struct scenario *s UNUSED)
{
	uint64_t before = rdtsc();

	expect("RDMSR faults", trap_catch(read_msr, MSR_TSC).taken, 0);
	expect("between two RDTSC", msr_value >= before && msr_value <= rdtsc(), 1);
}

static void msr_apic_base(const struct scenario *s UNUSED)
{
	expect("base", rdmsr(MSR_APIC_BASE) & BITS(51, 12), LAPIC_BASE);
	expect("BSP and enabled", rdmsr(MSR_APIC_BASE) & (BIT(8) | BIT(11)), BIT(8) | BIT(11));
}

static void ud2(uint64_t unused UNUSED)
{
	__asm__ volatile("ud2");
}

static void touch(uint64_t address)
{
	*(volatile uint64_t *)(uintptr_t)address = 1;
}

static void exceptions(const struct scenario *s UNUSED)
{
	struct fault f;

	expect_fault(trap_catch(ud2, 0), VEC_UD, 0);
	f = trap_catch(touch, UINT64_C(0x7000000000));
	expect_fault(f, VEC_PF, PF_W);
	expect("cr2", f.cr2, UINT64_C(0x7000000000));
	expect_fault(trap_catch(touch, BIT(63)), VEC_GP, 0);
}

static void bad_control_registers(const struct scenario *s UNUSED)
{
	expect_fault(trap_catch(cr0_write, cr0_read() | BIT(32)), VEC_GP, 0);
	expect_fault(trap_catch(cr0_write, (cr0_read() | CR0_NW) & ~CR0_CD), VEC_GP, 0);
}

static void debug_registers(const struct scenario *s UNUSED)
{
	dr0_write(0x12345678);
	dr7_write(DR7_RESET | 0x300);
	expect("dr0", dr0_read(), 0x12345678);
	expect("dr7", dr7_read(), DR7_RESET | 0x300);
	dr7_write(DR7_RESET);
}

static void single_step(const struct scenario *s UNUSED)
{
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" : : : "memory", "cc");
	expect("#DB", trap_count[VEC_DB], 1);
	expect("DR6.BS", trap_dr6 & DR6_BS, DR6_BS);
}

/* --- local APIC --- */

static void interrupts_for(unsigned spins)
{
	sti();
	spin(spins);
	cli();
}

static bool wait_count(uint8_t vector, uint64_t want)
{
	sti();
	for (unsigned n = 0; n < SPIN_LONG && trap_count[vector] < want; n++)
		pause();
	cli();
	return expect("interrupts", trap_count[vector] >= want, 1);
}

static void lapic_self_ipi(const struct scenario *s UNUSED)
{
	expect("version", (lapic_read(REG_VERSION) & 0xF0) == 0x10, 1);
	ipi_self(VEC_IPI);
	interrupts_for(SPIN_SHORT);
	expect("taken", trap_count[VEC_IPI], 1);
	ipi_self_nmi();
	spin(SPIN_SHORT);
	expect("NMI", trap_count[VEC_NMI], 1);
}

static void lapic_tpr(const struct scenario *s UNUSED)
{
	cr8_write(VEC_IPI >> 4);
	ipi_self(VEC_IPI);
	interrupts_for(SPIN_SHORT);
	expect("masked by CR8", trap_count[VEC_IPI], 0);
	expect("TPR register", lapic_read(0x80), VEC_IPI & 0xF0);
	cr8_write(0);
	interrupts_for(SPIN_SHORT);
	expect("taken", trap_count[VEC_IPI], 1);
}

static void lapic_timer(const struct scenario *s UNUSED)
{
	lapic_timer_once(VEC_TIMER, TIMER_COUNT);
	wait_count(VEC_TIMER, 1);
	expect("counted down", lapic_read(REG_TIMER_NOW), 0);
	lapic_write(REG_LVT_TIMER, LVT_PERIODIC | VEC_TIMER);
	lapic_write(REG_TIMER_COUNT, TIMER_COUNT);
	wait_count(VEC_TIMER, 4);
	lapic_write(REG_TIMER_COUNT, 0);
	lapic_write(REG_LVT_TIMER, LVT_MASKED);
}

static void halt_and_timer(const struct scenario *s UNUSED)
{
	lapic_timer_once(VEC_TIMER, TIMER_COUNT);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	expect("taken", trap_count[VEC_TIMER], 1);
}

/* --- PIT, PIC, I/O APIC --- */

static void pit_start(uint16_t count)
{
	outb(PIT_COMMAND, PIT_CH0_ONE_SHOT);
	outb(PIT_CHANNEL0, (uint8_t)count);
	outb(PIT_CHANNEL0, (uint8_t)(count >> 8));
}

static unsigned pit_now(void)
{
	unsigned low;

	outb(PIT_COMMAND, PIT_CH0_LATCH);
	low = inb(PIT_CHANNEL0);
	return low | (unsigned)inb(PIT_CHANNEL0) << 8;
}

static void pit_counts(const struct scenario *s UNUSED)
{
	unsigned first, now;

	pit_start(UINT16_MAX);
	first = now = pit_now();
	for (unsigned n = 0; n < SPIN_LONG && now == first; n++)
		now = pit_now();
	expect("counter falls", now < first, 1);
}

/* Channel 2, polled through port 61h, as boot code calibrates with. */
static void pit_channel2(const struct scenario *s UNUSED)
{
	uint8_t gate = inb(PORT_61);
	unsigned n;

	outb(PORT_61, (uint8_t)((gate & ~2) | 1));
	outb(PIT_COMMAND, PIT_CH2_ONE_SHOT);
	outb(PIT_CHANNEL2, (uint8_t)PIT_10MS);
	outb(PIT_CHANNEL2, (uint8_t)(PIT_10MS >> 8));
	expect("OUT2 low at start", inb(PORT_61) & PORT_61_OUT2, 0);
	for (n = 0; n < SPIN_LONG && !(inb(PORT_61) & PORT_61_OUT2); n++)
		pause();
	expect("OUT2 high at the end", n < SPIN_LONG, 1);
	outb(PORT_61, gate);
}

static void ioapic_write(uint32_t reg, uint32_t v)
{
	*(volatile uint32_t *)(uintptr_t)IOAPIC = reg;
	*(volatile uint32_t *)(uintptr_t)(IOAPIC + 0x10) = v;
}

static uint32_t ioapic_read(uint32_t reg)
{
	*(volatile uint32_t *)(uintptr_t)IOAPIC = reg;
	return *(volatile uint32_t *)(uintptr_t)(IOAPIC + 0x10);
}

static void ioapic_pit(const struct scenario *s UNUSED)
{
	expect("at least 24 pins", (ioapic_read(IOAPIC_VERSION) >> 16 & 0xFF) >= 23, 1);
	ioapic_write(IOAPIC_REDIRECT + 2 * GSI_PIT + 1, lapic_id() << 24);
	ioapic_write(IOAPIC_REDIRECT + 2 * GSI_PIT, VEC_PIT);
	pit_start(PIT_10MS);
	wait_count(VEC_PIT, 1);
	ioapic_write(IOAPIC_REDIRECT + 2 * GSI_PIT, LVT_MASKED | VEC_PIT);
}

static void pic_init(void)
{
	outb(PIC1, 0x11);
	outb(PIC1 + 1, PIC_BASE);
	outb(PIC1 + 1, 4);
	outb(PIC1 + 1, 1);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, PIC_BASE + 8);
	outb(PIC2 + 1, 2);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xFE);
	outb(PIC2 + 1, 0xFF);
}

/* Virtual wire: the PIC's output through LINT0 as ExtINT. */
static void pic_pit(const struct scenario *s UNUSED)
{
	lapic_write(REG_LVT_LINT0, LVT_EXTINT);
	pic_init();
	pit_start(PIT_10MS);
	wait_count(PIC_BASE, 1);
	outb(PIC1, 0x20);
	outb(PIC1 + 1, 0xFF);
	lapic_write(REG_LVT_LINT0, LVT_MASKED);
}

/* --- RTC, ACPI, TSC --- */

static uint8_t cmos_read(uint8_t reg)
{
	outb(CMOS_INDEX, reg);
	return inb(CMOS_DATA);
}

static void rtc(const struct scenario *s UNUSED)
{
	uint8_t seconds = cmos_read(RTC_SECONDS);

	expect("valid RAM and time", cmos_read(RTC_STATUS_D) & 0x80, 0x80);
	expect("24 hours", cmos_read(RTC_STATUS_B) & 2, 2);
	expect("BCD seconds", (seconds >> 4) < 6 && (seconds & 0xF) < 10, 1);
}

static void acpi_tables(const struct scenario *s UNUSED)
{
	static const char *const names[] = {"FACP", "APIC"};

	if (!expect("RSDP found", acpi_rsdp() != 0, 1))
		return;
	expect("RSDP checksum", acpi_sum(acpi_rsdp(), 20), 0);
	for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
		uint64_t at = acpi_table(names[i]);

		expect_item(i);
		if (expect("table found", at != 0, 1))
			expect("checksum", acpi_sum(at, acpi_read32(at + 4)), 0);
	}
}

static void pm_timer(const struct scenario *s UNUSED)
{
	uint64_t fadt = acpi_table("FACP");
	uint32_t first, port;
	unsigned n = 0;

	if (!expect("FADT found", fadt != 0, 1))
		return;
	port = acpi_read32(fadt + FADT_PM_TIMER);
	first = inl((uint16_t)port) & PM_TIMER_MASK;
	while (n++ < SPIN_LONG && (inl((uint16_t)port) & PM_TIMER_MASK) == first)
		pause();
	expect("counts", n < SPIN_LONG, 1);
}

static void tsc_monotonic(const struct scenario *s UNUSED)
{
	uint64_t last = rdtsc();

	for (unsigned i = 0; i < 10000; i++) {
		uint64_t now = rdtsc();

		if (!expect("not backwards", now >= last, 1))
			return;
		last = now;
	}
}

/* --- memory --- */

/* A PC has video memory from A0000h on, or nothing, but no RAM; in text mode its first half answers to nobody. */
static void no_ram_at_a0000(const struct scenario *s UNUSED)
{
	static const uint64_t places[] = {0xA0000, 0xA1238, 0xAFFF8};

	for (unsigned i = 0; i < ARRAY_COUNT(places); i++) {
		volatile uint64_t *at = (volatile uint64_t *)places[i];

		expect_item(i);
		for (unsigned n = 0; n < 3; n++) { /* L0 may learn what such an instruction does */
			*at = 0x1122334455667788;
			expect("8 bytes", *at, UINT64_MAX);
			expect("2 bytes", *((volatile uint16_t *)at + 1), 0xFFFF);
		}
	}
}

/* --- second vCPU --- */

static volatile uint32_t other_id;

static void note_id(void *unused UNUSED)
{
	other_id = lapic_id() + 1;
}

static void second_cpu(const struct scenario *s UNUSED)
{
	other_id = 0;
	if (!smp_run(note_id, NULL))
		return;
	smp_wait();
	expect("its APIC id + 1", other_id, (lapic_id() ^ 1) + 1);
}

/* Last of all: from x2APIC mode there is no way back to the MMIO page. */
static void x2apic(const struct scenario *s UNUSED)
{
	uint32_t id = lapic_id();

	if (!cpuid_has(1, 'c', 21)) {
		skip("x2APIC not offered by the CPU");
		return;
	}
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | X2APIC_ENABLE);
	expect("id", rdmsr(MSR_X2APIC_ID), id);
	wrmsr(0x83F, VEC_IPI);
	interrupts_for(SPIN_SHORT);
	wrmsr(0x80B, 0);
	expect("self IPI", trap_count[VEC_IPI], 1);
}

SCENARIOS("t_l1") {
	{"l1_cpuid_basic", "APM vol. 3 E", cpuid_basic, 0, 0},
	{"l1_cpuid_svm", "15.4", cpuid_svm, NEED_SVM, 0},
	{"l1_msr_unknown_gp", "APM vol. 3 RDMSR", msr_unknown, 0, 0},
	{"l1_msr_tsc", "13.2.4", msr_tsc, 0, 0},
	{"l1_msr_apic_base", "16.3.1", msr_apic_base, 0, 0},
	{"l1_exceptions", "8.2", exceptions, 0, 0},
	{"l1_debug_registers", "13.1.1", debug_registers, 0, 0},
	{"l1_single_step", "13.1.4", single_step, 0, 0},
	{"l1_lapic_self_ipi", "16.5", lapic_self_ipi, 0, 0},
	{"l1_lapic_tpr", "16.6.4", lapic_tpr, 0, 0},
	{"l1_lapic_timer", "16.4.1", lapic_timer, 0, 0},
	{"l1_halt_and_timer", "16.4.1", halt_and_timer, 0, 0},
	{"l1_pit_counts", "Intel 82C54", pit_counts, 0, 0},
	{"l1_pit_channel2", "Intel 82C54", pit_channel2, 0, 0},
	{"l1_ioapic_pit", "Intel 82093AA", ioapic_pit, 0, 0},
	{"l1_pic_pit", "Intel 8259A", pic_pit, 0, 0},
	{"l1_rtc", "Motorola MC146818", rtc, 0, 0},
	{"l1_acpi_tables", "ACPI 5.2", acpi_tables, 0, 0},
	{"l1_pm_timer", "ACPI 4.8.3.3", pm_timer, 0, 0},
	{"l1_tsc_monotonic", "13.2.4", tsc_monotonic, 0, 0},
	{"l1_no_ram_at_a0000", "IBM PC/AT, memory map", no_ram_at_a0000, 0, 0},
	{"l1_second_cpu", "16.5", second_cpu, NEED_TWO_CPUS, 0},
	{"l1_bad_control_registers", "3.1.1", bad_control_registers, 0, 0},
	{"l1_x2apic", "16.9", x2apic, 0, 0},
};
SCENARIO_COUNT;
