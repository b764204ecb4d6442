/* SPDX-License-Identifier: MIT */
/* lib/vm.h - an L2: its VMCB, general registers, permission maps and nested page table, and the
 * code it runs, written as assembly snippets next to the scenario that uses them. */
#ifndef VM_H
#define VM_H

#include "test.h"

struct gprs {
	uint64_t rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

struct vm {
	struct vmcb *vmcb;
	struct gprs regs;
	uint8_t *iopm, *msrpm;
	uint64_t *npt;		/* root, when nested paging is on */
	uint8_t *stack_top;
};

/* L2 code: Intel syntax, ended by VMMCALL. The second form also names one instruction: <name>_at
 * is its address, <name>_next the address behind it. */
#define L2_CODE(name, text)                                                                        \
	extern const uint8_t name[];                                                               \
	__asm__(".pushsection .text.l2,\"ax\"\n.intel_syntax noprefix\n" #name ":\n" text          \
		"\nvmmcall\nud2\n.att_syntax prefix\n.popsection")
#define L2_INSN(name, before, insn, after)                                                         \
	extern const uint8_t name[], name##_at[], name##_next[];                                   \
	__asm__(".pushsection .text.l2,\"ax\"\n.intel_syntax noprefix\n" #name ":\n" before        \
		"\n" #name "_at:\n" insn "\n" #name "_next:\n" after                               \
		"\nvmmcall\nud2\n.att_syntax prefix\n.popsection")
/* L1 code in a function of its own, for instructions whose address matters. */
#define L1_CODE(name, text)                                                                        \
	__asm__(".pushsection .text.l1,\"ax\"\n.intel_syntax noprefix\n" #name ":\n" text          \
		"\n.att_syntax prefix\n.popsection")

/* A long-mode L2 at CPL 0 that starts at code on L1's own page tables, descriptor tables and with
 * an IDT of its own. Nested paging (identity, 4 GiB) when the CPU has it. Intercepts: VMRUN,
 * VMMCALL, SHUTDOWN. */
struct vm *vm_new(const void *code);
/* The same without nested paging. */
struct vm *vm_new_flat(const void *code);

/* With nested paging, and one page of L1 mapped at gpa by a nested 4 KiB entry; L2's RBX points into
 * the page, where PAGE_VALUE is. */
#define PAGE_VALUE UINT64_C(0x1122334455667788)
#define PAGE_VALUE_OFFSET 0x128
struct vm *vm_with_page(const void *code, uint64_t gpa, uint64_t **entry, uint64_t **page);

/* CLGI, VMRUN, STGI. */
void vm_run(struct vm *v);
/* The same for an L2 that may halt for ever on a CPU that ignores an intercept: the APIC timer ends
 * it with an INTR exit. */
void vm_run_watched(struct vm *v);
/* Only VMRUN: GIF stays as the #VMEXIT leaves it. */
void vmrun_raw(uint64_t vmcb_pa, struct gprs *g);
void vm_run_raw(struct vm *v);
extern const uint8_t vmrun_insn[], vmrun_next[];

void intercept_set(struct vm *v, uint64_t exitcode);
void intercept_clear(struct vm *v, uint64_t exitcode);
void iopm_set(struct vm *v, uint32_t port);
void msrpm_set(struct vm *v, uint32_t msr, bool is_write);
void vm_cpl3(struct vm *v);

/* Runs and expects the L2 to come to its closing VMMCALL without an exception in it. */
bool vm_run_to_end(struct vm *v);
/* The vector when L2 stopped in its own exception handler, else -1. */
int l2_vector(const struct vm *v);
/* What that handler was given: error code, RIP, CS, RFLAGS, RSP, SS. */
struct l2_frame {
	uint64_t error, rip, cs, rflags, rsp, ss;
};
const struct l2_frame *l2_frame(const struct vm *v);
bool expect_l2_vector(const struct vm *v, uint64_t vector);
/* The interrupted L2 code continues at the next vm_run(). */
void l2_resume(struct vm *v);
extern uint64_t l2_idt[512];

/* An exit on an instruction: code, RIP on it, nRIP behind it where NRIPS is offered. */
bool expect_insn_exit(const struct vm *v, uint64_t code, const void *at, const void *next);
/* EXITINFO1 that exists with decode assists only. */
bool expect_decode(const struct vm *v, uint64_t info1);

/* Page tables built in the arena (lib/npt.c), 4-level. */
#define LEVEL_4K 1
#define LEVEL_2M 2
#define LEVEL_1G 3
uint64_t *table_identity(uint64_t bits);
/* The entry that maps va at the given level; larger pages on the way are split. */
uint64_t *table_entry(uint64_t *root, uint64_t va, int level);

void idt_fill(uint64_t *table, const uint8_t *stubs);

#endif
