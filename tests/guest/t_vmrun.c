/* SPDX-License-Identifier: MIT */
/* t_vmrun.c - shows that VMRUN enters an L2 with exactly the VMCB's state and that #VMEXIT gives
 * L1 its own state back: registers, control registers, RAX/RSP/RIP, GPRs, and what stays loaded.
 * APM vol. 2: 15.5 VMRUN, 15.6 #VMEXIT. */
#include "vm.h"
#include "str.h"

#define MARK UINT64_C(0x1122334455667788)
#define ASID_OTHER 2

L2_CODE(l2_nothing, "");
L2_CODE(l2_echo, "mov r15, rax; mov rax, rsp; add rcx, 1; add rdx, 2; add rbx, 3; add rbp, 4; add rsi, 5;"
		 "add rdi, 6; add r8, 7; add r9, 8; add r10, 9; add r11, 10; add r12, 11; add r13, 12; add r14, 13");
L2_CODE(l2_read_cr, "mov rax, cr0; mov rcx, cr3; mov rdx, cr4; mov rbx, cr2");
L2_CODE(l2_write_state, "mov rax, cr0; and eax, ~0x20; mov cr0, rax; mov rax, cr4; or eax, 8; mov cr4, rax;"
			"mov rax, 0x123456789000; mov cr2, rax; mov rcx, cr3; mov cr3, rcx; stc;"
			"lea rsp, [rsp - 256]; mov eax, 0x55");
L2_CODE(l2_segments, "mov ax, ss; shl eax, 16; mov ax, cs; mov cx, ds; shl ecx, 16; mov cx, es;"
		     "sub rsp, 32; sidt [rsp]; sgdt [rsp + 16]; mov rdx, [rsp + 2]; mov rbx, [rsp + 18]; add rsp, 32");
L2_CODE(l2_flags, "pushfq; pop rax");
L2_CODE(l2_count, "1: inc rax; vmmcall; jmp 1b");
L2_CODE(l2_debug_regs, "mov rax, dr6; mov rcx, dr7; mov rdx, dr0");

static void vmmcall_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	vm_run(v);
	expect_insn_exit(v, EXIT_VMMCALL, l2_nothing, l2_nothing + 3);
}

static void without_npt(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new_flat(l2_read_cr);

	v->vmcb->cr2 = MARK;
	vm_run_to_end(v);
	expect("rax = cr0", v->vmcb->rax, v->vmcb->cr0);
	expect("rcx = cr3", v->regs.rcx, cr3_read());
}

static void gprs_pass(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_echo);
	uint64_t *g = &v->regs.rcx;

	v->vmcb->rax = MARK;
	for (unsigned i = 0; i < 14; i++)
		g[i] = (i + 1) * UINT64_C(0x0101010101010101);
	vm_run_to_end(v);
	for (unsigned i = 0; i < 13; i++)
		expect("general register", g[i], (i + 1) * UINT64_C(0x0101010101010101) + i + 1);
	expect("r15 = rax at entry", v->regs.r15, MARK);
	expect("rax = rsp at entry", v->vmcb->rax, pa(v->stack_top));
}

static void control_registers_load(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read_cr);

	v->vmcb->cr2 = MARK;
	v->vmcb->cr0 = (cr0_read() | CR0_AM) & ~CR0_MP;
	v->vmcb->cr4 = cr4_read() | CR4_PSE;
	if (!vm_run_to_end(v))
		return;
	expect("cr0 in L2", v->vmcb->rax, (cr0_read() | CR0_AM) & ~CR0_MP);
	expect("cr3 in L2", v->regs.rcx, cr3_read());
	expect("cr4 in L2", v->regs.rdx, cr4_read() | CR4_PSE);
	expect("cr2 in L2", v->regs.rbx, MARK);
}

static void guest_state_stored(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_write_state);

	if (!vm_run_to_end(v))
		return;
	expect("cr0 stored", v->vmcb->cr0, cr0_read() & ~CR0_NE);
	expect("cr4 stored", v->vmcb->cr4, cr4_read() | CR4_DE);
	expect("cr2 stored", v->vmcb->cr2, UINT64_C(0x123456789000));
	expect("rsp stored", v->vmcb->rsp, pa(v->stack_top) - 256);
	expect("rax stored", v->vmcb->rax, 0x55);
	expect("carry stored", v->vmcb->rflags & RFLAGS_CF, RFLAGS_CF);
	expect("cpl stored", v->vmcb->cpl, 0);
}

