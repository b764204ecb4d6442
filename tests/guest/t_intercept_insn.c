/* SPDX-License-Identifier: MIT */
/* t_intercept_insn.c - shows every instruction intercept of vectors 3 to 5: its exit code, RIP on
 * the instruction, nRIP behind it, EXITINFO1 where decode assists define it; that nothing exits
 * without its bit; and that bits of unoffered instructions change nothing. APM vol. 2 15.9, table
 * 15-7, 15.8. CR and DR: t_intercept_reg.c. I/O, MSR: t_ioio.c, t_msr.c. SVM's own: t_insn.c. */
#include "vm.h"

#define L2_ADDRESS 0x1234000
#define L2_ADDRESS_TEXT "0x1234000"
#define INT_VECTOR 0x30

struct insn_row {
	uint32_t exitcode;
	const uint8_t *code, *at, *next;
	uint64_t info1;			/* with decode assists; 0 is not looked at */
	uint32_t leaf;			/* CPUID feature that has the instruction, 0: always there */
	char reg;
	uint8_t bit;
};

#define INSN(name, exit, info, leaf, reg, bit, before, text)                                       \
	L2_INSN(l2_##name, before, text, "");                                                      \
	static const struct insn_row row_##name = {exit, l2_##name, l2_##name##_at, l2_##name##_next,    \
					     info, leaf, reg, bit}
#define PLAIN(name, exit, before, text) INSN(name, exit, 0, 0, 0, 0, before, text)

PLAIN(sidt, EXIT_IDTR_READ, "", "sidt [rsp - 64]");
PLAIN(sgdt, EXIT_GDTR_READ, "", "sgdt [rsp - 64]");
PLAIN(sldt, EXIT_LDTR_READ, "", "sldt eax");
PLAIN(str, EXIT_TR_READ, "", "str eax");
PLAIN(lidt, EXIT_IDTR_WRITE, "sidt [rsp - 64]", "lidt [rsp - 64]");
PLAIN(lgdt, EXIT_GDTR_WRITE, "sgdt [rsp - 64]", "lgdt [rsp - 64]");
PLAIN(lldt, EXIT_LDTR_WRITE, "xor eax, eax", "lldt ax");
PLAIN(ltr, EXIT_TR_WRITE, "mov eax, 0x48", "ltr ax");
PLAIN(rdtsc, EXIT_RDTSC, "", "rdtsc");
PLAIN(rdpmc, EXIT_RDPMC, "xor ecx, ecx", "rdpmc");
PLAIN(pushf, EXIT_PUSHF, "", "pushfq");
PLAIN(popf, EXIT_POPF, "push 2", "popfq");
PLAIN(cpuid, EXIT_CPUID, "xor eax, eax", "cpuid");
PLAIN(cpuid_prefixed, EXIT_CPUID, "xor eax, eax", ".byte 0x66, 0x66; cpuid");
PLAIN(rsm, EXIT_RSM, "", "rsm");
PLAIN(iret, EXIT_IRET, "mov rax, rsp; push 0x10; push rax; push 2; push 8; lea rax, [rip + l2_iret_next]; push rax",
      "iretq");
INSN(swint, EXIT_SWINT, INT_VECTOR, 0, 0, 0, "", "int 0x30");
PLAIN(invd, EXIT_INVD, "", "invd");
PLAIN(pause, EXIT_PAUSE, "", "pause");
PLAIN(hlt, EXIT_HLT, "", "hlt");
INSN(invlpg, EXIT_INVLPG, L2_ADDRESS, 0, 0, 0, "mov ebx, " L2_ADDRESS_TEXT " - 0x20", "invlpg [rbx + 0x20]");
INSN(rdtscp, EXIT_RDTSCP, 0, 0x80000001, 'd', 27, "", "rdtscp");
PLAIN(icebp, EXIT_ICEBP, "", ".byte 0xf1");
PLAIN(wbinvd, EXIT_WBINVD, "", "wbinvd");
INSN(wbnoinvd, EXIT_WBINVD, 0, 0x80000008, 'b', 9, "", ".byte 0xf3; wbinvd");
INSN(monitor, EXIT_MONITOR, 0, 1, 'c', 3, "mov rax, rsp; xor ecx, ecx; xor edx, edx", "monitor");
INSN(mwait, EXIT_MWAIT, 0, 1, 'c', 3, "xor eax, eax; xor ecx, ecx", "mwait");
INSN(mwait_armed, EXIT_MWAIT_ARMED, 0, 1, 'c', 3,
     "mov rax, rsp; xor ecx, ecx; xor edx, edx; monitor; xor eax, eax", "mwait");
