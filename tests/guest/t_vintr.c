/* SPDX-License-Identifier: MIT */
/* t_vintr.c - shows virtual interrupts: V_IRQ at entry, after STI and in a shadow, priority against
 * V_TPR, the VINTR intercept, CR8 with V_INTR_MASKING, INT_SHADOW in and out, HLT, virtual GIF and
 * virtual NMI where offered. APM vol. 2 15.21, 15.33. */
#include "vm.h"

#define VEC_VIRQ 0x60
#define VEC_TIMER 0x41
#define TIMER_AFTER_HLT 200000000u	/* ticks: L2 must have come to its HLT even on a slow emulator */

L2_CODE(l2_end, "");
L2_INSN(l2_sti, "nop; sti; nop", "nop", "mov rax, 1");
L2_INSN(l2_sti_cpuid, "sti", "cpuid", "");
L2_INSN(l2_movss_cpuid, "mov eax, ss; mov ss, eax", "cpuid", "");
L2_CODE(l2_cr8_read, "mov rax, cr8");
L2_CODE(l2_cr8_write, "mov eax, 7; mov cr8, rax");
L2_INSN(l2_lower_tpr, "mov eax, 2; mov cr8, rax", "nop", "");
L2_CODE(l2_halt, "hlt; mov rax, 1");
L2_CODE(l2_nops, "nop; nop; nop; mov rax, 1");

static struct vm *vm_virq(const uint8_t *code, uint64_t vintr)
{
	struct vm *v = vm_new(code);

	v->vmcb->vintr = V_IRQ | V_VECTOR(VEC_VIRQ) | vintr;
	return v;
}

static void expect_taken_at(const struct vm *v, const void *rip)
{
	if (!expect_l2_vector(v, VEC_VIRQ))
		return;
	expect("rip pushed", l2_frame(v)->rip, pa(rip));
	expect("V_IRQ consumed", v->vmcb->vintr & V_IRQ, 0);
}

static void at_entry(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_IGN_TPR);

	v->vmcb->rflags |= RFLAGS_IF;
	vm_run(v);
	expect_taken_at(v, l2_end);
}

static void held_by_if(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_IGN_TPR);

	vm_run_to_end(v);
	expect("V_IRQ still set", v->vmcb->vintr & V_IRQ, V_IRQ);
}

/* STI holds interrupts for one more instruction. */
static void after_sti(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_sti, V_IGN_TPR);

	vm_run(v);
	expect_taken_at(v, l2_sti_at);
}

static void priority(const struct scenario *s UNUSED)
{
	for (unsigned prio = 0; prio < 16; prio++) {
		struct vm *v = vm_virq(l2_end, V_TPR(8) | V_PRIO(prio));

		expect_item(prio);
		v->vmcb->rflags |= RFLAGS_IF;
		vm_run(v);
		expect("vector in L2", (uint64_t)(int64_t)l2_vector(v), prio > 8 ? VEC_VIRQ : UINT64_MAX);
		expect("V_TPR written back", v->vmcb->vintr & 0xF, 8);
	}
}

static void ignore_tpr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_TPR(15) | V_PRIO(0) | V_IGN_TPR);

	v->vmcb->rflags |= RFLAGS_IF;
	vm_run(v);
	expect_taken_at(v, l2_end);
}

static void vintr_exit_at_entry(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_IGN_TPR);

	v->vmcb->rflags |= RFLAGS_IF;
	intercept_set(v, EXIT_VINTR);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VINTR);
	expect("rip", v->vmcb->rip, pa(l2_end));
	expect("V_IRQ still set", v->vmcb->vintr & V_IRQ, V_IRQ);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
}

static void vintr_exit_after_sti(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_sti, V_IGN_TPR);

	intercept_set(v, EXIT_VINTR);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VINTR);
	expect("rip", v->vmcb->rip, pa(l2_sti_at));
	expect("V_IRQ still set", v->vmcb->vintr & V_IRQ, V_IRQ);
	intercept_clear(v, EXIT_VINTR);
	vm_run(v);
	expect_taken_at(v, l2_sti_at);
}

static void vintr_masked_no_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_TPR(9) | V_PRIO(9));

	v->vmcb->rflags |= RFLAGS_IF;
	intercept_set(v, EXIT_VINTR);
	vm_run_to_end(v);
}

/* Injection first, then the virtual interrupt, which finds IF=0 in the handler. */
static void after_eventinj(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_IGN_TPR);

	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->eventinj = EVENT(EV_EXC, VEC_UD);
	vm_run(v);
	if (!expect_l2_vector(v, VEC_UD))
		return;
	expect("V_IRQ still set", v->vmcb->vintr & V_IRQ, V_IRQ);
	l2_resume(v);
	vm_run(v);
	expect_taken_at(v, l2_end);
}

