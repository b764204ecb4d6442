/* SPDX-License-Identifier: MIT */
/* t_event.c - shows EVENTINJ: each type and vector, legal and illegal, what injection ignores (IF,
 * shadow, intercepts) and what it does not (gate DPL); and EXITINTINFO when delivery is cut off by
 * a nested page fault, with re-injection. APM vol. 2 15.20, 15.7.2. */
#include "vm.h"

#define SOFT_VECTOR 0x30
#define CODE UINT64_C(0x1238)
#define TYPES 8

L2_CODE(l2_end, "");
L2_INSN(l2_int30, "", "int 0x30", "mov rax, 1");
L2_INSN(l2_ud, "", "ud2", "");
L2_INSN(l2_nops, "nop", "nop", "nop");

static bool pushes_code(uint64_t vector)
{
	return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC ||
	       vector == 30;
}

static struct vm *vm_with(uint64_t event)
{
	struct vm *v = vm_new(l2_end);

	v->vmcb->eventinj = event;
	v->vmcb->nrip = pa(l2_end);	/* what INT3 as an event pushes where NRIPS is offered */
	return v;
}

/* Delivered through L2's IDT before the first instruction; EVENTINJ.V cleared; nothing left over. */
static void expect_delivered(struct vm *v, uint64_t vector, uint64_t code)
{
	vm_run(v);
	if (!expect_l2_vector(v, vector))
		return;
	expect("rip pushed", l2_frame(v)->rip, pa(l2_end));
	expect("error code pushed", l2_frame(v)->error, code);
	expect("EVENTINJ.V", v->vmcb->eventinj & EV_VALID, 0);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
}

static void exceptions_legal(const struct scenario *s UNUSED)
{
	static const uint8_t vectors[] = {VEC_DE, VEC_DB, VEC_BP, VEC_UD, VEC_NM, VEC_DF, VEC_TS, VEC_NP, VEC_SS,
					  VEC_GP, VEC_PF, VEC_MF, VEC_AC, VEC_MC, VEC_XF, 30};

	for (unsigned i = 0; i < ARRAY_COUNT(vectors); i++) {
		uint64_t n = vectors[i], code = n == VEC_DF ? 0 : CODE;

		expect_item(n);
		if (pushes_code(n))
			expect_delivered(vm_with(EVENT_CODE(EV_EXC, n, code)), n, code);
		else
			expect_delivered(vm_with(EVENT(EV_EXC, n)), n, 0);
	}
}

static void expect_refused(uint64_t event)
{
	struct vm *v = vm_with(event);

	vm_run(v);
	expect_exit(v->vmcb, EXIT_INVALID);
	expect("EVENTINJ.V", v->vmcb->eventinj & EV_VALID, 0);
}

static void exceptions_illegal(const struct scenario *s UNUSED)
{
	static const uint8_t vectors[] = {2, 9, 15, 20, 22, 23, 24, 25, 26, 27, 31, 32, 0x80, 0xFF};

	for (unsigned i = 0; i < ARRAY_COUNT(vectors); i++) {
		expect_item(vectors[i]);
		expect_refused(EVENT(EV_EXC, vectors[i]));
	}
}

/* #BR cannot happen in 64-bit mode, so injecting it there is illegal. */
static void br_in_64bit(const struct scenario *s UNUSED)
{
	expect_refused(EVENT(EV_EXC, VEC_BR));
}

static void types_reserved(const struct scenario *s UNUSED)
{
	static const uint8_t types[] = {1, 5, 6, 7};

	for (unsigned i = 0; i < ARRAY_COUNT(types); i++) {
		expect_item(types[i]);
		expect_refused(EVENT(types[i], SOFT_VECTOR));
		expect_refused(EVENT(types[i], VEC_GP));
	}
}

static void invalid_bit_hides_all(const struct scenario *s UNUSED)
{
	for (unsigned t = 0; t < TYPES; t++) {
		struct vm *v = vm_with(EVENT(t, 9) & ~EV_VALID);

		expect_item(t);
		vm_run_to_end(v);
	}
}

