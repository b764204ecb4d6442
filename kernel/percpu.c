/* SPDX-License-Identifier: MIT */
/* kernel/percpu.c - makes the per-CPU block at the lower end of a stack.
 * Decides its first values only. Who finds it and how: percpu.h. */
#include "kernel/percpu.h"

struct percpu *percpu_init(void *stack, uint32_t index, uint32_t apic_id)
{
	struct percpu *cpu = stack;

	*cpu = (struct percpu){
		.index = index,
		.apic_id = apic_id,
		.timer_deadline = UINT64_MAX,
		.stack_magic = CPU_STACK_MAGIC,
	};
	return cpu;
}