static void physical_first(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_IGN_TPR | V_INTR_MASKING);

	v->vmcb->rflags |= RFLAGS_IF;
	intercept_set(v, EXIT_INTR);
	clgi();
	ipi_self(VEC_TIMER);
	sti();
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	expect("V_IRQ still set", v->vmcb->vintr & V_IRQ, V_IRQ);
	stgi();
	cli();
}

/* INT_SHADOW in the VMCB holds the interrupt for the first instruction. */
static void shadow_loaded(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_nops, V_IGN_TPR);

	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->int_state = INT_SHADOW;
	vm_run(v);
	expect_taken_at(v, l2_nops + 1);
}

/* A shadow whose instruction L1 has not mapped yet outlasts the nested fault of its fetch. */
static void shadow_and_fetch_fault(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_nops, V_IGN_TPR);
	uint64_t *entry = table_entry(v->npt, pa(l2_nops), LEVEL_4K), whole = *entry;

	*entry &= ~(uint64_t)PTE_P;
	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->int_state = INT_SHADOW;
	vm_run(v);
	if (!expect_exit(v->vmcb, EXIT_NPF))
		return;
	expect("rip", v->vmcb->rip, pa(l2_nops));
	expect("INT_SHADOW", v->vmcb->int_state & INT_SHADOW, INT_SHADOW);
	expect("V_IRQ still set", v->vmcb->vintr & V_IRQ, V_IRQ);
	*entry = whole;
	vm_run(v);
	expect_taken_at(v, l2_nops + 1);
}

static void shadow_stored(const struct scenario *s)
{
	const uint8_t *code = s->row;
	struct vm *v = vm_new(code);

	intercept_set(v, EXIT_CPUID);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_CPUID);
	expect("INT_SHADOW", v->vmcb->int_state & INT_SHADOW, INT_SHADOW);
}

static void shadow_not_stored(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_sti);

	vm_run_to_end(v);
	expect("INT_SHADOW", v->vmcb->int_state & INT_SHADOW, 0);
}

static void cr8_reads_v_tpr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_cr8_read);

	cr8_write(3);
	v->vmcb->vintr = V_INTR_MASKING | V_TPR(9);
	vm_run_to_end(v);
	expect("cr8 in L2", v->vmcb->rax, 9);
	expect("cr8 of L1", cr8_read(), 3);
}

static void cr8_writes_v_tpr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_cr8_write);

	cr8_write(3);
	v->vmcb->vintr = V_INTR_MASKING;
	vm_run_to_end(v);
	expect("V_TPR", v->vmcb->vintr & 0xF, 7);
	expect("cr8 of L1", cr8_read(), 3);
}

/* Without masking CR8 is the local APIC's, and V_TPR follows it. */
static void cr8_without_masking(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_cr8_write);

	vm_run_to_end(v);
	expect("V_TPR", v->vmcb->vintr & 0xF, 7);
	expect("cr8 of L1", cr8_read(), 7);
}

static void cr8_read_without_masking(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_cr8_read);

	cr8_write(5);
	v->vmcb->vintr = V_TPR(9);
	vm_run_to_end(v);
	expect("cr8 in L2", v->vmcb->rax, 5);
}

/* Lowering CR8 lets the waiting virtual interrupt in. Aborts bare QEMU (emulators.md 0.1). */
static void cr8_opens_window(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_lower_tpr, V_INTR_MASKING | V_TPR(9) | V_PRIO(6));

	v->vmcb->rflags |= RFLAGS_IF;
	vm_run(v);
	expect_taken_at(v, l2_lower_tpr_at);
}

static void halt_woken_by_intr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_halt);

	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_INTR_MASKING;
	clgi();
	sti();
	lapic_timer_once(VEC_TIMER, TIMER_AFTER_HLT);
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	expect("rip behind HLT", v->vmcb->rip, pa(l2_halt + 1));
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("timer interrupt in L1", trap_count[VEC_TIMER], 1);
}

static void halt_woken_by_virq(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_halt, V_IGN_TPR);

	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->int_state = INT_SHADOW;	/* HLT runs first */
	vm_run(v);
	expect_taken_at(v, l2_halt + 1);
}

/* --- virtual GIF: 15.33.2 --- */

L2_INSN(l2_vgif, "clgi; nop; nop; stgi", "nop", "");
L2_CODE(l2_clgi, "clgi");
L2_CODE(l2_stgi, "stgi");

static void vgif_off_masks_virq(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_IGN_TPR | V_GIF_ENABLE);

	v->vmcb->rflags |= RFLAGS_IF;
	vm_run_to_end(v);
	expect("V_IRQ still set", v->vmcb->vintr & V_IRQ, V_IRQ);
	expect("V_GIF", v->vmcb->vintr & V_GIF, 0);
}

