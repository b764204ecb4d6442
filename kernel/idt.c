/* SPDX-License-Identifier: MIT */
/* kernel/idt.c - the interrupt descriptor table, one for all CPUs.
 * Decides that all 256 vectors are interrupt gates into kernel/trap.asm, without IST: L0 runs with
 * the guest's TR, so there is no TSS to take a stack from. Manual: APM2 8.2, 4.8.4. */
#include "kernel/trap.h"

#include "kernel/percpu.h"

#include <compiler.h>

enum { VECTORS = 256, STUB_SIZE = 16, GATE_INTERRUPT = 0x8E };

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_mid;
	uint32_t offset_high;
	uint32_t reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} PACKED;

extern const char trap_stubs[]; /* kernel/trap.asm */
extern const char trap_text_start[], trap_text_end[]; /* boot/linker.ld */
extern const char boot_gdt[], boot_gdt_end[]; /* boot/start.asm */

static struct gate idt[VECTORS] ALIGNED(4096); /* [I] */

void trap_init(void)
{
	for (unsigned v = 0; v < VECTORS; v++) {
		uint64_t stub = (uintptr_t)trap_stubs + v * STUB_SIZE;

		idt[v] = (struct gate){
			.offset_low = (uint16_t)stub,
			.selector = SEL_CODE64,
			.type = GATE_INTERRUPT,
			.offset_mid = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
}

void trap_init_this_cpu(void)
{
	struct table_pointer pointer = {sizeof(idt) - 1, (uintptr_t)idt};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static bool overlaps(uint64_t address, uint64_t size, const void *start, const void *end)
{
	return address < (uintptr_t)end && address + size > (uintptr_t)start;
}

bool trap_touches(uint64_t address, uint64_t size)
{
	const uint8_t *stack = (const uint8_t *)this_cpu();

	return overlaps(address, size, trap_text_start, trap_text_end) ||
	       overlaps(address, size, idt, idt + VECTORS) || overlaps(address, size, boot_gdt, boot_gdt_end) ||
	       overlaps(address, size, stack, stack + CPU_STACK_SIZE);
}