/* SBZ bits 30:12 are not part of the check. */
static void reserved_bits_ignored(const struct scenario *s UNUSED)
{
	expect_delivered(vm_with(EVENT(EV_INTR, 0x50) | BITS(30, 12)), 0x50, 0);
}

static void intr_any_vector(const struct scenario *s UNUSED)
{
	static const uint8_t vectors[] = {0, 2, 9, 15, 20, 31, 32, 0x80, 0xFF};

	for (unsigned i = 0; i < ARRAY_COUNT(vectors); i++) {
		expect_item(vectors[i]);
		expect_delivered(vm_with(EVENT(EV_INTR, vectors[i])), vectors[i], 0);
	}
}

/* External interrupts with vectors of faults push no error code. */
static void intr_low_vector_no_code(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_INTR, VEC_GP));

	vm_run(v);
	if (!expect_l2_vector(v, VEC_GP))
		return;
	/* The stub of #GP expects a code; without one RIP is the first word. */
	expect("first word of the frame", l2_frame(v)->error, pa(l2_end));
}

static void intr_ignores_if_and_shadow(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_INTR, 0x50));

	v->vmcb->rflags &= ~RFLAGS_IF;
	v->vmcb->int_state = INT_SHADOW;
	expect_delivered(v, 0x50, 0);
}

static void intr_ignores_tpr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_INTR, 0x50));

	v->vmcb->vintr = V_INTR_MASKING | V_TPR(15);
	expect_delivered(v, 0x50, 0);
}

static void nmi_vector_ignored(const struct scenario *s UNUSED)
{
	expect_delivered(vm_with(EVENT(EV_NMI, 0x55)), VEC_NMI, 0);
}

static void not_intercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_EXC, VEC_UD));

	v->vmcb->intercept[2] = UINT32_MAX & ~BIT32(VEC_NMI);
	expect_delivered(v, VEC_UD, 0);
	v = vm_with(EVENT(EV_NMI, 2));
	intercept_set(v, EXIT_NMI);
	expect_delivered(v, VEC_NMI, 0);
	v = vm_with(EVENT(EV_INTR, 0x50));
	intercept_set(v, EXIT_INTR);
	intercept_set(v, EXIT_VINTR);
	expect_delivered(v, 0x50, 0);
}

/* NMI injection does not block NMIs: a physical one follows at once. */
static void nmi_does_not_block(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_NMI, 2));

	vm_run(v);
	if (!expect_l2_vector(v, VEC_NMI))
		return;
	clgi();
	ipi_self_nmi();
	intercept_set(v, EXIT_NMI);
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_NMI);
	stgi();
	expect("NMI of L1", trap_count[VEC_NMI], 1);
}

/* A physical NMI taken by L2 blocks further ones until L2's IRET. */
static void real_nmi_blocks_until_iret(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nops);

	clgi();
	ipi_self_nmi();
	vm_run_raw(v);
	if (!expect_l2_vector(v, VEC_NMI))
		return;
	expect("first interrupts", l2_frame(v)->rip, pa(l2_nops));
	ipi_self_nmi();
	l2_resume(v);
	vm_run(v);
	if (!expect_l2_vector(v, VEC_NMI))
		return;
	expect("second interrupts, after IRET", l2_frame(v)->rip, pa(l2_nops));
	l2_resume(v);
	vm_run_to_end(v);
}

/* Soft INTn: the return address is nRIP, as if the instruction at RIP had been executed. */
static void soft_int(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_int30);

	v->vmcb->nrip = pa(l2_int30_next);
	v->vmcb->eventinj = EVENT(EV_SOFT, SOFT_VECTOR);
	vm_run(v);
	if (!expect_l2_vector(v, SOFT_VECTOR))
		return;
	expect("rip pushed", l2_frame(v)->rip, pa(l2_int30_next));
	l2_resume(v);
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 1);
}

/* A gate with DPL 0 and CPL 3: #GP for INTn and for #BP as an exception, not for an interrupt. */
static void soft_int_gate_dpl(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_SOFT, SOFT_VECTOR));

	vm_cpl3(v);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("cpl of the handler", v->vmcb->cpl, 0);
}

