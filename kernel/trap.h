/* SPDX-License-Identifier: MIT */
/* kernel/trap.h - exceptions and interrupts of L0 itself, as kernel/trap.asm hands them over. */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* Selectors of the GDT in boot/start.asm. There is no TSS: L0 has one privilege level and leaves
 * the guest's TR in the CPU. */
enum { SEL_CODE64 = 0x08, SEL_DATA = 0x10 };

/* In the order in which trap.asm pushes, last first. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

void trap_init(void);	       /* builds the IDT, once */
void trap_init_this_cpu(void); /* loads it, on every CPU */

/* Is this memory that the CPU or we touch on the way to the handler of #DB? A breakpoint there would raise #DB again
 * and again. It is the trap code, the tables behind it, and the stack of this CPU. */
bool trap_touches(uint64_t address, uint64_t size);

/* kernel/trap.asm only. */
void trap_entry(struct trap_frame *frame);

#endif
