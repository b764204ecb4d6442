/* SPDX-License-Identifier: MIT */
/* t_intercept_reg.c - shows the intercepts of vectors 0 and 1: each control and debug register, read
 * and written, the register number that decode assists give, and the selective CR0 write with
 * MOV, LMSW and CLTS. APM vol. 2 15.8, 15.9. */
#include "vm.h"

#define MOV_INFO BIT(63)	/* EXITINFO1 of a CR access by MOV; [3:0] is the register */
#define RAX 0
#define RCX 1
#define R11 11

struct reg_row {
	uint32_t exitcode;
	const uint8_t *code, *at, *next;
	uint64_t info1;
};

#define ROW(name, exit, info, before, text)                                                        \
	L2_INSN(l2_##name, before, text, "");                                                      \
	static const struct reg_row row_##name = {exit, l2_##name, l2_##name##_at,                 \
						  l2_##name##_next, info}
#define CR_READ(n) ROW(cr##n##_read, EXIT_CR0_READ + n, MOV_INFO | RCX, "", "mov rcx, cr" #n)
#define CR_WRITE(n) ROW(cr##n##_write, EXIT_CR0_WRITE + n, MOV_INFO | R11, "mov r11, cr" #n, "mov cr" #n ", r11")
#define DR_READ(n) ROW(dr##n##_read, EXIT_DR0_READ + n, R11, "", "mov r11, dr" #n)
#define DR_WRITE(n) ROW(dr##n##_write, EXIT_DR0_WRITE + n, RCX, "mov rcx, dr" #n, "mov dr" #n ", rcx")

CR_READ(0); CR_READ(2); CR_READ(3); CR_READ(4); CR_READ(8);
CR_WRITE(0); CR_WRITE(2); CR_WRITE(3); CR_WRITE(4); CR_WRITE(8);
DR_READ(0); DR_READ(1); DR_READ(2); DR_READ(3); DR_READ(6); DR_READ(7);
DR_WRITE(0); DR_WRITE(1); DR_WRITE(2); DR_WRITE(3); DR_WRITE(6); DR_WRITE(7);
ROW(smsw, EXIT_CR0_READ, 0, "", "smsw eax");
ROW(lmsw, EXIT_CR0_WRITE, 0, "smsw eax", "lmsw ax");
ROW(clts, EXIT_CR0_WRITE, 0, "", "clts");

/* The selective CR0 write: which writes exit. */
ROW(sel_ts_mp, EXIT_CR0_SEL, 0, "mov rax, cr0; xor eax, 0xA", "mov cr0, rax");
ROW(sel_am, EXIT_CR0_SEL, MOV_INFO | RAX, "mov rax, cr0; xor eax, 0x40000", "mov cr0, rax");
ROW(sel_wp, EXIT_CR0_SEL, MOV_INFO | RCX, "mov rcx, cr0; xor ecx, 0x10000", "mov cr0, rcx");
ROW(sel_ts_and_am, EXIT_CR0_SEL, MOV_INFO | RAX, "mov rax, cr0; xor eax, 0x40008", "mov cr0, rax");
ROW(sel_same, EXIT_CR0_SEL, 0, "mov rax, cr0", "mov cr0, rax");
ROW(sel_lmsw_ts, EXIT_CR0_SEL, 0, "smsw eax; xor eax, 8", "lmsw ax");
ROW(sel_lmsw_same, EXIT_CR0_SEL, 0, "smsw eax", "lmsw ax");
ROW(sel_clts, EXIT_CR0_SEL, 0, "", "clts");

static void exits(const struct scenario *s)
{
	const struct reg_row *r = s->row;
	struct vm *v = vm_new(r->code);

	intercept_set(v, r->exitcode);
	vm_run(v);
	expect_insn_exit(v, r->exitcode, r->at, r->next);
	expect_decode(v, r->info1);
}

static void runs(const struct scenario *s)
{
	const struct reg_row *r = s->row;
	struct vm *v = vm_new(r->code);

	vm_run_to_end(v);
}

/* The bit is set, but this write is not one that it catches. */
static void selective_passes(const struct scenario *s)
{
	const struct reg_row *r = s->row;
	struct vm *v = vm_new(r->code);

	intercept_set(v, EXIT_CR0_SEL);
	vm_run_to_end(v);
}

/* Both bits: the plain CR0 write wins. */
static void plain_wins(const struct scenario *s)
{
	const struct reg_row *r = s->row;
	struct vm *v = vm_new(r->code);

	intercept_set(v, EXIT_CR0_SEL);
	intercept_set(v, EXIT_CR0_WRITE);
	vm_run(v);
	expect_insn_exit(v, EXIT_CR0_WRITE, r->at, r->next);
}

/* Interception happens before the register changes. */
static void write_not_done(const struct scenario *s)
{
	const struct reg_row *r = s->row;
	struct vm *v = vm_new(r->code);
	uint64_t cr0 = v->vmcb->cr0;

	intercept_set(v, EXIT_CR0_WRITE);
	vm_run(v);
	expect("cr0 unchanged", v->vmcb->cr0, cr0);
	v->vmcb->rip = pa(r->next);
	vm_run_to_end(v);
}

/* An instruction behind another exit: nothing of the previous exit may stick to the next. */
L2_CODE(l2_all, "mov rcx, cr0; mov rcx, cr3; mov rcx, cr4; mov rcx, dr6; mov rcx, dr7");

static void series(const struct scenario *s UNUSED)
{
	static const uint32_t codes[] = {EXIT_CR0_READ, EXIT_CR0_READ + 3, EXIT_CR0_READ + 4,
					 EXIT_DR0_READ + 6, EXIT_DR0_READ + 7};
	struct vm *v = vm_new(l2_all);

	v->vmcb->intercept[0] = UINT32_MAX;
	v->vmcb->intercept[1] = UINT32_MAX;
	for (unsigned i = 0; i < ARRAY_COUNT(codes); i++) {
		expect_item(i);
		vm_run(v);
		if (!expect_exit(v->vmcb, codes[i]))
			return;
		expect_decode(v, (i < 3 ? MOV_INFO : 0) | RCX);
		v->vmcb->rip += 3;
	}
	vm_run_to_end(v);
}

/* #GP for an illegal value goes before the CR0, CR3 and CR4 intercepts where the manual says so:
 * CR0 and CR4 (table 15-7). */
L2_INSN(l2_bad_cr0, "mov rax, cr0; mov rcx, 0x100000000; or rax, rcx", "mov cr0, rax", "");
L2_INSN(l2_cr0_nw, "mov rax, cr0; or eax, 0x20000000", "mov cr0, rax", "");

static void cr0_gp_before_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_bad_cr0), *w;

	intercept_set(v, EXIT_CR0_WRITE);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(l2_bad_cr0_at));
	w = vm_new(l2_cr0_nw);
	intercept_set(w, EXIT_CR0_WRITE);
	vm_run(w);
	if (expect_l2_vector(w, VEC_GP))
		expect("rip of #GP for NW without CD", l2_frame(w)->rip, pa(l2_cr0_nw_at));
}

