/* SPDX-License-Identifier: MIT */
/* t_debug.c - shows debugging across VMRUN and #VMEXIT: TF on VMRUN, TF and RF in L2, hardware
 * breakpoints of L2 and of L1, and state that no exit switches (DR0, XMM). Records of branches:
 * t_lbr.c. APM vol. 2 13.1, 15.5.1, 15.6. */
#include "vm.h"

#define DR7_EXEC_0 (DR7_RESET | 0x2)		/* G0, execute */
#define DR7_WRITE4_0 (DR7_RESET | 0x2 | 0xD0000)	/* G0, write, 4 bytes */
#define MARK UINT64_C(0x1122334455667788)

L2_INSN(l2_end, "", "nop", "nop");
L2_INSN(l2_two, "nop", "nop", "nop");
L2_INSN(l2_write, "mov rax, 1", "mov [rbx], eax", "nop; nop");
L2_INSN(l2_arm, "mov rax, rbx; mov dr0, rax; mov eax, 0x402; mov dr7, rax", "nop", "nop");
L2_CODE(l2_xmm, "movq xmm1, rbx; mov rax, rbx; mov dr1, rax");
L2_CODE(l2_xmm0, "movq rbx, xmm0; psrldq xmm0, 8; movq rcx, xmm0; movq xmm0, rdx; pslldq xmm0, 8");

void debug_traced_vmrun(uint64_t vmcb_pa);
extern const uint8_t debug_traced_next[];
L1_CODE(debug_traced_vmrun, "push rbx; push rbp; mov rax, rdi; clgi; pushfq; or dword ptr [rsp], 0x100; popfq; vmrun;"
			    "debug_traced_next: nop; nop; stgi; pop rbp; pop rbx; ret");

/* The #DB comes after the #VMEXIT, on the instruction behind VMRUN; L2 is not stepped by it. */
static void vmrun_single_step(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_end);

	debug_traced_vmrun(pa(v->vmcb));
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("vector in L2", (uint64_t)(int64_t)l2_vector(v), UINT64_MAX);
	expect("#DB count", trap_count[VEC_DB], 1);
	expect("#DB at", trap_rip[VEC_DB], pa(debug_traced_next));
	expect("DR6.BS", trap_dr6 & DR6_BS, DR6_BS);
}

/* TF set in the VMCB traps after the first instruction, not before it. */
static void l2_tf_first_instruction(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_end);

	v->vmcb->rflags |= RFLAGS_TF;
	vm_run(v);
	if (expect_l2_vector(v, VEC_DB))
		expect("rip pushed", l2_frame(v)->rip, pa(l2_end_next));
	expect("TF in the handler", v->vmcb->rflags & RFLAGS_TF, 0);
	expect("DR6.BS", v->vmcb->dr6 & DR6_BS, DR6_BS);
}

/* An intercepted #DB of L2's TF: DR6 is in the VMCB, L1's DR6 and TF are its own. */
static void l2_tf_intercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_two);

	v->vmcb->rflags |= RFLAGS_TF;
	intercept_set(v, EXIT_EXC + VEC_DB);
	for (unsigned i = 0; i < 2; i++) {
		vm_run(v);
		expect_item(i);
		expect_exit(v->vmcb, EXIT_EXC + VEC_DB);
		expect("rip", v->vmcb->rip, pa(l2_two) + i + 1);
	}
	expect("#DB in L1", trap_count[VEC_DB], 0);
}

static struct vm *vm_exec_breakpoint(const uint8_t *at)
{
	struct vm *v = vm_new(l2_two);

	dr0_write(pa(at));
	v->vmcb->dr7 = DR7_EXEC_0;
	return v;
}

static void l2_exec_breakpoint(const struct scenario *s UNUSED)
{
	struct vm *v = vm_exec_breakpoint(l2_two_at);

	vm_run(v);
	if (expect_l2_vector(v, VEC_DB))
		expect("rip pushed", l2_frame(v)->rip, pa(l2_two_at));
	expect("DR6.B0", v->vmcb->dr6 & 0xF, 1);
	expect("dr7 of L1", dr7_read(), DR7_RESET);
}

