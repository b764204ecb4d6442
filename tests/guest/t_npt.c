/* SPDX-License-Identifier: MIT */
/* t_npt.c - shows nested paging: EXITINFO1/2 of each kind of nested fault, on the final address and
 * on L2's own tables; accessed and dirty bits; page sizes. What L1 changes in the tables:
 * t_npt_change.c. APM vol. 2 15.25. */
#include "vm.h"

#define TARGET UINT64_C(0x10000000)	/* an L2-physical address with no memory of L1 behind it */
#define FAR UINT64_C(0x8000000000)	/* 512 GiB: shares no nested table entry with anything else */
#define LEVEL_TOP 4
#define OPCODE_RET 0xC3

L2_INSN(l2_read, "", "mov rax, [rbx]", "");
L2_INSN(l2_write, "mov eax, 0x55", "mov [rbx], rax", "");
L2_INSN(l2_exec, "", "call rbx", "");
L2_INSN(l2_rmw, "mov eax, 1", "lock xadd [rbx], rax", "");
L2_CODE(l2_read_twice, "mov rax, [rbx]; vmmcall; mov rax, [rbx]");

struct npf_row {
	const uint8_t *code, *at;
	uint64_t clear, set;		/* bits of the nested leaf */
	uint64_t info1;
};

static const struct npf_row row_read_np = {l2_read, l2_read_at, PTE_P, 0, NPF_FINAL | PF_U};
static const struct npf_row row_write_np = {l2_write, l2_write_at, PTE_P, 0, NPF_FINAL | PF_U | PF_W};
static const struct npf_row row_exec_np = {l2_exec, 0, PTE_P, 0, NPF_FINAL | PF_U | PF_ID};
static const struct npf_row row_read_user = {l2_read, l2_read_at, PTE_U, 0, NPF_FINAL | PF_U | PF_P};
static const struct npf_row row_write_ro = {l2_write, l2_write_at, PTE_W, 0, NPF_FINAL | PF_U | PF_P | PF_W};
static const struct npf_row row_rmw_ro = {l2_rmw, l2_rmw_at, PTE_W, 0, NPF_FINAL | PF_U | PF_P | PF_W};
static const struct npf_row row_exec_nx = {l2_exec, 0, 0, PTE_NX, NPF_FINAL | PF_U | PF_P | PF_ID};
static const struct npf_row row_read_rsvd = {l2_read, l2_read_at, 0, BIT(51), NPF_FINAL | PF_U | PF_P | PF_RSVD};
static const struct npf_row row_write_rsvd = {l2_write, l2_write_at, 0, BIT(51),
					      NPF_FINAL | PF_U | PF_P | PF_RSVD | PF_W};

static void final_fault(const struct scenario *s)
{
	const struct npf_row *r = s->row;
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(r->code, TARGET, &entry, &page);

	*entry = (*entry & ~r->clear) | r->set;
	vm_run(v);
	if (!expect_exit(v->vmcb, EXIT_NPF))
		return;
	expect("EXITINFO1", v->vmcb->info1, r->info1);
	expect("EXITINFO2", v->vmcb->info2, TARGET + PAGE_VALUE_OFFSET);
	expect("rip", v->vmcb->rip, r->at ? pa(r->at) : TARGET + PAGE_VALUE_OFFSET);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
	if (svm_has(SVM_NRIPS))
		expect("nRIP", v->vmcb->nrip, 0);
}

/* Put right by L1, the same access goes through. */
static void fixed_and_resumed(const struct scenario *s)
{
	const struct npf_row *r = s->row;
	uint64_t *entry, *page, whole;
	struct vm *v = vm_with_page(r->code, TARGET, &entry, &page);

	whole = *entry;
	page[PAGE_VALUE_OFFSET / 8] = OPCODE_RET;
	*entry = (whole & ~r->clear) | r->set;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	*entry = whole;
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	vm_run_to_end(v);
}

/* U=0 or W=0 in any level counts. */
static void upper_levels_count(const struct scenario *s UNUSED)
{
	for (int level = LEVEL_4K; level <= LEVEL_TOP; level++) {
		struct vm *v = vm_new(l2_write);
		uint64_t *root = table_identity(PTE_RWU);

		expect_item((uint64_t)level);
		v->vmcb->cr3 = pa(root);
		*table_entry(root, TARGET, LEVEL_4K) = FAR | PTE_RWU;
		*table_entry(v->npt, FAR, LEVEL_4K) = pa(pages(1)) | PTE_RWU;
		*table_entry(v->npt, FAR, level) &= ~PTE_W;
		v->regs.rbx = TARGET;
		vm_run(v);
		expect_exit(v->vmcb, EXIT_NPF);
		expect("EXITINFO1", v->vmcb->info1, NPF_FINAL | PF_U | PF_P | PF_W);
		expect("EXITINFO2", v->vmcb->info2, FAR);
	}
}

