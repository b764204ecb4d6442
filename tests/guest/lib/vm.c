/* SPDX-License-Identifier: MIT */
/* lib/vm.c - builds L2s, runs them, and reads what came of it.
 * An L2 ends with VMMCALL; an exception in it ends in a stub of lib/trap.asm whose VMMCALL address
 * says the vector. Everything lives in the page arena of the running scenario. */
#include "vm.h"
#include "str.h"

#define STUB_BYTES 16
#define VMMCALL_BYTES 3
#define IOPM_PAGES 3
#define MSRPM_PAGES 2
#define MSRPM_RANGE_BYTES 0x800u
#define ASID_FIRST 1
#define WATCHDOG_VECTOR 0x4F
#define WATCHDOG_COUNT 200000000u	/* of a bus clock around 1 GHz */

extern const uint8_t l2_stubs[];
uint64_t l2_idt[512] ALIGNED(4096);	/* a page of its own, which tests hide */

static void descriptor_tables(struct vmcb *c)
{
	struct table_pointer gdtr;

	idt_fill(l2_idt, l2_stubs);
	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	c->gdtr.base = gdtr.base;
	c->gdtr.limit = gdtr.limit;
	c->idtr.base = pa(l2_idt);
	c->idtr.limit = sizeof(l2_idt) - 1;
}

static void registers(struct vmcb *c, const void *code, const uint8_t *stack_top)
{
	struct seg data = {SEL_DATA, ATTR_DATA, UINT32_MAX, 0};

	c->es = c->ss = c->ds = data;
	c->cs = (struct seg){SEL_CODE64, ATTR_CODE64, UINT32_MAX, 0};
	c->efer = rdmsr(MSR_EFER);
	c->cr0 = cr0_read();
	c->cr3 = cr3_read();
	c->cr4 = cr4_read();
	c->dr6 = DR6_RESET;
	c->dr7 = DR7_RESET;
	c->rflags = RFLAGS_ONE;
	c->rip = pa(code);
	c->rsp = pa(stack_top);
	c->g_pat = PAT_RESET;
}

struct vm *vm_new_flat(const void *code)
{
	struct vm *v = pages(1);
	struct vmcb *c = pages(1);

	v->vmcb = c;
	v->iopm = pages(IOPM_PAGES);
	v->msrpm = pages(MSRPM_PAGES);
	v->stack_top = (uint8_t *)pages(1) + PAGE_SIZE - 64;
	c->iopm = pa(v->iopm);
	c->msrpm = pa(v->msrpm);
	c->asid = ASID_FIRST;
	c->tlb_control = TLB_FLUSH_ALL;
	intercept_set(v, EXIT_VMRUN);
	intercept_set(v, EXIT_VMMCALL);
	intercept_set(v, EXIT_SHUTDOWN);
	descriptor_tables(c);
	registers(c, code, v->stack_top);
	return v;
}

struct vm *vm_new(const void *code)
{
	struct vm *v = vm_new_flat(code);

	if (svm_has(SVM_NP) && !option_has("flat")) {
		v->npt = table_identity(PTE_RWU);
		v->vmcb->ncr3 = pa(v->npt);
		v->vmcb->np = NP_ENABLE;
	}
	return v;
}

struct vm *vm_with_page(const void *code, uint64_t gpa, uint64_t **entry, uint64_t **page)
{
	struct vm *v = vm_new(code);

	*page = pages(1);
	(*page)[PAGE_VALUE_OFFSET / 8] = PAGE_VALUE;
	*entry = table_entry(v->npt, gpa, LEVEL_4K);
	**entry = pa(*page) | PTE_RWU;
	v->regs.rbx = gpa + PAGE_VALUE_OFFSET;
	return v;
}

void vm_run_raw(struct vm *v)
{
	vmrun_raw(pa(v->vmcb), &v->regs);
	trace_vmrun(v->vmcb);
}

void vm_run(struct vm *v)
{
	clgi();
	vm_run_raw(v);
	stgi();
}

void vm_run_watched(struct vm *v)
{
	intercept_set(v, EXIT_INTR);
	v->vmcb->vintr |= V_INTR_MASKING;
	clgi();
	sti();
	lapic_timer_once(WATCHDOG_VECTOR, WATCHDOG_COUNT);
	vm_run_raw(v);
	cli();
	lapic_timer_once(WATCHDOG_VECTOR, 0);
	stgi();
}

void intercept_set(struct vm *v, uint64_t exitcode)
{
	v->vmcb->intercept[exitcode / 32] |= BIT32(exitcode % 32);
}

void intercept_clear(struct vm *v, uint64_t exitcode)
{
	v->vmcb->intercept[exitcode / 32] &= ~BIT32(exitcode % 32);
}

void iopm_set(struct vm *v, uint32_t port)
{
	v->iopm[port / 8] |= (uint8_t)(1 << (port % 8));
}

/* APM 15.11: two bits for each MSR, three ranges. */
void msrpm_set(struct vm *v, uint32_t msr, bool is_write)
{
	uint32_t range = msr < 0x2000 ? 0 : msr < 0xC0010000 ? 1 : 2;
	uint32_t bit = 2 * (msr & 0x1FFF) + is_write;

	v->msrpm[range * MSRPM_RANGE_BYTES + bit / 8] |= (uint8_t)(1 << (bit % 8));
}

void vm_cpl3(struct vm *v)
{
	v->vmcb->cpl = 3;
	v->vmcb->cs = (struct seg){SEL_USER_CODE64, ATTR_CODE64 | ATTR_DPL3, UINT32_MAX, 0};
	v->vmcb->ss = (struct seg){SEL_USER_DATA, ATTR_DATA | ATTR_DPL3, UINT32_MAX, 0};
}

int l2_vector(const struct vm *v)
{
	uint64_t at = v->vmcb->rip - pa(l2_stubs);

	if (v->vmcb->exitcode != EXIT_VMMCALL || at >= 256 * STUB_BYTES)
		return -1;
	return (int)(at / STUB_BYTES);
}

const struct l2_frame *l2_frame(const struct vm *v)
{
	return (const struct l2_frame *)(uintptr_t)v->vmcb->rsp;
}

void l2_resume(struct vm *v)
{
	v->vmcb->rip += VMMCALL_BYTES;
}

bool expect_l2_vector(const struct vm *v, uint64_t vector)
{
	return expect_exit(v->vmcb, EXIT_VMMCALL) &&
	       expect("vector in L2", (uint64_t)(int64_t)l2_vector(v), vector);
}

bool vm_run_to_end(struct vm *v)
{
	vm_run(v);
	return expect_exit(v->vmcb, EXIT_VMMCALL) &&
	       expect("vector in L2", (uint64_t)(int64_t)l2_vector(v), UINT64_MAX);
}

bool expect_insn_exit(const struct vm *v, uint64_t code, const void *at, const void *next)
{
	if (!expect_exit(v->vmcb, code) || !expect("rip", v->vmcb->rip, pa(at)))
		return false;
	return !svm_has(SVM_NRIPS) || expect("nRIP", v->vmcb->nrip, pa(next));
}

bool expect_decode(const struct vm *v, uint64_t info1)
{
	return !svm_has(SVM_DECODE) || expect("EXITINFO1", v->vmcb->info1, info1);
}
