/* SPDX-License-Identifier: MIT */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c nested/pause.c */
/* links: nested/msrpm12.c nested/iopm12.c nested/route.c nested/reason.c nested/exit_invalid.c nested/exit_full.c */
/* links: nested/resume.c nested/npt02.c nested/walk12.c nested/tlb02.c nested/insn.c nested/offer.c nested/tsc.c */
/* links: nested/lbr.c nested/smm.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_gmet.c - the guest mode execute trap (APM2 15.25.12) on a CPU that has it: what NPT12 allows to whom,
 * what the shadow carries on, and that the bit means nothing where it is not offered. Here also the other feature that
 * only a CPU can back: ERAPS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/npt.h>
#include <amd/vmcb_access.h>

#include "tests/unit/rig.h"

#define PAGE_AT UINT64_C(0x5000)
#define ABOVE (PTE_P | PTE_W | PTE_U)

static struct rig *rig;

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0xA5);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

static uint64_t *entry(unsigned table, unsigned index)
{
	return (uint64_t *)(rig->l1->ram + RIG_NPT12 + table * PAGE_SIZE) + index;
}

/* NPT12: one page at PAGE_AT with these bits, below tables of which one may lack U. */
static void map(uint64_t leaf_bits, unsigned without_user)
{
	memset(entry(0, 0), 0, 4 * PAGE_SIZE);
	for (unsigned i = 0; i < 3; i++)
		*entry(i, 0) = (RIG_NPT12 + (i + 1) * PAGE_SIZE) | (i == without_user ? ABOVE & ~PTE_U : ABOVE);
	*entry(3, PAGE_AT / PAGE_SIZE) = PAGE_AT | PTE_P | leaf_bits;
}
#define NONE 9u

static void enter(uint64_t misc)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	vmcb12->control.misc = misc;
	vmcb12->control.ncr3 = RIG_NPT12;
	vmcb12->control.tlb_control = TLB_CONTROL_ALL;
	rig_enter(rig, RIG_VMCB12);
}

static struct npt02_result fault(uint64_t info1)
{
	return npt02_fault(&rig->n.npt02, rig->n.root, rig->l1, l2pa(PAGE_AT), info1 | PF_U);
}

/* The leaf that the shadow has now. */
static uint64_t leaf02(void)
{
	const uint64_t *table = hpa_ptr(rig->n.root->table);

	for (unsigned level = 4; level > 1; level--) {
		assert_true(table[0] & PTE_U);
		table = hpa_ptr(hpa(table[0] & PTE_ADDR));
	}
	return table[PAGE_AT / PAGE_SIZE];
}

static const struct {
	uint64_t bits;
	unsigned without_user;
	bool user_runs, supervisor_runs;
} rows[] = {
	{PTE_W | PTE_U, NONE, true, false},
	{PTE_W, NONE, true, true},
	{PTE_W | PTE_U, 0, true, true}, /* U counts when it is in every level */
	{PTE_W | PTE_U, 2, true, true},
	{PTE_W | PTE_U | PTE_NX, NONE, false, false},
	{PTE_W | PTE_NX, NONE, false, false},
};

static void who_may_execute(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
			bool runs = cpl == 3 ? rows[i].user_runs : rows[i].supervisor_runs;
			uint64_t who = cpl == 3 ? 0 : WALK12_SUPERVISOR;
			struct npt02_result r;

			map(rows[i].bits, rows[i].without_user);
			enter(MISC_NP | MISC_GMET);
			r = fault(NPF_FINAL | PF_ID | who);
			assert_int_equal(r.verdict, runs ? NPT02_FILLED : NPT02_REFLECT);
			if (!runs)
				assert_int_equal(r.exitinfo1, NPF_FINAL | PF_P | PF_ID | (cpl == 3 ? PF_U : 0));
			assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		}
	}
}

