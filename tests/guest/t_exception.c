/* SPDX-License-Identifier: MIT */
/* t_exception.c - shows the exception intercepts of vector 2: each exception an L2 can raise, with
 * its error code, address and RIP, intercepted and not; exceptions during delivery with
 * EXITINTINFO; double fault and shutdown. APM vol. 2 15.12, 15.14.3, 15.7.2. */
#include "vm.h"

#define NO_CODE UINT64_MAX
#define BAD_ADDRESS UINT64_C(0x7000000000)	/* canonical, not mapped by L2's table */
#define NOT_PRESENT_SEG UINT64_C(0x00CF13000000FFFF)
#define GDT_BYTES 0x70

extern uint64_t gdt[];

struct exc_row {
	uint8_t vector;
	bool is_trap;		/* RIP is behind the instruction */
	bool has_nrip;
	bool is_compat;		/* runs in 32-bit compatibility mode */
	const uint8_t *code, *at, *next;
	uint64_t error;
	void (*prepare)(struct vm *v);
};

#define ROW(name, vector, trap, nrip, compat, error, prepare, before, text)                        \
	L2_INSN(l2_##name, before, text, "");                                                      \
	static const struct exc_row row_##name = {vector, trap, nrip, compat, l2_##name,           \
						  l2_##name##_at, l2_##name##_next, error, prepare}

static void set_ts(struct vm *v)
{
	v->vmcb->cr0 |= CR0_TS;
}

static void set_tf(struct vm *v)
{
	v->vmcb->rflags |= RFLAGS_TF;
}

static void clear_cr0_em(struct vm *v)
{
	v->vmcb->cr0 = (v->vmcb->cr0 & ~CR0_EM) | CR0_MP | CR0_NE;
}

static void make_spare_absent(struct vm *v)
{
	uint64_t *table = pages(1);

	for (unsigned i = 0; i < GDT_BYTES / 8; i++)
		table[i] = gdt[i];
	table[SEL_SPARE / 8] = NOT_PRESENT_SEG;
	v->vmcb->gdtr.base = pa(table);
}

static void at_cpl3_aligned(struct vm *v)
{
	vm_cpl3(v);
	v->vmcb->cr0 |= CR0_AM;
}

static void own_table(struct vm *v)
{
	v->vmcb->cr3 = pa(table_identity(PTE_RWU));
}

ROW(de, VEC_DE, false, false, false, NO_CODE, 0, "xor edx, edx; xor ecx, ecx; mov eax, 1", "div ecx");
ROW(db, VEC_DB, true, false, false, NO_CODE, set_tf, "", "nop");
ROW(bp, VEC_BP, true, true, false, NO_CODE, 0, "", "int3");
ROW(of, VEC_OF, true, true, true, NO_CODE, 0, ".code32; mov al, 0x7f; add al, 1", "into; .code64");
ROW(br, VEC_BR, false, true, true, NO_CODE, 0, ".code32; push 2; push 1; mov eax, 5", "bound eax, [esp]; .code64");
ROW(ud, VEC_UD, false, false, false, NO_CODE, 0, "", "ud2");
ROW(nm, VEC_NM, false, false, false, NO_CODE, set_ts, "", "fninit");
ROW(np, VEC_NP, false, false, false, SEL_SPARE, make_spare_absent, "mov eax, 0x58", "mov ds, eax");
ROW(ss, VEC_SS, false, false, false, SEL_SPARE, make_spare_absent, "mov eax, 0x58", "mov ss, eax");
ROW(ss_noncanonical, VEC_SS, false, false, false, 0, 0, "mov rbp, 0x8000000000000000", "mov rax, [rbp]");
ROW(gp, VEC_GP, false, false, false, 0, 0, "mov rax, 0x8000000000000000", "mov rax, [rax]");
ROW(gp_selector, VEC_GP, false, false, false, 0xF8, 0, "mov eax, 0xF8", "mov ds, eax");
ROW(pf_read, VEC_PF, false, false, false, 0, own_table, "mov rax, 0x7000000000", "mov rax, [rax]");
ROW(pf_write, VEC_PF, false, false, false, PF_W, own_table, "mov rax, 0x7000000000", "mov [rax], rax");
ROW(mf, VEC_MF, false, false, false, NO_CODE, clear_cr0_em,
    "fninit; mov dword ptr [rsp - 64], 0x37b; fldcw [rsp - 64]; fld1; fldz; fdivp", "fwait");
ROW(ac, VEC_AC, false, false, false, 0, at_cpl3_aligned, "pushfq; or dword ptr [rsp], 0x40000; popfq; lea rax, [rsp - 63]",
    "mov ecx, [rax]");
ROW(xf, VEC_XF, false, false, false, NO_CODE, clear_cr0_em,
    "mov dword ptr [rsp - 64], 0x1d80; ldmxcsr [rsp - 64]; mov eax, 1; cvtsi2ss xmm0, eax; xorps xmm1, xmm1",
    "divss xmm0, xmm1");

static struct vm *vm_for(const struct exc_row *r)
{
	struct vm *v = vm_new(r->code);

	if (r->prepare)
		r->prepare(v);
	if (r->is_compat)
		v->vmcb->cs = (struct seg){SEL_CODE32, ATTR_CODE32, UINT32_MAX, 0};
	return v;
}

static void call_code(uint64_t code)
{
	((void (*)(void))(uintptr_t)code)();
}

/* QEMU's TCG raises neither #AC nor #XF, and #GP for #SS outside the canonical range. What L1
 * itself cannot have, no L2 can show: the same code is tried in L1 first, where a CPU without the
 * exception runs on to the VMMCALL, a #UD. */
static bool cpu_raises(const struct exc_row *r)
{
	struct fault f;

	if (r == &row_ac) {
		cr0_write(cr0_read() | CR0_AM);
		f = trap_catch_user(r->code, 0);
		cr0_write(cr0_read() & ~CR0_AM);
	} else if (r == &row_xf || r == &row_ss_noncanonical) {
		f = trap_catch(call_code, pa(r->code));
	} else {
		return true;
	}
	if (f.vector != r->vector)
		skip("the CPU does not raise it in L1 either");
	return f.vector == r->vector;
}

static void exits(const struct scenario *s)
{
	const struct exc_row *r = s->row;
	struct vm *v = vm_for(r);

	if (!cpu_raises(r))
		return;
	intercept_set(v, EXIT_EXC + r->vector);
	cr2_write(0);
	vm_run(v);
	if (!expect_exit(v->vmcb, EXIT_EXC + r->vector))
		return;
	expect("rip", v->vmcb->rip, pa(r->is_trap && !r->has_nrip ? r->next : r->at));
	if (svm_has(SVM_NRIPS))
		expect("nRIP", v->vmcb->nrip, r->has_nrip ? pa(r->next) : 0);
	if (r->error != NO_CODE)
		expect("EXITINFO1, error code", v->vmcb->info1, r->error);
	if (r->vector == VEC_PF) {
		expect("EXITINFO2, address", v->vmcb->info2, BAD_ADDRESS);
		expect("cr2 not written", v->vmcb->cr2, 0);
	}
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
}

static void in_l2(const struct scenario *s)
{
	const struct exc_row *r = s->row;
	struct vm *v = vm_for(r);

	if (!cpu_raises(r))
		return;
	v->vmcb->intercept[2] = ~BIT32(r->vector) & ~BIT32(VEC_NMI);
	vm_run(v);
	if (!expect_l2_vector(v, r->vector))
		return;
	expect("rip pushed", l2_frame(v)->rip, pa(r->is_trap ? r->next : r->at));
	if (r->error != NO_CODE)
		expect("error code pushed", l2_frame(v)->error, r->error);
	if (r->vector == VEC_PF)
		expect("cr2", v->vmcb->cr2, BAD_ADDRESS);
}

/* #DB: DR6 is up to date at the exit (15.12.2). */
static void db_dr6(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);

	intercept_set(v, EXIT_EXC + VEC_DB);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_DB);
	expect("DR6.BS", v->vmcb->dr6 & DR6_BS, DR6_BS);
}

