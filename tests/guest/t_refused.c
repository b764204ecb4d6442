/* SPDX-License-Identifier: MIT */
/* t_refused.c - shows what a VMRUN that fails its consistency checks does, and all that it must
 * not do: a #VMEXIT with code -1, GIF=0, nothing taken before STGI, VMCB otherwise untouched.
 * The early kind (L2 state never loaded) and the late kind (PDPTEs, bitmaps). APM vol. 2 15.5.1. */
#include "vm.h"
#include "str.h"

#define VEC_IPI 0x40
#define IO_SPACE_TOP_PAGES 2
#define RANDOM_STEP UINT64_C(6364136223846793005)
#define PDPTE_RESERVED BIT(63)

L2_CODE(l2_never, "");
L2_CODE(l2_stale, "mov rax, 1");

static struct vm *vm_bad_asid(void)
{
	struct vm *v = vm_new(l2_never);

	v->vmcb->asid = 0;
	return v;
}

static void expect_refused(const struct vm *v)
{
	expect_exit(v->vmcb, EXIT_INVALID);
	expect("EXITINFO1", v->vmcb->info1, 0);
	expect("EXITINFO2", v->vmcb->info2, 0);
}

static void exitcode_is_64_bit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();

	vm_run(v);
	expect("exit code, 64 bits", v->vmcb->exitcode, EXIT_INVALID);
}

static void is_an_exit_not_a_fault(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();

	v->regs.rbx = 7;
	vm_run(v);
	expect_refused(v);
	expect("exceptions in L1", trap_count[VEC_UD] + trap_count[VEC_GP], 0);
	expect("general registers pass", v->regs.rbx, 7);
}

static void ipi_held_until_stgi(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();

	sti();
	vm_run_raw(v);
	ipi_self(VEC_IPI);
	spin(SPIN_SHORT);
	expect("interrupts before STGI", trap_count[VEC_IPI], 0);
	stgi();
	spin(SPIN_SHORT);
	cli();
	expect("interrupts after STGI", trap_count[VEC_IPI], 1);
	expect_refused(v);
}

/* STI; VMRUN with an interrupt waiting. The count right behind VMRUN goes to rax, STGI follows. */
uint64_t shadow_vmrun(uint64_t vmcb_pa, volatile uint64_t *count);
extern const uint8_t shadow_after_stgi[];
L1_CODE(shadow_vmrun, "mov rax, rdi; sti; vmrun; mov rcx, [rsi]; nop; nop; mov rdx, [rsi]; stgi;"
		      "shadow_after_stgi: nop; nop; cli; lea rax, [rcx + rdx]; ret");

static void in_sti_shadow(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();
	uint64_t seen;

	ipi_self(VEC_IPI);
	spin(SPIN_SHORT);
	seen = shadow_vmrun(pa(v->vmcb), &trap_count[VEC_IPI]);
	expect("interrupts before STGI", seen, 0);
	expect("interrupts after STGI", trap_count[VEC_IPI], 1);
	expect("taken at", trap_rip[VEC_IPI], pa(shadow_after_stgi));
	expect_refused(v);
}

static void nmi_held_until_stgi(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();

	vm_run_raw(v);
	ipi_self_nmi();
	spin(SPIN_SHORT);
	expect("NMIs before STGI", trap_count[VEC_NMI], 0);
	stgi();
	spin(SPIN_SHORT);
	expect("NMIs after STGI", trap_count[VEC_NMI], 1);
	expect_refused(v);
}

/* Single-steps VMRUN itself; TF traps whatever GIF is (15.17). */
void traced_vmrun(uint64_t vmcb_pa);
extern const uint8_t traced_next[];
L1_CODE(traced_vmrun, "mov rax, rdi; pushfq; or dword ptr [rsp], 0x100; popfq; vmrun;"
		      "traced_next: nop; nop; stgi; ret");

static void single_step(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();

	traced_vmrun(pa(v->vmcb));
	expect("#DB count", trap_count[VEC_DB], 1);
	expect("#DB at", trap_rip[VEC_DB], pa(traced_next));
	expect("DR6.BS", trap_dr6 & DR6_BS, DR6_BS);
	expect_refused(v);
}

static void dr7_disarmed(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();

	dr7_write(DR7_RESET | 0x2);
	vm_run(v);
	expect("dr7", dr7_read(), DR7_RESET);
}

static void eventinj_dropped(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();

	v->vmcb->eventinj = EVENT_CODE(EV_EXC, VEC_GP, 0x1234);
	vm_run(v);
	expect("EVENTINJ", v->vmcb->eventinj, 0);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
	expect("#GP in L1", trap_count[VEC_GP], 0);
	expect_refused(v);
}

/* Fills the save area with noise; the refusal comes from the ASID before anything is loaded. */
static void fill_random(struct vmcb *c)
{
	uint64_t x = 1, *save = (uint64_t *)(void *)&c->es;

	for (unsigned i = 0; i < (PAGE_SIZE - 0x400) / 8; i++)
		save[i] = x = x * RANDOM_STEP + 1;
	c->vintr = V_IRQ | V_TPR(3) | V_PRIO(5) | V_VECTOR(0x77);
	c->int_state = INT_SHADOW;
	c->tlb_control = TLB_FLUSH_ASID;
	c->nrip = 0x1234;
	c->clean = 0;
	c->exitintinfo = 0;
}

/* The four fields that a refused VMRUN writes, APM 15.6 and the VMRUN page of vol. 3. */
static void exit_fields_clear(struct vmcb *c)
{
	c->exitcode = c->info1 = c->info2 = c->eventinj = 0;
}

