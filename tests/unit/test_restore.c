/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/save.c nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_restore.c - each thing that an image of nested state may have wrong is refused by its name, and then
 * not one byte of the vCPU has changed. Rule 11 of svm-facts 11.4. Images that are right: test_save.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/msr.h>

#include "tests/unit/rig.h"

static struct rig *from, *to;
static struct nested_image image;

static int setup(void **state)
{
	(void)state;
	from = rig_new(RIG_FEATURES, 0x00);
	to = rig_new(RIG_FEATURES, 0xA5);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(from);
	rig_free(to);
	return 0;
}

/* Both vCPUs have an L2; that of `from` has run. */
static void enter_both(void)
{
	rig_legal(to, RIG_VMCB12);
	rig_enter(to, RIG_VMCB12);
	rig_legal(from, RIG_VMCB12);
	rig_enter(from, RIG_VMCB12);
	from->n.run_pending = false;
}

static struct {
	struct nested n;
	struct rig_pages pages;
	uint8_t ram[RIG_RAM];
} before;

static void remember(void)
{
	memcpy(&before.n, &to->n, sizeof(before.n));
	memcpy(&before.pages, to->pages, sizeof(before.pages));
	memcpy(before.ram, to->l1->ram, RIG_RAM);
}

static void assert_untouched(void)
{
	assert_memory_equal(&before.n, &to->n, sizeof(before.n));
	assert_memory_equal(&before.pages, to->pages, sizeof(before.pages));
	assert_memory_equal(before.ram, to->l1->ram, RIG_RAM);
}

static void put_byte(void *at, uint8_t byte)
{
	memcpy(at, &byte, sizeof(byte));
}

/* Each makes one thing wrong with an image of an L2 inside. */
static const struct {
	enum restore_refusal refusal;
	enum vmrun_reason reason;
	unsigned which;
} wrongs[] = {
	{RESTORE_VERSION, REASON_NONE, 0}, {RESTORE_SIZE, REASON_NONE, 0},
	{RESTORE_CAPS, REASON_NONE, 0}, {RESTORE_CAPS, REASON_NONE, 1}, {RESTORE_CAPS, REASON_NONE, 2},
	{RESTORE_CAPS, REASON_NONE, 3}, {RESTORE_CAPS, REASON_NONE, 4}, {RESTORE_CAPS, REASON_NONE, 5},
	{RESTORE_CAPS, REASON_NONE, 6},
	{RESTORE_BOOL, REASON_NONE, 0}, {RESTORE_BOOL, REASON_NONE, 1}, {RESTORE_BOOL, REASON_NONE, 2},
	{RESTORE_BOOL, REASON_NONE, 3}, {RESTORE_BOOL, REASON_NONE, 4}, {RESTORE_BOOL, REASON_NONE, 5},
	{RESTORE_BOOL, REASON_NONE, 6}, {RESTORE_BOOL, REASON_NONE, 7}, {RESTORE_BOOL, REASON_NONE, 8},
	{RESTORE_BOOL, REASON_NONE, 9},
	{RESTORE_SMM, REASON_NONE, 0}, {RESTORE_SMM, REASON_NONE, 1},
	{RESTORE_SVME, REASON_NONE, 0}, {RESTORE_SVME, REASON_NONE, 1},
	{RESTORE_VM_CR, REASON_NONE, 0},
	{RESTORE_HSAVE_PA, REASON_NONE, 0}, {RESTORE_HSAVE_PA, REASON_NONE, 1},
	{RESTORE_TSC_RATIO, REASON_NONE, 0},
	{RESTORE_RUN_PENDING, REASON_NONE, 0}, {RESTORE_RUN_PENDING, REASON_NONE, 1},
	{RESTORE_VMCB12_PA, REASON_NONE, 0}, {RESTORE_VMCB12_PA, REASON_NONE, 1},
	{RESTORE_SOFT_EVENT, REASON_NONE, 0}, {RESTORE_SOFT_EVENT, REASON_NONE, 1},
	{RESTORE_L1_STATE, REASON_CR0_NW_CD, 0}, {RESTORE_L1_STATE, REASON_CR4_MBZ, 1},
	{RESTORE_L1_STATE, REASON_G_PAT, 2}, {RESTORE_L1_STATE, REASON_EFER_SVME, 3},
	{RESTORE_L1_STATE, REASON_CR3_MBZ, 4}, {RESTORE_L1_STATE, REASON_LONG_NO_PAE, 5},
	{RESTORE_L1_STATE, REASON_CR0_HIGH, 6},
	{RESTORE_CONTROL, REASON_VMRUN_INTERCEPT, 0}, {RESTORE_CONTROL, REASON_ASID_ZERO, 1},
	{RESTORE_CONTROL, REASON_NCR3_MBZ, 2}, {RESTORE_CONTROL, REASON_MSRPM_RANGE, 3},
	{RESTORE_CONTROL, REASON_NP_NO_PAGING, 4}, {RESTORE_CONTROL, REASON_EVENTINJ_TYPE, 5},
	{RESTORE_CONTROL, REASON_VNMI_NO_INTERCEPT, 6},
	{RESTORE_L2_STATE, REASON_CR0_NW_CD, 0}, {RESTORE_L2_STATE, REASON_EFER_SVME, 1},
	{RESTORE_L2_STATE, REASON_G_PAT, 2}, {RESTORE_L2_STATE, REASON_LONG_CS_L_D, 3},
	{RESTORE_L2_STATE, REASON_DR7_HIGH, 4},
};