static void vgif_on_passes_virq(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_end, V_IGN_TPR | V_GIF_ENABLE | V_GIF);

	v->vmcb->rflags |= RFLAGS_IF;
	vm_run(v);
	expect_taken_at(v, l2_end);
}

static void vgif_stgi_opens(const struct scenario *s UNUSED)
{
	struct vm *v = vm_virq(l2_vgif, V_IGN_TPR | V_GIF_ENABLE);

	v->vmcb->rflags |= RFLAGS_IF;
	vm_run(v);
	expect_taken_at(v, l2_vgif_at);
	expect("V_GIF", v->vmcb->vintr & V_GIF, V_GIF);
}

static void vgif_written_back(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_clgi);

	v->vmcb->vintr = V_GIF_ENABLE | V_GIF;
	vm_run_to_end(v);
	expect("V_GIF after CLGI", v->vmcb->vintr & V_GIF, 0);
	v->vmcb->rip = pa(l2_stgi);
	vm_run_to_end(v);
	expect("V_GIF after STGI", v->vmcb->vintr & V_GIF, V_GIF);
}

/* V_GIF=0 holds nothing physical. */
static void vgif_physical_intr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_end);

	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_GIF_ENABLE | V_INTR_MASKING;
	clgi();
	ipi_self(VEC_TIMER);
	sti();
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	stgi();
	cli();
}

/* --- virtual NMI: 15.21.10 --- */

static void vnmi_delivered(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nops);

	intercept_set(v, EXIT_NMI);
	v->vmcb->vintr = V_NMI_ENABLE | V_NMI;
	vm_run(v);
	if (!expect_l2_vector(v, VEC_NMI))
		return;
	expect("V_NMI", v->vmcb->vintr & V_NMI, 0);
	expect("V_NMI_MASK", v->vmcb->vintr & V_NMI_MASK, V_NMI_MASK);
	v->vmcb->vintr |= V_NMI;
	l2_resume(v);
	vm_run(v);
	expect_l2_vector(v, VEC_NMI);
	l2_resume(v);
	vm_run_to_end(v);
	expect("V_NMI_MASK after IRET", v->vmcb->vintr & V_NMI_MASK, 0);
}

/* The fault that L0 answers comes while it watches for the end of IRET: what L1 flushed is not in its tables any more. */
static void vnmi_iret_faults(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nops);
	uint64_t *stack = table_entry(v->npt, pa(v->stack_top), LEVEL_4K);

	intercept_set(v, EXIT_NMI);
	v->vmcb->vintr = V_NMI_ENABLE | V_NMI;
	vm_run(v);
	expect_l2_vector(v, VEC_NMI);
	*stack &= ~(PTE_A | PTE_D);
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	l2_resume(v);
	vm_run_to_end(v);
	expect("V_NMI_MASK after IRET", v->vmcb->vintr & V_NMI_MASK, 0);
}

static void vnmi_masked(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nops);

	intercept_set(v, EXIT_NMI);
	v->vmcb->vintr = V_NMI_ENABLE | V_NMI | V_NMI_MASK;
	vm_run_to_end(v);
	expect("V_NMI still set", v->vmcb->vintr & V_NMI, V_NMI);
}

/* An NMI that L1 injects masks virtual ones until IRET, too. */
static void vnmi_by_eventinj(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nops);

	intercept_set(v, EXIT_NMI);
	v->vmcb->vintr = V_NMI_ENABLE;
	v->vmcb->eventinj = EVENT(EV_NMI, VEC_NMI);
	vm_run(v);
	if (!expect_l2_vector(v, VEC_NMI))
		return;
	expect("V_NMI_MASK", v->vmcb->vintr & V_NMI_MASK, V_NMI_MASK);
	l2_resume(v);
	vm_run_to_end(v);
	expect("V_NMI_MASK after IRET", v->vmcb->vintr & V_NMI_MASK, 0);
}

/* Cut off on its way it masks nothing; L1 injects it again. */
static void vnmi_interrupted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nops);
	uint64_t *stack = table_entry(v->npt, pa(v->stack_top) - 1, LEVEL_4K), whole = *stack;

	intercept_set(v, EXIT_NMI);
	v->vmcb->vintr = V_NMI_ENABLE | V_NMI;
	*stack &= ~PTE_P;
	vm_run(v);
	if (!expect_exit(v->vmcb, EXIT_NPF))
		return;
	expect("EXITINTINFO", v->vmcb->exitintinfo, EVENT(EV_NMI, VEC_NMI));
	expect("V_NMI, V_NMI_MASK", v->vmcb->vintr & (V_NMI | V_NMI_MASK), 0);
	*stack = whole;
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	v->vmcb->eventinj = v->vmcb->exitintinfo;
	vm_run(v);
	expect_l2_vector(v, VEC_NMI);
	expect("V_NMI_MASK", v->vmcb->vintr & V_NMI_MASK, V_NMI_MASK);
}