static void host_state_back(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_write_state);
	uint64_t cr0 = cr0_read(), cr3 = cr3_read(), cr4 = cr4_read(), efer = rdmsr(MSR_EFER);
	struct table_pointer idt0, idt1, gdt0, gdt1;

	__asm__ volatile("sidt %0; sgdt %1" : "=m"(idt0), "=m"(gdt0));
	v->vmcb->gdtr.base = pa(v->stack_top) & ~PAGE_MASK;
	vm_run_to_end(v);
	__asm__ volatile("sidt %0; sgdt %1" : "=m"(idt1), "=m"(gdt1));
	expect("cr0 of L1", cr0_read(), cr0);
	expect("cr3 of L1", cr3_read(), cr3);
	expect("cr4 of L1", cr4_read(), cr4);
	expect("efer of L1", rdmsr(MSR_EFER), efer);
	expect("idt of L1", idt1.base, idt0.base);
	expect("gdt of L1", gdt1.base, gdt0.base);
	expect("carry of L1 kept", rflags_read() & RFLAGS_CF, 0);
}

static void segments_load(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_segments);

	v->vmcb->ds.sel = SEL_USER_DATA;
	v->vmcb->idtr.base = pa(l2_idt) & ~PAGE_MASK;
	vm_run_to_end(v);
	expect("ss:cs in L2", v->vmcb->rax & UINT32_MAX, SEL_DATA << 16 | SEL_CODE64);
	expect("ds:es in L2", v->regs.rcx & UINT32_MAX, SEL_USER_DATA << 16 | SEL_DATA);
	expect("idtr base in L2", v->regs.rdx, pa(l2_idt) & ~PAGE_MASK);
	expect("gdtr base in L2", v->regs.rbx, v->vmcb->gdtr.base);
}

/* Bit 1 of RFLAGS reads as one whatever the VMCB says; it is not a consistency check. */
static void rflags_fixed_bit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_flags);

	v->vmcb->rflags = RFLAGS_CF;
	vm_run_to_end(v);
	expect("rflags in L2", v->vmcb->rax, RFLAGS_ONE | RFLAGS_CF);
}

static void debug_registers_load(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_debug_regs);

	dr0_write(MARK);
	v->vmcb->dr6 = DR6_RESET | 5;
	v->vmcb->dr7 = DR7_RESET | 0x2000000;
	vm_run_to_end(v);
	expect("dr6 in L2", v->vmcb->rax, DR6_RESET | 5);
	expect("dr7 in L2", v->regs.rcx, DR7_RESET | 0x2000000);
	expect("dr0 stays loaded", v->regs.rdx, MARK);
	dr0_write(0);
}

static void host_dr7_after_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	dr7_write(DR7_RESET | 0x2);
	vm_run(v);
	expect("dr7 of L1", dr7_read(), DR7_RESET);
}

static void cr2_not_restored(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_write_state);

	cr2_write(MARK);
	vm_run_to_end(v);
	expect("cr2 of L1 is L2's", cr2_read(), UINT64_C(0x123456789000));
}

static void gif_clear_after_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	sti();
	vm_run_raw(v);
	ipi_self(0x40);
	spin(SPIN_SHORT);
	expect("interrupts before STGI", trap_count[0x40], 0);
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("interrupts after STGI", trap_count[0x40], 1);
}

static void eventinj_clear_after_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	v->vmcb->eventinj = EVENT(EV_INTR, 0x50);
	vm_run(v);
	expect_l2_vector(v, 0x50);
	expect("EVENTINJ.V after the exit", v->vmcb->eventinj & EV_VALID, 0);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
}

static void many_round_trips(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_count);

	for (unsigned i = 0; i < 1000; i++) {
		v->vmcb->tlb_control = 0;
		vm_run(v);
		v->vmcb->rip += 3;
	}
	expect("loop count in L2", v->vmcb->rax, 1000);
}

static void clean_bits_same_vmcb(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_count);

	vm_run_to_end(v);
	v->vmcb->clean = UINT32_MAX;
	v->vmcb->rip += 3;
	vm_run_to_end(v);
	expect("rax is never cached", v->vmcb->rax, 2);
	expect("clean bits are L1's", v->vmcb->clean, UINT32_MAX);
}

