/* SPDX-License-Identifier: MIT */
/* t_gif.c - shows the global interrupt flag: what STGI and CLGI hold and release, and the exits
 * that physical INTR and NMI cause while an L2 runs. APM vol. 2 15.17, 15.13, 15.21. */
#include "vm.h"

#define VEC_IPI 0x40
#define VEC_TIMER 0x41
#define TIMER_SOON 200000u
#define ALARMS 200u
#define ALARM_VMRUNS 300000u	/* until one counts as lost */
#define LOOPS "mov ecx, 100000000; 1: pause; loop 1b"

L2_CODE(l2_nothing, "");
L2_CODE(l2_long_loop, LOOPS);
L2_CODE(l2_sti_loop, "sti; " LOOPS);
L2_CODE(l2_cli_loop, "cli; " LOOPS);
L2_CODE(l2_iret_return, "mov rax, 1");
L2_CODE(l2_nops, "nop; nop; nop");

static void held(void)
{
	spin(SPIN_SHORT);
	expect("taken with GIF=0", trap_count[VEC_IPI] + trap_count[VEC_NMI], 0);
	stgi();
	spin(SPIN_SHORT);
	cli();
}

static void clgi_holds_intr(const struct scenario *s UNUSED)
{
	sti();
	clgi();
	ipi_self(VEC_IPI);
	held();
	expect("taken after STGI", trap_count[VEC_IPI], 1);
}

static void clgi_holds_nmi(const struct scenario *s UNUSED)
{
	clgi();
	ipi_self_nmi();
	held();
	expect("NMIs after STGI", trap_count[VEC_NMI], 1);
}

static void stgi_with_if_clear(const struct scenario *s UNUSED)
{
	clgi();
	ipi_self(VEC_IPI);
	stgi();
	spin(SPIN_SHORT);
	expect("taken with IF=0", trap_count[VEC_IPI], 0);
	sti();
	spin(SPIN_SHORT);
	cli();
	expect("taken with IF=1", trap_count[VEC_IPI], 1);
}

static void exceptions_with_gif_clear_body(uint64_t unused UNUSED)
{
	__asm__ volatile("ud2");
}

static void exceptions_with_gif_clear(const struct scenario *s UNUSED)
{
	struct fault f;

	clgi();
	f = trap_catch(exceptions_with_gif_clear_body, 0);
	stgi();
	expect_fault(f, VEC_UD, 0);
}

static void two_vectors_held(const struct scenario *s UNUSED)
{
	sti();
	clgi();
	ipi_self(VEC_IPI);
	ipi_self(VEC_IPI + 0x10);
	held();
	expect("first", trap_count[VEC_IPI], 1);
	expect("second", trap_count[VEC_IPI + 0x10], 1);
}

/* INTR exit: pending at VMRUN, before the first L2 instruction, left pending for L1. */
static void intr_exit_pending(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_INTR_MASKING;
	clgi();
	ipi_self(VEC_IPI);
	sti();
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	expect("rip", v->vmcb->rip, pa(l2_nothing));
	expect("taken before STGI", trap_count[VEC_IPI], 0);
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("taken after STGI", trap_count[VEC_IPI], 1);
}

static void intr_exit_running(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_long_loop);

	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_INTR_MASKING;
	clgi();
	sti();
	lapic_timer_once(VEC_TIMER, TIMER_SOON);
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("timer interrupt in L1", trap_count[VEC_TIMER], 1);
}

/* With V_INTR_MASKING, L1's IF at VMRUN decides; L2's own IF does not (15.21.1). */
static void intr_masked_by_host_if(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_sti_loop);

	v->regs.rcx = 0;
	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_INTR_MASKING;
	v->vmcb->rip = pa(l2_nothing);
	v->vmcb->rflags |= RFLAGS_IF;
	ipi_self(VEC_IPI);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	sti();
	spin(SPIN_SHORT);
	cli();
	expect("still pending", trap_count[VEC_IPI], 1);
}

/* Without V_INTR_MASKING, L2's IF decides, L1's does not. */
static void intr_masked_by_guest_if(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	intercept_set(v, EXIT_INTR);
	clgi();
	ipi_self(VEC_IPI);
	sti();
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	v->vmcb->rip = pa(l2_sti_loop);
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("taken after STGI", trap_count[VEC_IPI], 1);
}

/* Not intercepted: the physical interrupt goes through L2's IDT. */
static void intr_delivered_to_l2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_sti_loop);

	clgi();
	ipi_self(VEC_IPI);
	vm_run(v);
	expect_l2_vector(v, VEC_IPI);
	lapic_eoi();
	expect("taken in L1", trap_count[VEC_IPI], 0);
}

/* The same in an interrupt shadow: behind its instruction, whether L1's IF or L2's decides. */
static void intr_delivered_behind_shadow(const struct scenario *s)
{
	struct vm *v = vm_new(l2_nops);

	v->vmcb->vintr = s->row ? V_INTR_MASKING : 0;
	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->int_state = INT_SHADOW;
	clgi();
	ipi_self(VEC_IPI);
	sti();
	vm_run_raw(v);
	cli();
	if (expect_l2_vector(v, VEC_IPI)) {
		expect("rip pushed", l2_frame(v)->rip, pa(l2_nops + 1));
		lapic_eoi();
	}
	stgi();
	expect("taken in L1", trap_count[VEC_IPI], 0);
}