/* --- exceptions while another event is being delivered --- */

static void limit_idt(struct vm *v, unsigned vectors)
{
	v->vmcb->idtr.limit = (uint32_t)(vectors * 16 - 1);
}

/* #UD whose gate is outside the IDT: #GP, intercepted, with the #UD in EXITINTINFO. */
static void gp_while_delivering_ud(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);

	limit_idt(v, VEC_UD);
	intercept_set(v, EXIT_EXC + VEC_GP);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_GP);
	expect("EXITINTINFO", v->vmcb->exitintinfo & UINT32_MAX, EVENT(EV_EXC, VEC_UD));
	expect("rip", v->vmcb->rip, pa(row_ud.at));
}

L2_INSN(l2_int30, "", "int 0x30", "");

/* The same for INTn: type 4. */
static void gp_while_delivering_int(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_int30);

	limit_idt(v, 0x20);
	intercept_set(v, EXIT_EXC + VEC_GP);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_GP);
	expect("EXITINTINFO", v->vmcb->exitintinfo & UINT32_MAX, EVENT(EV_SOFT, 0x30));
	expect("rip", v->vmcb->rip, pa(l2_int30_at));
}

/* #UD, then #GP for want of a gate: two faults of which the second is not intercepted. #UD is
 * benign, so #GP is delivered, and its own gate is missing: #DF; that gate is missing too. */