/* --- faults of the walk through L2's own tables --- */

static struct vm *vm_own_tables(uint64_t **root)
{
	struct vm *v = vm_new(l2_read);

	*root = table_identity(PTE_RWU);
	v->vmcb->cr3 = pa(*root);
	v->regs.rbx = pa(v->stack_top);
	return v;
}

static void walk_root_absent(const struct scenario *s UNUSED)
{
	uint64_t *root;
	struct vm *v = vm_own_tables(&root);

	*table_entry(v->npt, pa(root), LEVEL_4K) &= ~PTE_P;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_WALK | PF_U | PF_W);
	expect("EXITINFO2", v->vmcb->info2, pa(root));
}

/* Reading a guest table entry counts as a user write in the nested table. */
static void walk_root_readonly(const struct scenario *s UNUSED)
{
	uint64_t *root;
	struct vm *v = vm_own_tables(&root);

	*table_entry(v->npt, pa(root), LEVEL_4K) &= ~PTE_W;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_WALK | PF_U | PF_W | PF_P);
	expect("EXITINFO2", v->vmcb->info2, pa(root));
}

static void walk_root_reserved(const struct scenario *s UNUSED)
{
	uint64_t *root;
	struct vm *v = vm_own_tables(&root);

	*table_entry(v->npt, pa(root), LEVEL_4K) |= BIT(51);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_WALK | PF_U | PF_W | PF_P | PF_RSVD);
}

/* A lower guest table: the address is that of the entry looked at. */
static void walk_leaf_table_absent(const struct scenario *s UNUSED)
{
	uint64_t *root, *leaf;
	struct vm *v = vm_own_tables(&root);

	leaf = table_entry(root, TARGET, LEVEL_4K);
	v->regs.rbx = TARGET;
	*table_entry(v->npt, pa(leaf), LEVEL_4K) &= ~PTE_P;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_WALK | PF_U | PF_W);
	expect("EXITINFO2", v->vmcb->info2, pa(leaf));
	expect("rip", v->vmcb->rip, pa(l2_read_at));
}

/* A guest #PF is found before the nested fault of the final address. */
static void guest_fault_first(const struct scenario *s UNUSED)
{
	uint64_t *root, *leaf;
	struct vm *v = vm_own_tables(&root);

	leaf = table_entry(root, TARGET, LEVEL_4K);
	*leaf = 0;
	v->regs.rbx = TARGET;
	*table_entry(v->npt, TARGET, LEVEL_4K) = 0;
	vm_run(v);
	if (expect_l2_vector(v, VEC_PF))
		expect("cr2", v->vmcb->cr2, TARGET);
}

/* --- accessed and dirty --- */

static void accessed_dirty_read(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_read, TARGET, &entry, &page);

	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, PAGE_VALUE);
	expect("A and D of the leaf", *entry & (PTE_A | PTE_D), PTE_A);
	expect("A of the table", *table_entry(v->npt, TARGET, LEVEL_2M) & PTE_A, PTE_A);
	expect("A of the root entry", v->npt[0] & PTE_A, PTE_A);
}

static void accessed_dirty_write(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_write, TARGET, &entry, &page);

	vm_run_to_end(v);
	expect("memory", page[PAGE_VALUE_OFFSET / 8], 0x55);
	expect("A and D of the leaf", *entry & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* Read first, then write: D appears with the write although the translation is cached. */
static void dirty_after_read(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_read, TARGET, &entry, &page);

	vm_run_to_end(v);
	expect("D after read", *entry & PTE_D, 0);
	v->vmcb->rip = pa(l2_write);
	v->vmcb->tlb_control = 0;
	vm_run_to_end(v);
	expect("D after write", *entry & PTE_D, PTE_D);
}

