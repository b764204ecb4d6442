/* SPDX-License-Identifier: MIT */
/* t_check.c - shows the consistency checks of VMRUN, word by word: every illegal bit is refused
 * with -1, and every oddity that is legal runs, above all those that hypervisors wrongly refuse.
 * APM vol. 2 15.5.1 (canonicalisation and consistency checks), 15.20, 15.25.3. */
#include "vm.h"

#define PAT_BYTES 8
#define IOPM_BYTES UINT64_C(0x3000)

L2_CODE(l2_end, "");
L2_CODE(l2_table_use, "mov ax, 0x10; mov es, eax; ud2");

static struct vmcb good;

/* One VMCB per scenario; a refused run may have spoilt it, so each step starts from the copy. */
static struct vm *fresh(void)
{
	struct vm *v = vm_new(l2_end);

	good = *v->vmcb;
	return v;
}

static bool refused(struct vm *v, uint64_t item)
{
	bool held;

	expect_item(item);
	vm_run(v);
	held = expect_exit(v->vmcb, EXIT_INVALID);
	*v->vmcb = good;
	return held;
}

static bool accepted(struct vm *v, uint64_t item)
{
	bool held;

	expect_item(item);
	held = vm_run_to_end(v);
	*v->vmcb = good;
	return held;
}

static void high_bits(uint64_t *word, struct vm *v, unsigned from)
{
	for (unsigned b = from; b < 64; b++) {
		*word |= BIT(b);
		if (!refused(v, b))
			return;
	}
}

/* --- state --- */

static void efer_svme(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->efer &= ~EFER_SVME;
	refused(v, 12);
}

static void efer_reserved(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	for (unsigned b = 1; b < 8; b++) {
		v->vmcb->efer |= BIT(b);
		if (!refused(v, b))
			return;
	}
	v->vmcb->efer |= BIT(9);
	refused(v, 9);
	high_bits(&v->vmcb->efer, v, 22);
}

static void cr0_high(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	high_bits(&v->vmcb->cr0, v, 32);
}

static void cr0_nw_without_cd(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->cr0 |= CR0_NW;
	v->vmcb->cr0 &= ~CR0_CD;
	refused(v, 29);
	v->vmcb->cr0 |= CR0_NW | CR0_CD;
	accepted(v, 30);
	v->vmcb->cr0 |= CR0_CD;
	accepted(v, 31);
}

/* Reserved bits of the low half are not checked. */
static void cr0_low_reserved(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	for (unsigned b = 6; b < 29; b++) {
		if (b == 16 || b == 18)
			continue;
		v->vmcb->cr0 |= BIT(b);
		if (!accepted(v, b))
			return;
	}
}

static void cr3_high(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	high_bits(&v->vmcb->cr3, v, maxphys());
}

static void cr3_low_bits(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	for (unsigned b = 0; b < 12; b++) {
		v->vmcb->cr3 |= BIT(b);
		if (!accepted(v, b))
			return;
	}
}

/* CR4 bits that exist only with a CPUID feature. */
static const struct cr4_feature {
	uint8_t bit;
	char reg;
	uint8_t feature;
	uint32_t leaf;
} cr4_features[] = {
	{11, 'c', 2, 7}, {12, 'c', 16, 7}, {16, 'b', 0, 7}, {17, 'c', 17, 1}, {18, 'c', 26, 1},
	{20, 'b', 7, 7}, {21, 'b', 20, 7}, {22, 'c', 3, 7}, {23, 'c', 7, 7},
};

static void cr4_reserved(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->cr4 |= BIT(15);
	refused(v, 15);
	v->vmcb->cr4 |= BIT(19);
	refused(v, 19);
	high_bits(&v->vmcb->cr4, v, 32);
}

static void cr4_by_cpuid(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	for (unsigned i = 0; i < ARRAY_COUNT(cr4_features); i++) {
		const struct cr4_feature *f = &cr4_features[i];
		bool held;

		if (f->bit == 12)
			continue;	/* LA57 with 4-level tables runs nowhere */
		v->vmcb->cr4 |= BIT(f->bit);
		held = cpuid_has(f->leaf, f->reg, f->feature) ? true : refused(v, f->bit);
		*v->vmcb = good;
		if (!held)
			return;
	}
}

static void dr6_high(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	high_bits(&v->vmcb->dr6, v, 32);
}

static void dr7_high(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	high_bits(&v->vmcb->dr7, v, 32);
}

static void dr_low_reserved(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->dr6 = 0;
	v->vmcb->dr7 = 0;
	accepted(v, 0);
	v->vmcb->dr6 = UINT32_MAX;
	v->vmcb->dr7 = DR7_RESET | 0xD000;
	accepted(v, 1);
}

