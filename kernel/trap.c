/* SPDX-License-Identifier: MIT */
/* kernel/trap.c - what L0 does about its own exceptions.
 * Decides: a faulting RDMSR/WRMSR of kernel/cpu_insn.h goes on behind the instruction; an NMI is
 * counted; everything else is our bug and ends in a full report. Interrupts: kernel/irq.c. */
#include "kernel/trap.h"

#include "kernel/cpu_insn.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

#include <amd/cpu.h>
#include <amd/msr.h>

enum { EXCEPTIONS = 32, CALLERS_SHOWN = 12 };

struct fixup {
	uint64_t fault_rip, resume_rip;
};

extern const struct fixup fixup_table[], fixup_table_end[];	/* boot/linker.ld */
extern const char kernel_start[], kernel_text_end[]; /* boot/linker.ld */

static const char *const exception_names[EXCEPTIONS] = {
	[VEC_DE] = "#DE divide error",
	[VEC_DB] = "#DB debug",
	[VEC_NMI] = "NMI",
	[VEC_BP] = "#BP breakpoint",
	[VEC_OF] = "#OF overflow",
	[VEC_BR] = "#BR bound range",
	[VEC_UD] = "#UD invalid opcode",
	[VEC_NM] = "#NM device not available",
	[VEC_DF] = "#DF double fault",
	[VEC_TS] = "#TS invalid TSS",
	[VEC_NP] = "#NP segment not present",
	[VEC_SS] = "#SS stack",
	[VEC_GP] = "#GP general protection",
	[VEC_PF] = "#PF page fault",
	[VEC_MF] = "#MF x87",
	[VEC_AC] = "#AC alignment check",
	[VEC_MC] = "#MC machine check",
	[VEC_XF] = "#XF SIMD",
	[VEC_CP] = "#CP control protection",
	[VEC_HV] = "#HV hypervisor injection",
	[VEC_VC] = "#VC VMM communication",
	[VEC_SX] = "#SX security",
};

#define HEX(v) ((unsigned long long)(v))

static bool apply_fixup(struct trap_frame *f)
{
	for (const struct fixup *fix = fixup_table; fix < fixup_table_end; fix++) {
		if (fix->fault_rip == f->rip) {
			f->rip = fix->resume_rip;
			return true;
		}
	}
	return false;
}

static bool is_text(uint64_t address)
{
	return address >= (uintptr_t)kernel_start && address < (uintptr_t)kernel_text_end;
}

/* Words on the stack that point into our text: the callers, and some that only were. */
static void report_callers(const struct trap_frame *f)
{
	uint64_t end = align_down(f->rsp, CPU_STACK_SIZE) + CPU_STACK_SIZE;
	unsigned shown = 0;

	if (align_down(f->rsp, CPU_STACK_SIZE) != (uintptr_t)this_cpu())
		return;
	for (uint64_t sp = align_up(f->rsp, 8); sp < end && shown < CALLERS_SHOWN; sp += 8) {
		uint64_t word = *(const uint64_t *)sp;

		if (is_text(word)) {
			klog_raw("  on the stack: %016llx", HEX(word));
			shown++;
		}
	}
}

static _Noreturn void report_and_halt(const struct trap_frame *f)
{
	const char *name = exception_names[f->vector];

	panic_begin();
	klog_raw("nestling: panic: %s in the hypervisor, CPU %u", name ? name : "reserved exception",
		 this_cpu()->index);
	klog_raw("  rip %016llx  cs %04llx  rflags %08llx  vector %llu  error %llx", HEX(f->rip),
		 HEX(f->cs), HEX(f->rflags), HEX(f->vector), HEX(f->error));
	klog_raw("  rsp %016llx  ss %04llx  cr2 %016llx  cr3 %016llx", HEX(f->rsp), HEX(f->ss),
		 HEX(read_cr2()), HEX(read_cr3()));
	klog_raw("  cr0 %016llx  cr4 %08llx  efer %08llx", HEX(read_cr0()), HEX(read_cr4()),
		 HEX(rdmsr(MSR_EFER)));
	klog_raw("  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx", HEX(f->rax), HEX(f->rbx),
		 HEX(f->rcx), HEX(f->rdx));
	klog_raw("  rsi %016llx  rdi %016llx  rbp %016llx  r8  %016llx", HEX(f->rsi), HEX(f->rdi),
		 HEX(f->rbp), HEX(f->r8));
	klog_raw("  r9  %016llx  r10 %016llx  r11 %016llx  r12 %016llx", HEX(f->r9), HEX(f->r10),
		 HEX(f->r11), HEX(f->r12));
	klog_raw("  r13 %016llx  r14 %016llx  r15 %016llx", HEX(f->r13), HEX(f->r14), HEX(f->r15));
	if (!percpu_is_intact())
		klog_raw("  this CPU's stack has overflowed");
	report_callers(f);
	halt_forever();
}

/* One that stops this CPU, one that is a kick (kernel/smp.c), or one from the board. */
static void handle_nmi(void)
{
	if (panic_is_on())
		halt_forever();
	this_cpu()->nmi_count++;
}

/* In the section of the stubs: trap_touches() speaks for all of it. */
__attribute__((section(".text.z_trap"))) void trap_entry(struct trap_frame *f)
{
	if (f->vector >= EXCEPTIONS)
		irq_dispatch((uint8_t)f->vector);
	else if (f->vector == VEC_NMI)
		handle_nmi();
	else if (f->vector == VEC_DB)
		f->rflags |= RFLAGS_RF; /* a guest's breakpoint that QEMU 7.2 leaves armed (docs/engines.md) */
	else if (f->vector != VEC_GP || !apply_fixup(f))
		report_and_halt(f);
}