static void guest_table_pages_dirty(const struct scenario *s UNUSED)
{
	uint64_t *root;
	struct vm *v = vm_own_tables(&root);
	uint64_t *entry = table_entry(v->npt, pa(root), LEVEL_4K);

	vm_run_to_end(v);
	expect("A and D of the guest's root page", *entry & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* --- places of L1 without RAM --- */

#define NO_RAM UINT64_C(0xA0000) /* video memory of a PC, which answers to nobody in text mode */

L2_CODE(l2_write_read, "mov [rbx], rax; mov rax, [rbx]");

/* NPT12 leads where L1 has no RAM: L2 finds there what L1 does. Its neighbours are RAM. */
static void no_ram_below(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_write_read, TARGET, &entry, &page);

	*entry = NO_RAM | PTE_RWU;
	for (unsigned i = 0; i < 3; i++) {
		v->vmcb->rip = pa(l2_write_read);
		v->vmcb->rax = PAGE_VALUE;
		vm_run_to_end(v);
		expect("read", v->vmcb->rax, UINT64_MAX);
	}
	*entry = (NO_RAM - PAGE_SIZE) | PTE_RWU;
	v->regs.rbx = TARGET;
	v->vmcb->rip = pa(l2_write_read);
	v->vmcb->rax = PAGE_VALUE;
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	vm_run_to_end(v);
	expect("the page before", v->vmcb->rax, PAGE_VALUE);
}

/* A large page of L1's nested table that is RAM but for the hole. */
static void no_ram_in_large_page(const struct scenario *s UNUSED)
{
	uint64_t *page = pages(1);
	struct vm *v = vm_new(l2_write_read);

	*table_entry(v->npt, 0, LEVEL_2M) = PTE_RWU | PTE_PS;
	v->regs.rbx = 0x80000;
	v->vmcb->rax = PAGE_VALUE;
	vm_run_to_end(v);
	expect("RAM", v->vmcb->rax, PAGE_VALUE);
	v->regs.rbx = NO_RAM;
	v->vmcb->rip = pa(l2_write_read);
	vm_run_to_end(v);
	expect("no RAM", v->vmcb->rax, UINT64_MAX);
	v->regs.rbx = pa(page);
	v->vmcb->rip = pa(l2_write_read);
	v->vmcb->rax = PAGE_VALUE;
	vm_run_to_end(v);
	expect("RAM above", v->vmcb->rax, PAGE_VALUE);
	expect("seen by L1", page[0], PAGE_VALUE);
}

/* --- sizes, rights --- */

static void sizes(const struct scenario *s UNUSED)
{
	uint64_t *page = pages(1), big = UINT64_C(0x4000000000);	/* 256 GiB, mapped to 0 on */
	struct vm *v = vm_new(l2_read_twice);
	uint64_t *root = table_identity(PTE_RWU);

	page[0] = PAGE_VALUE;
	*table_entry(root, big, LEVEL_2M) = (pa(page) & ~(SIZE_2M - 1)) | PTE_RWU | PTE_PS;
	*table_entry(v->npt, pa(page), LEVEL_2M) = (pa(page) & ~(SIZE_2M - 1)) | PTE_RWU | PTE_PS;
	v->vmcb->cr3 = pa(root);
	v->regs.rbx = big + (pa(page) & (SIZE_2M - 1));
	vm_run_to_end(v);
	expect("2 MiB on 2 MiB", v->vmcb->rax, PAGE_VALUE);
	*table_entry(v->npt, pa(page), LEVEL_4K) = pa(page) | PTE_RWU;
	v->vmcb->rip += 3;
	v->vmcb->tlb_control = TLB_FLUSH_ALL;
	vm_run_to_end(v);
	expect("2 MiB on 4 KiB", v->vmcb->rax, PAGE_VALUE);
}

static void one_gib(const struct scenario *s UNUSED)
{
	uint64_t *page = pages(1), far = UINT64_C(0x1000000000);
	struct vm *v = vm_new(l2_read);
	uint64_t *root = table_identity(PTE_RWU);

	if (!cpuid_has(0x80000001, 'd', 26)) {
		skip("1 GiB pages not offered by the CPU");
		return;
	}
	page[0] = PAGE_VALUE;
	*table_entry(root, far, LEVEL_1G) = far | PTE_RWU | PTE_PS;
	*table_entry(v->npt, far, LEVEL_1G) = 0 | PTE_RWU | PTE_PS;
	v->vmcb->cr3 = pa(root);
	v->regs.rbx = far + pa(page);
	vm_run_to_end(v);
	expect("1 GiB on 1 GiB", v->vmcb->rax, PAGE_VALUE);
}

/* CR0.WP of L1 and of L2 do not make a read-only nested page writable. */
static void wp_irrelevant(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_write, TARGET, &entry, &page);

	*entry &= ~PTE_W;
	v->vmcb->cr0 &= ~CR0_WP;
	cr0_write(cr0_read() & ~CR0_WP);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_FINAL | PF_U | PF_P | PF_W);
}