L2_INSN(l2_bad_cr4, "mov rax, cr4; bts rax, 40", "mov cr4, rax", "");

static void cr4_gp_before_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_bad_cr4);

	intercept_set(v, EXIT_CR0_WRITE + 4);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(l2_bad_cr4_at));
}

static void cr4_gp_unintercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_bad_cr4);

	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(l2_bad_cr4_at));
}

L2_INSN(l2_bad_cr3, "mov rax, cr3; bts rax, 60", "mov cr3, rax", "");

static void cr3_gp_unintercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_bad_cr3);

	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(l2_bad_cr3_at));
}

static void cpl3_cr_gp(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_cr0_read);

	vm_cpl3(v);
	intercept_set(v, EXIT_CR0_READ);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(l2_cr0_read_at));
}

/* With CR4.DE set, DR4 and DR5 do not exist: #UD goes before the intercept. */
L2_INSN(l2_dr4, "", ".byte 0x0f, 0x21, 0xe0", "");

static void dr4_with_de(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_dr4);

	v->vmcb->cr4 |= CR4_DE;
	v->vmcb->intercept[1] = UINT32_MAX;
	vm_run(v);
	if (expect_l2_vector(v, VEC_UD))
		expect("rip of #UD", l2_frame(v)->rip, pa(l2_dr4_at));
}

