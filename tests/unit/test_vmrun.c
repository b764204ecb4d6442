/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_vmrun.c - the two ends of VMRUN. A refused one changes the exit fields of VMCB12, L1's GIF and what
 * every #VMEXIT does to L1's registers, and not one byte beside: compared over all of L1's memory, VMCB01, VMCB02,
 * the merged MSR map, the shadow tables and struct nested. An accepted one writes nothing to L1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/exitcode.h>

#include "nested/merge.h"
#include "tests/unit/rig.h"

static struct rig *rig;

/* Everything that a VMRUN could write. */
static struct world {
	struct nested n;
	struct rig_pages pages;
	uint8_t ram[RIG_RAM];
} before, after;

static void world_save(struct world *w)
{
	w->n = rig->n;
	w->pages = *rig->pages;
	memcpy(w->ram, rig->l1->ram, RIG_RAM);
}

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0xA5);
	for (uint64_t i = 0; i < RIG_RAM; i++)
		rig->l1->ram[i] = (uint8_t)(i * 7 + i / 256);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

/* --- refused --- */

static void make_pae(struct vmcb *vmcb12)
{
	vmcb12->control.misc = 0;
	vmcb12->save.efer = EFER_SVME;
	vmcb12->save.cs.attr = SEG_D | SEG_P | SEG_S;
	memset(rig->l1->ram + RIG_L2_CR3, 0, 32);
}

/* Breaks exactly this rule. Gives the address to VMRUN. */
static uint64_t break_rule(struct vmcb *vmcb12, enum vmrun_reason reason)
{
	struct vmcb_control *c = &vmcb12->control;
	struct vmcb_save *s = &vmcb12->save;

	switch (reason) {
	case REASON_NONE: break;
	case REASON_VMCB_UNBACKED: return RIG_RAM;
	case REASON_EFER_SVME: s->efer &= ~EFER_SVME; break;
	case REASON_EFER_MBZ: s->efer |= EFER_LMSLE; break;
	case REASON_CR0_NW_CD: s->cr0 |= CR0_NW; break;
	case REASON_CR0_HIGH: s->cr0 |= BIT(63); break;
	case REASON_CR3_MBZ: s->cr3 |= BIT(40); break;
	case REASON_CR4_MBZ: s->cr4 |= CR4_LA57; break;
	case REASON_DR6_HIGH: s->dr6 |= BIT(32); break;
	case REASON_DR7_HIGH: s->dr7 |= BIT(32); break;
	case REASON_LONG_NO_PAE: s->cr4 &= ~CR4_PAE; break;
	case REASON_LONG_NO_PE: s->cr0 &= ~CR0_PE; break;
	case REASON_LONG_CS_L_D: s->cs.attr |= SEG_D; break;
	case REASON_PDPTE_MBZ:
		make_pae(vmcb12);
		*fake_l1_u64(rig->l1, RIG_L2_CR3 + 24) = PTE_P | BIT(1);
		break;
	case REASON_G_PAT: s->g_pat = 2; break;
	case REASON_VMRUN_INTERCEPT: c->intercept[ICPT_MISC2] &= ~ICPT2_VMRUN; break;
	case REASON_ASID_ZERO: c->asid = 0; break;
	case REASON_MSRPM_RANGE: c->msrpm_base = BIT(40) - PAGE_SIZE; break;
	case REASON_MSRPM_UNBACKED: c->msrpm_base = RIG_RAM - PAGE_SIZE; break;
	case REASON_IOPM_RANGE: c->iopm_base = BIT(40) - MSRPM_SIZE; break;
	case REASON_EVENTINJ_TYPE: c->eventinj = EVENT_V | UINT64_C(1) << EVENT_TYPE_SHIFT; break;
	case REASON_EVENTINJ_VECTOR: c->eventinj = EVENT_V | (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT | VEC_NMI; break;
	case REASON_EVENTINJ_MODE: c->eventinj = EVENT_V | (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT | VEC_BR; break;
	case REASON_NP_NO_PAGING: rig->vmcb01->save.cr0 &= ~CR0_PG; break;
	case REASON_NCR3_MBZ: c->ncr3 |= BIT(40); break;
	case REASON_VNMI_NO_INTERCEPT: c->v_intr |= V_INTR_NMI_ENABLE; break;
	case REASON_COUNT: break;
	}
	return RIG_VMCB12;
}

/* A VMCB12 with something in every field that a refused VMRUN must leave alone. */
static struct vmcb *busy_vmcb12(void)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);
	struct vmcb_control *c = &vmcb12->control;

	c->exitcode = 0x1111;
	c->exitinfo1 = 0x2222;
	c->exitinfo2 = 0x3333;
	c->exitintinfo = EVENT_V | 0x44;
	c->eventinj = EVENT_V | EVENT_EV | 0x30 | BITS(63, 32);
	c->tlb_control = TLB_CONTROL_ASID;
	c->v_intr = V_INTR_IRQ | V_INTR_PRIO | V_INTR_GIF | 5;
	c->int_shadow = INT_SHADOW_ACTIVE;
	c->nrip = 0x5555;
	c->clean = CLEAN_ALL;
	memset(c->insn.bytes, 0x66, sizeof(c->insn.bytes));
	c->insn.len = 3;
	memset(c->software, 0x77, sizeof(c->software));
	vmcb12->save.fs.base = 0x8888;
	vmcb12->save.cr2 = 0x9999;
	return vmcb12;
}

