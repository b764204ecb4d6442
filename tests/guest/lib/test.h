/* SPDX-License-Identifier: MIT */
/* lib/test.h - what a test kernel is made of: a table of scenarios, expectations, caught faults.
 * Each t_*.c defines kernel_name and its table; lib/test.c runs it and prints one line for each. */
#ifndef TEST_H
#define TEST_H

#include "vmcb.h"

/* What a scenario needs beyond SVM itself. The low word names CPUID Fn8000_000A EDX bits, the rest
 * is below. A scenario whose need is not met is skipped with the reason, never failed. */
#define NEED_SVM BIT(32)	 /* anything that touches SVM; t_l1.c alone does not */
#define NEED_SAFE_CPU BIT(33)	 /* would end the emulator when run on bare QEMU (emulators.md 0) */
#define NEED_AWAKE_CPU BIT(35)	 /* would hang bare Bochs, which does not leave such an L2 (docs/engines.md) */
#define NEED_TWO_CPUS BIT(34)	 /* a second vCPU that Startup-IPI reaches */

struct scenario {
	const char *name;
	const char *ref;	/* section of APM vol. 2 when it starts with a digit, else a title */
	void (*run)(const struct scenario *s);
	uint64_t needs;
	const void *row;	/* for scenarios that differ only in data */
};

extern const char kernel_name[];
extern const struct scenario scenarios[];
extern const unsigned scenario_count;
#define SCENARIOS(name) const char kernel_name[] = name; const struct scenario scenarios[] =
#define SCENARIO_COUNT const unsigned scenario_count = ARRAY_COUNT(scenarios)

/* The first expectation that does not hold is the one printed; it returns whether it held. */
bool expect(const char *what, uint64_t got, uint64_t want);
/* Names the step of a loop that the following expectations belong to; printed when one fails. */
void expect_item(uint64_t item);
/* The exit code, all 64 bits of it (EXIT_INVALID is 64 ones, APM 15.5.1). */
bool expect_exit(const struct vmcb *vmcb, uint64_t want);
void skip(const char *why);
bool svm_has(uint32_t edx_bits);
bool option_has(const char *word);
/* The decimal number behind word ("rounds="), or the other value. */
uint64_t option_number(const char *word, uint64_t otherwise);
/* One feature bit: is it offered by CPUID leaf (sub-leaf 0), register 'a' to 'd'? */
bool cpuid_has(uint32_t leaf, char reg, unsigned bit);

/* What each VMRUN left (lib/trace.c): recorded for one scenario, printed before its result. */
void trace_begin(bool on);
void trace_vmrun(const struct vmcb *vmcb);
void trace_print(const char *scenario);

/* Console, COM1. %s %d %u %x %lx %lu %c. */
void print(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Zeroed pages that live until the scenario ends. */
void *pages(unsigned count);
static inline uint64_t pa(const void *p)
{
	return (uintptr_t)p;
}

/* Exceptions and interrupts that reached L1 (lib/trap.c). */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
struct jump {
	uint64_t word[8];
};
uint64_t jump_set(struct jump *j) __attribute__((returns_twice));
_Noreturn void jump_to(struct jump *j);

struct fault {
	bool taken;
	uint64_t vector, error, rip, cr2, dr6;
};
/* Runs fn(arg) and says which exception ended it, if any. */
struct fault trap_catch(void (*fn)(uint64_t), uint64_t arg);
bool expect_fault(struct fault f, uint64_t vector, uint64_t error);
/* The same, for an instruction at CPL 3. */
struct fault trap_catch_user(const void *code, uint64_t rax);

/* Interrupts, NMIs and debug traps are counted and left behind. */
extern volatile uint64_t trap_count[256];
extern volatile uint64_t trap_rip[256];
extern volatile uint64_t trap_dr6;
/* When set, decides about an exception instead of the default (a failed scenario). */
extern bool (*trap_hook)(struct trap_frame *f);
void trap_init(void);
void trap_reset(void);
_Noreturn void scenario_abort(const char *what, uint64_t got, uint64_t want);

/* Local APIC (lib/lapic.c). */
#define LAPIC_BASE 0xFEE00000u
uint32_t lapic_read(uint32_t reg);
void lapic_write(uint32_t reg, uint32_t v);
void lapic_on(void);
uint32_t lapic_id(void);
void lapic_eoi(void);
void ipi_self(uint8_t vector);
void ipi_self_nmi(void);
void ipi_send(uint32_t apic_id, uint32_t icr_low);
void lapic_timer_once(uint8_t vector, uint32_t count);
#define ICR_NMI 0x400u
#define ICR_INIT 0x4500u
#define ICR_INIT_DEASSERT 0x8500u
#define ICR_STARTUP 0x4600u

/* Second vCPU (lib/smp.c): starts it on first use and gives it a function to run. False, and the
 * scenario is skipped, when the machine has one CPU; failed, when it lists two and one is dead. */
bool smp_run(void (*fn)(void *), void *arg);
void smp_wait(void);
/* After an INIT has stopped it: the next smp_run() starts it anew. */
void smp_forget(void);

/* ACPI tables (lib/acpi.c); 0 when not found. */
uint64_t acpi_rsdp(void);
uint64_t acpi_table(const char *signature);
uint32_t acpi_read32(uint64_t at);
uint8_t acpi_sum(uint64_t at, uint32_t bytes);
unsigned acpi_cpu_count(void);

/* Short ends of a wait for something asynchronous. */
#define SPIN_SHORT 2000u
#define SPIN_LONG 20000000u
static inline void spin(unsigned n)
{
	while (n--)
		pause();
}

#endif
