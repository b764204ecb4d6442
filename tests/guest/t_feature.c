/* SPDX-License-Identifier: MIT */
/* t_feature.c - shows optional features that change what L2 may do by itself: virtualised VMLOAD and
 * VMSAVE, guest mode execute trap. Others are with their subject: virtual GIF and NMI in t_vintr.c,
 * TSC ratio in t_tsc.c, PAUSE filter in t_intercept_insn.c, LBR in t_lbr.c. APM vol. 2 15.33. */
#include "vm.h"

#define TARGET UINT64_C(0x10000000)
#define VIRT_VLS BIT(1)
#define NP_GMET BIT(3)
#define MARK 0x1234
#define OPCODE_RET 0xC3

L2_INSN(l2_vmsave, "mov rax, rbx", "vmsave", "");
L2_INSN(l2_vmload, "mov rax, rbx", "vmload", "");
L2_CODE(l2_call, "call rbx");

/* The address is L2's own: it goes through the nested table. */
static struct vm *vm_vls(const uint8_t *code, uint64_t **entry, struct vmcb **page)
{
	uint64_t *p;
	struct vm *v = vm_with_page(code, TARGET, entry, &p);

	*page = (struct vmcb *)(void *)p;
	v->regs.rbx = TARGET;
	v->vmcb->virt_ext = VIRT_VLS;
	return v;
}

static void vls_vmsave(const struct scenario *s UNUSED)
{
	uint64_t *entry;
	struct vmcb *page;
	struct vm *v = vm_vls(l2_vmsave, &entry, &page);

	wrmsr(MSR_SYSENTER_ESP, MARK);
	vm_run_to_end(v);
	wrmsr(MSR_SYSENTER_ESP, 0);
	expect("SYSENTER_ESP in L2's page", page->sysenter_esp, MARK);
}

static void vls_vmload(const struct scenario *s UNUSED)
{
	uint64_t *entry;
	struct vmcb *page, *keep = pages(1);
	struct vm *v = vm_vls(l2_vmload, &entry, &page);

	vmsave(pa(keep));
	*page = *keep;
	page->sysenter_esp = MARK;
	vm_run_to_end(v);
	expect("SYSENTER_ESP loaded", rdmsr(MSR_SYSENTER_ESP), MARK);
	vmload(pa(keep));
}

static void vls_nested_fault(const struct scenario *s UNUSED)
{
	uint64_t *entry;
	struct vmcb *page;
	struct vm *v = vm_vls(l2_vmload, &entry, &page);

	*entry = 0;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO2", v->vmcb->info2, TARGET);
}

static void vls_intercept_wins(const struct scenario *s UNUSED)
{
	uint64_t *entry;
	struct vmcb *page;
	struct vm *v = vm_vls(l2_vmload, &entry, &page);

	intercept_set(v, EXIT_VMLOAD);
	vm_run(v);
	expect_insn_exit(v, EXIT_VMLOAD, l2_vmload_at, l2_vmload_next);
}

/* Under GMET, code in a page with U=1 faults at CPL 0. L2's own code is in pages with U=0. */
static struct vm *vm_gmet(uint64_t leaf_bits)
{
	struct vm *v = vm_new(l2_call);
	uint8_t *page = pages(1);

	page[0] = OPCODE_RET;
	*table_entry(v->npt, pa(l2_call), LEVEL_4K) &= ~PTE_U;
	*table_entry(v->npt, pa(l2_call) + PAGE_SIZE, LEVEL_4K) &= ~PTE_U;
	*table_entry(v->npt, TARGET, LEVEL_4K) = pa(page) | leaf_bits;
	v->regs.rbx = TARGET;
	v->vmcb->np |= NP_GMET;
	return v;
}

static void gmet_supervisor_page(const struct scenario *s UNUSED)
{
	struct vm *v = vm_gmet(PTE_P | PTE_W);

	vm_run_to_end(v);
}

static void gmet_user_page(const struct scenario *s UNUSED)
{
	struct vm *v = vm_gmet(PTE_RWU);

	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1 but for U", v->vmcb->info1 & ~PF_U, NPF_FINAL | PF_P | PF_ID);
	expect("EXITINFO2", v->vmcb->info2, TARGET);
}

SCENARIOS("t_feature") {
	{"vls_vmsave", "15.33.1", vls_vmsave, SVM_NP | SVM_VLS, 0},
	{"vls_vmload", "15.33.1", vls_vmload, SVM_NP | SVM_VLS, 0},
	{"vls_nested_fault", "15.33.1", vls_nested_fault, SVM_NP | SVM_VLS, 0},
	{"vls_intercept_wins", "15.33.1", vls_intercept_wins, SVM_NP | SVM_VLS, 0},
	{"gmet_supervisor_page", "15.25.12", gmet_supervisor_page, SVM_NP | SVM_GMET, 0},
	{"gmet_user_page", "15.25.12", gmet_user_page, SVM_NP | SVM_GMET, 0},
};
SCENARIO_COUNT;
