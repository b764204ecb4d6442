/* SPDX-License-Identifier: MIT */
/* links: nested/smm.c nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c nested/insn.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_smm.c - SMI and RSM: what is in SMRAM and where (APM2 table 10-1), what SMM begins with (table 10-2),
 * that RSM brings back what the SMI took away, in L1 and in L2, and what makes it fail (10.4; svm-facts 11.4, rule
 * 10). SMM_CTL (15.30.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/msr.h>

#include "tests/unit/rig.h"

static struct rig *rig;
static uint64_t gpr[16];
static struct smm_cpu cpu;

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0);
	rig_legal(rig, RIG_VMCB12);
	for (unsigned i = 0; i < 16; i++)
		gpr[i] = 0x1000 + i;
	cpu = (struct smm_cpu){.gpr = gpr};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

static struct smram_save *map_at(uint32_t smbase)
{
	return (struct smram_save *)(rig->l1->ram + smbase + SMRAM_SAVE_OFFSET);
}

static struct smram_save *map(void)
{
	return map_at(SMBASE_RESET);
}

static void smi(void)
{
	assert_true(nested_smi(&rig->n, rig->l1, rig->vmcb01, rig->vmcb02, &cpu));
}

static enum rsm_outcome rsm(void)
{
	return nested_rsm(&rig->n, rig->l1, &rig->in, rig->vmcb01, rig->vmcb02, &cpu);
}

/* A state with every field unlike the others'. */
static void fill_state(struct vmcb_save *s)
{
	s->es = (struct vmcb_seg){.sel = 0x10, .attr = 0xC93, .limit = 0xFFFFFFFF, .base = 0x111000};
	s->cs = (struct vmcb_seg){.sel = 0x08, .attr = 0xA9B, .limit = 0xFFFFFFFE, .base = 0x222000};
	s->ss = (struct vmcb_seg){.sel = 0x18, .attr = 0xC93, .limit = 0xFFFFFFFD, .base = 0x333000};
	s->ds = (struct vmcb_seg){.sel = 0x20, .attr = 0xD93, .limit = 0xFFFFFFFC, .base = 0x444000};
	s->gdtr.limit = 0x7F;
	s->gdtr.base = UINT64_C(0xFFFF800000001000);
	s->idtr.limit = 0xFFF;
	s->idtr.base = UINT64_C(0xFFFF800000002000);
	s->dr6 = DR6_FIXED | 1;
	s->dr7 = DR7_FIXED | 0x55;
	s->cr2 = 0x99999;
	s->rax = 0xAAAA;
	s->rsp = 0xBBBB;
	s->rip = 0xCCCC;
}

static void fill_live(struct vmcb_save *s)
{
	s->fs = (struct vmcb_seg){.sel = 0x30, .attr = 0xC93, .limit = 0xFFFF, .base = UINT64_C(0x7FFF12345000)};
	s->gs = (struct vmcb_seg){.sel = 0x38, .attr = 0xC93, .limit = 0xFFFE, .base = UINT64_C(0xFFFF888812345000)};
	s->ldtr = (struct vmcb_seg){.sel = 0x40, .attr = 0x082, .limit = 0xFFFD, .base = 0x5000};
	s->tr = (struct vmcb_seg){.sel = 0x48, .attr = 0x08B, .limit = 0xFFFC, .base = 0x6000};
	s->star = 0x1234;
}