/* Each alarm comes, however many VMRUNs and #VMEXITs there are meanwhile. */
static void timer_beside_vmruns(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);
	bool came = true;

	v->vmcb->tlb_control = 0;
	sti();
	for (unsigned i = 1; i <= ALARMS && came; i++) {
		lapic_timer_once(VEC_TIMER, TIMER_SOON);
		for (unsigned n = 0; trap_count[VEC_TIMER] < i && n < ALARM_VMRUNS; n++) {
			v->vmcb->rip = pa(l2_nothing);
			clgi();
			vmrun_raw(pa(v->vmcb), &v->regs);
			stgi();
		}
		came = expect("alarms that came", trap_count[VEC_TIMER], i);
	}
	cli();
}

static void intr_exit_while_l2_if_clear(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_cli_loop);

	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_INTR_MASKING;
	v->vmcb->rflags |= RFLAGS_IF;
	clgi();
	sti();
	lapic_timer_once(VEC_TIMER, TIMER_SOON);
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("timer interrupt in L1", trap_count[VEC_TIMER], 1);
}

static void nmi_exit_pending(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	intercept_set(v, EXIT_NMI);
	clgi();
	ipi_self_nmi();
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_NMI);
	expect("rip", v->vmcb->rip, pa(l2_nothing));
	expect("NMIs before STGI", trap_count[VEC_NMI], 0);
	stgi();
	spin(SPIN_SHORT);
	expect("NMIs after STGI", trap_count[VEC_NMI], 1);
}

static void nmi_delivered_to_l2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_iret_return);

	clgi();
	ipi_self_nmi();
	vm_run(v);
	if (!expect_l2_vector(v, VEC_NMI))
		return;
	l2_resume(v);
	vm_run_to_end(v);
	expect("rax after IRET", v->vmcb->rax, 1);
	expect("NMIs in L1", trap_count[VEC_NMI], 0);
}

/* Both pending and intercepted: NMI has priority, INTR exits at the next VMRUN. */
static void nmi_before_intr(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	intercept_set(v, EXIT_NMI);
	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_INTR_MASKING;
	clgi();
	sti();
	ipi_self(VEC_IPI);
	ipi_self_nmi();
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_NMI);
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("NMIs", trap_count[VEC_NMI], 1);
	expect("interrupts", trap_count[VEC_IPI], 1);
}

/* An event to inject goes first, then the pending interrupt exits. */
static void eventinj_before_intr_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr = V_INTR_MASKING;
	v->vmcb->eventinj = EVENT(EV_EXC, VEC_UD);
	clgi();
	sti();
	ipi_self(VEC_IPI);
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_INTR);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
	stgi();
	cli();
	vm_run(v);
	expect_l2_vector(v, VEC_UD);
}

/* Clearing EFER.SVME does not set GIF; STGI does once SVME is back (15.17). */
static void gif_survives_svme_clear(const struct scenario *s UNUSED)
{
	sti();
	clgi();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	ipi_self(VEC_IPI);
	spin(SPIN_SHORT);
	expect("taken with SVME=0, GIF=0", trap_count[VEC_IPI], 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	held();
	expect("taken after STGI", trap_count[VEC_IPI], 1);
}

/* A breakpoint match with GIF=0 is dropped, not held (15.17). */
static void breakpoint_dropped(const struct scenario *s UNUSED)
{
	static volatile uint64_t target;

	dr0_write(pa((const void *)&target));
	dr7_write(DR7_RESET | 0x2 | 0x90000);	/* G0, write, 8 bytes: length code 2 */
	clgi();
	target = 1;
	stgi();
	spin(SPIN_SHORT);
	dr7_write(DR7_RESET);
	expect("#DB", trap_count[VEC_DB], 0);
}

SCENARIOS("t_gif") {
	{"gif_clgi_holds_intr", "15.17", clgi_holds_intr, NEED_SVM, 0},
	{"gif_clgi_holds_nmi", "15.17", clgi_holds_nmi, NEED_SVM, 0},
	{"gif_stgi_with_if_clear", "15.17", stgi_with_if_clear, NEED_SVM, 0},
	{"gif_exceptions_with_gif_clear", "15.17", exceptions_with_gif_clear, NEED_SVM, 0},
	{"gif_two_vectors_held", "15.17", two_vectors_held, NEED_SVM, 0},
	{"gif_survives_svme_clear", "15.17", gif_survives_svme_clear, NEED_SVM, 0},
	{"gif_breakpoint_dropped", "15.17", breakpoint_dropped, NEED_SVM, 0},
	{"intr_exit_pending", "15.13.1", intr_exit_pending, NEED_SVM, 0},
	{"intr_exit_running", "15.13.1", intr_exit_running, NEED_SVM, 0},
	{"intr_masked_by_host_if", "15.21.1", intr_masked_by_host_if, NEED_SVM, 0},
	{"intr_masked_by_guest_if", "15.21.1", intr_masked_by_guest_if, NEED_SVM, 0},
	{"intr_delivered_to_l2", "15.13.1", intr_delivered_to_l2, NEED_SVM, 0},
	{"intr_behind_shadow", "15.21.5", intr_delivered_behind_shadow, NEED_SVM, 0},
	{"intr_behind_shadow_masking", "15.21.5", intr_delivered_behind_shadow, NEED_SVM, l2_nops},
	{"intr_timer_beside_vmruns", "15.13.1", timer_beside_vmruns, NEED_SVM, 0},
	{"intr_exit_while_l2_if_clear", "15.21.1", intr_exit_while_l2_if_clear, NEED_SVM, 0},
	{"nmi_exit_pending", "15.13.2", nmi_exit_pending, NEED_SVM, 0},
	{"nmi_delivered_to_l2", "15.13.2", nmi_delivered_to_l2, NEED_SVM, 0},
	{"nmi_before_intr", "15.21.4", nmi_before_intr, NEED_SVM, 0},
	{"eventinj_before_intr_exit", "15.20", eventinj_before_intr_exit, NEED_SVM, 0},
};
SCENARIO_COUNT;
