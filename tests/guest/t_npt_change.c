/* SPDX-License-Identifier: MIT */
/* t_npt_change.c - shows that what L1 changes in a nested table, in nCR3 or in L2's own table becomes
 * visible with the flush that the manual asks for, and added rights or a page that answers a fault
 * without one; two tables by turns; device memory. APM vol. 2 15.16, 15.25. Faults of an unchanged table: t_npt.c. */
#include "str.h"
#include "vm.h"

#define TARGET UINT64_C(0x10000000)
#define LAPIC_VERSION (LAPIC_BASE + 0x30)

L2_CODE(l2_read, "mov rax, [rbx]");
L2_CODE(l2_write, "mov eax, 0x55; mov [rbx], rax");
L2_CODE(l2_read_twice, "mov rax, [rbx]; vmmcall; mov rax, [rbx]");
L2_CODE(l2_read32, "mov eax, [rbx]");

static void remap(uint8_t tlb_control, uint32_t asid)
{
	uint64_t *entry, *page, *other = pages(1);
	struct vm *v = vm_with_page(l2_read_twice, TARGET, &entry, &page);

	other[PAGE_VALUE_OFFSET / 8] = ~PAGE_VALUE;
	vm_run_to_end(v);
	expect("first page", v->vmcb->rax, PAGE_VALUE);
	*entry = pa(other) | PTE_RWU;
	v->vmcb->rip += 3;
	v->vmcb->tlb_control = tlb_control;
	v->vmcb->asid = asid;
	vm_run_to_end(v);
	expect("second page", v->vmcb->rax, ~PAGE_VALUE);
}

static void remap_flush_all(const struct scenario *s UNUSED)
{
	remap(TLB_FLUSH_ALL, 1);
}

static void remap_flush_asid(const struct scenario *s UNUSED)
{
	remap(TLB_FLUSH_ASID, 1);
}

static void remap_new_asid(const struct scenario *s UNUSED)
{
	remap(0, 3);
}

static void rights_removed(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_write, TARGET, &entry, &page);

	vm_run_to_end(v);
	*entry &= ~PTE_W;
	v->vmcb->rip = pa(l2_write);
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_FINAL | PF_U | PF_P | PF_W);
}

/* More rights need no flush: the fault walks again. */
static void rights_added(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_read, TARGET, &entry, &page);

	*entry &= ~PTE_W;
	vm_run_to_end(v);
	*entry |= PTE_W;
	v->vmcb->rip = pa(l2_write);
	v->vmcb->tlb_control = 0;
	vm_run_to_end(v);
	expect("memory", page[PAGE_VALUE_OFFSET / 8], 0x55);
}

/* Copy on write: another page answers the fault, which has taken the old one out of the TLB. At WRITE both have a write
 * to the page itself, at CPUID_AT a CPUID, which is longer in the second. */
#define WRITE 0
#define CPUID_AT 3
static const uint8_t code_first[] = {0x48, 0x89, 0x03, 0x0F, 0xA2}, code_second[] = {0x48, 0x89, 0x03, 0x2E, 0x0F, 0xA2};

static void expect_cpuid_exit(struct vm *v, size_t code_bytes)
{
	vm_run(v);
	expect_insn_exit(v, EXIT_CPUID, (void *)(TARGET + CPUID_AT), (void *)(TARGET + code_bytes));
	v->vmcb->tlb_control = 0;
	v->vmcb->rip = TARGET + WRITE;
}

static void page_replaced(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page, *other = pages(1);
	struct vm *v = vm_with_page((void *)TARGET, TARGET, &entry, &page);

	memcpy(page, code_first, sizeof(code_first));
	memcpy(other, code_second, sizeof(code_second));
	intercept_set(v, EXIT_CPUID);
	*entry &= ~PTE_W;
	v->vmcb->rip = TARGET + CPUID_AT;
	expect_cpuid_exit(v, sizeof(code_first));
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	*entry = pa(other) | PTE_RWU;
	expect_cpuid_exit(v, sizeof(code_second));
	expect("memory", other[PAGE_VALUE_OFFSET / 8], v->vmcb->rax);
}

