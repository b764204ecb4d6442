/* SPDX-License-Identifier: MIT */
/* t_msr.c - shows the MSR intercept (all three ranges, both directions, uncovered MSRs), the rules
 * of SVM's own MSRs as L1 sees them, and MSR state that L2 has of its own: PAT, EFER. TSC: t_tsc.c.
 * APM vol. 2 15.11, 15.30, 15.25.2, 15.5. */
#include "vm.h"

#define VM_CR_LOCK BIT(3)
#define VM_CR_SVMDIS BIT(4)
#define PAT_OTHER UINT64_C(0x0000000000000406)

L2_INSN(l2_rdmsr, "mov ecx, ebx", "rdmsr", "");
L2_INSN(l2_wrmsr, "mov ecx, ebx; mov eax, esi; mov edx, edi", "wrmsr", "");
L2_INSN(l2_rewrite, "mov ecx, ebx; rdmsr", "wrmsr", "");

/* Covered MSRs: first and last of each range, and some in the middle. */
static const uint32_t covered[] = {0, 0x10, 0x1B, 0x174, 0x277, 0x1FFF, 0xC0000000, 0xC0000080, 0xC0000082,
				   0xC0000102, 0xC0001FFF, 0xC0010000, 0xC0010114, 0xC0010117, 0xC0011FFF};
static const uint32_t uncovered[] = {0x2000, 0x40000000, 0x40000080, 0x80000000, 0xBFFFFFFF, 0xC0002000,
				     0xC000FFFF, 0xC0012000, 0xFFFFFFFF};

static struct vm *vm_for(const uint8_t *code, uint32_t msr)
{
	struct vm *v = vm_new(code);

	expect_item(msr);
	v->regs.rbx = msr;
	intercept_set(v, EXIT_MSR);
	return v;
}

static void expect_msr_exit(const struct vm *v, bool is_write)
{
	if (is_write)
		expect_insn_exit(v, EXIT_MSR, l2_wrmsr_at, l2_wrmsr_next);
	else
		expect_insn_exit(v, EXIT_MSR, l2_rdmsr_at, l2_rdmsr_next);
	expect("EXITINFO1", v->vmcb->info1, is_write);
}

static void covered_exit(const struct scenario *s)
{
	bool is_write = s->row;

	for (unsigned i = 0; i < ARRAY_COUNT(covered); i++) {
		struct vm *v = vm_for(is_write ? l2_wrmsr : l2_rdmsr, covered[i]);

		msrpm_set(v, covered[i], is_write);
		vm_run(v);
		expect_msr_exit(v, is_write);
	}
}

/* The map says nothing about them, so they always exit. */
static void uncovered_exit(const struct scenario *s)
{
	bool is_write = s->row;

	for (unsigned i = 0; i < ARRAY_COUNT(uncovered); i++) {
		struct vm *v = vm_for(is_write ? l2_wrmsr : l2_rdmsr, uncovered[i]);

		vm_run(v);
		expect_msr_exit(v, is_write);
	}
}

/* All bits set but the two of one MSR: it passes, read and write. */
static void own_bits_only(const struct scenario *s UNUSED)
{
	static const uint32_t list[] = {MSR_SYSENTER_ESP, MSR_STAR, MSR_LSTAR, MSR_KERNEL_GS};

	for (unsigned i = 0; i < ARRAY_COUNT(list); i++) {
		struct vm *v = vm_for(l2_rewrite, list[i]);
		struct vm *one = vm_new(l2_rdmsr);

		msrpm_set(one, list[i], false);
		msrpm_set(one, list[i], true);
		for (unsigned b = 0; b < 2 * PAGE_SIZE; b++)
			v->msrpm[b] = (uint8_t)~one->msrpm[b];
		vm_run_to_end(v);
	}
}

/* The read bit does not catch the write, nor the other way round. */
static void directions_apart(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(l2_rdmsr, MSR_STAR), *w;

	msrpm_set(v, MSR_STAR, true);
	vm_run_to_end(v);
	w = vm_for(l2_rewrite, MSR_STAR);
	msrpm_set(w, MSR_STAR, true);
	vm_run(w);
	expect_insn_exit(w, EXIT_MSR, l2_rewrite_at, l2_rewrite_next);
	expect("EXITINFO1", w->vmcb->info1, 1);
}

static void off_without_intercept_bit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(l2_rewrite, MSR_STAR);

	intercept_clear(v, EXIT_MSR);
	for (unsigned b = 0; b < 2 * PAGE_SIZE; b++)
		v->msrpm[b] = 0xFF;
	vm_run_to_end(v);
}

static void base_low_bits(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(l2_rdmsr, MSR_STAR);

	msrpm_set(v, MSR_STAR, false);
	v->vmcb->msrpm |= PAGE_MASK;
	vm_run(v);
	expect_msr_exit(v, false);
}