/* What a refusal does to L1's own registers, and clean bits given up for it; more may be, none may be gained. */
static void expect_l1_registers(struct vmcb *want, const struct vmcb *got)
{
	uint32_t given_up = CLEAN_DRX;

	if (!(want->save.cr0 & CR0_PE))
		given_up |= CLEAN_CRX;
	if (want->save.cpl)
		given_up |= CLEAN_SEG;
	want->save.dr7 = DR7_FIXED;
	want->save.rflags &= ~RFLAGS_VM;
	want->save.cr0 |= CR0_PE;
	want->save.cpl = 0;
	assert_int_equal(got->control.clean & ~want->control.clean, 0);
	assert_int_equal(got->control.clean & given_up, 0);
	want->control.clean = got->control.clean;
}

static void expect_refusal(struct world *w, enum vmrun_reason reason)
{
	struct vmcb_control *c = (struct vmcb_control *)(w->ram + RIG_VMCB12);

	if (reason != REASON_VMCB_UNBACKED) {
		c->exitcode = UINT64_MAX;
		c->exitinfo1 = 0;
		c->exitinfo2 = 0;
		c->eventinj = 0;
	}
	w->n.gif = false;
	w->n.vmrun_count++;
	w->n.last_refusal = reason;
	w->n.refusals[reason]++;
	w->n.snap = rig->n.snap; /* the copy that was judged; the next VMRUN makes a new one */
	if (reason != REASON_VMCB_UNBACKED) /* its state, and no other byte of the page that is not VMCB02 */
		vmcb_copy_state(rig->spare == &rig->pages->spare ? &w->pages.spare.save : &w->pages.vmcb02.save,
				&rig_vmcb12(rig, RIG_VMCB12)->save);
	expect_l1_registers(&w->pages.vmcb01, rig->vmcb01);
}

static void assert_refused(enum vmrun_reason reason, bool gif)
{
	struct vmcb *vmcb12 = busy_vmcb12();
	uint64_t at;

	rig->vmcb01->save.cr0 |= CR0_PG;
	rig->vmcb01->save.dr7 = DR7_FIXED | 0xFF;
	rig->vmcb01->save.rflags |= RFLAGS_VM | RFLAGS_TF;
	rig->vmcb01->save.cpl = 3;
	rig->vmcb01->control.clean = CLEAN_ALL;
	at = break_rule(vmcb12, reason);
	if (reason == REASON_NP_NO_PAGING)
		rig->vmcb01->save.cr0 &= ~CR0_PE;
	rig->n.gif = gif;
	world_save(&before);
	assert_int_equal(rig_vmrun(rig, at), VMRUN_REFUSED);
	expect_refusal(&before, reason);
	world_save(&after);
	assert_memory_equal(before.ram, after.ram, RIG_RAM);
	assert_memory_equal(&before.pages, &after.pages, sizeof(before.pages));
	assert_memory_equal(&before.n, &after.n, sizeof(before.n));
}