static void lme_pg_without_pae(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->cr4 &= ~CR4_PAE;
	refused(v, 0);
}

static void lme_pg_without_pe(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->cr0 &= ~CR0_PE;
	refused(v, 0);
}

static void cs_l_and_d(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->cs.attr |= 0x400;
	refused(v, 0);
}

/* LMA is computed by the CPU from LME and PG; what the VMCB says does not matter. */
static void lma_recomputed(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->efer &= ~EFER_LMA;
	vm_run_to_end(v);
	expect("LMA stored", v->vmcb->efer & EFER_LMA, EFER_LMA);
}

static void rip_noncanonical(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->rip = BIT(63);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip pushed", l2_frame(v)->rip, BIT(63));
}

static void rflags_reserved(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->rflags = 0x28;
	accepted(v, 0);
	v->vmcb->rflags = BITS(63, 22);
	accepted(v, 1);
}

static void cpl_against_dpl(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->cs.attr |= ATTR_DPL3;
	accepted(v, 0);
}

/* A NULL SS is legal at CPL 0 in 64-bit mode. */
static void segments_null(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->es = v->vmcb->ds = v->vmcb->ss = (struct seg){0, 0, 0, 0};
	accepted(v, 0);
}

/* Non-canonical bases are made canonical, not refused. */
static void bases_canonicalised(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();
	struct seg *segs[] = {&v->vmcb->es, &v->vmcb->cs, &v->vmcb->ss, &v->vmcb->ds};

	for (unsigned i = 0; i < ARRAY_COUNT(segs); i++) {
		segs[i]->base = BIT(62);
		if (!accepted(v, i))
			return;
	}
}

static void tables_canonicalised(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_table_use);

	v->vmcb->idtr.base |= BIT(62) | BIT(58);
	v->vmcb->gdtr.base |= BIT(63) | BIT(59);
	vm_run(v);
	expect_l2_vector(v, VEC_UD);
	expect("IDTR base stored", v->vmcb->idtr.base, pa(l2_idt));
}

/* --- gPAT --- */

static bool pat_type_is_legal(unsigned type)
{
	return type < 8 && type != 2 && type != 3;
}

static void gpat_types(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	for (unsigned byte = 0; byte < PAT_BYTES; byte++) {
		for (unsigned type = 0; type < 16; type++) {
			uint64_t item = byte * 16 + type;

			v->vmcb->g_pat = (v->vmcb->g_pat & ~(UINT64_C(0xFF) << 8 * byte)) |
					 (uint64_t)type << 8 * byte;
			if (!(pat_type_is_legal(type) ? accepted(v, item) : refused(v, item)))
				return;
		}
	}
}

static void gpat_without_npt(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new_flat(l2_end);

	v->vmcb->g_pat = UINT64_MAX;
	vm_run_to_end(v);
}

/* --- controls --- */

static void vmrun_intercept(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	intercept_clear(v, EXIT_VMRUN);
	refused(v, 0);
}

static void asid_zero(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->asid = 0;
	refused(v, 0);
}

static void asid_highest(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->asid = cpuid(0x8000000A, 0).b - 1;
	accepted(v, v->vmcb->asid);
}

static void ncr3_high(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	high_bits(&v->vmcb->ncr3, v, maxphys());
}

static void ncr3_low_bits(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->ncr3 |= PAGE_MASK;
	accepted(v, 0);
}

static void ncr3_without_npt(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new_flat(l2_end);

	v->vmcb->ncr3 = UINT64_MAX;
	vm_run_to_end(v);
}

static void msrpm_end(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();
	uint64_t top = BIT(maxphys());

	v->vmcb->msrpm = top - PAGE_SIZE;	/* the second page is outside */
	refused(v, 0);
	v->vmcb->msrpm = top;
	refused(v, 1);
	v->vmcb->msrpm = BIT(63);
	refused(v, 2);
}

static void iopm_end(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();
	uint64_t top = BIT(maxphys());

	v->vmcb->iopm = top - 2 * PAGE_SIZE;	/* the last byte is at base + 2000h */
	refused(v, 0);
	v->vmcb->iopm = top;
	refused(v, 1);
	v->vmcb->iopm = top - IOPM_BYTES;
	accepted(v, 2);
	v->vmcb->iopm = top - IOPM_BYTES + PAGE_MASK;
	accepted(v, 3);
}

