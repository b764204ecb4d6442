/* SPDX-License-Identifier: MIT */
/* t_clean.c - shows the VMCB clean bits: a field whose bit is 0 is always read again, whatever the
 * other bits say; fields that are never cached; checks on the merged state; and VMCBs, maps and
 * tables in unusual places. APM vol. 2 15.15. */
#include "vm.h"
#include "str.h"

#define CLEAN_I 0
#define CLEAN_IOPM 1
#define CLEAN_ASID 2
#define CLEAN_TPR 3
#define CLEAN_NP 4
#define CLEAN_CRX 5
#define CLEAN_DRX 6
#define CLEAN_DT 7
#define CLEAN_SEG 8
#define CLEAN_CR2 9
#define VEC_VIRQ 0x60
#define MARK UINT64_C(0x1122334455667788)
#define TARGET UINT64_C(0x10000000)

/* Looks at everything that a row changes. */
L2_INSN(l2_look, "mov rax, cr2; mov rbx, cr4; mov rcx, dr6; mov edx, ds; sub rsp, 16; sidt [rsp];"
		 "mov rsi, [rsp + 2]; add rsp, 16; in al, 0x5A", "cpuid", "");
L2_CODE(l2_loop, "1: inc rax; vmmcall; jmp 1b");
L2_CODE(l2_read, "mov rax, [rbx]");

static void change_intercept(struct vm *v)
{
	intercept_set(v, EXIT_CPUID);
}

static void change_iopm(struct vm *v)
{
	uint8_t *map = pages(3);

	map[0x5A / 8] = 0xFF;
	v->vmcb->iopm = pa(map);
}

static void change_asid(struct vm *v)
{
	v->vmcb->asid = 0;
}

static void change_virq(struct vm *v)
{
	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->vintr = V_IRQ | V_IGN_TPR | V_VECTOR(VEC_VIRQ);
}

static void change_ncr3(struct vm *v)
{
	v->vmcb->ncr3 = pa(pages(1));
}

static void change_cr4(struct vm *v)
{
	v->vmcb->cr4 |= CR4_PSE;
}

static void change_dr6(struct vm *v)
{
	v->vmcb->dr6 = DR6_RESET | 5;
}

static void change_idtr(struct vm *v)
{
	v->vmcb->idtr.base += 0x1000;
}

static void change_ds(struct vm *v)
{
	v->vmcb->ds.sel = SEL_USER_DATA;
}

static void change_cr2(struct vm *v)
{
	v->vmcb->cr2 = MARK;
}

struct clean_row {
	unsigned bit;
	void (*change)(struct vm *v);
	uint64_t exitcode;
	int vector;
};

static const struct clean_row row_intercept = {CLEAN_I, change_intercept, EXIT_CPUID, -1};
static const struct clean_row row_iopm = {CLEAN_IOPM, change_iopm, EXIT_IOIO, -1};
static const struct clean_row row_asid = {CLEAN_ASID, change_asid, EXIT_INVALID, -1};
static const struct clean_row row_virq = {CLEAN_TPR, change_virq, EXIT_VMMCALL, VEC_VIRQ};
static const struct clean_row row_ncr3 = {CLEAN_NP, change_ncr3, EXIT_NPF, -1};
static const struct clean_row row_cr4 = {CLEAN_CRX, change_cr4, EXIT_VMMCALL, -1};
static const struct clean_row row_dr6 = {CLEAN_DRX, change_dr6, EXIT_VMMCALL, -1};
static const struct clean_row row_idtr = {CLEAN_DT, change_idtr, EXIT_VMMCALL, -1};
static const struct clean_row row_ds = {CLEAN_SEG, change_ds, EXIT_VMMCALL, -1};
static const struct clean_row row_cr2 = {CLEAN_CR2, change_cr2, EXIT_VMMCALL, -1};

/* One run with everything clear, then the change with only its own bit clear. */
static void honoured(const struct scenario *s)
{
	const struct clean_row *r = s->row;
	struct vm *v = vm_new(l2_look);
	struct gprs none = {0};

	intercept_set(v, EXIT_IOIO);
	vm_run_to_end(v);
	v->regs = none;
	v->vmcb->rip = pa(l2_look);
	v->vmcb->clean = UINT32_MAX & ~BIT(r->bit);
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	r->change(v);
	vm_run(v);
	expect_exit(v->vmcb, r->exitcode);
	expect("vector in L2", (uint64_t)(int64_t)l2_vector(v), (uint64_t)(int64_t)r->vector);
	expect("clean bits are L1's", v->vmcb->clean, UINT32_MAX & ~BIT(r->bit));
	if (r->change == change_cr4)
		expect("cr4 stored", v->vmcb->cr4 & CR4_PSE, CR4_PSE);
	if (r->change == change_dr6)
		expect("dr6 in L2", v->vmcb->dr6 & 0xF, 5);
	if (r->change == change_cr2)
		expect("cr2 stored", v->vmcb->cr2, MARK);
	if (r->change == change_idtr)
		expect("IDTR in L2", v->regs.rsi, pa(l2_idt) + 0x1000);
	if (r->change == change_ds)
		expect("ds stored", v->vmcb->ds.sel, SEL_USER_DATA);
}

