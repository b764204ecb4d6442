/* SPDX-License-Identifier: MIT */
/* t_lbr.c - shows DEBUGCTL: records of branches and single steps on branches, in L1 and L2, with LBR virtualisation and
 * without, when L1 and L2 share one set of registers. APM vol. 2 13.1.6, 15.23. */
#include "vm.h"

#define DBGCTL_LBR BIT(0)
#define DBGCTL_BTF BIT(1)
#define MSR_DEBUGCTL 0x1D9u
#define MSR_BRANCH_FROM 0x1DBu
#define MSR_BRANCH_TO 0x1DCu
#define MSR_INT_FROM 0x1DDu
#define MSR_INT_TO 0x1DEu
#define VIRT_LBR BIT(0)
#define MARK UINT64_C(0x1122334455667788)
#define VECTOR 0x40

#define DEBUGCTL_TO(bits) "mov ecx, 0x1D9; xor edx, edx; mov eax, " #bits "; wrmsr;"
#define RECORD_ON DEBUGCTL_TO(1)
#define RECORD_OFF DEBUGCTL_TO(0)

L2_CODE(l2_end, "nop");
L2_CODE(l2_debugctl, "mov ecx, 0x1D9; rdmsr; mov ebx, eax; xor eax, eax; xor edx, edx; wrmsr");

/* L1 code: void f(void), with the branch that is recorded last from <name>_from to <name>_to. */
#define BRANCHES(name, text)                                                                       \
	void name(void);                                                                           \
	extern const uint8_t name##_from[], name##_to[];                                           \
	L1_CODE(name, "push rbx;" RECORD_ON text RECORD_OFF "pop rbx; ret")

BRANCHES(lbr_jump, "lbr_jump_from: jmp lbr_jump_to; nop; lbr_jump_to: nop;");
BRANCHES(lbr_call, "jmp 1f; nop; 1: lbr_call_from: call lbr_call_to; lbr_call_to: pop rax;");
BRANCHES(lbr_ret, "lea rax, [rip + lbr_ret_to]; push rax; lbr_ret_from: ret; nop; lbr_ret_to:");
BRANCHES(lbr_loop, "mov ecx, 10; lbr_loop_to: nop; lbr_loop_from: loop lbr_loop_to;");
BRANCHES(lbr_not_taken, "lbr_not_taken_from: jmp lbr_not_taken_to; nop; lbr_not_taken_to:"
			"xor eax, eax; jnz 1f; nop; 1: lea rdi, [rsp - 64]; mov ecx, 3; cld; rep stosb;");
BRANCHES(lbr_pushf, "lbr_pushf_from: jmp lbr_pushf_to; nop; lbr_pushf_to: pushfq; pop rbx; test bh, 1; jz 1f;"
		    "lbr_pushf_seen: jmp 2f; 1: nop; 2:");

static void expect_record(uint32_t from_msr, const uint8_t *from, const uint8_t *to)
{
	expect("from", rdmsr(from_msr), pa(from));
	expect("to", rdmsr(from_msr + 1), pa(to));
}

struct branch_row {
	void (*run)(void);
	const uint8_t *from, *to;
};
#define BRANCH_ROW(name) static const struct branch_row row_##name = {name, name##_from, name##_to}
BRANCH_ROW(lbr_jump);
BRANCH_ROW(lbr_call);
BRANCH_ROW(lbr_ret);
BRANCH_ROW(lbr_loop);
BRANCH_ROW(lbr_not_taken);

static void records(const struct scenario *s)
{
	const struct branch_row *r = s->row;

	r->run();
	expect_record(MSR_BRANCH_FROM, r->from, r->to);
	expect("DEBUGCTL", rdmsr(MSR_DEBUGCTL), 0);
}

/* Who records is nobody's business: PUSHF pushes no TF, or the last branch would be another one. */
static void flags_are_l1s(const struct scenario *s UNUSED)
{
	extern const uint8_t lbr_pushf_seen[];

	lbr_pushf();
	expect("TF was pushed", rdmsr(MSR_BRANCH_FROM) == pa(lbr_pushf_seen), 0);
}

static uint64_t value_now;
static void write_debugctl(uint64_t v)
{
	wrmsr(MSR_DEBUGCTL, v);
}

static void debugctl_bits(const struct scenario *s UNUSED)
{
	expect("LBR faults", trap_catch(write_debugctl, DBGCTL_LBR).taken, 0);
	value_now = rdmsr(MSR_DEBUGCTL);
	wrmsr(MSR_DEBUGCTL, 0);
	expect("LBR reads back", value_now, DBGCTL_LBR);
	expect_fault(trap_catch(write_debugctl, BIT(6)), VEC_GP, 0);
	expect_fault(trap_catch(write_debugctl, BIT(63)), VEC_GP, 0);
}

