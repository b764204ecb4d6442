/* SPDX-License-Identifier: MIT */
/* kernel/main.c - the composition root: brings the machine up, one folder after the other.
 * Decides the order, and joins kernel/ to the drivers it does not know. Everything here runs once,
 * on the boot CPU. Before: boot/start.asm. Next: svm/vmm.c l0_main(). */
#include <bootinfo.h>

#include <amd/cpu.h>
#include <amd/msr.h>

#include "drivers/ioapic.h"
#include "drivers/nic.h"
#include "drivers/pci.h"
#include "drivers/screen.h"
#include "drivers/uart.h"
#include "kernel/acpi.h"
#include "kernel/cmdline.h"
#include "kernel/console.h"
#include "kernel/cpu_insn.h"
#include "kernel/irq.h"
#include "kernel/lapic.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/pmm.h"
#include "kernel/power.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "kernel/trap.h"
#include "net/net.h"
#include "svm/enable.h"
#include "svm/vmm.h"

#define MULTIBOOT2_MAGIC 0x36D76289u
#define BOOT_TABLES_REACH GIB(4) /* boot/start.asm maps this much */
/* 128 MiB, less what firmware keeps of it. */
#define RAM_MIN MIB(120)

_Noreturn void kernel_main(uint32_t magic, uint64_t tags);

static struct bootinfo boot;	/* [I] */
static struct acpi_info acpi;	/* [I] */
static struct options options; /* [I] */

/* Text mode also when the loader says nothing: then nobody has switched it off. */
static bool open_screen(uint64_t reach)
{
	const struct boot_framebuffer *fb = &boot.fb;

	if (fb->kind != BOOT_FB_RGB)
		return vga_init();
	return fb->base.a + (uint64_t)fb->pitch * fb->height <= reach && fb_init(fb);
}

static void open_console(void)
{
	if (options.serial && uart_init(options.com1_port, options.com1_baud)) {
		console_add_output(uart_write);
		console_set_input(uart_read);
	}
	if (options.screen && open_screen(BOOT_TABLES_REACH))
		console_add_output(screen_write);
}

/* A framebuffer above 4 GiB has to wait for our own page tables. */
static void open_late_screen(void)
{
	const struct boot_framebuffer *fb = &boot.fb;
	uint64_t size = (uint64_t)fb->pitch * fb->height;

	if (!options.screen || fb->kind != BOOT_FB_RGB || fb->base.a + size <= BOOT_TABLES_REACH)
		return;
	if (paging_map_mmio(fb->base, size) && open_screen(UINT64_MAX))
		console_add_output(screen_write);
}

/* The errors wait until there is a console to print them on. */
static void read_boot_information(uint32_t magic, uint64_t tags)
{
	bool is_multiboot = magic == MULTIBOOT2_MAGIC;
	const char *error = NULL;

	boot.cmdline = "";
	if (is_multiboot)
		error = bootinfo_parse(&boot, hpa_ptr(hpa(tags)), BOOT_TABLES_REACH - tags);

	struct cmdline_error wrong = cmdline_parse(&options, boot.cmdline);

	open_console();
	if (!is_multiboot)
		fatal("not started by a multiboot2 loader; boot it from the ISO or through GRUB's multiboot2");
	if (error)
		fatal("%s; the boot loader is at fault", error);
	if (wrong.what)
		fatal("option \"%.*s\": %s; correct Nestling's command line", (int)wrong.word_len,
		      wrong.word, wrong.what);
}

static void greet(void)
{
	klog_raw("Nestling %s", NESTLING_VERSION);
	if (boot.fb.kind == BOOT_FB_RGB)
		klog("boot: framebuffer %ux%u, %u bits per pixel, at %llx", boot.fb.width, boot.fb.height,
		     boot.fb.bits_per_pixel, (unsigned long long)boot.fb.base.a);
	klog("boot: loader \"%s\", options \"%s\", %u module(s)", boot.loader, boot.cmdline,
	     boot.module_count);
	for (uint32_t i = 0; i < boot.module_count; i++) {
		const struct boot_module *m = &boot.modules[i];

		klog("boot: module \"%.*s\", %llu KiB at %llx", (int)m->name_len, m->name,
		     (unsigned long long)(m->size / KIB(1)), (unsigned long long)m->start.a);
	}
}

static void bring_up_memory(void)
{
	if (boot.ram_bytes < RAM_MIN)
		fatal("only %llu MiB of memory; give the machine at least 128 MiB",
		      (unsigned long long)(boot.ram_bytes / MIB(1)));
	pmm_add_boot_memory(&boot, 0, BOOT_TABLES_REACH);
	paging_init(&boot);
	pmm_add_boot_memory(&boot, BOOT_TABLES_REACH, UINT64_MAX);
	open_late_screen();
	klog("memory: %llu MiB, %llu MiB of it free", (unsigned long long)(boot.ram_bytes / MIB(1)),
	     (unsigned long long)(pmm_free_bytes() / MIB(1)));
}

static void bring_up_acpi(void)
{
	const char *error = "the boot loader found no ACPI tables";

	if (boot.has_rsdp)
		error = acpi_parse(&acpi, boot.rsdp, paging_top());
	if (error)
		klog("acpi: %s; running on one CPU, with a polled console", error);
	power_init(&acpi);
}

static void bring_up_interrupts(void)
{
	int irq = options.serial ? uart_isa_irq(options.com1_port) : -1;

	irq_init();
	lapic_init_this_cpu();
	time_init(acpi.pm_timer_port, acpi.pm_timer_is_32bit);
	ioapic_init(&acpi);
	irq_handle(IRQ_UART, uart_interrupt);
	if (irq >= 0 && ioapic_route_isa(&acpi, (uint8_t)irq, IRQ_UART, lapic_id()))
		uart_use_irq();
	klog("time: TSC runs at %llu.%03llu MHz", (unsigned long long)(time_tsc_khz() / 1000),
	     (unsigned long long)(time_tsc_khz() % 1000));
}

/* Null, and why, when there is no such card: guests run all the same. */
static struct nic *open_card(void)
{
	char error[NIC_ERROR_MAX];
	struct nic *nic;

	if (!options.net.card[0])
		return NULL;
	pci_init(&acpi, &boot);
	nic = nic_open(options.net.card, error);
	if (!nic)
		klog("net: %s", error);
	return nic;
}

static void enable_svm(void *unused)
{
	(void)unused;
	svm_enable_this_cpu();
	this_cpu()->has_gif = rdmsr(MSR_EFER) & EFER_SVME;
}

static void bring_up_cpus(void)
{
	svm_check_cpu();
	smp_start_all(acpi.cpu_ids, acpi.cpu_count, pmm_low_page(&boot));
	enable_svm(NULL);
	for (unsigned cpu = 1; cpu < smp_cpu_count(); cpu++)
		smp_call_wait(cpu, enable_svm, NULL);
	klog("smp: %u CPU(s) run, in %s mode", smp_cpu_count(),
	     lapic_is_x2apic() ? "x2APIC" : "xAPIC");
}

_Noreturn void kernel_main(uint32_t magic, uint64_t tags)
{
	smp_init_boot_cpu();
	trap_init();
	trap_init_this_cpu();
	read_boot_information(magic, tags);
	greet();
	bring_up_memory();
	bring_up_acpi();
	bring_up_interrupts();

	struct nic *nic = open_card();

	bring_up_cpus();
	if (nic)
		net_init(nic, &options.net, &svm_plane);
	l0_main(&boot, &(struct l0_options){
			       .stay = options.stay, .version = NESTLING_VERSION, .turn = nic ? net_turn : NULL});
}