static void break_caps(struct nested_caps *caps, unsigned which)
{
	switch (which) {
	case 0: caps->features ^= SVM_FEAT_NRIPS; break;
	case 1: caps->asid_count++; break;
	case 2: caps->phys_mbz ^= BIT(40); break;
	case 3: caps->cr4_mbz ^= BIT(12); break;
	case 4: caps->efer_mbz ^= BIT(20); break;
	case 5: caps->intercepts[5] ^= 1; break;
	default: put_byte(&caps->pages_1g, 0x77);
	}
}

static void break_value(struct nested_value *v, enum restore_refusal refusal, unsigned which)
{
	bool *const bools[] = {&v->svme, &v->gif, &v->in_l2, &v->run_pending, &v->soft.pending,
			      &v->smm.locked, &v->smm.active, &v->smm.blocked, &v->smm.nmi_was_blocked,
			      &v->smm.from_l2};

	switch ((unsigned)refusal) {
	case RESTORE_BOOL: put_byte(bools[which], (uint8_t)(2 + 28 * which)); break;
	case RESTORE_SVME:
		v->svme = which;
		v->vm_cr = VM_CR_SVMDIS;
		break;
	case RESTORE_VM_CR: v->vm_cr = BIT(5); break;
	case RESTORE_HSAVE_PA: v->hsave_pa = which ? BIT(40) : 8; break;
	case RESTORE_TSC_RATIO: v->tsc_ratio = TSC_RATIO_MBZ; break;
	case RESTORE_RUN_PENDING:
		v->in_l2 = !which;
		v->run_pending = which;
		v->snap.control.eventinj = which ? 0 : EVENT_V | 0x33;
		break;
	case RESTORE_SMM:
		v->smm.active = which;
		v->smm.from_l2 = !which;
		break;
	case RESTORE_VMCB12_PA: v->vmcb12_pa.a = which ? BIT(40) : 0x10; break;
	default:
		v->soft = (struct soft_event){.pending = true, .event = which ? 0x80 : EVENT_V | 0x480};
		v->in_l2 = which;
	}
}

static void break_control(unsigned which)
{
	struct vmcb_control *c = &image.value.snap.control;

	switch (which) {
	case 0: c->intercept[ICPT_MISC2] &= ~ICPT2_VMRUN; break;
	case 1: c->asid = 0; break;
	case 2: c->ncr3 |= BIT(40); break;
	case 3: c->msrpm_base = BIT(40) - PAGE_SIZE; break;
	case 4: image.l1.cr0 &= ~CR0_PG; break;
	case 5:
		image.value.run_pending = true;
		c->eventinj = EVENT_V | UINT64_C(7) << EVENT_TYPE_SHIFT;
		break;
	default: c->v_intr |= V_INTR_NMI_ENABLE;
	}
}

static void break_l1(struct vmcb_save *s, unsigned which)
{
	switch (which) {
	case 0: s->cr0 |= CR0_NW; break;
	case 1: s->cr4 |= CR4_LA57; break;
	case 2: s->g_pat = 2; break;
	case 3: s->efer &= ~EFER_SVME; break;
	case 4: s->cr3 |= BIT(40); break;
	case 5: s->cr4 &= ~CR4_PAE; break;
	default: /* in SMM, which has interrupted an L2: L1's registers are there */
		image.value.in_l2 = false;
		image.value.smm.active = image.value.smm.from_l2 = true;
		image.value.smm.host = *s;
		image.value.smm.host.cr0 |= BIT(32);
	}
}

static void break_l2(struct vmcb_save *s, unsigned which)
{
	switch (which) {
	case 0: s->cr0 |= CR0_NW; break;
	case 1: s->efer &= ~EFER_SVME; break;
	case 2: s->g_pat = 0x0800; break;
	case 3: s->cs.attr |= SEG_L | SEG_D; break;
	default: s->dr7 |= BIT(32);
	}
}

