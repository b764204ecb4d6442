/* SPDX-License-Identifier: MIT */
/* t_modes.c - shows L2s in every processor mode, with nested paging and without: long, compatibility,
 * PAE, 32-bit paging, unpaged, real, paged real, virtual 8086; switches between modes inside an L2;
 * injection in 16 and 32-bit modes; task switch intercept. APM vol. 2 15.5.1, 15.19, 15.25.10. */
#include "modes.h"
#include "str.h"

#define VALUE UINT64_C(0x12345678)
#define VECTOR 0x50
#define GATE32_INTERRUPT UINT64_C(0x8E00)
#define PDPTE_RESERVED BIT(63)
#define TSS_BYTES 104
#define TSS32_AVAILABLE UINT64_C(0x0000890000000000)
#define TASK_JMP BIT(38)
#define TASK_INFO2_REASON (BIT(36) | BIT(38) | BIT(44))

extern uint64_t gdt[];

#define BODY "mov eax, 0x12345678; push eax; pop ebx; mov ecx, cr0;"
L2_CODE(l2_body32, ".code32;" BODY ".code64");
L2_CODE(l2_body16, ".code16;" BODY "jmp 1f; nop; 1: .code64");
L2_CODE(l2_v86, ".code16; mov eax, 0x12345678; push eax; pop ebx; .code64");
L2_CODE(l2_handler, "nop");
L2_INSN(l2_task_jmp, ".code32", "jmp 0x58:0", ".code64");
L2_INSN(l2_task_call, ".code32", "call 0x58:0", ".code64");

struct mode_row {
	void (*prepare)(struct vm *v);
	const uint8_t *code;
	bool is_flat;		/* without nested paging */
};

static const struct mode_row compat = {mode_compat, l2_body32, false};
static const struct mode_row compat_flat = {mode_compat, l2_body32, true};
static const struct mode_row pae = {mode_pae, l2_body32, false};
static const struct mode_row pae_flat = {mode_pae, l2_body32, true};
static const struct mode_row legacy = {mode_legacy, l2_body32, false};
static const struct mode_row legacy_flat = {mode_legacy, l2_body32, true};
static const struct mode_row unpaged = {mode_unpaged, l2_body32, false};
static const struct mode_row unpaged_flat = {mode_unpaged, l2_body32, true};
static const struct mode_row real = {mode_real, l2_body16, false};
static const struct mode_row real_flat = {mode_real, l2_body16, true};
static const struct mode_row paged_real = {mode_paged_real, l2_body16, false};
static const struct mode_row paged_real_flat = {mode_paged_real, l2_body16, true};

static struct vm *vm_for(const struct mode_row *r)
{
	struct vm *v = r->is_flat ? vm_new_flat(r->code) : vm_new(r->code);

	r->prepare(v);
	return v;
}

static void runs(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);
	uint64_t cr0 = v->vmcb->cr0;

	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("ebx", v->regs.rbx & UINT32_MAX, VALUE);
	expect("cr0 in L2", v->regs.rcx & UINT32_MAX, cr0 & UINT32_MAX);
	expect("cr0 stored", v->vmcb->cr0, cr0);
	expect("L1 in long mode", rdmsr(MSR_EFER) & EFER_LMA, EFER_LMA);
}

static void v86(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_v86);
	struct seg low = {0, ATTR_DATA16 | ATTR_DPL3, REAL_LIMIT, 0};

	mode_unpaged(v);
	memcpy((void *)(uintptr_t)LOW_CODE, l2_v86, 64);
	v->vmcb->cs = (struct seg){LOW_CODE >> 4, ATTR_DATA16 | ATTR_DPL3, REAL_LIMIT, LOW_CODE};
	v->vmcb->ss = v->vmcb->ds = v->vmcb->es = low;
	v->vmcb->cpl = 3;
	v->vmcb->rflags |= RFLAGS_VM;
	v->vmcb->rip = 0;
	v->vmcb->rsp = LOW_STACK;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("ebx", v->regs.rbx & UINT32_MAX, VALUE);
	expect("cpl", v->vmcb->cpl, 3);
	expect("VM stored", v->vmcb->rflags & RFLAGS_VM, RFLAGS_VM);
	expect("VM in L1", rflags_read() & RFLAGS_VM, 0);
}

/* With nested paging PDPTEs are read by walks: a bad one is L2's page fault, not a refusal. */
static void pae_npt_bad_pdpte(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(&pae);
	uint64_t *pdpt = (uint64_t *)(uintptr_t)v->vmcb->cr3;

	pdpt[0] |= PDPTE_RESERVED;
	intercept_set(v, EXIT_EXC + VEC_PF);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_PF);
	expect("RSVD in the error code", v->vmcb->info1 & PF_RSVD, PF_RSVD);
}

/* Only present PDPTEs are checked. */
static void pae_absent_pdpte(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(&pae_flat);
	uint64_t *pdpt = (uint64_t *)(uintptr_t)v->vmcb->cr3;

	pdpt[3] = PDPTE_RESERVED;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
}

