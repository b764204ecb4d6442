/* SPDX-License-Identifier: MIT */
/* t_l1_mode.c - shows VMRUN by an L1 that is in 32-bit mode itself: unpaged, with PAE paging, with 32-bit paging. The mode
 * that it has at VMRUN is the format of its nested tables (APM vol. 2 15.25.3): three levels or two, their large and
 * small pages, rights, reserved bits, A and D; and it finds itself in that mode behind the #VMEXIT.
 * The kernel is in long mode otherwise and leaves it around one VMRUN. */
#include "modes.h"

#define VALUE UINT64_C(0x12345678)
#define TARGET 0x10000000u	/* what the L2s below read, write or call */
#define TARGET_TEXT "0x10000000"
#define LARGE_AT 0x4000000u	/* RAM that nothing else of this kernel is in */
#define PAE_RESERVED BIT(62)
#define PDPTE_RESERVED BIT(1)
#define LEGACY_4M_RESERVED BIT(21)

L2_CODE(l2_body32, ".code32; mov eax, 0x12345678; push eax; pop ebx; mov ecx, cr0; .code64");
L2_CODE(l2_body16, ".code16; mov eax, 0x12345678; push eax; pop ebx; mov ecx, cr0; jmp 1f; nop; 1: .code64");
L2_CODE(l2_read, ".code32; mov ebx, [" TARGET_TEXT "]; .code64");
L2_CODE(l2_write, ".code32; mov dword ptr [" TARGET_TEXT "], 7; mov ebx, [" TARGET_TEXT "]; .code64");
L2_CODE(l2_call, ".code32; mov eax, " TARGET_TEXT "; call eax; .code64");

/* --- L1 leaves long mode for one VMRUN --- */

/* First what L1 is to have, then what L2 left in EBX and ECX and L1 found behind its VMRUN, then the way back. */
struct excursion {
	uint32_t vmcb, cr0, cr3, cr4;
	uint32_t ebx, ecx, cr0_after, cr3_after, cr4_after, efer_after;
	uint64_t rsp, cr3_long, cr4_long;
};
_Static_assert(offsetof(struct excursion, rsp) == 40, "used below");

void vmrun_in_32bit(struct excursion *e);
L1_CODE(vmrun_in_32bit,
	"push rbx; push rbp; push r12; push r13; push r14; push r15; mov rbx, rdi; mov [rbx + 40], rsp;"
	"mov rax, cr3; mov [rbx + 48], rax; mov rax, cr4; mov [rbx + 56], rax;"
	"clgi; push 0x20; lea rax, [rip + 1f]; push rax; .byte 0x48, 0xCB; 1: .code32;"
	"mov eax, cr0; and eax, 0x7FFFFFFF; mov cr0, eax;"
	"mov ecx, 0xC0000080; rdmsr; and eax, ~0x100; wrmsr;"
	"mov eax, [ebx + 12]; mov cr4, eax; mov eax, [ebx + 8]; mov cr3, eax; mov eax, [ebx + 4]; mov cr0, eax;"
	"mov eax, [ebx]; push ebx; vmrun; xchg ebx, [esp]; mov [ebx + 20], ecx; pop eax; mov [ebx + 16], eax;"
	"mov eax, cr0; mov [ebx + 24], eax; mov eax, cr3; mov [ebx + 28], eax; mov eax, cr4; mov [ebx + 32], eax;"
	"mov ecx, 0xC0000080; rdmsr; mov [ebx + 36], eax;"
	"mov eax, cr0; and eax, 0x7FFFFFFF; mov cr0, eax; mov eax, [ebx + 56]; mov cr4, eax;"
	"mov eax, [ebx + 48]; mov cr3, eax; mov ecx, 0xC0000080; rdmsr; or eax, 0x100; wrmsr;"
	"mov eax, cr0; or eax, 0x80000000; mov cr0, eax; push 8; push offset 2f; .byte 0xCB; 2: .code64;"
	"stgi; mov rsp, [rbx + 40]; pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx; ret");

enum l1_mode { L1_UNPAGED, L1_PAE, L1_LEGACY };

