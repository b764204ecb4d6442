/* SPDX-License-Identifier: MIT */
/* svm/offsets.c - never linked: compiled to assembly, from which the Makefile takes build/svm/offsets.inc, so that
 * vmrun.asm has the offsets of C structs without anyone copying numbers. */
#include "svm/vcpu.h"

#define OFFSET(name, type, field) __asm__ volatile("\n->" #name " %c0" ::"i"(offsetof(type, field)))

void offsets(void);
void offsets(void)
{
	OFFSET(VCPU_REGS, struct vcpu, regs);
	OFFSET(VCPU_VMCB, struct vcpu, vmcb);
	OFFSET(VCPU_STACK, struct vcpu, stack);
}
