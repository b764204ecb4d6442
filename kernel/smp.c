/* SPDX-License-Identifier: MIT */
/* kernel/smp.c - starts the other CPUs and hands them work.
 * Decides CPU indices: boot CPU first, then the order of the MADT. A CPU that does not answer is
 * logged and left out. INIT goes only to CPUs that never ran: it would reset a running one even
 * with GIF=0 on QEMU. Before: boot/ap_start.asm, boot/start.asm ap_entry64. */
#include "kernel/smp.h"

#include "kernel/cpu_insn.h"
#include "kernel/irq.h"
#include "kernel/lapic.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/percpu.h"
#include "kernel/pmm.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/trap.h"

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <check.h>
#include <compiler.h>

#define STARTUP_TRIES 2
#define STARTUP_WAIT_NS (300 * NS_PER_MS)
#define INIT_SETTLE_NS (NS_PER_MS / 2)

extern char boot_stack[];			      /* boot/start.asm */
extern const char ap_trampoline[], ap_trampoline_end[]; /* boot/ap_start.asm */
extern const char ap_trampoline_gdtr[];
extern const char boot_gdt_pointer[];
enum { GDTR_SIZE = 6 };

uint64_t ap_stack_top; /* for boot/start.asm: the stack of the CPU that is being started */
_Noreturn void ap_main(void);

static struct percpu *cpus[CPUS_MAX]; /* [I] after smp_start_all() */
static unsigned cpu_count;	      /* [I] */
static bool kicks_are_nmis;	      /* [I] */

unsigned smp_cpu_count(void)
{
	return cpu_count;
}

struct percpu *smp_cpu(unsigned cpu)
{
	CHECK(cpu < cpu_count);
	return cpus[cpu];
}

/* Bits of CR4 that our tables, without user pages and global pages, give nothing to do. */
static uint64_t idle_cr4_bits(void)
{
	struct cpuid_regs one = cpuid(CPUID_FEATURES, 0), seven = cpuid(CPUID_STRUCTURED, 0);

	return (one.edx & CPUID_1_EDX_PSE ? CR4_PSE : 0) | (one.edx & CPUID_1_EDX_PGE ? CR4_PGE : 0) |
	       (seven.ebx & CPUID_7_EBX_SMEP ? CR4_SMEP : 0) | (seven.ebx & CPUID_7_EBX_SMAP ? CR4_SMAP : 0);
}

/* MCE: a machine check is to be reported, not to shut the CPU down. OSXSAVE: svm/ executes XSETBV
 * on behalf of guests. OSFXSR, and EM and TS of CR0 cleared, whatever the loader did: FXRSTOR must reach the XMM
 * registers, MOVUPS must not fault (include/wide.h). The idle bits: Linux sets them all, and
 * where one differs between us and a guest, QEMU drops its table of translated code once more at each VMRUN and
 * #VMEXIT (docs/performance.md). The guests' own CR4 is in their VMCBs. */
static void set_control_registers(void)
{
	struct cpuid_regs features = cpuid(CPUID_FEATURES, 0);
	uint64_t cr4 = read_cr4() | CR4_OSFXSR | idle_cr4_bits();

	if (features.edx & CPUID_1_EDX_MCE)
		cr4 |= CR4_MCE;
	if (features.ecx & CPUID_1_ECX_XSAVE)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	write_cr0(read_cr0() & ~(CR0_EM | CR0_TS));
}

void smp_init_boot_cpu(void)
{
	set_control_registers();
	cpus[0] = percpu_init(boot_stack, 0, 0);
	cpus[0]->online = true;
	cpu_count = 1;
}

static void ignore_kick(void)
{
}

static bool is_online(const struct percpu *cpu)
{
	return __atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE);
}

static bool wait_online(const struct percpu *cpu, uint64_t ns)
{
	uint64_t end = time_now_ns() + ns;

	while (!is_online(cpu)) {
		if (time_now_ns() > end)
			return false;
		pause();
	}
	return true;
}