INSN(xsetbv, EXIT_XSETBV, 0, 1, 'c', 26, "xor ecx, ecx; xgetbv", "xsetbv");
INSN(rdpru, EXIT_RDPRU, 0, 0x80000008, 'b', 4, "xor ecx, ecx", ".byte 0x0f, 0x01, 0xfd");
INSN(invlpgb, 0xA0, 0, 0x80000008, 'b', 3, "xor eax, eax; xor ecx, ecx; xor edx, edx", ".byte 0x0f, 0x01, 0xfe");
INSN(invpcid, EXIT_INVPCID, 0, 7, 'b', 10, "push 0; push 0; xor eax, eax", "invpcid rax, [rsp]");
INSN(mcommit, 0xA3, 0, 0x80000008, 'b', 8, "", ".byte 0xf3, 0x0f, 0x01, 0xfa");
INSN(tlbsync, 0xA4, 0, 0x80000008, 'b', 3, "", ".byte 0x0f, 0x01, 0xff");

static bool is_offered(const struct insn_row *r)
{
	return !r->leaf || cpuid_has(r->leaf, r->reg, r->bit);
}

/* XGETBV and XSETBV exist only with CR4.OSXSAVE. */
static struct vm *vm_for(const struct insn_row *r)
{
	struct vm *v = vm_new(r->code);

	if (r->exitcode == EXIT_XSETBV && is_offered(r))
		v->vmcb->cr4 |= CR4_OSXSAVE;
	return v;
}

static void exits(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v;

	if (!is_offered(r)) {
		skip("instruction not offered by the CPU");
		return;
	}
	v = vm_for(r);
	intercept_set(v, r->exitcode);
	vm_run_watched(v);
	expect_insn_exit(v, r->exitcode, r->at, r->next);
	if (r->info1)
		expect_decode(v, r->info1);
	expect("EXITINTINFO.V", v->vmcb->exitintinfo & EV_VALID, 0);
}

/* An intercept of an instruction that CPUID does not offer is ignored: #UD in L2, bit kept. */
static void unoffered(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v;

	if (is_offered(r)) {
		skip("instruction offered by the CPU");
		return;
	}
	v = vm_for(r);
	v->vmcb->rip = pa(r->at);	/* what prepares it may not be offered either */
	intercept_set(v, r->exitcode);
	vm_run(v);
	if (expect_l2_vector(v, VEC_UD))
		expect("rip of #UD", l2_frame(v)->rip, pa(r->at));
	expect("intercept bit kept", v->vmcb->intercept[r->exitcode / 32] & BIT32(r->exitcode % 32),
	       BIT32(r->exitcode % 32));
}

/* With all other intercepts off, the instruction runs without an exit. */
static void runs(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v;

	if (!is_offered(r)) {
		skip("instruction not offered by the CPU");
		return;
	}
	v = vm_for(r);
	vm_run_to_end(v);
}

static void ends_in_vector(const struct scenario *s, uint64_t vector, const void *rip)
{
	const struct insn_row *r = s->row;
	struct vm *v = vm_for(r);

	vm_run(v);
	if (expect_l2_vector(v, vector))
		expect("rip pushed", l2_frame(v)->rip, pa(rip));
}

static void swint_runs(const struct scenario *s)
{
	ends_in_vector(s, INT_VECTOR, row_swint.next);
}

static void icebp_runs(const struct scenario *s)
{
	ends_in_vector(s, VEC_DB, row_icebp.next);
}

static void rsm_runs(const struct scenario *s)
{
	ends_in_vector(s, VEC_UD, row_rsm.at);
}

/* Privilege faults come before these intercepts (table 15-7). */
static void gp_before_exit(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v = vm_for(r);

	vm_cpl3(v);
	intercept_set(v, r->exitcode);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(r->at));
}

/* RDTSCP with only the RDTSC bit, and the other way round: each has a bit of its own. */
static void rdtscp_own_bit(const struct scenario *s)
{
	struct vm *v;

	if (!is_offered(s->row)) {
		skip("instruction not offered by the CPU");
		return;
	}
	v = vm_for(s->row);
	intercept_set(v, EXIT_RDTSC);
	vm_run_to_end(v);
}