/* An interrupt of L1's that waits for L2's IF holds back no virtual NMI. */
static void vnmi_beside_intr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nops);

	intercept_set(v, EXIT_NMI);
	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_NMI_ENABLE | V_NMI;
	v->vmcb->rflags &= ~RFLAGS_IF;
	clgi();
	ipi_self(VEC_TIMER);
	sti();
	vm_run_raw(v);
	expect_l2_vector(v, VEC_NMI);
	stgi();
	cli();
}

static void vnmi_needs_nmi_intercept(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_end);

	v->vmcb->vintr = V_NMI_ENABLE;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_INVALID);
}

SCENARIOS("t_vintr") {
	{"virq_at_entry", "15.21.4", at_entry, NEED_SVM, 0},
	{"virq_held_by_if", "15.21.4", held_by_if, NEED_SVM, 0},
	{"virq_after_sti", "15.21.5", after_sti, NEED_SVM, 0},
	{"virq_priority", "15.21.2", priority, NEED_SVM, 0},
	{"virq_ignore_tpr", "15.21.2", ignore_tpr, NEED_SVM, 0},
	{"virq_after_eventinj", "15.20", after_eventinj, NEED_SVM, 0},
	{"virq_physical_first", "15.21.4", physical_first, NEED_SVM, 0},
	{"vintr_exit_at_entry", "15.21.6", vintr_exit_at_entry, NEED_SVM, 0},
	{"vintr_exit_after_sti", "15.21.6", vintr_exit_after_sti, NEED_SVM, 0},
	{"vintr_masked_no_exit", "15.21.6", vintr_masked_no_exit, NEED_SVM, 0},
	{"shadow_loaded", "15.21.5", shadow_loaded, NEED_SVM, 0},
	{"shadow_and_fetch_fault", "15.21.5", shadow_and_fetch_fault, SVM_NP, 0},
	{"shadow_stored_sti", "15.21.5", shadow_stored, NEED_SVM, l2_sti_cpuid},
	{"shadow_stored_mov_ss", "15.21.5", shadow_stored, NEED_SVM, l2_movss_cpuid},
	{"shadow_not_stored", "15.21.5", shadow_not_stored, NEED_SVM, 0},
	{"cr8_reads_v_tpr", "15.21.2", cr8_reads_v_tpr, NEED_SVM, 0},
	{"cr8_writes_v_tpr", "15.21.2", cr8_writes_v_tpr, NEED_SVM, 0},
	{"cr8_write_without_masking", "15.21.2", cr8_without_masking, NEED_SVM, 0},
	{"cr8_read_without_masking", "15.21.2", cr8_read_without_masking, NEED_SVM, 0},
	{"cr8_opens_window", "15.21.4", cr8_opens_window, NEED_SAFE_CPU, 0},
	{"halt_woken_by_intr", "15.13.1", halt_woken_by_intr, NEED_AWAKE_CPU, 0},
	{"halt_woken_by_virq", "15.21.4", halt_woken_by_virq, NEED_AWAKE_CPU, 0},
	{"vgif_off_masks_virq", "15.33.2", vgif_off_masks_virq, SVM_VGIF, 0},
	{"vgif_on_passes_virq", "15.33.2", vgif_on_passes_virq, SVM_VGIF, 0},
	{"vgif_stgi_opens", "15.33.2", vgif_stgi_opens, SVM_VGIF, 0},
	{"vgif_written_back", "15.33.2", vgif_written_back, SVM_VGIF, 0},
	{"vgif_physical_intr", "15.33.2", vgif_physical_intr, SVM_VGIF, 0},
	{"vnmi_delivered", "15.21.10", vnmi_delivered, SVM_VNMI, 0},
	{"vnmi_iret_faults", "15.21.10", vnmi_iret_faults, SVM_VNMI | SVM_NP, 0},
	{"vnmi_masked", "15.21.10", vnmi_masked, SVM_VNMI, 0},
	{"vnmi_by_eventinj", "15.21.10", vnmi_by_eventinj, SVM_VNMI, 0},
	{"vnmi_interrupted", "15.21.10", vnmi_interrupted, SVM_VNMI | SVM_NP, 0},
	{"vnmi_beside_intr", "15.21.10", vnmi_beside_intr, SVM_VNMI, 0},
	{"vnmi_needs_nmi_intercept", "15.21.10", vnmi_needs_nmi_intercept, SVM_VNMI, 0},
};
SCENARIO_COUNT;