/* Two nested tables by turns, each with an ASID of its own. */
static void two_roots(const struct scenario *s UNUSED)
{
	uint64_t *e1, *e2, *p1, *p2;
	struct vm *v = vm_with_page(l2_read, TARGET, &e1, &p1), *w = vm_with_page(l2_read, TARGET, &e2, &p2);

	p2[PAGE_VALUE_OFFSET / 8] = ~PAGE_VALUE;
	w->vmcb->asid = 2;
	v->vmcb->tlb_control = w->vmcb->tlb_control = 0;
	for (unsigned i = 0; i < 4; i++) {
		v->vmcb->rip = w->vmcb->rip = pa(l2_read);
		vm_run_to_end(v);
		vm_run_to_end(w);
		expect("first", v->vmcb->rax, PAGE_VALUE);
		expect("second", w->vmcb->rax, ~PAGE_VALUE);
	}
}

/* One VMCB, another nCR3: the NP clean bit is clear, so the new root is used. */
static void new_root_same_vmcb(const struct scenario *s UNUSED)
{
	uint64_t *e1, *e2, *p1, *p2;
	struct vm *v = vm_with_page(l2_read, TARGET, &e1, &p1), *w = vm_with_page(l2_read, TARGET, &e2, &p2);

	p2[PAGE_VALUE_OFFSET / 8] = ~PAGE_VALUE;
	vm_run_to_end(v);
	v->vmcb->ncr3 = w->vmcb->ncr3;
	v->vmcb->rip = pa(l2_read);
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, ~PAGE_VALUE);
}

/* INVLPGA names a guest-virtual address: a changed guest table entry becomes visible. */
static void invlpga_guest_mapping(const struct scenario *s UNUSED)
{
	uint64_t *root = table_identity(PTE_RWU), *a = pages(1), *b = pages(1);
	struct vm *v = vm_new(l2_read_twice);
	uint64_t *leaf = table_entry(root, TARGET, LEVEL_4K);

	a[0] = PAGE_VALUE;
	b[0] = ~PAGE_VALUE;
	*leaf = pa(a) | PTE_RWU;
	v->vmcb->cr3 = pa(root);
	v->regs.rbx = TARGET;
	vm_run_to_end(v);
	expect("first page", v->vmcb->rax, PAGE_VALUE);
	*leaf = pa(b) | PTE_RWU;
	invlpga(TARGET, 1);
	v->vmcb->rip += 3;
	v->vmcb->tlb_control = 0;
	vm_run_to_end(v);
	expect("second page", v->vmcb->rax, ~PAGE_VALUE);
}

/* L2 reaches L1's local APIC through an identity entry. */
static void device_through(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read32);

	v->regs.rbx = LAPIC_VERSION;
	vm_run_to_end(v);
	expect("APIC version", v->vmcb->rax & UINT32_MAX, lapic_read(0x30));
}

static void device_readonly(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_write);

	*table_entry(v->npt, LAPIC_BASE, LEVEL_4K) &= ~PTE_W;
	v->regs.rbx = LAPIC_BASE + 0x80;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_FINAL | PF_U | PF_P | PF_W);
	expect("EXITINFO2", v->vmcb->info2, LAPIC_BASE + 0x80);
}

SCENARIOS("t_npt_change") {
	{"npt_remap_flush_all", "15.16.1", remap_flush_all, SVM_NP, 0},
	{"npt_remap_flush_asid", "15.16.1", remap_flush_asid, SVM_NP | SVM_FLUSH_ASID, 0},
	{"npt_remap_new_asid", "15.16.1", remap_new_asid, SVM_NP, 0},
	{"npt_rights_removed", "15.16.1", rights_removed, SVM_NP, 0},
	{"npt_rights_added", "15.16.1", rights_added, SVM_NP, 0},
	{"npt_page_replaced", "5.5.2", page_replaced, SVM_NP, 0},
	{"npt_two_roots", "15.16", two_roots, SVM_NP, 0},
	{"npt_new_root_same_vmcb", "15.25.3", new_root_same_vmcb, SVM_NP, 0},
	{"npt_invlpga_guest_mapping", "15.16.2", invlpga_guest_mapping, SVM_NP, 0},
	{"npt_device_through", "15.25.2", device_through, SVM_NP, 0},
	{"npt_device_readonly", "15.25.6", device_readonly, SVM_NP, 0},
};
SCENARIO_COUNT;