static void map_changes_between_runs(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(l2_rdmsr, MSR_STAR);

	vm_run_to_end(v);
	msrpm_set(v, MSR_STAR, false);
	v->vmcb->rip = pa(l2_rdmsr);
	vm_run(v);
	expect_msr_exit(v, false);
}

/* CPL comes before the map, the MSR's own #GP after it. */
static void gp_order(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(l2_rdmsr, MSR_STAR), *w;

	vm_cpl3(v);
	msrpm_set(v, MSR_STAR, false);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(l2_rdmsr_at));
	w = vm_for(l2_wrmsr, MSR_EFER);
	w->regs.rdi = UINT32_MAX;	/* reserved bits of EFER */
	msrpm_set(w, MSR_EFER, true);
	vm_run(w);
	expect_msr_exit(w, true);
}

/* An MSR that does not exist, passed by L1's map: #GP in L2. */
static void unknown_gp_in_l2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_for(l2_rdmsr, 0x1FF0);

	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("error code", l2_frame(v)->error, 0);
}

/* MSRs that #VMEXIT does not switch stay as L2 left them. */
L2_CODE(l2_set_lstar, "mov ecx, 0xC0000082; mov eax, 0x1234; xor edx, edx; wrmsr;"
		      "mov ecx, 0xC0000102; mov eax, 0x5678; wrmsr; mov ecx, 0x175; mov eax, 0x9ABC; wrmsr");

static void unswitched_msrs_stay(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_set_lstar);
	struct vmcb *keep = pages(1);

	vmsave(pa(keep));
	vm_run_to_end(v);
	expect("LSTAR", rdmsr(MSR_LSTAR), 0x1234);
	expect("KernelGSBase", rdmsr(MSR_KERNEL_GS), 0x5678);
	expect("SYSENTER_ESP", rdmsr(MSR_SYSENTER_ESP), 0x9ABC);
	vmload(pa(keep));
	expect("LSTAR by VMLOAD", rdmsr(MSR_LSTAR), keep->lstar);
}

/* --- L1's view of SVM's MSRs --- */

static uint64_t value_now;
static void write_hsave(uint64_t v)
{
	wrmsr(MSR_HSAVE_PA, v);
}

static void write_efer(uint64_t v)
{
	wrmsr(MSR_EFER, v);
}

static void write_vm_cr(uint64_t v)
{
	wrmsr(MSR_VM_CR, v);
}

static void read_msr(uint64_t msr)
{
	value_now = rdmsr((uint32_t)msr);
}

static void hsave_rules(const struct scenario *s UNUSED)
{
	uint64_t page = pa(pages(1));

	expect("legal write faults", trap_catch(write_hsave, page).taken, 0);
	expect("reads back", rdmsr(MSR_HSAVE_PA), page);
	expect_fault(trap_catch(write_hsave, page + 1), VEC_GP, 0);
	expect_fault(trap_catch(write_hsave, page + 0x800), VEC_GP, 0);
	expect_fault(trap_catch(write_hsave, BIT(maxphys())), VEC_GP, 0);
	expect_fault(trap_catch(write_hsave, BIT(63)), VEC_GP, 0);
	expect("last good value", rdmsr(MSR_HSAVE_PA), page);
}

static void hsave_without_svme(const struct scenario *s UNUSED)
{
	uint64_t page = pa(pages(1));

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	expect("write faults", trap_catch(write_hsave, page).taken, 0);
	expect("reads back", rdmsr(MSR_HSAVE_PA), page);
}

static void efer_reserved(const struct scenario *s UNUSED)
{
	uint64_t efer = rdmsr(MSR_EFER);

	for (unsigned b = 22; b < 64; b++) {
		expect_item(b);
		if (!expect_fault(trap_catch(write_efer, efer | BIT(b)), VEC_GP, 0))
			break;
	}
	expect_fault(trap_catch(write_efer, efer | BIT(9)), VEC_GP, 0);
}

static void vm_cr_reserved(const struct scenario *s UNUSED)
{
	expect_fault(trap_catch(write_vm_cr, rdmsr(MSR_VM_CR) | BIT(5)), VEC_GP, 0);
	expect_fault(trap_catch(write_vm_cr, rdmsr(MSR_VM_CR) | BIT(63)), VEC_GP, 0);
}

/* SVMDIS may not be set while EFER.SVME is. */
static void vm_cr_svmdis_with_svme(const struct scenario *s UNUSED)
{
	expect_fault(trap_catch(write_vm_cr, VM_CR_SVMDIS), VEC_GP, 0);
	expect("SVMDIS", rdmsr(MSR_VM_CR) & VM_CR_SVMDIS, 0);
}