/* An interrupt is a branch, too, and saves what was recorded before it. */
void lbr_interrupted(void);
extern const uint8_t lbr_interrupted_from[], lbr_interrupted_to[];
L1_CODE(lbr_interrupted, RECORD_ON "lbr_interrupted_from: jmp lbr_interrupted_to; nop;"
			 "lbr_interrupted_to: sti; nop; nop; nop; nop; cli;" RECORD_OFF "ret");

static void interrupt_saves(const struct scenario *s UNUSED)
{
	cli();
	ipi_self(VECTOR);
	lbr_interrupted();
	expect("taken", trap_count[VECTOR], 1);
	expect_record(MSR_INT_FROM, lbr_interrupted_from, lbr_interrupted_to);
}

/* TF with BTF: not after each instruction, but after each branch that is taken; #DB clears BTF and LBR. */
void lbr_branch_step(void);
extern const uint8_t lbr_branch_step_to[];
L1_CODE(lbr_branch_step, DEBUGCTL_TO(3) "pushfq; or dword ptr [rsp], 0x100; popfq; nop; xor eax, eax; jnz 1f; nop; 1: jmp"
			 " lbr_branch_step_to; nop; lbr_branch_step_to: nop; pushfq; and dword ptr [rsp], ~0x100; popfq; ret");

static void branch_step(const struct scenario *s UNUSED)
{
	lbr_branch_step();
	expect("#DB count", trap_count[VEC_DB], 1);
	expect("#DB at", trap_rip[VEC_DB], pa(lbr_branch_step_to));
	expect("DR6.BS", trap_dr6 & DR6_BS, DR6_BS);
	expect("DEBUGCTL", rdmsr(MSR_DEBUGCTL), 0);
}

/* What L0 steps by is not seen, what L1 watches is. */
#define DR7_WRITE4_0 (DR7_RESET | 0x2 | 0xD0000) /* G0, write, 4 bytes */
void lbr_watched(uint32_t *at);
extern const uint8_t lbr_watched_next[];
L1_CODE(lbr_watched, RECORD_ON "nop; mov [rdi], eax; lbr_watched_next: nop;" RECORD_OFF "ret");

static void data_breakpoint(const struct scenario *s UNUSED)
{
	static uint32_t word;

	if (option_has("no-dr6")) {
		skip("the emulator below L0 does not write DR6 at a #DB exit");
		return;
	}
	dr0_write(pa(&word));
	dr7_write(DR7_WRITE4_0);
	lbr_watched(&word);
	dr7_write(DR7_RESET);
	expect("#DB count", trap_count[VEC_DB], 1);
	expect("#DB at", trap_rip[VEC_DB], pa(lbr_watched_next));
	expect("DR6", trap_dr6 & (DR6_BS | 0xF), 1);
}

static void cr3_write_all(uint64_t value)
{
	wrmsr(MSR_DEBUGCTL, DBGCTL_LBR);
	__asm__ volatile("mov %0, %%cr3" : : "r"(value));
}

/* The #GP of an instruction that is stepped. */
static void faults_once(const struct scenario *s UNUSED)
{
	expect_fault(trap_catch(cr3_write_all, UINT64_MAX), VEC_GP, 0);
	wrmsr(MSR_DEBUGCTL, 0);
}

/* --- L2 --- */

#define L2_BRANCH(name, text)                                                                      \
	extern const uint8_t name##_to[];                                                          \
	L2_INSN(name, RECORD_ON, "jmp " #name "_to", "nop;" #name "_to:" text)

L2_BRANCH(l2_branch, RECORD_OFF);
L2_BRANCH(l2_branch_on, "");

/* One set of registers: what L2 does to it, L1 finds. */
static void shared(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_branch), *w = vm_new(l2_branch_on);

	v->vmcb->dbgctl = DBGCTL_BTF;
	lbr_jump();
	vm_run_to_end(v);
	expect_record(MSR_BRANCH_FROM, l2_branch_at, l2_branch_to);
	vm_run_to_end(w);
	value_now = rdmsr(MSR_DEBUGCTL);
	wrmsr(MSR_DEBUGCTL, 0);
	expect("DEBUGCTL of L2 in L1", value_now, DBGCTL_LBR);
	expect("DBGCTL field", v->vmcb->dbgctl, DBGCTL_BTF);
	expect("BR_FROM field", v->vmcb->br_from, 0);
}