/* Runs v with L1 in that mode, on identity tables of its own. */
static void run_in(enum l1_mode mode, struct vm *v, struct excursion *e)
{
	uint32_t cr0 = (uint32_t)cr0_read(), cr4 = (uint32_t)cr4_read() & (uint32_t)~(CR4_PAE | CR4_PSE);

	*e = (struct excursion){.vmcb = (uint32_t)pa(v->vmcb), .cr0 = cr0, .cr4 = cr4};
	if (mode == L1_UNPAGED)
		e->cr0 &= (uint32_t)~CR0_PG;
	if (mode == L1_PAE) {
		e->cr3 = (uint32_t)pa(pae_tables());
		e->cr4 |= (uint32_t)CR4_PAE;
	}
	if (mode == L1_LEGACY) {
		e->cr3 = (uint32_t)pa(tables_4m());
		e->cr4 |= (uint32_t)CR4_PSE;
	}
	vmrun_in_32bit(e);
	expect("CR0 of L1 behind VMRUN", e->cr0_after, e->cr0);
	expect("CR3 of L1", e->cr3_after, e->cr3);
	expect("CR4 of L1", e->cr4_after, e->cr4);
	expect("LME and LMA of L1", e->efer_after & (EFER_LME | EFER_LMA), 0);
}

/* --- any L2, any nested format --- */

struct row {
	enum l1_mode l1;
	void (*l2)(struct vm *v);
	const uint8_t *code;
	bool is_flat;
};

static void *nested_tables(enum l1_mode mode)
{
	return mode == L1_PAE ? (void *)pae_tables() : (void *)tables_4m();
}

static struct vm *vm_for(enum l1_mode mode, const uint8_t *code, bool is_flat, void **tables)
{
	struct vm *v = vm_new_flat(code);

	*tables = nested_tables(mode);
	if (is_flat)
		return v;
	v->vmcb->ncr3 = pa(*tables);
	v->vmcb->np = NP_ENABLE;
	return v;
}

static void runs(const struct scenario *s)
{
	const struct row *r = s->row;
	struct excursion e;
	void *tables;
	struct vm *v = vm_for(r->l1, r->code, r->is_flat, &tables);
	uint64_t cr0;

	r->l2(v);
	cr0 = v->vmcb->cr0;
	run_in(r->l1, v, &e);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("ebx", e.ebx, VALUE);
	expect("cr0 in L2", e.ecx, cr0 & UINT32_MAX);
	expect("cr0 stored", v->vmcb->cr0, cr0);
}

#define ROWS(l1, name)                                                                             \
	static const struct row name##_unpaged = {l1, mode_unpaged, l2_body32, false};             \
	static const struct row name##_pae = {l1, mode_pae, l2_body32, false};                     \
	static const struct row name##_legacy = {l1, mode_legacy, l2_body32, false};               \
	static const struct row name##_real = {l1, mode_real, l2_body16, false};                   \
	static const struct row name##_paged_real = {l1, mode_paged_real, l2_body16, false};       \
	static const struct row name##_pae_flat = {l1, mode_pae, l2_body32, true};                 \
	static const struct row name##_legacy_flat = {l1, mode_legacy, l2_body32, true}
ROWS(L1_PAE, pae);
ROWS(L1_LEGACY, legacy);
static const struct row unpaged_pae_flat = {L1_UNPAGED, mode_pae, l2_body32, true};
static const struct row unpaged_real_flat = {L1_UNPAGED, mode_real, l2_body16, true};

/* Nested paging needs paging in L1 (15.25.3). */
static void unpaged_np_refused(const struct scenario *s UNUSED)
{
	struct excursion e;
	void *tables;
	struct vm *v = vm_for(L1_LEGACY, l2_body32, false, &tables);

	mode_unpaged(v);
	run_in(L1_UNPAGED, v, &e);
	expect_exit(v->vmcb, EXIT_INVALID);
}

/* --- entries of the two formats --- */

/* The nested entry of TARGET, as 64 bits. */
static uint64_t entry_get(enum l1_mode mode, void *tables)
{
	uint64_t *pdpt = tables;

	if (mode == L1_LEGACY)
		return ((uint32_t *)tables)[TARGET >> 22];
	return ((uint64_t *)(uintptr_t)(pdpt[TARGET >> 30] & PTE_ADDR))[TARGET >> 21 & 511];
}