static void refusals_change_nothing_else(void **state)
{
	(void)state;
	for (enum vmrun_reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
		for (unsigned gif = 0; gif < 2; gif++)
			assert_refused(reason, gif);
}

/* The same with a VMCB02, a shadow table and a TLB tag that are in use. */
static void refusals_after_an_l2_that_ran(void **state)
{
	(void)state;
	rig_legal(rig, RIG_VMCB12);
	rig_enter(rig, RIG_VMCB12);
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	refusals_change_nothing_else(state);
}

/* A read of nowhere is all ones, a write there is lost: refused, and nothing else happens to memory (svm-facts 5.1). */
static void vmcb12_partly_outside_memory(void **state)
{
	(void)state;
	fake_l1_hole(rig->l1, RIG_VMCB12, PAGE_SIZE);
	world_save(&before);
	assert_int_equal(rig_vmrun(rig, RIG_VMCB12), VMRUN_REFUSED);
	assert_int_equal(rig->n.last_refusal, REASON_VMCB_UNBACKED);
	assert_memory_equal(before.ram, rig->l1->ram, RIG_RAM);
}

/* --- accepted --- */

static void acceptance_writes_nothing_to_l1(void **state)
{
	(void)state;
	for (unsigned gif = 0; gif < 2; gif++) {
		busy_vmcb12();
		rig->n.gif = gif;
		world_save(&before);
		rig_enter(rig, RIG_VMCB12);
		assert_memory_equal(before.ram, rig->l1->ram, RIG_RAM);
		assert_memory_equal(&before.pages.vmcb01, rig->vmcb01, sizeof(struct vmcb));
		assert_true(rig->n.gif && rig->n.in_l2 && rig->n.run_pending);
		assert_int_equal(rig->n.vmcb12_pa.a, RIG_VMCB12);
		assert_int_equal(rig->n.v_intr12, V_INTR_IRQ | V_INTR_PRIO | V_INTR_GIF | 5);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

/* Nested tables have the format of L1's mode at VMRUN, not of what VMCB12 says (APM2 15.25.3). */
static void format_of_nested_tables(void **state)
{
	static const struct {
		uint64_t efer, cr4;
		unsigned levels;
		bool nxe, pse, smep;
	} modes[] = {
		{EFER_LMA | EFER_LME | EFER_NXE, CR4_PAE, 4, true, false, false},
		{EFER_LMA | EFER_LME, CR4_PAE | CR4_PSE, 4, false, true, false},
		{EFER_NXE, CR4_PAE | CR4_SMEP, 3, true, false, true},
		{0, CR4_PSE, 2, false, true, false},
		{0, 0, 2, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
		rig_legal(rig, RIG_VMCB12);
		rig->vmcb01->save.efer = EFER_SVME | modes[i].efer;
		rig->vmcb01->save.cr4 = modes[i].cr4;
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->n.root->npt12.levels, modes[i].levels);
		assert_int_equal(rig->n.root->npt12.nxe, modes[i].nxe);
		assert_int_equal(rig->n.root->npt12.pse, modes[i].pse);
		assert_int_equal(rig->n.root->npt12.smep, modes[i].smep);
		assert_int_equal(rig->n.root->npt12.ncr3, RIG_NPT12);
		assert_int_equal(rig->n.root->npt12.phys_mbz, rig->n.caps.phys_mbz);
		assert_true(rig->n.root);
		assert_int_equal(rig->vmcb02->control.ncr3, rig->n.root->table.a);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

/* The same shadow serves N_CR3 whatever its low bits, without a flush: they do not count (APM2 15.25.3). */
static void low_bits_of_ncr3_do_not_count(void **state)
{
	struct npt02_root *root = NULL;

	(void)state;
	for (unsigned bits = 0; bits < PAGE_SIZE; bits += 0x111) {
		rig_legal(rig, RIG_VMCB12)->control.ncr3 |= bits;
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.tlb_control, bits ? TLB_CONTROL_NONE : TLB_CONTROL_ASID);
		root = bits ? root : rig->n.root;
		assert_ptr_equal(rig->n.root, root);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

static void no_nested_paging_runs_on_npt01(void **state)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	(void)state;
	rig_enter(rig, RIG_VMCB12);
	assert_non_null(rig->n.root);
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	vmcb12->control.misc = 0;
	rig_enter(rig, RIG_VMCB12);
	assert_null(rig->n.root);
	assert_int_equal(rig->vmcb02->control.ncr3, rig->in.npt01_root.a);
}

/* Well-formed PDPTEs are no reason, whatever a clear P bit leaves behind. */
static void pdptes_of_a_pae_l2(void **state)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	(void)state;
	make_pae(vmcb12);
	*fake_l1_u64(rig->l1, RIG_L2_CR3) = PTE_P | 0x5000;
	*fake_l1_u64(rig->l1, RIG_L2_CR3 + 8) = UINT64_MAX & ~PTE_P;
	rig_enter(rig, RIG_VMCB12);
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	vmcb12->save.cr3 = RIG_RAM; /* reads as all ones */
	assert_int_equal(rig_vmrun(rig, RIG_VMCB12), VMRUN_REFUSED);
	assert_int_equal(rig->n.last_refusal, REASON_PDPTE_MBZ);
}

/* A VMRUN is usual by what has passed before. Nothing has, so that no VMCB12 is: neither one that is as empty as what is
 * remembered, nor one of all ones. */
static void the_first_vmrun_is_not_usual(void **state)
{
	(void)state;
	for (unsigned ones = 0; ones < 8; ones++) {
		struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

		vmcb12->control.intercept[ICPT_MISC1] = 0;
		vmcb12->save.efer = ones & 1 ? UINT64_MAX : 0;
		vmcb12->save.cs.attr = ones & 2 ? UINT16_MAX : 0;
		vmcb12->save.g_pat = ones & 4 ? UINT64_MAX : 0;
		vmcb12->save.cr0 = vmcb12->save.cr4 = 0;
		assert_int_equal(rig_vmrun(rig, RIG_VMCB12), VMRUN_REFUSED);
		assert_int_equal(rig->n.last_refusal, ones & 1 ? REASON_EFER_MBZ : REASON_EFER_SVME);
	}
}

/* The map counts only with its intercept bit set, so only then it has to exist. */
static void msr_map_counts_with_its_intercept(void **state)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	(void)state;
	vmcb12->control.intercept[ICPT_MISC1] &= ~ICPT1_MSR;
	vmcb12->control.msrpm_base = RIG_RAM;
	rig_enter(rig, RIG_VMCB12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refusals_change_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals_after_an_l2_that_ran, setup, teardown),
		cmocka_unit_test_setup_teardown(vmcb12_partly_outside_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(acceptance_writes_nothing_to_l1, setup, teardown),
		cmocka_unit_test_setup_teardown(format_of_nested_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(low_bits_of_ncr3_do_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(no_nested_paging_runs_on_npt01, setup, teardown),
		cmocka_unit_test_setup_teardown(pdptes_of_a_pae_l2, setup, teardown),
		cmocka_unit_test_setup_teardown(msr_map_counts_with_its_intercept, setup, teardown),
		cmocka_unit_test_setup_teardown(the_first_vmrun_is_not_usual, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
