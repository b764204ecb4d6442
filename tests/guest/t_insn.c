/* SPDX-License-Identifier: MIT */
/* t_insn.c - shows the SVM instructions as L1 executes them: which fault, in which order, when one
 * comes, what VMLOAD and VMSAVE transfer, and what an L2 that executes them gets, with and without
 * L1's intercept. APM vol. 2 15.5.1, 15.14.2; vol. 3 instruction pages. */
#include "vm.h"
#include "str.h"

#define NONCANONICAL UINT64_C(0x0001800000000000)
#define PATTERN UINT64_C(0x5A5A000012340000)

struct insn_row {
	void (*run)(uint64_t rax);
	const uint8_t *user;	/* the same instruction, for CPL 3 */
	bool takes_address;
	const uint8_t *l2_code, *l2_at, *l2_next;
	uint64_t exitcode;
};

#define SVM_INSN(name, text)                                                                       \
	static void do_##name(uint64_t rax)                                                        \
	{                                                                                          \
		__asm__ volatile(text : : "a"(rax), "c"(0) : "memory");                            \
	}                                                                                          \
	extern const uint8_t user_##name[];                                                        \
	L1_CODE(user_##name, text "; ud2");                                                        \
	L2_INSN(l2_##name, "mov rax, rbx; xor ecx, ecx", text, "")
SVM_INSN(vmrun, "vmrun");
SVM_INSN(vmload, "vmload");
SVM_INSN(vmsave, "vmsave");
SVM_INSN(stgi, "stgi");
SVM_INSN(clgi, "clgi");
SVM_INSN(invlpga, "invlpga");
SVM_INSN(skinit, ".byte 0x0f, 0x01, 0xde");
SVM_INSN(vmmcall, "vmmcall");

#define ROW(name, addr, code)                                                                      \
	static const struct insn_row row_##name = {do_##name, user_##name, addr,                   \
						   l2_##name, l2_##name##_at, l2_##name##_next, code}
ROW(vmrun, true, EXIT_VMRUN);
ROW(vmload, true, EXIT_VMLOAD);
ROW(vmsave, true, EXIT_VMSAVE);
ROW(stgi, false, EXIT_STGI);
ROW(clgi, false, EXIT_CLGI);
ROW(invlpga, false, EXIT_INVLPGA);
ROW(skinit, false, EXIT_SKINIT);
ROW(vmmcall, false, EXIT_VMMCALL);

static const struct insn_row *row_of(const struct scenario *s)
{
	return s->row;
}

static void ud_with_svme_clear(const struct scenario *s)
{
	uint64_t page = pa(pages(1));
	struct fault f;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	f = trap_catch(row_of(s)->run, page);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	expect_fault(f, VEC_UD, 0);
}

static void gp_at_cpl3(const struct scenario *s)
{
	expect_fault(trap_catch_user(row_of(s)->user, pa(pages(1))), VEC_GP, 0);
}

/* #UD for SVME=0 wins over the privilege level. */
static void ud_before_cpl(const struct scenario *s)
{
	struct fault f;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	f = trap_catch_user(row_of(s)->user, pa(pages(1)));
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	expect_fault(f, VEC_UD, 0);
}

static void gp_bad_address(const struct scenario *s)
{
	expect_fault(trap_catch(row_of(s)->run, pa(pages(1)) + 8), VEC_GP, 0);
	expect_fault(trap_catch(row_of(s)->run, BIT(maxphys())), VEC_GP, 0);
	expect_fault(trap_catch(row_of(s)->run, UINT64_MAX & ~PAGE_MASK), VEC_GP, 0);
}

static void skinit_ud(const struct scenario *s)
{
	if (cpuid_has(0x80000001, 'c', 12))
		skip("SKINIT offered by the CPU");
	else
		expect_fault(trap_catch(row_of(s)->run, 0), VEC_UD, 0);
}

static void vmmcall_ud(const struct scenario *s)
{
	expect_fault(trap_catch(row_of(s)->run, 0), VEC_UD, 0);
}

static void l2_intercepted(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v = vm_new(r->l2_code);

	intercept_set(v, r->exitcode);
	v->regs.rbx = pa(pages(1));
	vm_run(v);
	expect_insn_exit(v, r->exitcode, r->l2_at, r->l2_next);
}

/* The fault on rAX comes before the intercept (15.5.1). */
static void l2_bad_address_before_intercept(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v = vm_new(r->l2_code);

	intercept_set(v, r->exitcode);
	v->regs.rbx = pa(v->vmcb) + 8;
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(r->l2_at));
}

static void l2_cpl_before_intercept(const struct scenario *s)
{
	const struct insn_row *r = s->row;
	struct vm *v = vm_new(r->l2_code);

	intercept_set(v, r->exitcode);
	vm_cpl3(v);
	v->regs.rbx = pa(v->vmcb);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(r->l2_at));
}

