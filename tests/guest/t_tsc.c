/* SPDX-License-Identifier: MIT */
/* t_tsc.c - shows L2's TSC: VMCB's offset, the TSC_RATIO MSR with its rules, the value that RDTSC, RDTSCP and RDMSR give
 * under both, and that L1's own TSC goes on. APM vol. 2 15.30.5. */
#include "vm.h"

#define OFFSET UINT64_C(0x1000000000000)
#define OFFSET_HIGH 48
#define TSC_RATIO_ONE BIT(32)	/* 8.32 fixed point */

/* --- the MSR --- */

static uint64_t value_now;

static void read_ratio(uint64_t arg UNUSED)
{
	value_now = rdmsr(MSR_TSC_RATIO);
}

static void write_tsc_ratio(uint64_t v)
{
	wrmsr(MSR_TSC_RATIO, v);
}

static void tsc_ratio_rules(const struct scenario *s UNUSED)
{
	struct fault f = trap_catch(read_ratio, 0);

	if (!svm_has(SVM_TSC_RATE)) {
		expect_fault(f, VEC_GP, 0);
		return;
	}
	expect("read faults", f.taken, 0);
	expect("reset value", value_now, TSC_RATIO_ONE);
	expect_fault(trap_catch(write_tsc_ratio, BIT(40)), VEC_GP, 0);
	expect_fault(trap_catch(write_tsc_ratio, BIT(63)), VEC_GP, 0);
}

/* --- the value --- */

#define SPIN_TEXT "mov ecx, 200000; 1: loop 1b"
L2_CODE(l2_tsc_span, "rdtsc; shl rdx, 32; or rax, rdx; mov rbx, rax;" SPIN_TEXT
		     "; rdtsc; shl rdx, 32; or rax, rdx; sub rax, rbx");

/* L2's loop takes at most 16 times what L1 sees around the run, and more than 4 times what the same loop takes in L1. */
static void tsc_ratio_scales(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_tsc_span);
	uint64_t span, least = UINT64_MAX, turns;

	for (unsigned i = 0; i < 4; i++) {
		turns = 200000;
		span = rdtsc();
		__asm__ volatile("1: loop 1b" : "+c"(turns));
		span = rdtsc() - span;
		least = span < least ? span : least;
	}
	span = rdtsc();
	wrmsr(MSR_TSC_RATIO, 16 * TSC_RATIO_ONE);
	vm_run_to_end(v);
	wrmsr(MSR_TSC_RATIO, TSC_RATIO_ONE);
	span = rdtsc() - span;
	expect("span in L2 within 16 spans of L1", v->vmcb->rax <= 16 * span, 1);
	expect("span in L2 above 4 loops of L1", v->vmcb->rax > 4 * least, 1);
}

L2_CODE(l2_tsc_three, "rdtsc; shl rdx, 32; or rax, rdx; mov rbx, rax; mov ecx, 0x10; rdmsr; shl rdx, 32; or rax, rdx;"
		      "mov rdi, rax; rdtscp; shl rdx, 32; or rax, rdx; mov rsi, rax");

static uint64_t scaled(uint64_t tsc, uint64_t ratio)
{
	return (uint64_t)((unsigned __int128)tsc * ratio >> 32);
}

/* RDTSC, RDMSR and RDTSCP of L2 lie between L1's readings around the run, scaled, with the offset. */
static void tsc_ratio_value(const struct scenario *s UNUSED)
{
	static const uint64_t ratios[] = {0, 1, TSC_RATIO_ONE / 4, TSC_RATIO_ONE, TSC_RATIO_ONE * 5 / 2, BIT(40) - 1};

	for (unsigned i = 0; i < ARRAY_COUNT(ratios); i++) {
		struct vm *v = vm_new(l2_tsc_three);
		uint64_t before, span, at;

		expect_item(i);
		v->vmcb->tsc_offset = OFFSET;
		wrmsr(MSR_TSC_RATIO, ratios[i]);
		before = rdtsc();
		vm_run_to_end(v);
		at = scaled(before, ratios[i]) + OFFSET;
		span = scaled(rdtsc(), ratios[i]) + OFFSET - at;
		expect("RDTSC", v->regs.rbx - at <= span, 1);
		expect("RDMSR", v->regs.rdi - at <= span, 1);
		expect("RDTSCP", v->regs.rsi - at <= span, 1);
		expect("in order", v->regs.rbx <= v->regs.rdi && v->regs.rdi <= v->regs.rsi, 1);
		expect("reads back", rdmsr(MSR_TSC_RATIO), ratios[i]);
	}
	wrmsr(MSR_TSC_RATIO, TSC_RATIO_ONE);
}