/* The tables of an L2 that has run are still good: no walk writes to a PDPTE (A and D begin one level down). On
 * an engine that does write A there, the next VMRUN must not take it for L1's. */
static void pae_pdptes_used_again(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(&pae_flat);
	struct vmcb *start = pages(1);

	*start = *v->vmcb;
	for (unsigned i = 0; i < 3; i++) {
		*v->vmcb = *start;
		vm_run(v);
		if (!expect_exit(v->vmcb, EXIT_VMMCALL))
			return;
	}
}

/* CR3[4:0] do not belong to a PAE table's address. */
static void pae_cr3_low_bits(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(&pae_flat);

	v->vmcb->cr3 |= 0x1F;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
}

/* --- switches --- */

L2_CODE(l2_to_long, ".code32; mov eax, cr4; or eax, 0x20; mov cr4, eax; mov cr3, ebx;"
		    "mov ecx, 0xC0000080; rdmsr; or eax, 0x100; wrmsr;"
		    "mov eax, cr0; or eax, 0x80000000; mov cr0, eax; push 8; call 1f; 1: add dword ptr [esp], 7;"
		    ".byte 0xCB; nop; nop; nop; .code64; mov rbx, 0x1122334455667788");

static void protected_to_long(const struct scenario *s)
{
	bool is_flat = s->row;
	struct vm *v = is_flat ? vm_new_flat(l2_to_long) : vm_new(l2_to_long);

	mode_unpaged(v);
	v->regs.rbx = cr3_read();
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("rbx", v->regs.rbx, UINT64_C(0x1122334455667788));
	expect("LMA stored", v->vmcb->efer & EFER_LMA, EFER_LMA);
	expect("L stored", v->vmcb->cs.attr & 0x200, 0x200);
}

L2_CODE(l2_real_to_protected, ".code16; mov eax, cr0; or eax, 1; mov cr0, eax; jmp 1f; 1: mov ax, 0x10;"
			      "mov ds, eax; mov ebx, ds; .code64");

static void real_to_protected(const struct scenario *s)
{
	bool is_flat = s->row;
	struct vm *v = is_flat ? vm_new_flat(l2_real_to_protected) : vm_new(l2_real_to_protected);

	mode_real(v);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("ds", v->regs.rbx & 0xFFFF, SEL_DATA);
	expect("ds limit stored", v->vmcb->ds.limit, UINT32_MAX);
	expect("PE stored", v->vmcb->cr0 & CR0_PE, CR0_PE);
}

/* --- injection outside long mode --- */

static void inject_protected(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(&unpaged);
	uint64_t *idt = pages(1), at = pa(l2_handler);

	idt[VECTOR] = (at & 0xFFFF) | SEL_CODE32 << 16 | GATE32_INTERRUPT << 32 | (at >> 16) << 48;
	v->vmcb->idtr.base = pa(idt);
	v->vmcb->eventinj = EVENT(EV_INTR, VECTOR);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("rip", v->vmcb->rip, at + 1);
	expect("eip pushed", *(uint32_t *)(uintptr_t)v->vmcb->rsp, pa(l2_body32));
}

static void inject_real(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(&real);
	uint16_t *ivt = (uint16_t *)(uintptr_t)(VECTOR * 4), *frame;

	__asm__ volatile("" : "+r"(ivt));	/* low addresses are memory like any other */
	memcpy((void *)(uintptr_t)(LOW_CODE + 0x100), l2_handler, 16);
	ivt[0] = 0x100;
	ivt[1] = LOW_CODE >> 4;
	v->vmcb->eventinj = EVENT(EV_INTR, VECTOR);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("ip", v->vmcb->rip, 0x101);
	frame = (uint16_t *)(uintptr_t)v->vmcb->rsp;
	expect("sp", v->vmcb->rsp, LOW_STACK - 6);
	expect("ip pushed", frame[0], 0);
	expect("cs pushed", frame[1], LOW_CODE >> 4);
}

/* --- I/O: address size and segment are the mode's --- */

#define PORT "mov dx, 0x80;"
L2_INSN(l2_outsb16, ".code16;" PORT, "outsb", ".code64");
L2_INSN(l2_outsb16_es, ".code16;" PORT, "outs dx, byte ptr es:[si]", ".code64");
L2_INSN(l2_outsb16_a32, ".code16;" PORT, "outs dx, byte ptr [esi]", ".code64");
L2_INSN(l2_rep_insw16, ".code16; mov cx, 2;" PORT, "rep insw", ".code64");
L2_INSN(l2_outsd32, ".code32;" PORT, "outsd", ".code64");
L2_INSN(l2_insb32_a16, ".code32;" PORT, "ins byte ptr es:[di], dx", ".code64");

