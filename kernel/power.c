/* SPDX-License-Identifier: MIT */
/* kernel/power.c - power off through ACPI's S5, reset through the FADT or the legacy ways.
 * Decides the order of attempts. Manual: ACPI 6.5 4.8.3.2 (PM1 control), 4.8.3.6 (reset register). */
#include "kernel/power.h"

#include "kernel/cpu_insn.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"

enum {
	PM1_SCI_ENABLED = 1 << 0,
	PM1_SLEEP_TYPE_SHIFT = 10,
	PM1_SLEEP_TYPE_MASK = 7 << PM1_SLEEP_TYPE_SHIFT,
	PM1_SLEEP_ENABLE = 1 << 13,
	PCI_RESET_PORT = 0xCF9,
	PCI_RESET_ARM = 0x02,
	PCI_RESET_GO = 0x06,
	KEYBOARD_COMMAND = 0x64,
	KEYBOARD_PULSE_RESET = 0xFE,
};

#define SETTLE_NS (50 * NS_PER_MS)
#define ENABLE_WAIT_NS (300 * NS_PER_MS)

static struct acpi_info const *acpi; /* [I] */

void power_init(const struct acpi_info *info)
{
	acpi = info;
}

/* Firmware may still hold the PM registers; SCI_EN says that they are ours. */
static void take_over(void)
{
	uint64_t end = time_now_ns() + ENABLE_WAIT_NS;

	if (!acpi->smi_command || !acpi->acpi_enable || inw(acpi->pm1a_control) & PM1_SCI_ENABLED)
		return;
	outb(acpi->smi_command, acpi->acpi_enable);
	while (!(inw(acpi->pm1a_control) & PM1_SCI_ENABLED) && time_now_ns() < end)
		pause();
}

static void enter_s5(uint16_t port, uint8_t sleep_type)
{
	uint16_t v = (uint16_t)(inw(port) & ~(PM1_SLEEP_TYPE_MASK | PM1_SLEEP_ENABLE));

	v = (uint16_t)(v | sleep_type << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP_ENABLE);
	outw(port, v);
}

_Noreturn void acpi_power_off(void)
{
	klog_raw("nestling: power off");
	time_delay_ns(SETTLE_NS); /* the UART still holds the end of that line */
	if (acpi && acpi->has_s5 && acpi->pm1a_control) {
		take_over();
		enter_s5(acpi->pm1a_control, acpi->s5_type_a);
		if (acpi->pm1b_control)
			enter_s5(acpi->pm1b_control, acpi->s5_type_b);
		time_delay_ns(ENABLE_WAIT_NS);
	}
	klog_raw("nestling: this machine cannot be switched off by software; it is halted");
	halt_forever();
}

static void reset_by_acpi(void)
{
	if (!acpi)
		return;
	if (acpi->reset.kind == ACPI_REG_PORT)
		outb((uint16_t)acpi->reset.address, acpi->reset_value);
	if (acpi->reset.kind == ACPI_REG_MEMORY)
		*(volatile uint8_t *)acpi->reset.address = acpi->reset_value;
}

/* No gate in an empty IDT: the CPU shuts down, and the board resets it. */
static _Noreturn void triple_fault(void)
{
	static const struct {
		uint64_t words[2];
	} no_idt;

	__asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
	halt_forever();
}

_Noreturn void machine_reset(void)
{
	time_delay_ns(SETTLE_NS); /* for the UART, as above */
	reset_by_acpi();
	time_delay_ns(SETTLE_NS);
	outb(PCI_RESET_PORT, PCI_RESET_ARM);
	outb(PCI_RESET_PORT, PCI_RESET_GO);
	time_delay_ns(SETTLE_NS);
	outb(KEYBOARD_COMMAND, KEYBOARD_PULSE_RESET);
	time_delay_ns(SETTLE_NS);
	triple_fault();
}