/* The cache tag is the VMCB's address: all clean bits set, but on another page, reads that page. */
static void clean_bits_moved_vmcb(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read_cr), *w = vm_new(l2_read_cr);

	v->vmcb->cr2 = 1;
	vm_run_to_end(v);
	w->vmcb->cr2 = 2;
	w->vmcb->cr4 |= CR4_PSE;
	w->vmcb->clean = UINT32_MAX;
	vm_run_to_end(w);
	expect("cr2 of the new page", w->regs.rbx, 2);
	expect("cr4 of the new page", w->regs.rdx, cr4_read() | CR4_PSE);
}

/* TLB_CONTROL is an instruction to the CPU; it is neither checked nor modified. */
static void tlb_control_any_value(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	for (unsigned t = 0; t < 8; t++) {
		v->vmcb->rip = pa(l2_nothing);
		v->vmcb->tlb_control = (uint8_t)t;
		vm_run_to_end(v);
		expect("TLB_CONTROL unchanged", v->vmcb->tlb_control, t);
	}
}

static void asid_change(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_count);

	vm_run_to_end(v);
	v->vmcb->asid = ASID_OTHER;
	v->vmcb->rip += 3;
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 2);
	expect("ASID unchanged", v->vmcb->asid, ASID_OTHER);
}

/* Nothing may depend on what software finds in, or writes to, the host save area (15.30.4). */
static void hsave_contents_irrelevant(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_count);
	uint8_t *area = pages(1);

	wrmsr(MSR_HSAVE_PA, pa(area));
	memset(area, 0xFF, PAGE_SIZE);
	vm_run_to_end(v);
	memset(area, 0xA5, PAGE_SIZE);
	v->vmcb->rip += 3;
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 2);
}

static void two_vmcbs_interleaved(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_count), *w = vm_new(l2_count);

	w->vmcb->rax = 100;
	for (unsigned i = 0; i < 10; i++) {
		vm_run(v);
		vm_run(w);
		v->vmcb->rip += 3;
		w->vmcb->rip += 3;
	}
	expect("rax of the first", v->vmcb->rax, 10);
	expect("rax of the second", w->vmcb->rax, 110);
}

SCENARIOS("t_vmrun") {
	{"vmrun_vmmcall", "15.5", vmmcall_exit, NEED_SVM, 0},
	{"vmrun_without_npt", "15.5", without_npt, NEED_SVM, 0},
	{"vmrun_gprs_pass", "15.5.1", gprs_pass, NEED_SVM, 0},
	{"vmrun_control_registers_load", "15.5.1", control_registers_load, NEED_SVM, 0},
	{"vmrun_guest_state_stored", "15.6", guest_state_stored, NEED_SVM, 0},
	{"vmrun_host_state_back", "15.6", host_state_back, NEED_SVM, 0},
	{"vmrun_segments_load", "15.5.1", segments_load, NEED_SVM, 0},
	{"vmrun_rflags_fixed_bit", "15.5.1", rflags_fixed_bit, NEED_SVM, 0},
	{"vmrun_debug_registers_load", "15.5.1", debug_registers_load, NEED_SVM, 0},
	{"vmrun_host_dr7_after_exit", "15.6", host_dr7_after_exit, NEED_SVM, 0},
	{"vmrun_cr2_not_restored", "15.6", cr2_not_restored, NEED_SVM, 0},
	{"vmrun_gif_clear_after_exit", "15.17", gif_clear_after_exit, NEED_SVM, 0},
	{"vmrun_eventinj_clear_after_exit", "15.20", eventinj_clear_after_exit, NEED_SVM, 0},
	{"vmrun_many_round_trips", "15.5", many_round_trips, NEED_SVM, 0},
	{"vmrun_clean_bits_same_vmcb", "15.15.3", clean_bits_same_vmcb, NEED_SVM, 0},
	{"vmrun_clean_bits_moved_vmcb", "15.15.2", clean_bits_moved_vmcb, NEED_SVM, 0},
	{"vmrun_tlb_control_any_value", "15.16.1", tlb_control_any_value, NEED_SVM, 0},
	{"vmrun_asid_change", "15.16", asid_change, NEED_SVM, 0},
	{"vmrun_hsave_contents_irrelevant", "15.30.4", hsave_contents_irrelevant, NEED_SVM, 0},
	{"vmrun_two_vmcbs_interleaved", "15.5", two_vmcbs_interleaved, NEED_SVM, 0},
};
SCENARIO_COUNT;