/* The guest's EFER.NXE has no say about NX of the nested table. */
static void guest_nxe_irrelevant(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_exec, TARGET, &entry, &page);

	*entry |= PTE_NX;
	v->vmcb->efer &= ~EFER_NXE;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_FINAL | PF_U | PF_P | PF_ID);
}

/* Access across two pages of which the second is absent: its start is reported. */
static void straddling(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_read, TARGET, &entry, &page);

	entry[1] = 0;
	v->regs.rbx = TARGET + PAGE_SIZE - 4;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("EXITINFO1", v->vmcb->info1, NPF_FINAL | PF_U);
	expect("EXITINFO2", v->vmcb->info2, TARGET + PAGE_SIZE);
}

/* Decode assists: the bytes at RIP of a data fault, none for a fetch. */
static void instruction_bytes(const struct scenario *s UNUSED)
{
	uint64_t *entry, *page;
	struct vm *v = vm_with_page(l2_read, TARGET, &entry, &page);

	*entry = 0;
	vm_run(v);
	expect_exit(v->vmcb, EXIT_NPF);
	expect("count", v->vmcb->insn_count, 15);
	for (unsigned i = 0; i < 15; i++)
		expect("byte", v->vmcb->insn[i], l2_read_at[i]);
	v = vm_with_page(l2_exec, TARGET, &entry, &page);
	*entry = 0;
	vm_run(v);
	expect("count for a fetch", v->vmcb->insn_count, 0);
}

#define FINAL(n) {"npf_" #n, "15.25.6", final_fault, SVM_NP, &row_##n}
SCENARIOS("t_npt") {
	FINAL(read_np), FINAL(write_np), FINAL(exec_np), FINAL(read_user), FINAL(write_ro),
	FINAL(rmw_ro), FINAL(exec_nx), FINAL(read_rsvd), FINAL(write_rsvd),
	{"npf_fixed_read", "15.25.6", fixed_and_resumed, SVM_NP, &row_read_np},
	{"npf_fixed_write", "15.25.6", fixed_and_resumed, SVM_NP, &row_write_ro},
	{"npf_fixed_exec", "15.25.6", fixed_and_resumed, SVM_NP, &row_exec_nx},
	{"npf_upper_levels_count", "15.25.5", upper_levels_count, SVM_NP, 0},
	{"npf_walk_root_absent", "15.25.6", walk_root_absent, SVM_NP, 0},
	{"npf_walk_root_readonly", "15.25.6", walk_root_readonly, SVM_NP, 0},
	{"npf_walk_root_reserved", "15.25.6", walk_root_reserved, SVM_NP, 0},
	{"npf_walk_leaf_table_absent", "15.25.6", walk_leaf_table_absent, SVM_NP, 0},
	{"npf_guest_fault_first", "15.25.6", guest_fault_first, SVM_NP, 0},
	{"npf_straddling", "15.25.6", straddling, SVM_NP, 0},
	{"npf_instruction_bytes", "15.8.4", instruction_bytes, SVM_NP | SVM_DECODE, 0},
	{"npt_accessed_dirty_read", "15.25.5", accessed_dirty_read, SVM_NP, 0},
	{"npt_accessed_dirty_write", "15.25.5", accessed_dirty_write, SVM_NP, 0},
	{"npt_dirty_after_read", "15.25.5", dirty_after_read, SVM_NP, 0},
	{"npt_guest_table_pages_dirty", "15.25.5", guest_table_pages_dirty, SVM_NP, 0},
	{"npt_no_ram_below", "15.25.3", no_ram_below, SVM_NP, 0},
	{"npt_no_ram_in_large_page", "15.25.3", no_ram_in_large_page, SVM_NP, 0},
	{"npt_sizes", "15.25.9", sizes, SVM_NP, 0},
	{"npt_one_gib", "15.25.9", one_gib, SVM_NP, 0},
	{"npt_wp_irrelevant", "15.25.7", wp_irrelevant, SVM_NP, 0},
	{"npt_guest_nxe_irrelevant", "15.25.7", guest_nxe_irrelevant, SVM_NP, 0},
};
SCENARIO_COUNT;