static void bp_gate_dpl(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_EXC, VEC_BP));

	vm_cpl3(v);
	vm_run(v);
	expect_l2_vector(v, VEC_GP);
}

static void intr_gate_dpl(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_INTR, SOFT_VECTOR));

	vm_cpl3(v);
	vm_run(v);
	if (!expect_l2_vector(v, SOFT_VECTOR))
		return;
	expect("cs pushed", l2_frame(v)->cs, SEL_USER_CODE64);
	expect("ss pushed", l2_frame(v)->ss, SEL_USER_DATA);
}

/* The error code is pushed as EV says. */
static void code_by_ev_bit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT(EV_EXC, VEC_GP) | CODE << 32);

	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("first word of the frame is RIP", l2_frame(v)->error, pa(l2_end));
}

/* CR2 and DR6 are not touched by injection: what is in the VMCB is what the handler sees. */
static void pf_keeps_cr2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_with(EVENT_CODE(EV_EXC, VEC_PF, PF_W));

	v->vmcb->cr2 = 0x1234;
	expect_delivered(v, VEC_PF, PF_W);
	expect("cr2", v->vmcb->cr2, 0x1234);
}

/* --- delivery cut off by a nested page fault on the IDT --- */

static uint64_t *hide_idt(struct vm *v)
{
	uint64_t *e = table_entry(v->npt, pa(l2_idt), LEVEL_4K);

	*e &= ~PTE_P;
	return e;
}

static void show_idt(uint64_t *e)
{
	*e |= PTE_P;
}

/* The event goes to EXITINTINFO as it was; put back into EVENTINJ it is delivered. */
static void cut_off(uint64_t event, uint64_t vector, uint64_t code)
{
	struct vm *v = vm_with(event);
	uint64_t *e = hide_idt(v);

	vm_run(v);
	if (!expect_exit(v->vmcb, EXIT_NPF))
		return;
	expect("EXITINTINFO", v->vmcb->exitintinfo & UINT32_MAX, event & UINT32_MAX);
	if (event & EV_CODE)
		expect("error code in EXITINTINFO", v->vmcb->exitintinfo >> 32, code);
	expect("EVENTINJ.V", v->vmcb->eventinj & EV_VALID, 0);
	expect("rip", v->vmcb->rip, pa(l2_end));
	show_idt(e);
	v->vmcb->eventinj = v->vmcb->exitintinfo;
	expect_delivered(v, vector, code);
}

static void npf_during_exception(const struct scenario *s UNUSED)
{
	cut_off(EVENT_CODE(EV_EXC, VEC_GP, CODE), VEC_GP, CODE);
	cut_off(EVENT(EV_EXC, VEC_UD), VEC_UD, 0);
}

static void npf_during_intr(const struct scenario *s UNUSED)
{
	cut_off(EVENT(EV_INTR, 0x50), 0x50, 0);
}

static void npf_during_nmi(const struct scenario *s UNUSED)
{
	cut_off(EVENT(EV_NMI, VEC_NMI), VEC_NMI, 0);
}

static void npf_during_soft_int(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_int30);
	uint64_t *e = hide_idt(v);

	vm_run(v);
	if (!expect_exit(v->vmcb, EXIT_NPF))
		return;
	expect("EXITINTINFO", v->vmcb->exitintinfo & UINT32_MAX, EVENT(EV_SOFT, SOFT_VECTOR));
	expect("rip", v->vmcb->rip, pa(l2_int30_at));
	show_idt(e);
	v->vmcb->exitintinfo = 0;
	vm_run(v);
	expect_l2_vector(v, SOFT_VECTOR);
}

static void npf_during_l2_exception(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_ud);
	uint64_t *e = hide_idt(v);

	vm_run(v);
	if (!expect_exit(v->vmcb, EXIT_NPF))
		return;
	expect("EXITINTINFO", v->vmcb->exitintinfo & UINT32_MAX, EVENT(EV_EXC, VEC_UD));
	show_idt(e);
	v->vmcb->eventinj = v->vmcb->exitintinfo;
	vm_run(v);
	if (expect_l2_vector(v, VEC_UD))
		expect("rip pushed", l2_frame(v)->rip, pa(l2_ud_at));
}