/* Both MWAIT bits: the conditional one wins when armed, the plain one reports otherwise. */
static void mwait_both(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v;

	if (!is_offered(r)) {
		skip("instruction not offered by the CPU");
		return;
	}
	v = vm_for(r);
	intercept_set(v, EXIT_MWAIT);
	intercept_set(v, EXIT_MWAIT_ARMED);
	vm_run_watched(v);
	expect_insn_exit(v, r->exitcode, r->at, r->next);
}

/* IRET, PUSHF, POPF, INTn are intercepted before any of their exceptions. */
L2_INSN(l2_bad_stack, "mov rsp, 0x8000000000000000", "pushfq", "");

static void pushf_before_stack_fault(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_bad_stack);

	intercept_set(v, EXIT_PUSHF);
	vm_run(v);
	expect_insn_exit(v, EXIT_PUSHF, l2_bad_stack_at, l2_bad_stack_next);
}

/* XSETBV is intercepted before its #GP for an illegal value. */
L2_INSN(l2_bad_xcr, "xor ecx, ecx; xor eax, eax; xor edx, edx", "xsetbv", "");

static void xsetbv_before_gp(const struct scenario *s UNUSED)
{
	struct vm *v;

	if (!is_offered(&row_xsetbv)) {
		skip("instruction not offered by the CPU");
		return;
	}
	v = vm_new(l2_bad_xcr);
	v->vmcb->cr4 |= CR4_OSXSAVE;
	intercept_set(v, EXIT_XSETBV);
	vm_run(v);
	expect_insn_exit(v, EXIT_XSETBV, l2_bad_xcr_at, l2_bad_xcr_next);
}

/* PAUSE filter: the count is how many PAUSEs pass before the exit. */
L2_INSN(l2_pauses, "xor eax, eax; 1: inc eax; cmp eax, 100; je 2f;", "pause", "jmp 1b; 2:");

static void pause_filter(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_pauses);

	intercept_set(v, EXIT_PAUSE);
	v->vmcb->pause_count = 10;
	vm_run(v);
	expect_insn_exit(v, EXIT_PAUSE, l2_pauses_at, l2_pauses_next);
	expect("more than 5 PAUSEs", (v->vmcb->rax & UINT32_MAX) > 5, 1);
	expect("count not written", v->vmcb->pause_count, 10);
}

L2_INSN(l2_pause_cpuid, "xor esi, esi; 1: inc esi; xor eax, eax; cpuid; cmp esi, 100; je 2f;", "pause", "jmp 1b; 2:");

/* What happens to L2 in between without being L1's concern does not fill the counter. */
static void pause_filter_among_others(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_pause_cpuid);

	intercept_set(v, EXIT_PAUSE);
	v->vmcb->pause_count = 10;
	vm_run(v);
	expect_insn_exit(v, EXIT_PAUSE, l2_pause_cpuid_at, l2_pause_cpuid_next);
	expect("10 PAUSEs, or 11", v->regs.rsi == 10 || v->regs.rsi == 11, 1);
}

/* The counter is loaded by each VMRUN, whatever was left of it. */
static void pause_filter_loaded(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_pauses);

	intercept_set(v, EXIT_PAUSE);
	v->vmcb->pause_count = 120;
	for (unsigned i = 0; i < 3; i++) {
		v->vmcb->rip = pa(l2_pauses);
		vm_run_to_end(v);
	}
}

/* Forty PAUSEs in a row, and RBX turns of a loop in the middle. */
L2_INSN(l2_pause_wait, "mov ecx, 20; 2: dec ecx; jz 3f; pause; jmp 2b; 3: dec rbx; jnz 3b; mov ecx, 20; 1:",
	"pause", "dec ecx; jnz 1b");

/* A pause between two PAUSEs that is longer than the threshold fills the counter again. Of a short one, whoever takes
 * the CPU away meanwhile makes a long one, so that is tried again. */
#define PAUSE_TRIES 10
static struct vm *vm_pauses(bool is_long)
{
	struct vm *v = vm_new(l2_pause_wait);

	intercept_set(v, EXIT_PAUSE);
	v->vmcb->pause_count = 25;
	v->vmcb->pause_threshold = is_long ? 10 : 1000;
	v->regs.rbx = is_long ? 1000 : 10;
	return v;
}

