/* SPDX-License-Identifier: MIT */
/* lib/trap.c - L1's IDT, and what an exception or interrupt in L1 means to a scenario: caught on
 * purpose, counted, or the end of the scenario. Stubs: lib/trap.asm. L2s have an IDT of their own,
 * built by lib/vm.c from the second set of stubs. */
#include "test.h"
#include "vm.h"

#define GATE_INTERRUPT 0x8E00u
#define GATE_BYTES 16
#define TSS_BYTES 104
#define TSS_AVAILABLE UINT64_C(0x0000890000000000)
#define USER_STACK_BYTES 4096
#define FIRST_INTERRUPT 32

extern const uint8_t l1_stubs[];
extern uint8_t ring0_stack_top[];
extern uint64_t gdt_tss[2];
void trap_handle(struct trap_frame *f);
_Noreturn void user_enter(const void *code, void *stack, uint64_t rax);

volatile uint64_t trap_count[256];
volatile uint64_t trap_rip[256];
volatile uint64_t trap_dr6;
bool (*trap_hook)(struct trap_frame *f);

static uint64_t idt[512] ALIGNED(16);
static uint8_t tss[TSS_BYTES] ALIGNED(16);
static uint8_t user_stack[USER_STACK_BYTES] ALIGNED(16);
static struct jump catch_point;
static struct fault caught;
static bool is_catching;

void idt_fill(uint64_t *table, const uint8_t *stubs)
{
	for (unsigned v = 0; v < 256; v++) {
		uint64_t at = pa(stubs + v * GATE_BYTES);

		table[2 * v] = (at & 0xFFFF) | SEL_CODE64 << 16 | (uint64_t)GATE_INTERRUPT << 32 |
			       (at >> 16 & 0xFFFF) << 48;
		table[2 * v + 1] = at >> 32;
	}
}

void trap_init(void)
{
	uint64_t base = pa(tss), top = pa(ring0_stack_top);
	struct table_pointer p = {sizeof(idt) - 1, pa(idt)};

	idt_fill(idt, l1_stubs);
	__builtin_memcpy(tss + 4, &top, sizeof(top));	/* RSP0 */
	tss[102] = TSS_BYTES;				/* no I/O bitmap */
	gdt_tss[0] = (TSS_BYTES - 1) | (base & 0xFFFFFF) << 16 | TSS_AVAILABLE | (base >> 24 & 0xFF) << 56;
	gdt_tss[1] = base >> 32;
	__asm__ volatile("lidt %0; ltr %w1" : : "m"(p), "r"(SEL_TSS) : "memory");
}

void trap_reset(void)
{
	for (unsigned v = 0; v < 256; v++)
		trap_count[v] = trap_rip[v] = 0;
	trap_dr6 = 0;
	trap_hook = NULL;
	is_catching = false;
}

static _Noreturn void fault_return(const struct trap_frame *f)
{
	is_catching = false;
	caught = (struct fault){true, f->vector, f->error, f->rip, cr2_read(), dr6_read()};
	jump_to(&catch_point);
}

/* #DB is a trap of TF or of a breakpoint: note it, disarm both, go on. */
static void debug_trap(struct trap_frame *f)
{
	trap_dr6 = dr6_read();
	dr6_write(DR6_RESET);
	f->rflags &= ~RFLAGS_TF;
}

void trap_handle(struct trap_frame *f)
{
	trap_count[f->vector]++;
	trap_rip[f->vector] = f->rip;
	if (trap_hook && trap_hook(f))
		return;
	if (f->vector >= FIRST_INTERRUPT)
		lapic_eoi();
	else if (f->vector == VEC_DB)
		debug_trap(f);
	else if (f->vector != VEC_NMI && is_catching)
		fault_return(f);
	else if (f->vector != VEC_NMI)
		scenario_abort("unexpected exception in L1, vector and rip", f->vector, f->rip);
}

struct fault trap_catch(void (*fn)(uint64_t), uint64_t arg)
{
	caught = (struct fault){0};
	is_catching = true;
	if (jump_set(&catch_point) == 0)
		fn(arg);
	is_catching = false;
	return caught;
}

struct fault trap_catch_user(const void *code, uint64_t rax)
{
	caught = (struct fault){0};
	is_catching = true;
	if (jump_set(&catch_point) == 0)
		user_enter(code, user_stack + USER_STACK_BYTES, rax);
	return caught;
}

bool expect_fault(struct fault f, uint64_t vector, uint64_t error)
{
	return expect("exception taken", f.taken, 1) && expect("vector", f.vector, vector) &&
	       expect("error code", f.error, error);
}