/* A virtual interrupt under way counts as type 0; V_IRQ was consumed. */
static void npf_during_virq(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_end);

	hide_idt(v);
	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->vintr = V_IRQ | V_IGN_TPR | V_VECTOR(0x60);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINTINFO", v->vmcb->exitintinfo & UINT32_MAX, EVENT(EV_INTR, 0x60));
	expect("V_IRQ", v->vmcb->vintr & V_IRQ, 0);
}

/* A physical interrupt on its way into L2: type 0 too. */
static void npf_during_physical_intr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_end);

	hide_idt(v);
	v->vmcb->rflags |= RFLAGS_IF;
	clgi();
	ipi_self(0x58);
	vm_run(v);
	lapic_eoi();
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINTINFO", v->vmcb->exitintinfo & UINT32_MAX, EVENT(EV_INTR, 0x58));
}

SCENARIOS("t_event") {
	{"inject_exceptions_legal", "15.20", exceptions_legal, NEED_SVM, 0},
	{"inject_exceptions_illegal", "15.20", exceptions_illegal, NEED_SVM, 0},
	{"inject_br_in_64bit", "15.20", br_in_64bit, NEED_SVM, 0},
	{"inject_types_reserved", "15.20", types_reserved, NEED_SVM, 0},
	{"inject_invalid_bit_hides_all", "15.20", invalid_bit_hides_all, NEED_SVM, 0},
	{"inject_reserved_bits_ignored", "15.20", reserved_bits_ignored, NEED_SVM, 0},
	{"inject_intr_any_vector", "15.20", intr_any_vector, NEED_SVM, 0},
	{"inject_intr_low_vector_no_code", "15.20", intr_low_vector_no_code, NEED_SVM, 0},
	{"inject_intr_ignores_if_and_shadow", "15.20", intr_ignores_if_and_shadow, NEED_SVM, 0},
	{"inject_intr_ignores_tpr", "15.20", intr_ignores_tpr, NEED_SVM, 0},
	{"inject_nmi_vector_ignored", "15.20", nmi_vector_ignored, NEED_SVM, 0},
	{"inject_not_intercepted", "15.20", not_intercepted, NEED_SVM, 0},
	{"inject_nmi_does_not_block", "15.20", nmi_does_not_block, NEED_SVM, 0},
	{"nmi_blocks_until_iret", "15.20", real_nmi_blocks_until_iret, NEED_SVM, 0},
	{"inject_soft_int", "15.20", soft_int, SVM_NRIPS, 0},
	{"inject_soft_int_gate_dpl", "15.20", soft_int_gate_dpl, SVM_NRIPS, 0},
	{"inject_bp_gate_dpl", "15.20", bp_gate_dpl, SVM_NRIPS, 0},
	{"inject_intr_gate_dpl", "15.20", intr_gate_dpl, NEED_SVM, 0},
	{"inject_code_by_ev_bit", "15.20", code_by_ev_bit, NEED_SVM, 0},
	{"inject_pf_keeps_cr2", "15.20", pf_keeps_cr2, NEED_SVM, 0},
	{"intinfo_npf_during_exception", "15.7.2", npf_during_exception, SVM_NP, 0},
	{"intinfo_npf_during_intr", "15.7.2", npf_during_intr, SVM_NP, 0},
	{"intinfo_npf_during_nmi", "15.7.2", npf_during_nmi, SVM_NP, 0},
	{"intinfo_npf_during_soft_int", "15.7.2", npf_during_soft_int, SVM_NP, 0},
	{"intinfo_npf_during_l2_exception", "15.7.2", npf_during_l2_exception, SVM_NP, 0},
	{"intinfo_npf_during_virq", "15.7.2", npf_during_virq, SVM_NP, 0},
	{"intinfo_npf_during_physical_intr", "15.7.2", npf_during_physical_intr, SVM_NP, 0},
};
SCENARIO_COUNT;