static void map_has_its_offsets(void **state)
{
	const uint8_t *at = rig->l1->ram + SMBASE_RESET;

	(void)state;
	fill_state(&rig->vmcb01->save);
	fill_live(&rig->vmcb01->save);
	cpu.halted = cpu.nmi_blocked = true;
	smi();
	assert_int_equal(*(const uint16_t *)(at + 0xFE10), 0x08);
	assert_int_equal(*(const uint16_t *)(at + 0xFE12), 0xA09B); /* G, L; limit bits are not here */
	assert_int_equal(*(const uint32_t *)(at + 0xFE14), 0xFFFFFFFE);
	assert_int_equal(*(const uint64_t *)(at + 0xFE58), UINT64_C(0xFFFF888812345000)); /* GS */
	assert_int_equal(*(const uint16_t *)(at + 0xFE64), 0x7F);
	assert_int_equal(*(const uint64_t *)(at + 0xFE88), UINT64_C(0xFFFF800000002000));
	assert_int_equal(*(const uint16_t *)(at + 0xFE90), 0x48);
	assert_int_equal(at[0xFEC9], 1); /* was halted */
	assert_int_equal(at[0xFECA], 1); /* NMIs were blocked */
	assert_int_equal(*(const uint64_t *)(at + 0xFED0), rig->vmcb01->save.efer | EFER_LME | EFER_LMA | EFER_NXE |
							   EFER_SCE | EFER_SVME);
	assert_int_equal(*(const uint64_t *)(at + 0xFED8), 0);
	assert_int_equal(*(const uint32_t *)(at + 0xFEFC), 0x30064);
	assert_int_equal(*(const uint32_t *)(at + 0xFF00), 0x30000);
	assert_int_equal(*(const uint64_t *)(at + 0xFF58), CR0_PE | CR0_PG | CR0_WP | CR0_ET);
	assert_int_equal(*(const uint64_t *)(at + 0xFF60), DR7_FIXED | 0x55);
	assert_int_equal(*(const uint64_t *)(at + 0xFF78), 0xCCCC);
	assert_int_equal(*(const uint64_t *)(at + 0xFF80), 0x100F); /* R15 */
	assert_int_equal(*(const uint64_t *)(at + 0xFFD8), 0xBBBB); /* RSP */
	assert_int_equal(*(const uint64_t *)(at + 0xFFF8), 0xAAAA); /* RAX */
}

/* Bases that VMLOAD is to load have 48 bits on a CPU with LA57, too, since this L1 is not offered that. */
static void bases_are_canonical(void **state)
{
	const uint64_t wide = BIT(56) | 0x5000, narrow = 0x5000;
	const struct vmcb_save *s = &rig->vmcb01->save;

	(void)state;
	fill_state(&rig->vmcb01->save);
	smi();
	map()->fs.base = map()->gs.base = map()->ldtr.base = wide;
	map()->tr.base = wide | BIT(47);
	assert_int_equal(rsm(), RSM_TO_L1);
	assert_true(s->fs.base == narrow && s->gs.base == narrow && s->ldtr.base == narrow);
	assert_true(s->tr.base == (narrow | BITS(63, 47)));
}

static void smm_begins_as_the_manual_says(void **state)
{
	const struct vmcb_save *s = &rig->vmcb01->save;

	(void)state;
	fill_state(&rig->vmcb01->save);
	fill_live(&rig->vmcb01->save);
	rig->vmcb01->save.cr0 |= CR0_TS | CR0_EM | CR0_AM;
	smi();
	assert_int_equal(s->cs.sel, 0x3000);
	assert_int_equal(s->cs.base, 0x30000);
	assert_int_equal(s->cs.limit, UINT32_MAX);
	assert_int_equal(s->gs.sel, 0);
	assert_int_equal(s->gs.base, 0);
	assert_int_equal(s->ds.limit, UINT32_MAX);
	assert_int_equal(s->tr.sel, 0x48);
	assert_int_equal(s->gdtr.limit, 0x7F);
	assert_int_equal(s->rip, 0x8000);
	assert_int_equal(s->rflags, RFLAGS_FIXED);
	assert_int_equal(s->cr0, CR0_WP | CR0_ET | CR0_AM);
	assert_int_equal(s->cr4, 0);
	assert_int_equal(s->efer, EFER_SVME);
	assert_int_equal(s->dr7, DR7_FIXED);
	assert_int_equal(s->dr6, DR6_FIXED | 1);
	assert_int_equal(s->star, 0x1234);
	assert_false(rig->n.svme);
	assert_true(rig->n.gif && rig->n.smm.active && rig->n.smm.blocked && cpu.nmi_blocked);
}

static void back_to_l1_as_it_was(void **state)
{
	struct vmcb_save *s = &rig->vmcb01->save, was;

	(void)state;
	fill_state(s);
	fill_live(s);
	s->rflags = RFLAGS_FIXED | RFLAGS_TF | RFLAGS_IF;
	was = *s;
	cpu.halted = true;
	smi();
	assert_false(cpu.halted);
	memset(gpr, 0, sizeof(gpr));
	s->star = was.star = 0x4321; /* no part of the map */
	s->cr2 = was.cr2 = 0x7777;
	rig->n.gif = false;          /* by CLGI in SMM */
	assert_int_equal(rsm(), RSM_TO_L1);
	assert_memory_equal(s, &was, sizeof(was));
	assert_int_equal(gpr[1], 0x1001);
	assert_int_equal(gpr[15], 0x100F);
	assert_true(rig->n.svme && rig->n.gif && cpu.halted && !cpu.nmi_blocked);
	assert_false(rig->n.smm.active || rig->n.smm.blocked);
	assert_int_equal(rig->vmcb01->control.clean, 0);
}