/* VMMCALL asks nobody's privilege: its intercept comes first. */
static void l2_vmmcall_cpl3(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_vmmcall);

	vm_cpl3(v);
	vm_run(v);
	expect_insn_exit(v, EXIT_VMMCALL, l2_vmmcall_at, l2_vmmcall_next);
	expect("cpl", v->vmcb->cpl, 3);
}

/* Not intercepted, VMMCALL is #UD in L2, and no service of whoever is below L1. The #UD is caught
 * by its intercept, since L2's handlers end in VMMCALL too. */
static void l2_vmmcall_unintercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_vmmcall);

	intercept_clear(v, EXIT_VMMCALL);
	intercept_set(v, EXIT_EXC + VEC_UD);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_EXC + VEC_UD);
	expect("rip", v->vmcb->rip, pa(l2_vmmcall_at));
}

L2_CODE(l2_stgi_clgi, "clgi; stgi; clgi; mov rax, 1");

/* Not intercepted, they act on the GIF, which is 0 after the exit anyway. */
static void l2_gif_unintercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_stgi_clgi);

	vm_run_to_end(v);
	expect("rax", v->vmcb->rax, 1);
}

L2_CODE(l2_vmsave_load, "mov rax, rbx; vmsave; mov rax, rcx; vmload; mov rax, rdx; vmsave");

/* L1 lets L2 use VMLOAD and VMSAVE: addresses are L1's, the registers those of the CPU. */
static void l2_vmload_unintercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_vmsave_load);
	struct vmcb *first = pages(1), *load = pages(1), *second = pages(1), *keep = pages(1);

	vmsave(pa(keep));
	*load = *keep;
	load->kernel_gs = PATTERN & ~BIT(62) & UINT32_MAX;
	load->sysenter_esp = 0x1234;
	v->regs.rbx = pa(first);
	v->regs.rcx = pa(load);
	v->regs.rdx = pa(second);
	vm_run_to_end(v);
	expect("kernel_gs saved first", first->kernel_gs, keep->kernel_gs);
	expect("kernel_gs saved second", second->kernel_gs, load->kernel_gs);
	expect("sysenter_esp stays loaded in L1", rdmsr(MSR_SYSENTER_ESP), 0x1234);
	vmload(pa(keep));
}

L2_CODE(l2_rsvd_svme, "mov ecx, 0xC0000080; rdmsr");

static void l2_sees_svme(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_rsvd_svme);

	vm_run_to_end(v);
	expect("EFER in L2", v->vmcb->rax & UINT32_MAX, v->vmcb->efer & UINT32_MAX);
}

/* --- what VMLOAD makes of bases that are not canonical --- */

/* From bit 47 up where LA57 is not offered; bits 46:0 stay. */
static void vmload_canonicalises_48(const struct scenario *s UNUSED)
{
	struct vmcb *keep = pages(1), *odd = pages(1), *out = pages(1);
	uint64_t low = 0x2AAAAAAAA000, set = BIT(47) | 0x5000;

	if (cpuid_has(7, 'c', 16)) {
		skip("5-level paging is offered");
		return;
	}
	vmsave(pa(keep));
	*odd = *keep;
	odd->fs.base = UINT64_C(0xAAAA) << 48 | low;
	odd->gs.base = set;
	odd->kernel_gs = BIT(50) | set;
	odd->ldtr.base = BIT(55) | low;
	odd->tr.base = keep->tr.base | BIT(52);
	odd->lstar = 0x123456;
	vmload(pa(odd));
	vmsave(pa(out));
	vmload(pa(keep));
	expect("FS base", out->fs.base, low);
	expect("GS base", out->gs.base, UINT64_C(0xFFFF) << 48 | set);
	expect("KernelGSBase", out->kernel_gs, UINT64_C(0xFFFF) << 48 | set);
	expect("LDTR base", out->ldtr.base, low);
	expect("TR base", out->tr.base, keep->tr.base);
	expect("LSTAR", out->lstar, 0x123456);
	expect("FS selector", out->fs.sel, odd->fs.sel);
}

static void vmload_canonicalises(const struct scenario *s UNUSED)
{
	struct vmcb *keep = pages(1), *odd = pages(1), *out = pages(1);

	vmsave(pa(keep));
	*odd = *keep;
	odd->fs.base = BIT(62) | 0x1000;
	odd->gs.base = BIT(63) | 0x2000;
	odd->kernel_gs = BIT(61) | 0x3000;
	odd->ldtr.base = BIT(60) | 0x4000;
	vmload(pa(odd));
	vmsave(pa(out));
	vmload(pa(keep));
	expect("FS base", out->fs.base, 0x1000);
	expect("GS base", out->gs.base, 0x2000);
	expect("KernelGSBase", out->kernel_gs, 0x3000);
	expect("LDTR base", out->ldtr.base, 0x4000);
}

