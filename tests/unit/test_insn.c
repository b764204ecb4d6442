/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c */
/* links: nested/insn.c nested/npt02.c nested/walk12.c nested/tlb02.c tests/unit/fake_l1.c */
/* tests/unit/test_insn.c - fault order of the SVM instructions (APM2 15.5, 15.5.2), GIF of L1 and of L2, INVLPGA,
 * and the states after power-on and INIT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/msr.h>

#include "nested/nested.h"
#include "tests/unit/fake_l1.h"

static struct nested n;
static ALIGNED(4096) uint8_t pool[NPT02_POOL_MIN * PAGE_SIZE];
static const struct nested_caps caps = {.phys_mbz = BITS(63, 40)};

static int setup(void **state)
{
	(void)state;
	memset(&n, 0xA5, sizeof(n));
	nested_init(&n, &caps, pool, NPT02_POOL_MIN, 2, 4);
	n.svme = true;
	return 0;
}

/* First match wins: SVM off, then CPL, then rAX. L2 cannot have SVM off, or VMRUN would have refused it. */
static void fault_order(void **state)
{
	static const struct {
		bool svme, in_l2, takes_address;
		uint8_t cpl;
		uint64_t rax;
		enum nested_fault fault;
	} cases[] = {
		{true, false, true, 0, 0x1000, NESTED_FAULT_NONE},
		{true, false, true, 0, BIT(40) - PAGE_SIZE, NESTED_FAULT_NONE},
		{true, false, true, 0, BIT(40), NESTED_FAULT_GP},
		{true, false, true, 0, BIT(63), NESTED_FAULT_GP},
		{true, false, true, 0, 0x1001, NESTED_FAULT_GP},
		{true, false, true, 0, 0x1800, NESTED_FAULT_GP},
		{true, false, false, 0, BIT(63) | 1, NESTED_FAULT_NONE},
		{true, false, false, 1, 0, NESTED_FAULT_GP},
		{true, false, true, 3, 0, NESTED_FAULT_GP},
		{false, false, true, 0, 0x1000, NESTED_FAULT_UD},
		{false, false, false, 3, 0, NESTED_FAULT_UD},
		{false, false, true, 3, 1, NESTED_FAULT_UD},
		{false, true, true, 0, 0x1000, NESTED_FAULT_NONE},
		{false, true, true, 3, 0x1000, NESTED_FAULT_GP},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		n.svme = cases[i].svme;
		n.in_l2 = cases[i].in_l2;
		assert_int_equal(nested_insn_fault(&n, cases[i].takes_address, cases[i].rax, cases[i].cpl),
				 cases[i].fault);
	}
}

static void each_address_bit(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(nested_insn_fault(&n, true, BIT(bit), 0),
				 bit < 12 || bit >= 40 ? NESTED_FAULT_GP : NESTED_FAULT_NONE);
}

/* STGI and CLGI of L2 that L1 lets through mean L1's GIF, unless L2 has a virtual one (APM2 15.33.1). */
static void whose_gif(void **state)
{
	(void)state;
	n.v_intr12 = V_INTR_GIF;
	nested_set_gif(&n, false);
	assert_true(!n.gif && n.v_intr12 == V_INTR_GIF);
	nested_set_gif(&n, true);
	assert_true(n.gif);
	n.in_l2 = true;
	nested_set_gif(&n, false);
	assert_true(!n.gif && n.v_intr12 == V_INTR_GIF);
	nested_set_gif(&n, true);
	n.snap.control.v_intr = V_INTR_GIF_ENABLE;
	nested_set_gif(&n, false);
	assert_true(n.gif && n.v_intr12 == 0);
	nested_set_gif(&n, true);
	assert_true(n.gif && n.v_intr12 == V_INTR_GIF);
	n.in_l2 = false; /* L1 itself: the leftover snapshot says nothing */
	nested_set_gif(&n, false);
	assert_true(!n.gif && n.v_intr12 == V_INTR_GIF);
}

static bool flushed(uint32_t asid12)
{
	bool flush;

	tlb02_asid(&n.tlb02, asid12, hpa(0x1000), &flush);
	return flush;
}

static void invlpga_flushes_one_asid(void **state)
{
	(void)state;
	flushed(1);
	flushed(2);
	nested_invlpga(&n, 1);
	assert_false(flushed(2));
	assert_true(flushed(1));
	assert_false(flushed(1));
}

static void reset_values(void **state)
{
	(void)state;
	memset(&n, 0xA5, sizeof(n));
	nested_init(&n, &caps, pool, NPT02_POOL_MIN, 2, 4);
	assert_true(n.gif);
	assert_false(n.svme || n.in_l2 || n.run_pending || n.soft.pending);
	assert_true(n.vm_cr == 0 && n.hsave_pa == 0 && n.vmrun_count == 0 && !n.root);
	assert_int_equal(n.caps.phys_mbz, caps.phys_mbz);
}

static struct npt02_root *shadow_in_use(void)
{
	static const struct npt12 npt12 = {.ncr3 = 0x5000, .levels = 4};
	struct npt02_root *root;
	bool fresh;

	root = npt02_get(&n.npt02, &npt12, 1, &fresh);
	root->empty = false;
	return root;
}

/* INIT while L2 runs: no L2 any more, nothing of it in the TLB. VM_CR: SVMDIS goes unless LOCK holds it. */
static void init_forgets_l2(void **state)
{
	(void)state;
	for (unsigned locked = 0; locked < 2; locked++) {
		flushed(1);
		n.svme = n.in_l2 = n.run_pending = n.soft.pending = true;
		n.gif = false;
		n.root = shadow_in_use();
		n.vm_cr = VM_CR_SVMDIS | VM_CR_R_INIT | (locked ? VM_CR_LOCK : 0);
		n.hsave_pa = 0x5000;
		nested_reset(&n);
		assert_true(n.gif);
		assert_false(n.svme || n.in_l2 || n.run_pending || n.soft.pending);
		assert_null(n.root);
		assert_true(n.npt02.roots[0].empty && flushed(1));
		assert_int_equal(n.vm_cr, VM_CR_R_INIT | (locked ? VM_CR_LOCK | VM_CR_SVMDIS : 0));
		assert_int_equal(n.hsave_pa, 0x5000);
	}
}

/* A vCPU that is not offered nested paging needs no memory for shadow tables. */
static void no_pool_no_shadow(void **state)
{
	(void)state;
	nested_init(&n, &caps, NULL, 0, 2, 4);
	nested_reset(&n);
	assert_true(n.gif);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fault_order, setup),
		cmocka_unit_test_setup(each_address_bit, setup),
		cmocka_unit_test_setup(whose_gif, setup),
		cmocka_unit_test_setup(invlpga_flushes_one_asid, setup),
		cmocka_unit_test_setup(reset_values, setup),
		cmocka_unit_test_setup(init_forgets_l2, setup),
		cmocka_unit_test_setup(no_pool_no_shadow, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