static void svme_0_comes_back_as_0(void **state)
{
	(void)state;
	rig->n.svme = false;
	smi();
	assert_int_equal(map()->efer & EFER_SVME, 0);
	rig->n.svme = true; /* SMM may switch it on for itself */
	assert_int_equal(rsm(), RSM_TO_L1);
	assert_false(rig->n.svme);
	assert_true(rig->vmcb01->save.efer & EFER_SVME);
}

static void smbase_moves_by_rsm(void **state)
{
	(void)state;
	smi();
	map()->smbase = 0x48000;
	assert_int_equal(rsm(), RSM_TO_L1);
	smi();
	assert_int_equal(map_at(0x48000)->smbase, 0x48000);
	assert_int_equal(rig->vmcb01->save.cs.base, 0x48000);
	assert_int_equal(rsm(), RSM_TO_L1);
	nested_reset(&rig->n); /* INIT leaves it, power-on does not */
	assert_int_equal(rig->n.smm.base, 0x48000);
	nested_smm_power_on(&rig->n);
	assert_int_equal(rig->n.smm.base, SMBASE_RESET);
}

static void no_memory_at_smbase(void **state)
{
	(void)state;
	rig->n.smm.base = RIG_RAM - 0x8000;
	assert_false(nested_smi(&rig->n, rig->l1, rig->vmcb01, rig->vmcb02, &cpu));
	assert_false(rig->n.smm.active);
	rig->n.smm.base = SMBASE_RESET;
	smi();
	rig->n.smm.base = RIG_RAM;
	assert_int_equal(rsm(), RSM_FAILED);
}

/* --- L2 --- */

static void smi_in_l2(void)
{
	struct vmcb_save *s;

	rig_vmcb12(rig, RIG_VMCB12)->control.eventinj = EVENT_V | 0x30;
	rig_vmcb12(rig, RIG_VMCB12)->control.v_intr = V_INTR_MASKING | 3;
	rig_enter(rig, RIG_VMCB12);
	s = &rig->vmcb02->save;
	fill_state(s);
	s->rflags = RFLAGS_FIXED | RFLAGS_IF;
	s->g_pat = 0x0606060606060606;
	rig->vmcb02->control.eventinj = 0;
	rig->n.v_intr12 = V_INTR_MASKING | V_INTR_IRQ | 7;
	fill_live(&rig->vmcb01->save);
	smi();
}

static void l2_is_in_the_map_and_l1_is_not(void **state)
{
	struct vmcb before;

	(void)state;
	memcpy(&before, rig_vmcb12(rig, RIG_VMCB12), sizeof(before));
	before.control.eventinj = EVENT_V | 0x30;
	before.control.v_intr = V_INTR_MASKING | 3;
	smi_in_l2();
	assert_int_equal(map()->rip, 0xCCCC);
	assert_int_equal(map()->efer, EFER_SVME | EFER_LME | EFER_LMA);
	assert_int_equal(map()->svm_state, 0xE); /* guest, nested paging, host's IF */
	assert_int_equal(map()->vmcb_pa, RIG_VMCB12);
	assert_int_equal(map()->v_intr, V_INTR_MASKING | V_INTR_IRQ | 7);
	assert_int_equal(map()->guest_pat, 0x0606060606060606);
	assert_int_equal(map()->host_cr3, 0x3000);
	assert_int_equal(map()->host_cr0, CR0_PE | CR0_PG | CR0_WP | CR0_ET);
	assert_false(rig->n.in_l2);
	assert_int_equal(rig->vmcb01->save.cr2, 0x99999); /* the CPU has one */
	assert_memory_equal(&before, rig_vmcb12(rig, RIG_VMCB12), sizeof(before));
}

/* The handler does not return to where L2's calls came from. */
static void return_addresses_are_cleared(void **state)
{
	(void)state;
	rig->n.caps.eraps = true;
	rig->vmcb01->control.erap = ERAP_ALLOW_LARGER;
	smi_in_l2();
	assert_int_equal(rig->vmcb01->control.erap, ERAP_ALLOW_LARGER | ERAP_CLEAR);
}