/* SMSW to memory: the intercept comes before the page fault of the operand. */
L2_INSN(l2_smsw_memory, "mov rbx, 0x7000000000", "smsw [rbx]", "");

static void smsw_before_page_fault(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_smsw_memory);

	intercept_set(v, EXIT_CR0_READ);
	vm_run(v);
	expect_insn_exit(v, EXIT_CR0_READ, l2_smsw_memory_at, l2_smsw_memory_next);
}

#define EXITS(n) {"exit_" #n, "15.9", exits, NEED_SVM, &row_##n}
#define RUNS(n) {"noexit_" #n, "15.9", runs, NEED_SVM, &row_##n}
#define PASSES(n) {"sel_passes_" #n, "15.9", selective_passes, NEED_SVM, &row_##n}

SCENARIOS("t_intercept_reg") {
	EXITS(cr0_read), EXITS(cr2_read), EXITS(cr3_read), EXITS(cr4_read), EXITS(cr8_read),
	EXITS(cr0_write), EXITS(cr2_write), EXITS(cr3_write), EXITS(cr4_write), EXITS(cr8_write),
	EXITS(dr0_read), EXITS(dr1_read), EXITS(dr2_read), EXITS(dr3_read), EXITS(dr6_read),
	EXITS(dr7_read), EXITS(dr0_write), EXITS(dr1_write), EXITS(dr2_write), EXITS(dr3_write),
	EXITS(dr6_write), EXITS(dr7_write), EXITS(smsw), EXITS(lmsw), EXITS(clts),
	RUNS(cr0_write), RUNS(cr2_write), RUNS(cr3_write), RUNS(cr4_write), RUNS(cr8_write),
	RUNS(dr0_write), RUNS(dr3_write), RUNS(dr6_write), RUNS(dr7_write), RUNS(smsw), RUNS(lmsw),
	RUNS(clts),
	EXITS(sel_am), EXITS(sel_wp), EXITS(sel_ts_and_am), EXITS(sel_lmsw_ts), EXITS(sel_lmsw_same),
	PASSES(sel_ts_mp), PASSES(sel_same), PASSES(sel_clts),
	{"sel_plain_wins_mov", "15.9", plain_wins, NEED_SVM, &row_sel_am},
	{"sel_plain_wins_lmsw", "15.9", plain_wins, NEED_SVM, &row_sel_lmsw_ts},
	{"exit_cr0_write_not_done", "15.9", write_not_done, NEED_SVM, &row_sel_am},
	{"exit_lmsw_not_done", "15.9", write_not_done, NEED_SVM, &row_sel_lmsw_ts},
	{"exit_series", "15.9", series, NEED_SVM, 0},
	{"cr0_gp_before_exit", "15.9", cr0_gp_before_exit, NEED_SVM, 0},
	{"cr4_gp_before_exit", "15.9", cr4_gp_before_exit, NEED_SVM, 0},
	{"cr4_gp_unintercepted", "15.9", cr4_gp_unintercepted, NEED_SVM, 0},
	{"cr3_gp_unintercepted", "15.9", cr3_gp_unintercepted, NEED_SVM, 0},
	{"cr0_read_cpl3_gp_before_exit", "15.9", cpl3_cr_gp, NEED_SVM, 0},
	{"dr4_ud_before_exit", "15.9", dr4_with_de, NEED_SVM, 0},
	{"smsw_exit_before_page_fault", "15.9", smsw_before_page_fault, NEED_SVM, 0},
};
SCENARIO_COUNT;