/* SVMDIS set: EFER.SVME must be zero. Cleared again, since LOCK is clear. */
static void vm_cr_svmdis_forbids_svme(const struct scenario *s UNUSED)
{
	uint64_t vm_cr = rdmsr(MSR_VM_CR), efer = rdmsr(MSR_EFER);

	if (vm_cr & VM_CR_LOCK) {
		skip("VM_CR is locked");
		return;
	}
	wrmsr(MSR_EFER, efer & ~EFER_SVME);
	wrmsr(MSR_VM_CR, vm_cr | VM_CR_SVMDIS);
	expect("SVMDIS reads back", rdmsr(MSR_VM_CR) & VM_CR_SVMDIS, VM_CR_SVMDIS);
	expect_fault(trap_catch(write_efer, efer), VEC_GP, 0);
	wrmsr(MSR_VM_CR, vm_cr);
	expect("SVME can be set again", trap_catch(write_efer, efer).taken, 0);
}

static void vm_cr_reads(const struct scenario *s UNUSED)
{
	expect("read faults", trap_catch(read_msr, MSR_VM_CR).taken, 0);
	expect("SVMDIS", value_now & VM_CR_SVMDIS, 0);
	expect("reserved bits", value_now >> 5, 0);
}

/* --- state of L2's own --- */

L2_CODE(l2_pat, "mov ecx, 0x277; rdmsr; mov ebx, eax; mov eax, 0x0406; xor edx, edx; wrmsr");

/* With nested paging the guest's PAT is the VMCB's, and goes back there. */
static void gpat_separate(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_pat);

	v->vmcb->g_pat = UINT64_C(0x0606060606060601);
	vm_run_to_end(v);
	expect("PAT read in L2", v->regs.rbx, 0x06060601);
	expect("gPAT stored", v->vmcb->g_pat, PAT_OTHER);
	expect("PAT of L1", rdmsr(MSR_PAT), PAT_RESET);
}

/* Without nested paging there is one PAT. */
static void pat_shared_without_npt(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new_flat(l2_pat);

	v->vmcb->g_pat = 1;
	vm_run_to_end(v);
	expect("PAT read in L2", v->regs.rbx, PAT_RESET & UINT32_MAX);
	expect("PAT of L1", rdmsr(MSR_PAT), PAT_OTHER);
	expect("gPAT untouched", v->vmcb->g_pat, 1);
}

L2_CODE(l2_efer, "mov ecx, 0xC0000080; rdmsr; mov ebx, eax; and eax, ~1; wrmsr; rdmsr");

static void efer_separate(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_efer);
	uint64_t efer = rdmsr(MSR_EFER);

	vm_run_to_end(v);
	expect("EFER in L2 before", v->regs.rbx, efer);
	expect("EFER in L2 after", v->vmcb->rax & UINT32_MAX, efer & ~EFER_SCE);
	expect("EFER stored", v->vmcb->efer, efer & ~EFER_SCE);
	expect("EFER of L1", rdmsr(MSR_EFER), efer);
}

#define WRITE ((const void *)1)
SCENARIOS("t_msr") {
	{"msrpm_covered_read", "15.11", covered_exit, NEED_SVM, 0},
	{"msrpm_covered_write", "15.11", covered_exit, NEED_SVM, WRITE},
	{"msrpm_uncovered_read", "15.11", uncovered_exit, NEED_SVM, 0},
	{"msrpm_uncovered_write", "15.11", uncovered_exit, NEED_SVM, WRITE},
	{"msrpm_own_bits_only", "15.11", own_bits_only, NEED_SVM, 0},
	{"msrpm_directions_apart", "15.11", directions_apart, NEED_SVM, 0},
	{"msrpm_off_without_intercept_bit", "15.11", off_without_intercept_bit, NEED_SVM, 0},
	{"msrpm_base_low_bits", "15.11", base_low_bits, NEED_SVM, 0},
	{"msrpm_map_changes_between_runs", "15.11", map_changes_between_runs, NEED_SVM, 0},
	{"msr_gp_order", "15.11", gp_order, NEED_SVM, 0},
	{"msr_unknown_gp_in_l2", "15.11", unknown_gp_in_l2, NEED_SVM, 0},
	{"msr_unswitched_stay", "15.6", unswitched_msrs_stay, NEED_SVM, 0},
	{"msr_hsave_rules", "15.30.4", hsave_rules, NEED_SVM, 0},
	{"msr_hsave_without_svme", "15.30", hsave_without_svme, NEED_SVM, 0},
	{"msr_efer_reserved", "3.1.7", efer_reserved, NEED_SVM, 0},
	{"msr_vm_cr_reads", "15.30.1", vm_cr_reads, NEED_SVM, 0},
	{"msr_vm_cr_reserved", "15.30.1", vm_cr_reserved, NEED_SVM, 0},
	{"msr_vm_cr_svmdis_with_svme", "15.30.1", vm_cr_svmdis_with_svme, NEED_SVM, 0},
	{"msr_vm_cr_svmdis_forbids_svme", "15.30.1", vm_cr_svmdis_forbids_svme, NEED_SVM, 0},
	{"pat_separate_with_npt", "15.25.2", gpat_separate, SVM_NP, 0},
	{"pat_shared_without_npt", "15.25.2", pat_shared_without_npt, NEED_SVM, 0},
	{"efer_separate", "15.5.1", efer_separate, NEED_SVM, 0},
};
SCENARIO_COUNT;