static void back_to_l2_as_it_was(void **state)
{
	struct vmcb_save was, l1_was = rig->vmcb01->save;

	(void)state;
	smi_in_l2();
	was = rig->vmcb02->save;
	memset(&rig->vmcb02->save, 0xA5, sizeof(was)); /* nothing comes from there */
	rig->n.vmcb02_built = false;
	memset(gpr, 0, sizeof(gpr));
	assert_int_equal(rsm(), RSM_TO_L2);
	assert_memory_equal(&rig->vmcb02->save, &was, sizeof(was));
	assert_int_equal(gpr[15], 0x100F);
	assert_true(rig->n.in_l2 && rig->n.run_pending && rig->n.gif && rig->n.svme);
	assert_int_equal(rig->n.v_intr12, V_INTR_MASKING | V_INTR_IRQ | 7);
	assert_int_equal(rig->vmcb02->control.eventinj, 0); /* what VMRUN injected is not injected again */
	assert_int_equal(rig->vmcb02->control.v_intr & V_INTR_TPR, 7);
	assert_int_equal(rig->vmcb01->save.gs.base, UINT64_C(0xFFFF888812345000));
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	assert_int_equal(rig->vmcb01->save.rip, l1_was.rip);
	assert_int_equal(rig->vmcb01->save.cr3, l1_was.cr3);
	assert_int_equal(rig->vmcb01->save.rflags, l1_was.rflags);
	assert_int_equal(rig->vmcb01->save.cs.attr, l1_was.cs.attr);
	assert_int_equal(rig->vmcb01->save.efer, l1_was.efer);
}

/* DEBUGCTL and the records of branches: L2's own, which are not in the map, or the one set that L1 sees, too. */
static void branch_records(void **state)
{
	(void)state;
	for (unsigned own = 0; own < 2; own++) {
		teardown(state);
		setup(state);
		rig->n.lbr_used = true;
		rig->vmcb01->save.br_from = 1;
		rig_vmcb12(rig, RIG_VMCB12)->control.misc2 = own ? MISC2_LBR : 0;
		rig_vmcb12(rig, RIG_VMCB12)->save.br_from = 2;
		rig_enter(rig, RIG_VMCB12);
		rig->vmcb02->save.br_from = 3;
		smi();
		assert_int_equal(rig->vmcb01->save.br_from, own ? 1 : 3);
		assert_int_equal(rsm(), RSM_TO_L2);
		assert_int_equal(rig->vmcb02->save.br_from, 3);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		assert_int_equal(rig->vmcb01->save.br_from, own ? 1 : 3);
		assert_int_equal(rig_vmcb12(rig, RIG_VMCB12)->save.br_from, own ? 3 : 2);
	}
}

/* SMM may have changed VMCB12, and what it changed counts. */
static void vmcb12_is_read_again(void **state)
{
	(void)state;
	smi_in_l2();
	rig_vmcb12(rig, RIG_VMCB12)->control.tsc_offset = 0x5000;
	rig_vmcb12(rig, RIG_VMCB12)->control.intercept[ICPT_MISC1] |= ICPT1_CPUID;
	assert_int_equal(rsm(), RSM_TO_L2);
	assert_int_equal(rig->vmcb02->control.tsc_offset, 0x6000);
	assert_true(nested_intercepts(&rig->n, VMEXIT_CPUID));
}

/* --- what fails --- */

enum where { IN_L1, IN_L2 };

#define MAP(field) offsetof(struct smram_save, field)
#define VMCB_C(field) (sizeof(struct smram_save) + offsetof(struct vmcb, control.field))

static const struct {
	enum where where;
	size_t at;
	uint64_t flip;
} bad[] = {
	{IN_L1, MAP(cr0), CR0_NW},
	{IN_L1, MAP(cr0), BIT(32)},
	{IN_L1, MAP(cr0), CR0_PE},
	{IN_L1, MAP(cr3), BIT(40)},
	{IN_L1, MAP(cr4), BIT(63)},
	{IN_L1, MAP(cr4), CR4_PAE}, /* long mode without it */
	{IN_L1, MAP(efer), BIT(63)},
	{IN_L1, MAP(dr6), BIT(32)},
	{IN_L1, MAP(dr7), BIT(63)},
	{IN_L1, MAP(cs.attr), BIT(14)}, /* D beside L */
	{IN_L1, MAP(svm_state), SVM_STATE_GUEST},
	{IN_L2, MAP(svm_state), SVM_STATE_GUEST},
	{IN_L2, MAP(svm_state), BIT(0)},
	{IN_L2, MAP(svm_state), BIT(63)},
	{IN_L2, MAP(vmcb_pa), 1},
	{IN_L2, MAP(vmcb_pa), BIT(40)},
	{IN_L2, MAP(vmcb_pa), BIT(39)}, /* no memory there */
	{IN_L2, MAP(cr0), CR0_NW},
	{IN_L2, MAP(cr0), CR0_PE},
	{IN_L2, MAP(cr3), BIT(63)},
	{IN_L2, MAP(efer), EFER_SVME},
	{IN_L2, MAP(guest_pat), 8},
	{IN_L2, VMCB_C(asid), 1},
	{IN_L2, VMCB_C(intercept[ICPT_MISC2]), ICPT2_VMRUN},
	{IN_L2, VMCB_C(msrpm_base), BIT(63)},
	{IN_L2, VMCB_C(ncr3), BIT(60)},
};