/* Two sets: L2's goes to VMCB12, L1's is as it was. */
static void virtualised(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_branch_on);

	v->vmcb->virt_ext = VIRT_LBR;
	v->vmcb->exc_from = MARK;
	lbr_jump();
	vm_run_to_end(v);
	expect("DEBUGCTL of L1", rdmsr(MSR_DEBUGCTL), 0);
	expect_record(MSR_BRANCH_FROM, lbr_jump_from, lbr_jump_to);
	expect("DBGCTL stored", v->vmcb->dbgctl, DBGCTL_LBR);
	expect("BR_FROM stored", v->vmcb->br_from, pa(l2_branch_on_at));
	expect("BR_TO stored", v->vmcb->br_to, pa(l2_branch_on_to));
	expect("LASTEXCP_FROM stored", v->vmcb->exc_from, MARK);
}

L2_CODE(l2_read_lbr, "mov ecx, 0x1DB; rdmsr; mov ebx, eax; mov ecx, 0x1DC; rdmsr; mov esi, eax; mov ecx, 0x1DD; rdmsr;"
		     "mov edi, eax; mov ecx, 0x1DE; rdmsr");

/* VMRUN loads all of them. */
static void loaded(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read_lbr);

	v->vmcb->virt_ext = VIRT_LBR;
	v->vmcb->br_from = 1;
	v->vmcb->br_to = 2;
	v->vmcb->exc_from = 3;
	v->vmcb->exc_to = 4;
	vm_run_to_end(v);
	expect("from", v->regs.rbx, 1);
	expect("to", v->regs.rsi, 2);
	expect("exception from", v->regs.rdi, 3);
	expect("exception to", v->vmcb->rax, 4);
}

/* What L1 records before and behind its VMRUN goes on around an L2 that has its own. */
static void l1_goes_on(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_branch);

	v->vmcb->virt_ext = VIRT_LBR;
	wrmsr(MSR_DEBUGCTL, DBGCTL_LBR);
	vm_run_to_end(v);
	value_now = rdmsr(MSR_DEBUGCTL);
	wrmsr(MSR_DEBUGCTL, 0);
	expect("DEBUGCTL of L1", value_now, DBGCTL_LBR);
	expect("DBGCTL stored", v->vmcb->dbgctl, 0);
	expect("BR_FROM stored", v->vmcb->br_from, pa(l2_branch_at));
	lbr_jump();
	expect_record(MSR_BRANCH_FROM, lbr_jump_from, lbr_jump_to);
}

/* LBR virtualisation: DEBUGCTL is L2's in L2 and L1's in L1. */
static void lbr_debugctl(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_debugctl);

	wrmsr(MSR_DEBUGCTL, 0);
	v->vmcb->virt_ext = VIRT_LBR;
	v->vmcb->dbgctl = DBGCTL_BTF;
	vm_run_to_end(v);
	expect("DEBUGCTL read in L2", v->regs.rbx, DBGCTL_BTF);
	expect("DEBUGCTL stored", v->vmcb->dbgctl, 0);
	expect("DEBUGCTL of L1", rdmsr(MSR_DEBUGCTL), 0);
}

static void lbr_off_fields_untouched(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_end);

	v->vmcb->dbgctl = DBGCTL_BTF;
	v->vmcb->br_from = MARK;
	vm_run_to_end(v);
	expect("DBGCTL field", v->vmcb->dbgctl, DBGCTL_BTF);
	expect("BR_FROM field", v->vmcb->br_from, MARK);
}

#define RECORDS(n) {#n, "13.1.6", records, NEED_SVM, &row_##n}
SCENARIOS("t_lbr") {
	RECORDS(lbr_jump), RECORDS(lbr_call), RECORDS(lbr_ret), RECORDS(lbr_loop), RECORDS(lbr_not_taken),
	{"lbr_flags_are_l1s", "13.1.6", flags_are_l1s, NEED_SVM, 0},
	{"lbr_debugctl_bits", "13.1.6", debugctl_bits, NEED_SVM, 0},
	{"lbr_interrupt", "13.1.6", interrupt_saves, NEED_SVM, 0},
	{"lbr_branch_step", "13.1.6", branch_step, NEED_SVM, 0},
	{"lbr_data_breakpoint", "13.1.6", data_breakpoint, NEED_SVM, 0},
	{"lbr_faults_once", "13.1.6", faults_once, NEED_SAFE_CPU, 0},
	{"lbr_shared", "15.23", shared, NEED_SVM, 0},
	{"lbr_virtualised", "15.23", virtualised, SVM_LBR, 0},
	{"lbr_loaded", "15.23", loaded, SVM_LBR, 0},
	{"lbr_l1_goes_on", "15.23", l1_goes_on, SVM_LBR, 0},
	{"lbr_debugctl", "15.23", lbr_debugctl, SVM_LBR, 0},
	{"lbr_off_fields_untouched", "15.23", lbr_off_fields_untouched, NEED_SVM, 0},
};
SCENARIO_COUNT;