SCENARIOS("t_insn") {
	{"insn_vmrun_ud_svme_clear", "15.4", ud_with_svme_clear, NEED_SVM, &row_vmrun},
	{"insn_vmload_ud_svme_clear", "15.4", ud_with_svme_clear, NEED_SVM, &row_vmload},
	{"insn_vmsave_ud_svme_clear", "15.4", ud_with_svme_clear, NEED_SVM, &row_vmsave},
	{"insn_stgi_ud_svme_clear", "15.4", ud_with_svme_clear, NEED_SVM, &row_stgi},
	{"insn_clgi_ud_svme_clear", "15.4", ud_with_svme_clear, NEED_SVM, &row_clgi},
	{"insn_invlpga_ud_svme_clear", "15.4", ud_with_svme_clear, NEED_SVM, &row_invlpga},
	{"insn_skinit_ud", "15.27", skinit_ud, NEED_SVM, &row_skinit},
	{"insn_vmmcall_ud_in_l1", "15.18", vmmcall_ud, NEED_SVM, &row_vmmcall},
	{"insn_vmrun_gp_cpl3", "15.5.1", gp_at_cpl3, NEED_SVM, &row_vmrun},
	{"insn_vmload_gp_cpl3", "15.5.2", gp_at_cpl3, NEED_SVM, &row_vmload},
	{"insn_vmsave_gp_cpl3", "15.5.2", gp_at_cpl3, NEED_SVM, &row_vmsave},
	{"insn_stgi_gp_cpl3", "15.17", gp_at_cpl3, NEED_SVM, &row_stgi},
	{"insn_clgi_gp_cpl3", "15.17", gp_at_cpl3, NEED_SVM, &row_clgi},
	{"insn_invlpga_gp_cpl3", "15.16.2", gp_at_cpl3, NEED_SVM, &row_invlpga},
	{"insn_vmrun_ud_before_cpl", "15.5.1", ud_before_cpl, NEED_SVM, &row_vmrun},
	{"insn_clgi_ud_before_cpl", "15.17", ud_before_cpl, NEED_SVM, &row_clgi},
	{"insn_vmrun_gp_bad_address", "15.5.1", gp_bad_address, NEED_SVM, &row_vmrun},
	{"insn_vmload_gp_bad_address", "15.5.2", gp_bad_address, NEED_SVM, &row_vmload},
	{"insn_vmsave_gp_bad_address", "15.5.2", gp_bad_address, NEED_SVM, &row_vmsave},
	{"insn_l2_vmrun_exit", "15.9", l2_intercepted, NEED_SVM, &row_vmrun},
	{"insn_l2_vmload_exit", "15.9", l2_intercepted, NEED_SVM, &row_vmload},
	{"insn_l2_vmsave_exit", "15.9", l2_intercepted, NEED_SVM, &row_vmsave},
	{"insn_l2_stgi_exit", "15.9", l2_intercepted, NEED_SVM, &row_stgi},
	{"insn_l2_clgi_exit", "15.9", l2_intercepted, NEED_SVM, &row_clgi},
	{"insn_l2_invlpga_exit", "15.9", l2_intercepted, NEED_SVM, &row_invlpga},
	{"insn_l2_vmrun_bad_address", "15.5.1", l2_bad_address_before_intercept, NEED_SVM, &row_vmrun},
	{"insn_l2_vmload_bad_address", "15.5.2", l2_bad_address_before_intercept, NEED_SVM, &row_vmload},
	{"insn_l2_vmsave_bad_address", "15.5.2", l2_bad_address_before_intercept, NEED_SVM, &row_vmsave},
	{"insn_l2_vmrun_cpl3", "15.5.1", l2_cpl_before_intercept, NEED_SVM, &row_vmrun},
	{"insn_l2_stgi_cpl3", "15.17", l2_cpl_before_intercept, NEED_SVM, &row_stgi},
	{"insn_l2_clgi_cpl3", "15.17", l2_cpl_before_intercept, NEED_SVM, &row_clgi},
	{"insn_l2_invlpga_cpl3", "15.16.2", l2_cpl_before_intercept, NEED_SVM, &row_invlpga},
	{"insn_l2_vmmcall_cpl3", "15.9", l2_vmmcall_cpl3, NEED_SVM, 0},
	{"insn_l2_vmmcall_unintercepted", "15.18", l2_vmmcall_unintercepted, NEED_SVM, 0},
	{"insn_l2_gif_unintercepted", "15.17", l2_gif_unintercepted, NEED_SVM, 0},
	{"insn_l2_vmload_unintercepted", "15.5.2", l2_vmload_unintercepted, SVM_NP, 0},
	{"insn_l2_sees_svme", "15.4", l2_sees_svme, NEED_SVM, 0},
	{"insn_vmload_canonicalises", "15.5.2", vmload_canonicalises, NEED_SVM, 0},
	{"insn_vmload_canonicalises_48", "15.5.2", vmload_canonicalises_48, NEED_SVM, 0},
};
SCENARIO_COUNT;