static void reserved_fields_ignored(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	v->vmcb->intercept[5] = UINT32_MAX & ~0x7Fu;
	v->vmcb->pad18[0] = 0xFF;
	v->vmcb->pad5e = 0xFFFF;
	v->vmcb->vintr = 0xF0 | BITS(63, 40) | BITS(23, 21);
	v->vmcb->int_state = BITS(63, 2);
	v->vmcb->clean = BITS(30, 13) | BIT(31);
	v->vmcb->pade0[sizeof(v->vmcb->pade0) - 1] = 0xFF;
	accepted(v, 0);
}

/* Bits of features that CPUID does not offer are ignored in the control words. */
static void unoffered_ignored(const struct scenario *s UNUSED)
{
	struct vm *v = fresh();

	if (!svm_has(SVM_VNMI))
		v->vmcb->vintr |= V_NMI_ENABLE;
	if (!svm_has(SVM_LBR))
		v->vmcb->virt_ext |= BIT(0);
	if (!svm_has(SVM_VLS))
		v->vmcb->virt_ext |= BIT(1);
	if (!svm_has(SVM_GMET))
		v->vmcb->np |= BIT(3);
	accepted(v, 0);
}

SCENARIOS("t_check") {
	{"check_efer_svme", "15.5.1", efer_svme, NEED_SVM, 0},
	{"check_efer_reserved", "15.5.1", efer_reserved, NEED_SVM, 0},
	{"check_cr0_high", "15.5.1", cr0_high, NEED_SVM, 0},
	{"check_cr0_nw_without_cd", "15.5.1", cr0_nw_without_cd, NEED_SVM, 0},
	{"check_cr0_low_reserved_legal", "15.5.1", cr0_low_reserved, NEED_SVM, 0},
	{"check_cr3_high", "15.5.1", cr3_high, NEED_SVM, 0},
	{"check_cr3_low_bits_legal", "15.5.1", cr3_low_bits, NEED_SVM, 0},
	{"check_cr4_reserved", "15.5.1", cr4_reserved, NEED_SVM, 0},
	{"check_cr4_by_cpuid", "15.5.1", cr4_by_cpuid, NEED_SVM, 0},
	{"check_dr6_high", "15.5.1", dr6_high, NEED_SVM, 0},
	{"check_dr7_high", "15.5.1", dr7_high, NEED_SVM, 0},
	{"check_dr_low_reserved_legal", "15.5.1", dr_low_reserved, NEED_SVM, 0},
	{"check_lme_pg_without_pae", "15.5.1", lme_pg_without_pae, NEED_SVM, 0},
	{"check_lme_pg_without_pe", "15.5.1", lme_pg_without_pe, NEED_SVM, 0},
	{"check_cs_l_and_d", "15.5.1", cs_l_and_d, NEED_SVM, 0},
	{"check_lma_recomputed", "15.5.1", lma_recomputed, NEED_SVM, 0},
	{"check_rip_noncanonical_legal", "15.5.1", rip_noncanonical, NEED_SVM, 0},
	{"check_rflags_reserved_legal", "15.5.1", rflags_reserved, NEED_SVM, 0},
	{"check_cpl_against_dpl_legal", "15.5.1", cpl_against_dpl, NEED_SVM, 0},
	{"check_segments_null_legal", "15.5.1", segments_null, NEED_SVM, 0},
	{"check_bases_canonicalised", "15.5.1", bases_canonicalised, NEED_SVM, 0},
	{"check_tables_canonicalised", "15.5.1", tables_canonicalised, NEED_SVM, 0},
	{"check_gpat_types", "15.25.4", gpat_types, SVM_NP, 0},
	{"check_gpat_without_npt_legal", "15.25.4", gpat_without_npt, NEED_SVM, 0},
	{"check_vmrun_intercept", "15.5.1", vmrun_intercept, NEED_SVM, 0},
	{"check_asid_zero", "15.5.1", asid_zero, NEED_SVM, 0},
	{"check_asid_highest_legal", "15.5.1", asid_highest, NEED_SVM, 0},
	{"check_ncr3_high", "15.25.3", ncr3_high, SVM_NP, 0},
	{"check_ncr3_low_bits_legal", "15.25.3", ncr3_low_bits, SVM_NP, 0},
	{"check_ncr3_without_npt_legal", "15.25.3", ncr3_without_npt, NEED_SVM, 0},
	{"check_msrpm_end", "15.11", msrpm_end, NEED_SVM, 0},
	{"check_iopm_end", "15.10.1", iopm_end, NEED_SVM, 0},
	{"check_reserved_fields_ignored", "15.5.1", reserved_fields_ignored, NEED_SVM, 0},
	{"check_unoffered_ignored", "15.5.1", unoffered_ignored, NEED_SVM, 0},
};
SCENARIO_COUNT;