static uint8_t *byte_at(size_t at)
{
	if (at < sizeof(struct smram_save))
		return (uint8_t *)map() + at;
	return rig->l1->ram + RIG_VMCB12 + at - sizeof(struct smram_save);
}

static void what_cannot_be_fails(void **state)
{
	static uint8_t ram[RIG_RAM];

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		uint64_t word;

		teardown(state);
		setup(state);
		if (bad[i].where == IN_L2)
			smi_in_l2();
		else
			smi();
		memcpy(&word, byte_at(bad[i].at), sizeof(word));
		word ^= bad[i].flip;
		memcpy(byte_at(bad[i].at), &word, sizeof(word));
		memcpy(ram, rig->l1->ram, RIG_RAM);
		if (rsm() != RSM_FAILED)
			fail_msg("row %zu: RSM went through", i);
		assert_false(rig->n.in_l2);
		assert_memory_equal(ram, rig->l1->ram, RIG_RAM); /* no #VMEXIT is written (rule 10) */
	}
}

/* A guest without SVM has SMM, too; SVME is a reserved bit for it. */
static void svm_not_offered(void **state)
{
	(void)state;
	rig->n.caps.efer_mbz |= EFER_SVME;
	rig->n.svme = false;
	smi();
	assert_int_equal(rsm(), RSM_TO_L1);
	assert_false(rig->n.svme);
	smi();
	map()->efer |= EFER_SVME;
	assert_int_equal(rsm(), RSM_FAILED);
}

static void svmdis_forbids_svme(void **state)
{
	(void)state;
	smi();
	rig->n.vm_cr = VM_CR_SVMDIS;
	assert_int_equal(rsm(), RSM_FAILED);
}

/* --- SMM_CTL --- */

static void smm_ctl(void **state)
{
	bool nmi = false, dismiss;

	(void)state;
	assert_true(nested_smm_ctl(&rig->n, SMM_CTL_ENTER, &nmi, &dismiss));
	assert_true(nmi && rig->n.smm.blocked && !rig->n.smm.active && !dismiss);
	assert_true(nested_smm_ctl(&rig->n, SMM_CTL_ENTER, &nmi, &dismiss)); /* once is enough */
	assert_true(nested_smm_ctl(&rig->n, SMM_CTL_DISMISS, &nmi, &dismiss));
	assert_true(dismiss && rig->n.smm.blocked);
	assert_true(nested_smm_ctl(&rig->n, SMM_CTL_EXIT, &nmi, &dismiss));
	assert_true(!nmi && !rig->n.smm.blocked);
	nmi = true; /* by an NMI handler: EXIT must leave that so */
	assert_true(nested_smm_ctl(&rig->n, SMM_CTL_ENTER | SMM_CTL_DISMISS, &nmi, &dismiss));
	assert_true(dismiss);
	assert_true(nested_smm_ctl(&rig->n, SMM_CTL_EXIT, &nmi, &dismiss));
	assert_true(nmi);
	assert_false(nested_smm_ctl(&rig->n, BIT(5), &nmi, &dismiss));
	rig->n.smm.locked = true;
	assert_false(nested_smm_ctl(&rig->n, SMM_CTL_ENTER, &nmi, &dismiss));
	assert_false(rig->n.smm.blocked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(map_has_its_offsets),
		TEST(bases_are_canonical),
		TEST(smm_begins_as_the_manual_says),
		TEST(back_to_l1_as_it_was),
		TEST(svme_0_comes_back_as_0),
		TEST(smbase_moves_by_rsm),
		TEST(no_memory_at_smbase),
		TEST(l2_is_in_the_map_and_l1_is_not),
		TEST(return_addresses_are_cleared),
		TEST(back_to_l2_as_it_was),
		TEST(branch_records),
		TEST(vmcb12_is_read_again),
		TEST(what_cannot_be_fails),
		TEST(svm_not_offered),
		TEST(svmdis_forbids_svme),
		TEST(smm_ctl),
	};

	return cmocka_run_group_tests_name("smm", tests, NULL, NULL);
}