static void entry_set(enum l1_mode mode, void *tables, uint64_t entry)
{
	uint64_t *pdpt = tables;

	if (mode == L1_LEGACY)
		((uint32_t *)tables)[TARGET >> 22] = (uint32_t)entry;
	else
		((uint64_t *)(uintptr_t)(pdpt[TARGET >> 30] & PTE_ADDR))[TARGET >> 21 & 511] = entry;
}

/* A table of 4 KiB pages in place of the large page, with this first entry. */
static void entry_split(enum l1_mode mode, void *tables, uint64_t first)
{
	void *table = pages(1);

	if (mode == L1_LEGACY)
		*(uint32_t *)table = (uint32_t)first;
	else
		*(uint64_t *)table = first;
	entry_set(mode, tables, pa(table) | PTE_RWU);
}

struct fault_row {
	enum l1_mode l1;
	const uint8_t *code;
	uint64_t set, clear;	/* in the entry of TARGET */
	uint64_t info1;
};

static void nested_fault(const struct scenario *s)
{
	const struct fault_row *r = s->row;
	struct excursion e;
	void *tables;
	struct vm *v = vm_for(r->l1, r->code, false, &tables);

	mode_unpaged(v);
	entry_set(r->l1, tables, (entry_get(r->l1, tables) | r->set) & ~r->clear);
	run_in(r->l1, v, &e);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, r->info1);
	expect("EXITINFO2", v->vmcb->info2, TARGET);
}

#define FAULT(name, ...) static const struct fault_row fault_##name = {__VA_ARGS__}
FAULT(pae_absent, L1_PAE, l2_read, 0, PTE_P, NPF_FINAL | PF_U);
FAULT(pae_read_only, L1_PAE, l2_write, 0, PTE_W, NPF_FINAL | PF_U | PF_W | PF_P);
FAULT(pae_supervisor, L1_PAE, l2_read, 0, PTE_U, NPF_FINAL | PF_U | PF_P);
FAULT(pae_nx, L1_PAE, l2_call, PTE_NX, 0, NPF_FINAL | PF_U | PF_ID | PF_P);
FAULT(pae_reserved, L1_PAE, l2_read, PAE_RESERVED, 0, NPF_FINAL | PF_U | PF_RSVD | PF_P);
FAULT(legacy_absent, L1_LEGACY, l2_read, 0, PTE_P, NPF_FINAL | PF_U);
FAULT(legacy_read_only, L1_LEGACY, l2_write, 0, PTE_W, NPF_FINAL | PF_U | PF_W | PF_P);
FAULT(legacy_supervisor, L1_LEGACY, l2_read, 0, PTE_U, NPF_FINAL | PF_U | PF_P);
FAULT(legacy_reserved, L1_LEGACY, l2_read, LEGACY_4M_RESERVED, 0, NPF_FINAL | PF_U | PF_RSVD | PF_P);

/* The top of a three-level table has no rights in its entries, but reserved bits where those would be. */
static void pdpte_reserved(const struct scenario *s UNUSED)
{
	struct excursion e;
	void *tables;
	struct vm *v = vm_for(L1_PAE, l2_body32, false, &tables);

	mode_unpaged(v);
	((uint64_t *)tables)[0] |= PDPTE_RESERVED;
	run_in(L1_PAE, v, &e);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1 but for ID", v->vmcb->info1 & ~PF_ID, NPF_FINAL | PF_U | PF_RSVD | PF_P);
	expect("EXITINFO2", v->vmcb->info2, pa(l2_body32));
}

/* N_CR3[4:0] do not belong to the address of a three-level table (15.25.4). */
static void pae_ncr3_low_bits(const struct scenario *s UNUSED)
{
	struct excursion e;
	void *tables;
	struct vm *v = vm_for(L1_PAE, l2_body32, false, &tables);

	mode_unpaged(v);
	v->vmcb->ncr3 |= 0x1F;
	run_in(L1_PAE, v, &e);
	expect_exit(v->vmcb, EXIT_VMMCALL);
	expect("ebx", e.ebx, VALUE);
}