/* RIP, RSP, RAX, RFLAGS, EVENTINJ, INT_SHADOW and TLB_CONTROL are read at each VMRUN. */
static void never_cached(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_loop);

	vm_run_to_end(v);
	v->vmcb->clean = UINT32_MAX;
	v->vmcb->rax = 41;
	v->vmcb->rip = pa(l2_loop);
	v->vmcb->rsp -= 64;
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 42);
	expect("rsp", v->vmcb->rsp, pa(v->stack_top) - 64);
	v->vmcb->rip = pa(l2_loop);
	v->vmcb->eventinj = EVENT(EV_EXC, VEC_UD);
	vm_run(v);
	expect_l2_vector(v, VEC_UD);
}

/* The whole VMCB on another page, as when a hypervisor moves it: all bits have to be clear, and the
 * old page is no longer looked at. */
static void moved_and_old_page_spoilt(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_loop);
	struct vmcb *old = v->vmcb;

	vm_run_to_end(v);
	v->vmcb = pages(1);
	*v->vmcb = *old;
	memset(old, 0xFF, PAGE_SIZE);
	v->vmcb->clean = 0;
	v->vmcb->rip = pa(l2_loop);
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 2);
}

/* --- unusual places; each must be harmless --- */

/* All maps in one page of zeros that is also the L2's stack. */
static void maps_share_pages(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_loop);

	v->vmcb->msrpm = v->vmcb->iopm;
	intercept_set(v, EXIT_IOIO);
	intercept_set(v, EXIT_MSR);
	vm_run_to_end(v);
	v->vmcb->iopm = v->vmcb->msrpm = pa(v->vmcb);
	v->vmcb->rip = pa(l2_loop);
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 2);
}

/* L2 rewrites its own VMCB while it runs: the running copy is not affected, and the exit writes
 * the architectural fields over it. */
L2_CODE(l2_rewrite, "mov dword ptr [rbx + 0x58], 0; mov dword ptr [rbx + 0x10], 0; mov rax, 5");

static void l2_writes_vmcb12(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_rewrite);

	v->regs.rbx = pa(v->vmcb);
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 5);
	expect("ASID as L2 wrote it", v->vmcb->asid, 0);
	v->vmcb->rip = pa(l2_rewrite);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_INVALID);
}

/* A nested root outside all memory: some nested page fault, and L1 goes on. */
static void ncr3_unbacked(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_loop);

	v->vmcb->ncr3 = BIT(maxphys() - 1);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
}

/* A nested table that points to itself. */
static void npt_recursive(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read);

	*table_entry(v->npt, TARGET, LEVEL_4K) = pa(v->npt) | PTE_RWU;
	v->regs.rbx = TARGET;
	vm_run_to_end(v);
	expect("root entry", v->vmcb->rax & PTE_ADDR, v->npt[0] & PTE_ADDR);
}

/* More pages than any bounded shadow holds at once: every one still reads as it should. */
static void many_pages(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_read);
	uint64_t *page = pages(1);

	page[0] = MARK;
	for (unsigned i = 0; i < 1024; i++) {
		uint64_t at = TARGET + (i % 256) * SIZE_2M;

		expect_item(i);
		*table_entry(v->npt, at, LEVEL_4K) = pa(page) | PTE_RWU;
		v->regs.rbx = at;
		v->vmcb->rip = pa(l2_read);
		v->vmcb->tlb_control = i < 256 ? TLB_FLUSH_ALL : 0;
		vm_run_to_end(v);
		if (!expect("rax", v->vmcb->rax, MARK))
			return;
	}
}

#define HONOURED(n) {"clean_" #n "_honoured", "15.15.3", honoured, NEED_SVM, &row_##n}
SCENARIOS("t_clean") {
	HONOURED(intercept), HONOURED(iopm), HONOURED(asid), HONOURED(virq), HONOURED(cr4),
	HONOURED(dr6), HONOURED(idtr), HONOURED(ds), HONOURED(cr2),
	{"clean_ncr3_honoured", "15.15.3", honoured, SVM_NP, &row_ncr3},
	{"clean_never_cached", "15.15.3", never_cached, NEED_SVM, 0},
	{"clean_moved_and_old_page_spoilt", "15.15.2", moved_and_old_page_spoilt, NEED_SVM, 0},
	{"place_maps_share_pages", "15.10.1", maps_share_pages, NEED_SVM, 0},
	{"place_l2_writes_vmcb", "15.5.1", l2_writes_vmcb12, NEED_SVM, 0},
	{"place_ncr3_unbacked", "15.25.3", ncr3_unbacked, SVM_NP, 0},
	{"place_npt_recursive", "15.25.5", npt_recursive, SVM_NP, 0},
	{"place_many_pages", "15.25.5", many_pages, SVM_NP, 0},
};
SCENARIO_COUNT;