static void break_image(enum restore_refusal refusal, unsigned which)
{
	switch ((unsigned)refusal) {
	case RESTORE_VERSION: image.version++; break;
	case RESTORE_SIZE: image.size--; break;
	case RESTORE_CAPS: break_caps(&image.caps, which); break;
	case RESTORE_L1_STATE: break_l1(&image.l1, which); break;
	case RESTORE_CONTROL: break_control(which); break;
	case RESTORE_L2_STATE: break_l2(&image.value.snap.save, which); break;
	default: break_value(&image.value, refusal, which);
	}
}

static void refused_by_name_and_untouched(void **state)
{
	bool seen[RESTORE_COUNT] = {true};

	(void)state;
	enter_both();
	remember();
	for (unsigned i = 0; i < ARRAY_COUNT(wrongs); i++) {
		struct restore_verdict verdict;

		nested_save(&from->n, from->vmcb01, from->vmcb02, &image);
		break_image(wrongs[i].refusal, wrongs[i].which);
		verdict = nested_restore(&to->n, &image, &to->in, to->vmcb01, to->vmcb02);
		if (verdict.refusal != wrongs[i].refusal || verdict.reason != wrongs[i].reason)
			fail_msg("case %u: refused as %u (%s), reason %s", i, verdict.refusal,
				 restore_refusal_text(verdict.refusal), vmrun_reason_name(verdict.reason));
		assert_untouched();
		seen[wrongs[i].refusal] = true;
	}
	for (unsigned i = 0; i < RESTORE_COUNT; i++)
		assert_true(seen[i]);
}

static void fill_unnamed(struct vmcb_save *s)
{
	memset(s->reserved_0a0, 0xFF, sizeof(s->reserved_0a0));
	memset(s->reserved_180, 0xFF, sizeof(s->reserved_180));
	memset(s->reserved_298, 0xFF, sizeof(s->reserved_298));
	memset(s->reserved_2e8, 0xFF, sizeof(s->reserved_2e8));
	s->s_cet = s->ssp = s->isst_addr = s->spec_ctrl = UINT64_MAX;
}

static void assert_no_unnamed(const struct vmcb_save *s)
{
	static const uint8_t zeroes[sizeof(s->reserved_2e8)];

	assert_memory_equal(s->reserved_0a0, zeroes, sizeof(s->reserved_0a0));
	assert_memory_equal(s->reserved_180, zeroes, sizeof(s->reserved_180));
	assert_memory_equal(s->reserved_298, zeroes, sizeof(s->reserved_298));
	assert_memory_equal(s->reserved_2e8, zeroes, sizeof(s->reserved_2e8));
	assert_int_equal(s->s_cet | s->ssp | s->isst_addr | s->spec_ctrl, 0);
}

/* A CPU may read more of a save area than an L1 has: none of it comes out of an image. */
static void what_is_not_named_stays_out(void **state)
{
	const uint64_t wide = BIT(56) | BIT(47) | 0x1000, narrow = BITS(63, 47) | 0x1000;
	struct vmcb_save *l1 = &image.l1;

	(void)state;
	enter_both();
	nested_save(&from->n, from->vmcb01, from->vmcb02, &image);
	fill_unnamed(l1);
	fill_unnamed(&image.value.snap.save);
	l1->fs.base = l1->gs.base = l1->ldtr.base = l1->tr.base = l1->kernel_gs_base = wide;
	l1->star = l1->lstar = l1->cstar = l1->sfmask = l1->sysenter_cs = l1->sysenter_eip = l1->sysenter_esp = 0x77;
	assert_int_equal(nested_restore(&to->n, &image, &to->in, to->vmcb01, to->vmcb02).refusal, RESTORE_NONE);
	l1 = &to->vmcb01->save;
	assert_no_unnamed(l1);
	assert_no_unnamed(&to->vmcb02->save);
	assert_true(l1->fs.base == narrow && l1->gs.base == narrow && l1->ldtr.base == narrow);
	assert_true(l1->tr.base == narrow && l1->kernel_gs_base == narrow);
	assert_true(l1->star == 0x77 && l1->lstar == 0x77 && l1->cstar == 0x77 && l1->sfmask == 0x77);
	assert_true(l1->sysenter_cs == 0x77 && l1->sysenter_eip == 0x77 && l1->sysenter_esp == 0x77);
}

static void every_refusal_has_a_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RESTORE_COUNT; i++)
		assert_true(strlen(restore_refusal_text(i)) > 5);
	assert_string_equal(restore_refusal_text(RESTORE_COUNT), "unknown reason");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refused_by_name_and_untouched),
		TEST(what_is_not_named_stays_out),
		TEST(every_refusal_has_a_text),
	};

	return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