/* A is set by a read, D by a write, in entries of either size; what is written is where the entry says. */
static void accessed_dirty(const struct scenario *s)
{
	enum l1_mode mode = s->row ? L1_LEGACY : L1_PAE;

	for (unsigned small = 0; small < 2; small++) {
		uint32_t *page = pages(1);
		struct excursion e;
		void *tables;
		struct vm *v = vm_for(mode, l2_write, false, &tables);

		expect_item(small);
		mode_unpaged(v);
		entry_set(mode, tables, LARGE_AT | PTE_RWU | PTE_PS);
		if (small)
			entry_split(mode, tables, pa(page) | PTE_RWU);
		run_in(mode, v, &e);
		expect_exit(v->vmcb, EXIT_VMMCALL);
		expect("written and read", e.ebx, 7);
		expect("A and D above", entry_get(mode, tables) & (PTE_A | PTE_D), small ? PTE_A : PTE_A | PTE_D);
		if (small)
			expect("in the page", *page, 7);
	}
}

/* The same tables in the two formats are two translations: the format of this VMRUN counts, not that of the last. */
static void format_changes(const struct scenario *s UNUSED)
{
	struct excursion e;
	void *tables;
	struct vm *v = vm_for(L1_PAE, l2_body32, false, &tables);

	mode_unpaged(v);
	for (unsigned i = 0; i < 4; i++) {
		v->vmcb->rip = pa(l2_body32);
		v->vmcb->rsp = pa(v->stack_top);
		v->vmcb->ncr3 = pa(i % 2 ? (void *)tables_4m() : tables);
		v->vmcb->tlb_control = i < 2 ? TLB_FLUSH_ALL : 0;
		run_in(i % 2 ? L1_LEGACY : L1_PAE, v, &e);
		expect_item(i);
		expect_exit(v->vmcb, EXIT_VMMCALL);
		expect("ebx", e.ebx, VALUE);
	}
}

#define RUNS(n, need) {"l1_" #n, "15.25.3", runs, need, &n}
#define FAULTS(n) {"l1_" #n, "15.25.6", nested_fault, SVM_NP, &fault_##n}
SCENARIOS("t_l1_mode") {
	RUNS(pae_unpaged, SVM_NP), RUNS(pae_pae, SVM_NP), RUNS(pae_legacy, SVM_NP), RUNS(pae_real, SVM_NP),
	RUNS(pae_paged_real, SVM_NP), RUNS(pae_pae_flat, NEED_SVM), RUNS(pae_legacy_flat, NEED_SVM),
	RUNS(legacy_unpaged, SVM_NP), RUNS(legacy_pae, SVM_NP), RUNS(legacy_legacy, SVM_NP), RUNS(legacy_real, SVM_NP),
	RUNS(legacy_paged_real, SVM_NP), RUNS(legacy_pae_flat, NEED_SVM), RUNS(legacy_legacy_flat, NEED_SVM),
	RUNS(unpaged_pae_flat, NEED_SVM), RUNS(unpaged_real_flat, NEED_SVM),
	{"l1_unpaged_np_refused", "15.25.3", unpaged_np_refused, SVM_NP, 0},
	FAULTS(pae_absent), FAULTS(pae_read_only), FAULTS(pae_supervisor), FAULTS(pae_nx), FAULTS(pae_reserved),
	FAULTS(legacy_absent), FAULTS(legacy_read_only), FAULTS(legacy_supervisor), FAULTS(legacy_reserved),
	{"l1_pae_pdpte_reserved", "15.25.10", pdpte_reserved, SVM_NP, 0},
	{"l1_pae_ncr3_low_bits", "15.25.4", pae_ncr3_low_bits, SVM_NP, 0},
	{"l1_pae_accessed_dirty", "15.25.5", accessed_dirty, SVM_NP, 0},
	{"l1_legacy_accessed_dirty", "15.25.5", accessed_dirty, SVM_NP, (const void *)1},
	{"l1_format_changes", "15.25.3", format_changes, SVM_NP, 0},
};
SCENARIO_COUNT;