/* Reads, writes and the CPU's own walks get at pages with U=0; the shadow has U as NPT12 has it. */
static void data_and_shadow(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		bool user = (rows[i].bits & PTE_U) && rows[i].without_user == NONE;

		map(rows[i].bits, rows[i].without_user);
		enter(MISC_NP | MISC_GMET);
		assert_int_equal(fault(NPF_FINAL | PF_W | WALK12_SUPERVISOR).verdict, NPT02_FILLED);
		assert_int_equal(leaf02() & (PTE_P | PTE_U | PTE_W), PTE_P | PTE_W | (user ? PTE_U : 0));
		assert_int_equal((leaf02() & PTE_NX) != 0, (rows[i].bits & PTE_NX) != 0);
		assert_int_equal(fault(NPF_WALK | PF_W | WALK12_SUPERVISOR).verdict, NPT02_FILLED);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

/* Without GMET U=0 is out of reach, whoever asks, and what is reachable is executable. */
static void without_gmet(void **state)
{
	(void)state;
	for (unsigned offered = 0; offered < 2; offered++) {
		nested_offer(&rig->n, offered ? RIG_FEATURES : RIG_FEATURES & ~SVM_FEAT_GMET);
		map(PTE_W, NONE);
		enter(MISC_NP | (offered ? 0 : MISC_GMET));
		assert_int_equal(rig->vmcb02->control.misc, MISC_NP);
		assert_int_equal(fault(NPF_FINAL).exitinfo1, NPF_FINAL | PF_P | PF_U);
		map(PTE_W | PTE_U, NONE);
		assert_int_equal(fault(NPF_FINAL | PF_ID).verdict, NPT02_FILLED);
		assert_true(leaf02() & PTE_U);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

/* The same tables with and without GMET are two shadows, and the CPU is told which of them it has. */
static void part_of_the_key(void **state)
{
	const struct npt02_root *with, *without;

	(void)state;
	map(PTE_W | PTE_U, NONE);
	rig_legal(rig, RIG_VMCB12)->control.ncr3 = RIG_NPT12;
	for (unsigned i = 0; i < 4; i++) {
		rig_vmcb12(rig, RIG_VMCB12)->control.misc = i % 2 ? MISC_NP | MISC_GMET : MISC_NP;
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.misc, i % 2 ? MISC_NP | MISC_GMET : MISC_NP);
		*(i % 2 ? &with : &without) = rig->n.root;
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
	assert_ptr_not_equal(with, without);
	enter(MISC_GMET); /* means nothing without nested paging */
	assert_int_equal(rig->vmcb02->control.misc, MISC_NP);
}

/* ERAPS: L1 decides on the size, and between L1 and L2 the predictor is cleared. */
static void eraps(void **state)
{
	(void)state;
	for (unsigned offered = 0; offered < 2; offered++)
		for (unsigned bits = 0; bits < 4; bits++) {
			rig_reset(rig, RIG_FEATURES, 0);
			rig->n.caps.eraps = offered;
			nested_offer(&rig->n, RIG_FEATURES);
			rig_legal(rig, RIG_VMCB12)->control.erap = (uint8_t)(bits | 0xFC);
			rig_enter(rig, RIG_VMCB12);
			assert_int_equal(rig->n.snap.control.erap, offered ? bits : 0);
			assert_int_equal(rig->vmcb02->control.erap, offered ? bits | ERAP_CLEAR : 0);
			rig->vmcb01->control.erap = offered ? ERAP_ALLOW_LARGER : 0;
			assert_true(rig_exit(rig, VMEXIT_VMMCALL));
			assert_int_equal(rig->vmcb01->control.erap, offered ? ERAP_ALLOW_LARGER | ERAP_CLEAR : 0);
			assert_int_equal(rig_vmcb12(rig, RIG_VMCB12)->control.erap, bits | 0xFC);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_may_execute, setup, teardown),
		cmocka_unit_test_setup_teardown(data_and_shadow, setup, teardown),
		cmocka_unit_test_setup_teardown(without_gmet, setup, teardown),
		cmocka_unit_test_setup_teardown(part_of_the_key, setup, teardown),
		cmocka_unit_test_setup_teardown(eraps, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