static bool wake(const struct percpu *cpu, hpa_t low_page)
{
	lapic_send_init(cpu->apic_id);
	time_delay_ns(INIT_SETTLE_NS);
	for (unsigned i = 0; i < STARTUP_TRIES; i++) {
		lapic_send_startup(cpu->apic_id, (uint8_t)(low_page.a / PAGE_SIZE));
		if (wait_online(cpu, STARTUP_WAIT_NS))
			return true;
	}
	lapic_send_init(cpu->apic_id); /* a late one would come up on the next one's stack */
	return false;
}

static void start_one(uint32_t apic_id, hpa_t low_page)
{
	hpa_t stack = pmm_alloc(CPU_STACK_SIZE, CPU_STACK_SIZE);

	if (!stack.a) {
		klog("smp: no memory for the stack of CPU with APIC ID %u", apic_id);
		return;
	}

	struct percpu *cpu = percpu_init(hpa_ptr(stack), cpu_count, apic_id);

	__atomic_store_n(&ap_stack_top, stack.a + CPU_STACK_SIZE, __ATOMIC_RELEASE);
	if (wake(cpu, low_page)) {
		cpus[cpu_count++] = cpu;
		return;
	}
	pmm_free(stack, CPU_STACK_SIZE);
	klog("smp: the CPU with APIC ID %u does not start; going on without it", apic_id);
}

static void copy_trampoline(hpa_t low_page)
{
	char *page = hpa_ptr(low_page);

	memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	memcpy(page + (ap_trampoline_gdtr - ap_trampoline), boot_gdt_pointer, GDTR_SIZE);
}

void smp_start_all(const uint32_t *apic_ids, unsigned count, hpa_t low_page)
{
	cpus[0]->apic_id = lapic_id();
	irq_handle(IRQ_KICK, ignore_kick);
	if (!low_page.a) {
		klog("smp: no free memory below 640 KiB; running on one CPU");
		return;
	}
	copy_trampoline(low_page);
	for (unsigned i = 0; i < count && cpu_count < CPUS_MAX; i++)
		if (apic_ids[i] != cpus[0]->apic_id)
			start_one(apic_ids[i], low_page);
}

/* First C code on an AP: own stack, kernel page tables, boot GDT; IF=0. */
_Noreturn void ap_main(void)
{
	set_control_registers();
	trap_init_this_cpu();
	lapic_init_this_cpu();
	__atomic_store_n(&this_cpu()->online, true, __ATOMIC_RELEASE);
	smp_idle();
}

_Noreturn void smp_idle(void)
{
	struct percpu *cpu = this_cpu();

	for (;;) {
		void (*fn)(void *) = __atomic_load_n(&cpu->call_fn, __ATOMIC_ACQUIRE);

		if (!fn) {
			irq_wait();
			continue;
		}
		fn(cpu->call_arg);
		__atomic_store_n(&cpu->call_fn, NULL, __ATOMIC_RELEASE);
	}
}

static bool is_idle(const struct percpu *cpu)
{
	return !__atomic_load_n(&cpu->call_fn, __ATOMIC_ACQUIRE);
}

void smp_call(unsigned cpu, void (*fn)(void *), void *arg)
{
	struct percpu *target = smp_cpu(cpu);

	CHECK(target != this_cpu());
	while (!is_idle(target))
		pause();
	target->call_arg = arg;
	__atomic_store_n(&target->call_fn, fn, __ATOMIC_RELEASE);
	smp_kick(cpu);
}

void smp_call_wait(unsigned cpu, void (*fn)(void *), void *arg)
{
	smp_call(cpu, fn, arg);
	while (!is_idle(smp_cpu(cpu)))
		pause();
}

/* The interrupt comes first: it stays pending where the NMI is taken too early, between STGI and HLT of irq_wait(). */
void smp_kick(unsigned cpu)
{
	lapic_send_ipi(smp_cpu(cpu)->apic_id, IRQ_KICK);
	if (unlikely(kicks_are_nmis))
		lapic_send_nmi(smp_cpu(cpu)->apic_id);
}

void smp_kick_by_nmi_too(void)
{
	kicks_are_nmis = true;
}