/* RF in the VMCB holds back a breakpoint on the first instruction. */
static void l2_rf_holds_breakpoint(const struct scenario *s UNUSED)
{
	struct vm *v = vm_exec_breakpoint(l2_two);

	v->vmcb->rflags |= RFLAGS_RF;
	vm_run_to_end(v);
	v->vmcb->rip = pa(l2_two);
	v->vmcb->rflags &= ~RFLAGS_RF;
	vm_run(v);
	if (expect_l2_vector(v, VEC_DB))
		expect("rip pushed", l2_frame(v)->rip, pa(l2_two));
}

static void l2_data_breakpoint(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_write);

	v->regs.rbx = pa(pages(1));
	dr0_write(v->regs.rbx);
	v->vmcb->dr7 = DR7_WRITE4_0;
	vm_run(v);
	if (expect_l2_vector(v, VEC_DB))
		expect("rip pushed", l2_frame(v)->rip, pa(l2_write_next));
	expect("DR6.B0", v->vmcb->dr6 & 0xF, 1);
}

static void l2_arms_breakpoint(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_arm);

	v->regs.rbx = pa(l2_arm_at);
	vm_run(v);
	if (expect_l2_vector(v, VEC_DB))
		expect("rip pushed", l2_frame(v)->rip, pa(l2_arm_at));
	expect("dr7 stored", v->vmcb->dr7, DR7_EXEC_0);
	expect("dr7 of L1", dr7_read(), DR7_RESET);
}

/* L1's breakpoint on an address that L2 executes: L2 has its own DR7, so nothing happens. */
static void l1_breakpoint_not_in_l2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_two);

	dr0_write(pa(l2_two_at));
	dr7_write(DR7_EXEC_0);
	vm_run_to_end(v);
	expect("#DB in L1", trap_count[VEC_DB], 0);
}

/* No exit switches them: what L2 leaves in XMM and DR1 is there in L1. */
static void unswitched_registers(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_xmm);
	uint64_t xmm, dr1;

	v->regs.rbx = MARK;
	vm_run_to_end(v);
	__asm__ volatile("movq %%xmm1, %0; mov %%dr1, %1" : "=r"(xmm), "=r"(dr1));
	expect("xmm1", xmm, MARK);
	expect("dr1", dr1, MARK);
	__asm__ volatile("mov %0, %%dr1" : : "r"(UINT64_C(0)));
}

/* Both halves, at VMRUN, at a refused VMRUN and at #VMEXIT: L0 may use the register, but nobody must see that. */
static void xmm0_is_not_touched(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_xmm0);
	uint64_t low, high;

	v->regs.rdx = ~MARK;
	__asm__ volatile("movq %0, %%xmm0; pslldq $8, %%xmm0; movq %1, %%xmm1; por %%xmm1, %%xmm0"
			 : : "r"(MARK), "r"(MARK + 1));
	v->vmcb->asid = 0;
	vm_run(v);
	v->vmcb->asid = 1;
	vm_run_to_end(v);
	__asm__ volatile("movq %%xmm0, %0; psrldq $8, %%xmm0; movq %%xmm0, %1" : "=r"(low), "=r"(high));
	expect("low half in L2", v->regs.rbx, MARK + 1);
	expect("high half in L2", v->regs.rcx, MARK);
	expect("low half in L1", low, 0);
	expect("high half in L1", high, ~MARK);
}

SCENARIOS("t_debug") {
	{"debug_vmrun_single_step", "15.5.1", vmrun_single_step, NEED_SVM, 0},
	{"debug_l2_tf_first_instruction", "15.5.1", l2_tf_first_instruction, NEED_SVM, 0},
	{"debug_l2_tf_intercepted", "15.12.2", l2_tf_intercepted, NEED_SVM, 0},
	{"debug_l2_exec_breakpoint", "13.1.4", l2_exec_breakpoint, NEED_SVM, 0},
	{"debug_l2_rf_holds_breakpoint", "15.5.1", l2_rf_holds_breakpoint, NEED_SVM, 0},
	{"debug_l2_data_breakpoint", "13.1.4", l2_data_breakpoint, NEED_SVM, 0},
	{"debug_l2_arms_breakpoint", "13.1.4", l2_arms_breakpoint, NEED_SVM, 0},
	{"debug_l1_breakpoint_not_in_l2", "15.5.1", l1_breakpoint_not_in_l2, NEED_SVM, 0},
	{"debug_unswitched_registers", "15.6", unswitched_registers, NEED_SVM, 0},
	{"debug_xmm0_is_not_touched", "15.6", xmm0_is_not_touched, NEED_SVM, 0},
};
SCENARIO_COUNT;