struct io_row {
	void (*prepare)(struct vm *v);
	const uint8_t *code, *at, *next;
	uint64_t info1;
};
#define IO_ROW(name, mode, bits) static const struct io_row io_##name = {mode, name, name##_at, name##_next, IO_PORT(0x80) | (bits)}
IO_ROW(l2_outsb16, mode_real, IO_STR | IO_SIZE(1) | IO_A16 | IO_SEG(SEG_DS));
IO_ROW(l2_outsb16_es, mode_real, IO_STR | IO_SIZE(1) | IO_A16 | IO_SEG(SEG_ES));
IO_ROW(l2_outsb16_a32, mode_real, IO_STR | IO_SIZE(1) | IO_A32 | IO_SEG(SEG_DS));
IO_ROW(l2_rep_insw16, mode_real, IO_REP | IO_STR | IO_SIZE(2) | IO_A16 | IO_IN);
IO_ROW(l2_outsd32, mode_unpaged, IO_STR | IO_SIZE(4) | IO_A32 | IO_SEG(SEG_DS));
IO_ROW(l2_insb32_a16, mode_unpaged, IO_STR | IO_SIZE(1) | IO_A16 | IO_IN);

static void io_exit(const struct scenario *s)
{
	const struct io_row *r = s->row;
	struct vm *v = vm_new(r->code);
	uint64_t start;

	r->prepare(v);
	start = v->vmcb->rip;	/* code for real mode has moved */
	intercept_set(v, EXIT_IOIO);
	iopm_set(v, 0x80);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_IOIO);
	expect("rip", v->vmcb->rip, start + (uint64_t)(r->at - r->code));
	expect("EXITINFO2", v->vmcb->info2, start + (uint64_t)(r->next - r->code));
	expect("EXITINFO1", v->vmcb->info1, r->info1);
}

/* --- task switch --- */

/* JMP or CALL to a TSS exits after the checks, before anything is switched. A spare TR keeps L1's
 * own TSS safe on a CPU that ignores the intercept and switches. */
static void task_switch(const struct scenario *s)
{
	const uint8_t *code = s->row;
	struct vm *v = vm_new(code);
	struct vmcb *keep = pages(1), *spare = pages(1);
	uint64_t *table = pages(1), tss = pa(pages(1));

	mode_unpaged(v);
	memcpy(table, gdt, SEL_SPARE);
	table[SEL_SPARE / 8] = (TSS_BYTES - 1) | (tss & 0xFFFFFF) << 16 | TSS32_AVAILABLE | (tss >> 24) << 56;
	v->vmcb->gdtr.base = pa(table);
	intercept_set(v, EXIT_TASK);
	vmsave(pa(keep));
	*spare = *keep;
	spare->tr.base = pa(pages(1));
	vmload(pa(spare));
	vm_run(v);
	vmload(pa(keep));
	expect_exit(v->vmcb, EXIT_TASK);
	expect("EXITINFO1, selector", v->vmcb->info1 & 0xFFFF, SEL_SPARE);
	expect("EXITINFO2, reason", v->vmcb->info2 & TASK_INFO2_REASON, code == l2_task_jmp ? TASK_JMP : 0);
	expect("rip", v->vmcb->rip, pa(code));
}

#define IO(n) {"mode_io_" #n, "15.10.2", io_exit, NEED_SVM, &io_l2_##n}
#define RUNS(n, need) {"mode_" #n, "15.5.1", runs, need, &n}
SCENARIOS("t_modes") {
	RUNS(compat, NEED_SVM), RUNS(compat_flat, NEED_SVM), RUNS(pae, SVM_NP),
	RUNS(pae_flat, NEED_SVM), RUNS(legacy, SVM_NP), RUNS(legacy_flat, NEED_SVM),
	RUNS(unpaged, SVM_NP), RUNS(unpaged_flat, NEED_SVM), RUNS(real, SVM_NP),
	RUNS(real_flat, NEED_SVM), RUNS(paged_real, SVM_NP), RUNS(paged_real_flat, NEED_SVM),
	{"mode_v86", "15.6", v86, NEED_SVM, 0},
	{"mode_pae_npt_bad_pdpte", "15.25.10", pae_npt_bad_pdpte, SVM_NP, 0},
	{"mode_pae_absent_pdpte", "15.5.1", pae_absent_pdpte, NEED_SVM, 0},
	{"mode_pae_pdptes_used_again", "5.2.3", pae_pdptes_used_again, NEED_SVM, 0},
	{"mode_pae_cr3_low_bits", "15.5.1", pae_cr3_low_bits, NEED_SVM, 0},
	{"mode_protected_to_long", "15.5", protected_to_long, SVM_NP, 0},
	{"mode_protected_to_long_flat", "15.5", protected_to_long, NEED_SVM, (const void *)1},
	{"mode_real_to_protected", "15.5", real_to_protected, SVM_NP, 0},
	{"mode_real_to_protected_flat", "15.5", real_to_protected, NEED_SVM, (const void *)1},
	{"mode_inject_protected", "15.20", inject_protected, NEED_SVM, 0},
	{"mode_inject_real", "15.20", inject_real, NEED_SVM, 0},
	IO(outsb16), IO(outsb16_es), IO(outsb16_a32), IO(rep_insw16), IO(outsd32), IO(insb32_a16),
	{"mode_task_switch_jmp", "15.14.1", task_switch, NEED_SVM, l2_task_jmp},
	{"mode_task_switch_call", "15.14.1", task_switch, NEED_SVM, l2_task_call},
};
SCENARIO_COUNT;