static void vmcb_untouched(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();
	struct vmcb *before = pages(1);

	fill_random(v->vmcb);
	*before = *v->vmcb;
	vm_run(v);
	expect_refused(v);
	exit_fields_clear(v->vmcb);
	exit_fields_clear(before);
	for (unsigned off = 0; off < PAGE_SIZE; off += 8) {
		uint64_t now = *(uint64_t *)((uintptr_t)v->vmcb + off);
		uint64_t was = *(uint64_t *)((uintptr_t)before + off);

		if (!expect("offset of a changed VMCB field", now == was ? 0 : off, 0))
			return;
	}
}

static void same_with_and_without_clgi(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid(), *w = vm_bad_asid();

	fill_random(v->vmcb);
	fill_random(w->vmcb);
	w->vmcb->iopm = v->vmcb->iopm;
	w->vmcb->msrpm = v->vmcb->msrpm;
	w->vmcb->ncr3 = v->vmcb->ncr3;
	vm_run_raw(v);
	stgi();
	vm_run(w);
	expect("VMCBs differ", memcmp(v->vmcb, w->vmcb, PAGE_SIZE) != 0, 0);
}

static void l1_state_intact(const struct scenario *s UNUSED)
{
	struct vm *v = vm_bad_asid();
	uint64_t cr0 = cr0_read(), cr3 = cr3_read(), cr4 = cr4_read(), efer = rdmsr(MSR_EFER);

	fill_random(v->vmcb);
	vm_run(v);
	expect("cr0", cr0_read(), cr0);
	expect("cr3", cr3_read(), cr3);
	expect("cr4", cr4_read(), cr4);
	expect("efer", rdmsr(MSR_EFER), efer);
}

static void virq_not_consumed(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_never);

	v->vmcb->asid = 0;
	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->vintr = V_IRQ | V_IGN_TPR | V_VECTOR(0x60);
	vm_run(v);
	expect_refused(v);
	v->vmcb->asid = 1;
	vm_run(v);
	expect_l2_vector(v, 0x60);
}

static void then_legal(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_stale);

	for (unsigned i = 0; i < 3; i++) {
		v->vmcb->asid = 0;
		vm_run(v);
		expect_refused(v);
		v->vmcb->asid = 1;
		v->vmcb->rip = pa(l2_stale);
		vm_run_to_end(v);
	}
}

/* A PAE L2 on its own table without nested paging: PDPTEs are read by VMRUN (S16). */
static void late_bad_pdpte(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new_flat(l2_never);
	uint64_t *pdpt = pages(1), cr3 = cr3_read(), cr4 = cr4_read();

	pdpt[0] = PDPTE_RESERVED | PTE_P;
	v->vmcb->efer = EFER_SVME;
	v->vmcb->cs.attr = ATTR_CODE32;
	v->vmcb->cr3 = pa(pdpt);
	dr7_write(DR7_RESET | 0x2);
	sti();
	vm_run_raw(v);
	ipi_self(VEC_IPI);
	spin(SPIN_SHORT);
	expect("interrupts before STGI", trap_count[VEC_IPI], 0);
	stgi();
	cli();
	expect_exit(v->vmcb, EXIT_INVALID);
	expect("cr3 of L1", cr3_read(), cr3);
	expect("cr4 of L1", cr4_read(), cr4);
	expect("dr7 of L1", dr7_read(), DR7_RESET);
}

/* The last two pages of the physical space hold no memory, so no permission map can be there. */
static void late_msrpm_unbacked(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_never);
	uint64_t cr3 = cr3_read(), cr0 = cr0_read();

	v->vmcb->msrpm = BIT(maxphys()) - IO_SPACE_TOP_PAGES * PAGE_SIZE;
	intercept_set(v, EXIT_MSR);
	sti();
	vm_run_raw(v);
	ipi_self(VEC_IPI);
	spin(SPIN_SHORT);
	expect("interrupts before STGI", trap_count[VEC_IPI], 0);
	stgi();
	cli();
	expect_exit(v->vmcb, EXIT_INVALID);
	expect("cr3 of L1", cr3_read(), cr3);
	expect("cr0 of L1", cr0_read(), cr0);
}

SCENARIOS("t_refused") {
	{"refused_exitcode_64bit", "15.5.1", exitcode_is_64_bit, NEED_SVM, 0},
	{"refused_is_an_exit", "15.5.1", is_an_exit_not_a_fault, NEED_SVM, 0},
	{"refused_ipi_held_until_stgi", "15.17", ipi_held_until_stgi, NEED_SVM, 0},
	{"refused_in_sti_shadow", "15.21.5", in_sti_shadow, NEED_SVM, 0},
	{"refused_nmi_held_until_stgi", "15.17", nmi_held_until_stgi, NEED_SVM, 0},
	{"refused_single_step", "15.5.1", single_step, NEED_SVM, 0},
	{"refused_dr7_disarmed", "15.6", dr7_disarmed, NEED_SVM, 0},
	{"refused_eventinj_dropped", "15.20", eventinj_dropped, NEED_SVM, 0},
	{"refused_vmcb_untouched", "15.5.1", vmcb_untouched, NEED_SVM, 0},
	{"refused_same_with_and_without_clgi", "15.5.1", same_with_and_without_clgi, NEED_SVM, 0},
	{"refused_l1_state_intact", "15.6", l1_state_intact, NEED_SVM, 0},
	{"refused_virq_not_consumed", "15.21.1", virq_not_consumed, NEED_SVM, 0},
	{"refused_then_legal", "15.5.1", then_legal, NEED_SVM, 0},
	{"refused_late_bad_pdpte", "15.5.1", late_bad_pdpte, NEED_SVM, 0},
	{"refused_late_msrpm_unbacked", "15.11", late_msrpm_unbacked, NEED_SVM, 0},
};
SCENARIO_COUNT;
