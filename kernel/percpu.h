/* SPDX-License-Identifier: MIT */
/* kernel/percpu.h - one block per CPU, at the lower end of its stack.
 * A stack is aligned to its size, so the stack pointer alone leads to the block. GS would not do:
 * L0 leaves the guest's FS and GS in the CPU while it handles an exit. */
#ifndef KERNEL_PERCPU_H
#define KERNEL_PERCPU_H

#include <bits.h>

#define CPU_STACK_SIZE KIB(32) /* boot/start.asm has the same number */
#define CPU_STACK_MAGIC UINT64_C(0x6E6573746C696E67)
#define CPUS_MAX 512

/* Letters: [I] set once, [c] own CPU only, [a] atomic. */
struct percpu {
	uint32_t index;		 /* [I] 0 is the boot CPU */
	uint32_t apic_id;	 /* [I] */
	bool online;		 /* [a] */
	bool has_gif;		 /* [c] EFER.SVME is set: STGI and CLGI exist */
	void *current_vcpu;	 /* [c] owned by svm/ */
	uint64_t timer_deadline; /* [c] kernel/time.c; UINT64_MAX: none */
	void (*call_fn)(void *); /* [a] kernel/smp.c; null: idle */
	void *call_arg;		 /* [a] valid while call_fn is set */
	uint64_t nmi_count;	 /* [c] */
	uint64_t stack_magic;	 /* [c] last: the first word that a stack overflow destroys */
};

static inline struct percpu *this_cpu(void)
{
	uint64_t sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return (struct percpu *)align_down(sp, CPU_STACK_SIZE);
}

/* False when this CPU's stack has run over its block. */
static inline bool percpu_is_intact(void)
{
	return this_cpu()->stack_magic == CPU_STACK_MAGIC;
}

/* Makes the block at the lower end of `stack`. */
struct percpu *percpu_init(void *stack, uint32_t index, uint32_t apic_id);

#endif
