/* SPDX-License-Identifier: MIT */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c nested/pause.c */
/* links: nested/msrpm12.c nested/iopm12.c nested/route.c nested/reason.c nested/exit_invalid.c nested/exit_full.c */
/* links: nested/resume.c nested/npt02.c nested/walk12.c nested/tlb02.c nested/insn.c nested/offer.c nested/tsc.c */
/* links: nested/lbr.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_lbr02.c - DEBUGCTL and the records of branches across VMRUN and #VMEXIT (APM2 15.23): VMCB12's where
 * L1 asks for that, else L1's own, and on CPUs that switch them the bit that makes them do it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "tests/unit/rig.h"

static struct rig *rig;

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0x00);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

static void fill(struct vmcb_save *s, uint64_t first)
{
	s->dbgctl = DEBUGCTL_LBR;
	s->br_from = first;
	s->br_to = first + 1;
	s->lastexcp_from = first + 2;
	s->lastexcp_to = first + 3;
}

static void assert_lbr(const struct vmcb_save *s, uint64_t first)
{
	struct vmcb_save want;

	memset(&want, 0, sizeof(want));
	if (first)
		fill(&want, first);
	assert_int_equal(s->dbgctl, want.dbgctl);
	assert_int_equal(s->br_from, want.br_from);
	assert_int_equal(s->br_to, want.br_to);
	assert_int_equal(s->lastexcp_from, want.lastexcp_from);
	assert_int_equal(s->lastexcp_to, want.lastexcp_to);
}

static struct vmcb *legal(bool own)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	fill(&vmcb12->save, 12);
	vmcb12->control.misc2 = own ? MISC2_LBR : 0;
	return vmcb12;
}

static void own_set(void **state)
{
	struct vmcb *vmcb12 = legal(true);

	(void)state;
	vmcb12->save.dbgctl |= ~DEBUGCTL_KNOWN; /* not checked, not loaded */
	fill(&rig->vmcb01->save, 1);
	rig_enter(rig, RIG_VMCB12);
	assert_lbr(&rig->vmcb02->save, 12);
	fill(&rig->vmcb02->save, 20); /* recorded while L2 ran */
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	assert_lbr(&vmcb12->save, 20);
	assert_lbr(&rig->vmcb01->save, 1);
}

static void one_set_for_both(void **state)
{
	struct vmcb *vmcb12 = legal(false);

	(void)state;
	fill(&rig->vmcb01->save, 1);
	rig->n.lbr_used = true; /* as svm/lbr.c says it */
	rig_enter(rig, RIG_VMCB12);
	assert_lbr(&rig->vmcb02->save, 1);
	fill(&rig->vmcb02->save, 20);
	rig->vmcb01->control.clean = CLEAN_ALL;
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	assert_lbr(&vmcb12->save, 12);
	assert_lbr(&rig->vmcb01->save, 20);
	assert_false(rig->vmcb01->control.clean & CLEAN_LBR);
}

/* An L2 without a set of its own, behind one with: nothing of that is left. */
static void nothing_leaks(void **state)
{
	(void)state;
	legal(true);
	rig_enter(rig, RIG_VMCB12);
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	legal(false);
	rig_enter(rig, RIG_VMCB12);
	assert_lbr(&rig->vmcb02->save, 0);
}

/* The bit of an unoffered feature counts for nothing, and the fields of VMCB12 are left alone. */
static void not_offered(void **state)
{
	struct vmcb *vmcb12 = legal(true);

	(void)state;
	nested_offer(&rig->n, RIG_FEATURES & ~SVM_FEAT_LBR_VIRT);
	rig_enter(rig, RIG_VMCB12);
	assert_lbr(&rig->vmcb02->save, 0);
	assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	assert_lbr(&vmcb12->save, 12);
	assert_int_equal(vmcb12->control.misc2, MISC2_LBR);
}

static void cpu_that_switches(void **state)
{
	(void)state;
	for (unsigned hw = 0; hw < 2; hw++) {
		rig_reset(rig, RIG_FEATURES, 0);
		rig->n.caps.hw_lbr = hw;
		legal(false);
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.misc2 & MISC2_LBR, 0);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		legal(true);
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.misc2 & MISC2_LBR, hw ? MISC2_LBR : 0);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		assert_int_equal(rig->vmcb01->control.misc2 & MISC2_LBR, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(own_set, setup, teardown),
		cmocka_unit_test_setup_teardown(one_set_for_both, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_leaks, setup, teardown),
		cmocka_unit_test_setup_teardown(not_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(cpu_that_switches, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