static void shutdown_exit(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);

	limit_idt(v, 1);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_SHUTDOWN);
}

/* #GP whose gate is missing while #GP is delivered: #DF, intercepted. */
static void df_exit(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);

	limit_idt(v, VEC_DF + 1);
	intercept_set(v, EXIT_EXC + VEC_DF);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_DF);
}

static void df_in_l2(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);

	limit_idt(v, VEC_DF + 1);
	vm_run(v);
	if (expect_l2_vector(v, VEC_DF))
		expect("error code", l2_frame(v)->error, 0);
}

/* The individual intercept is tested before two faults are merged. */
static void second_fault_before_merge(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);

	limit_idt(v, VEC_DF + 1);
	intercept_set(v, EXIT_EXC + VEC_DF);
	intercept_set(v, EXIT_EXC + VEC_GP);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_GP);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
	expect("rip", v->vmcb->rip, pa(row_gp.at));
}

/* Without the intercept of SHUTDOWN the L2's shutdown is the machine's; so it is only shown that
 * L1 survives the intercepted one and runs the next L2. */
static void after_shutdown(const struct scenario *s)
{
	struct vm *w;

	shutdown_exit(s);
	w = vm_new(row_ud.next);
	vm_run_to_end(w);
}

/* L1 handles a #PF of L2: maps the page and runs on. */
static void pf_fixed_by_l1(const struct scenario *s)
{
	struct vm *v = vm_for(s->row);
	uint64_t *root = (uint64_t *)(uintptr_t)v->vmcb->cr3, *page = pages(1);

	page[0] = 77;
	intercept_set(v, EXIT_EXC + VEC_PF);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_PF);
	*table_entry(root, BAD_ADDRESS, LEVEL_4K) = pa(page) | PTE_RWU;
	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 77);
}

#define EXITS(n) {"exc_exit_" #n, "15.12", exits, NEED_SVM, &row_##n}
#define IN_L2(n) {"exc_in_l2_" #n, "15.12", in_l2, NEED_SVM, &row_##n}

SCENARIOS("t_exception") {
	EXITS(de), EXITS(db), EXITS(bp), EXITS(of), EXITS(br), EXITS(ud), EXITS(nm), EXITS(np),
	EXITS(ss), EXITS(ss_noncanonical), EXITS(gp), EXITS(gp_selector), EXITS(pf_read),
	EXITS(pf_write), EXITS(mf), EXITS(ac), EXITS(xf),
	IN_L2(de), IN_L2(db), IN_L2(bp), IN_L2(of), IN_L2(br), IN_L2(ud), IN_L2(nm), IN_L2(np),
	IN_L2(ss), IN_L2(ss_noncanonical), IN_L2(gp), IN_L2(gp_selector), IN_L2(pf_read),
	IN_L2(pf_write), IN_L2(mf), IN_L2(ac), IN_L2(xf),
	{"exc_db_dr6", "15.12.2", db_dr6, NEED_SVM, &row_db},
	{"exc_gp_while_delivering_ud", "15.7.2", gp_while_delivering_ud, NEED_SVM, &row_ud},
	{"exc_gp_while_delivering_int", "15.7.2", gp_while_delivering_int, NEED_SVM, 0},
	{"exc_df_exit", "15.12.9", df_exit, NEED_SVM, &row_gp},
	{"exc_df_in_l2", "15.12.9", df_in_l2, NEED_SVM, &row_gp},
	{"exc_second_fault_before_merge", "15.7.2", second_fault_before_merge, NEED_SVM, &row_gp},
	{"exc_shutdown_exit", "15.14.3", shutdown_exit, NEED_SVM, &row_ud},
	{"exc_after_shutdown", "15.14.3", after_shutdown, NEED_SVM, &row_ud},
	{"exc_pf_fixed_by_l1", "15.12.15", pf_fixed_by_l1, NEED_SVM, &row_pf_read},
};
SCENARIO_COUNT;