/* L1's own TSC goes on as before, in L1 and in an L2 that runs without a ratio. */
static void tsc_ratio_not_in_l1(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_tsc_three);
	uint64_t before = rdtsc();

	wrmsr(MSR_TSC_RATIO, TSC_RATIO_ONE / 1024);
	vm_run_to_end(v);
	expect("L1's TSC goes on", rdtsc() > before, 1);
	wrmsr(MSR_TSC_RATIO, TSC_RATIO_ONE);
	v->vmcb->rip = pa(l2_tsc_three);
	vm_run_to_end(v);
	expect("L2's TSC is L1's", v->regs.rbx > before && v->regs.rsi < rdtsc(), 1);
}

L2_INSN(l2_rdtsc, "", "rdtsc", "");
L2_INSN(l2_rdtscp, "rdtsc", "rdtscp", "");

/* L1's intercepts and the fault of CR4.TSD are as without a ratio. */
static void tsc_ratio_intercepts(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_rdtsc), *w = vm_new(l2_rdtscp), *user = vm_new(l2_rdtsc);

	wrmsr(MSR_TSC_RATIO, 2 * TSC_RATIO_ONE);
	intercept_set(v, EXIT_RDTSC);
	vm_run(v);
	expect_insn_exit(v, EXIT_RDTSC, l2_rdtsc_at, l2_rdtsc_next);
	intercept_set(w, EXIT_RDTSCP);
	vm_run(w);
	expect_insn_exit(w, EXIT_RDTSCP, l2_rdtscp_at, l2_rdtscp_next);
	vm_cpl3(user);
	user->vmcb->cr4 |= CR4_TSD;
	vm_run(user);
	if (expect_l2_vector(user, VEC_GP))
		expect("rip of #GP", l2_frame(user)->rip, pa(l2_rdtsc_at));
	wrmsr(MSR_TSC_RATIO, TSC_RATIO_ONE);
}

L2_CODE(l2_write_tsc, "mov ecx, 0x10; xor eax, eax; mov edx, ebx; wrmsr; rdmsr; shl rdx, 32; or rax, rdx");

/* There is one TSC. L2's write, not intercepted, is L1's TSC now, and L2 sees it scaled, with the offset. */
static void tsc_ratio_written_by_l2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_write_tsc);
	uint64_t high = (rdtsc() >> 32) + 0x1000, tsc;

	v->regs.rbx = high;
	v->vmcb->tsc_offset = OFFSET;
	wrmsr(MSR_TSC_RATIO, 2 * TSC_RATIO_ONE);
	vm_run_to_end(v);
	wrmsr(MSR_TSC_RATIO, TSC_RATIO_ONE);
	tsc = rdtsc();
	expect("L1's TSC", tsc - (high << 32) < BIT(36), 1);
	expect("TSC of L2", v->vmcb->rax - (2 * (high << 32) + OFFSET) <= 2 * (tsc - (high << 32)), 1);
}

L2_CODE(l2_read_tsc, "rdtsc; shl rdx, 32; or rax, rdx; mov rbx, rax; mov ecx, 0x10; rdmsr; shl rdx, 32; or rax, rdx");

static void tsc_offset(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read_tsc);
	uint64_t before;

	v->vmcb->tsc_offset = OFFSET;
	before = rdtsc();
	vm_run_to_end(v);
	expect("offset in RDTSC", (v->regs.rbx - before) >> OFFSET_HIGH, OFFSET >> OFFSET_HIGH);
	expect("offset gone in L1", (rdtsc() - before) >> OFFSET_HIGH, 0);
}

static void tsc_offset_rdmsr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read_tsc);
	uint64_t before;

	v->vmcb->tsc_offset = OFFSET;
	before = rdtsc();
	vm_run_to_end(v);
	expect("offset in RDMSR 10h", (v->vmcb->rax - before) >> OFFSET_HIGH, OFFSET >> OFFSET_HIGH);
}

static void tsc_offset_negative(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read_tsc);

	v->vmcb->tsc_offset = -rdtsc();
	vm_run_to_end(v);
	expect("small count", v->regs.rbx >> OFFSET_HIGH, 0);
}

SCENARIOS("t_tsc") {
	{"msr_tsc_ratio", "15.30.5", tsc_ratio_rules, NEED_SVM, 0},
	{"tsc_ratio_scales", "15.30.5", tsc_ratio_scales, SVM_TSC_RATE, 0},
	{"tsc_ratio_value", "15.30.5", tsc_ratio_value, SVM_TSC_RATE, 0},
	{"tsc_ratio_not_in_l1", "15.30.5", tsc_ratio_not_in_l1, SVM_TSC_RATE, 0},
	{"tsc_ratio_intercepts", "15.30.5", tsc_ratio_intercepts, SVM_TSC_RATE, 0},
	{"tsc_ratio_written_by_l2", "15.30.5", tsc_ratio_written_by_l2, SVM_TSC_RATE, 0},
	{"tsc_offset", "15.30.5", tsc_offset, NEED_SVM, 0},
	{"tsc_offset_rdmsr", "15.30.5", tsc_offset_rdmsr, NEED_SVM, 0},
	{"tsc_offset_negative", "15.30.5", tsc_offset_negative, NEED_SVM, 0},
};
SCENARIO_COUNT;