static void pause_threshold_short(const struct scenario *s UNUSED)
{
	struct vm *v;
	unsigned tries = PAUSE_TRIES;

	do {
		v = vm_pauses(false);
		vm_run(v);
	} while (v->vmcb->exitcode != EXIT_PAUSE && --tries);
	expect_insn_exit(v, EXIT_PAUSE, l2_pause_wait_at, l2_pause_wait_next);
}

static void pause_threshold_long(const struct scenario *s UNUSED)
{
	vm_run_to_end(vm_pauses(true));
}

#define EXITS(n) {"exit_" #n, "15.9", exits, NEED_SVM, &row_##n}
#define RUNS(n) {"noexit_" #n, "15.9", runs, NEED_SVM, &row_##n}
#define UNOFFERED(n) {"unoffered_" #n, "15.9", unoffered, NEED_SVM, &row_##n}
#define PRIVILEGED(n) {"cpl3_" #n, "15.9", gp_before_exit, NEED_SVM, &row_##n}

SCENARIOS("t_intercept_insn") {
	EXITS(sidt), EXITS(sgdt), EXITS(sldt), EXITS(str), EXITS(lidt), EXITS(lgdt), EXITS(lldt),
	EXITS(ltr), EXITS(rdtsc), EXITS(rdpmc), EXITS(pushf), EXITS(popf), EXITS(cpuid),
	EXITS(cpuid_prefixed), EXITS(rsm), EXITS(iret), EXITS(swint), EXITS(invd),
	EXITS(pause), EXITS(hlt), EXITS(invlpg), EXITS(rdtscp), EXITS(icebp),
	EXITS(wbinvd), EXITS(wbnoinvd), EXITS(monitor), EXITS(mwait), EXITS(mwait_armed),
	EXITS(xsetbv), EXITS(rdpru), EXITS(invpcid), EXITS(mcommit),
	RUNS(sidt), RUNS(sgdt), RUNS(sldt), RUNS(str), RUNS(lidt), RUNS(lgdt), RUNS(lldt),
	RUNS(rdtsc), RUNS(pushf), RUNS(popf), RUNS(cpuid), RUNS(iret), RUNS(pause),
	RUNS(invlpg), RUNS(rdtscp), RUNS(wbinvd), RUNS(monitor), RUNS(xsetbv),
	{"noexit_swint", "15.9", swint_runs, NEED_SVM, &row_swint},
	{"noexit_icebp", "15.9", icebp_runs, NEED_SVM, &row_icebp},
	{"noexit_rsm", "15.9", rsm_runs, NEED_SVM, &row_rsm},
	UNOFFERED(rdtscp), UNOFFERED(monitor), UNOFFERED(mwait),
	UNOFFERED(xsetbv), UNOFFERED(rdpru), UNOFFERED(invlpgb), UNOFFERED(invpcid),
	UNOFFERED(mcommit), UNOFFERED(tlbsync),
	PRIVILEGED(lidt), PRIVILEGED(lgdt), PRIVILEGED(lldt), PRIVILEGED(ltr), PRIVILEGED(hlt),
	PRIVILEGED(invlpg), PRIVILEGED(invd), PRIVILEGED(wbinvd),
	{"exit_rdtscp_own_bit", "15.9", rdtscp_own_bit, NEED_SVM, &row_rdtscp},
	{"exit_mwait_both_unarmed", "15.9", mwait_both, NEED_SVM, &row_mwait},
	{"exit_mwait_both_armed", "15.9", mwait_both, NEED_SVM, &row_mwait_armed},
	{"exit_pushf_before_stack_fault", "15.9", pushf_before_stack_fault, NEED_SVM, 0},
	{"exit_xsetbv_before_gp", "15.9", xsetbv_before_gp, NEED_SVM, 0},
	{"exit_pause_filter", "15.14.4", pause_filter, SVM_PAUSE_FILTER, 0},
	{"pause_filter_among_others", "15.14.4", pause_filter_among_others, SVM_PAUSE_FILTER, 0},
	{"pause_filter_loaded_by_vmrun", "15.14.4", pause_filter_loaded, SVM_PAUSE_FILTER, 0},
	{"pause_threshold_short", "15.14.4", pause_threshold_short,
	 SVM_PAUSE_FILTER | SVM_PAUSE_THRESHOLD, 0},
	{"pause_threshold_long", "15.14.4", pause_threshold_long,
	 SVM_PAUSE_FILTER | SVM_PAUSE_THRESHOLD, 0},
};
SCENARIO_COUNT;
