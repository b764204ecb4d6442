/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_exit_full.c - the full exit writes each field that #VMEXIT stores, from the right place, and no other
 * byte of L1's memory; VMCB01 gets what host and guest share and what every #VMEXIT does to the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>

#include "tests/unit/rig.h"

static struct rig *rig;
static ALIGNED(4096) uint8_t ram_before[RIG_RAM];

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0x00);
	srand(7);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

static void randomise(void *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)at)[i] = (uint8_t)rand();
}

static const struct nested_exit some_exit = {
	.code = UINT64_C(0x0123456789ABCDEF),
	.info1 = UINT64_C(0x1111222233334444), .info2 = UINT64_C(0x5555666677778888),
	.intinfo = UINT64_C(0xAAAABBBB80000B0E), .nrip = UINT64_C(0x9999AAAABBBBCCCC), 
	.insn = {.len = 5, .bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
};

static bool leave(const struct nested_exit *exit)
{
	rig->n.run_pending = false;
	rig->vmcb02->control.tlb_control = TLB_CONTROL_NONE;
	return nested_exit_full(&rig->n, rig->l1, exit, rig->vmcb01, rig->vmcb02);
}

/* --- VMCB12 --- */

/* State that goes from VMCB02 to VMCB12, all of it (APM2 15.6): offset in the save area, bytes. */
static const struct {
	size_t offset, size;
} written_back[] = {
	{0x000, 16}, {0x010, 16}, {0x020, 16}, {0x030, 16}, /* ES CS SS DS */
	{0x064, 4},  {0x068, 8},  {0x084, 4},  {0x088, 8},  /* limit and base of GDTR and IDTR */
	{0x0CB, 1},  {0x0D0, 8},			      /* CPL, EFER */
	{0x148, 8},  {0x150, 8},  {0x158, 8},		      /* CR4 CR3 CR0 */
	{0x160, 8},  {0x168, 8},			      /* DR7 DR6 */
	{0x170, 8},  {0x178, 8},  {0x1D8, 8},  {0x1F8, 8},  /* RFLAGS RIP RSP RAX */
	{0x240, 8},					      /* CR2 */
};

static void expect_written(struct vmcb *want, uint32_t features, bool np)
{
	struct vmcb_control *c = &want->control;
	uint64_t v_intr = V_INTR_TPR | V_INTR_IRQ;

	for (size_t i = 0; i < ARRAY_COUNT(written_back); i++)
		memcpy((uint8_t *)&want->save + written_back[i].offset,
		       (const uint8_t *)&rig->vmcb02->save + written_back[i].offset, written_back[i].size);
	if (np)
		want->save.g_pat = rig->vmcb02->save.g_pat;
	if (features & SVM_FEAT_VGIF)
		v_intr |= V_INTR_GIF;
	if (features & SVM_FEAT_VNMI)
		v_intr |= V_INTR_NMI | V_INTR_NMI_MASK;
	c->v_intr = (c->v_intr & ~v_intr) | (rig->n.v_intr12 & v_intr);
	c->int_shadow = rig->vmcb02->control.int_shadow & 1;
	c->exitcode = some_exit.code;
	c->exitinfo1 = some_exit.info1;
	c->exitinfo2 = some_exit.info2;
	c->exitintinfo = some_exit.intinfo;
	c->eventinj = 0;
	if (features & SVM_FEAT_NRIPS)
		c->nrip = some_exit.nrip;
	if (features & SVM_FEAT_DECODE_ASSISTS) {
		c->insn.len = some_exit.insn.len;
		memcpy(c->insn.bytes, some_exit.insn.bytes, sizeof(c->insn.bytes));
	}
}

/* Random VMCB02, random rest of L1's memory: nothing is right by chance. */
static void exit_with(uint32_t features, bool np)
{
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12), vmcb02;

	nested_offer(&rig->n, features);
	vmcb12->control.misc = np ? MISC_NP : 0;
	vmcb12->control.v_intr = V_INTR_GIF_ENABLE | V_INTR_NMI_ENABLE;
	vmcb12->control.intercept[ICPT_MISC1] |= ICPT1_NMI;
	rig_enter(rig, RIG_VMCB12);
	randomise(rig->l1->ram, RIG_RAM); /* L1's other CPUs have been busy */
	randomise(rig->vmcb02, sizeof(*rig->vmcb02));
	rig->vmcb02->control.tlb_control = TLB_CONTROL_NONE;
	randomise(&rig->n.v_intr12, sizeof(rig->n.v_intr12));
	memcpy(ram_before, rig->l1->ram, RIG_RAM);
	vmcb02 = *rig->vmcb02;
	assert_true(leave(&some_exit));
	expect_written((struct vmcb *)(ram_before + RIG_VMCB12), features, np);
	assert_memory_equal(ram_before, rig->l1->ram, RIG_RAM);
	assert_memory_equal(&vmcb02, rig->vmcb02, sizeof(vmcb02));
}

static void each_field_and_no_other_byte(void **state)
{
	static const uint32_t features[] = {
		RIG_FEATURES,
		RIG_FEATURES & ~SVM_FEAT_NRIPS,
		RIG_FEATURES & ~SVM_FEAT_DECODE_ASSISTS,
		RIG_FEATURES & ~SVM_FEAT_VNMI,
		RIG_FEATURES & ~(SVM_FEAT_VGIF | SVM_FEAT_VNMI),
		SVM_FEAT_NP,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(features); i++)
		for (unsigned np = 0; np < 2; np++)
			exit_with(features[i], np);
}

/* V_TPR and V_IRQ always, V_GIF and V_NMI only while L1 has them enabled; the rest of the word stays L1's. */
static void v_intr_comes_back_by_what_is_enabled(void **state)
{
	(void)state;
	for (unsigned enabled = 0; enabled < 4; enabled++) {
		uint64_t word = (enabled & 1 ? V_INTR_GIF_ENABLE : 0) | (enabled & 2 ? V_INTR_NMI_ENABLE : 0);
		uint64_t mask = V_INTR_TPR | V_INTR_IRQ | (enabled & 1 ? V_INTR_GIF : 0) |
				(enabled & 2 ? V_INTR_NMI | V_INTR_NMI_MASK : 0);
		struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

		vmcb12->control.v_intr = word;
		vmcb12->control.intercept[ICPT_MISC1] |= ICPT1_NMI;
		rig_enter(rig, RIG_VMCB12);
		rig->n.v_intr12 = UINT64_MAX;
		assert_true(leave(&some_exit));
		assert_int_equal(vmcb12->control.v_intr, word | mask);
	}
}

/* No memory there any more: the caller ends L1, and L2 is left all the same. */
static void vmcb12_gone(void **state)
{
	(void)state;
	rig_legal(rig, RIG_VMCB12);
	rig_enter(rig, RIG_VMCB12);
	fake_l1_hole(rig->l1, RIG_VMCB12, PAGE_SIZE);
	memcpy(ram_before, rig->l1->ram, RIG_RAM);
	assert_false(leave(&some_exit));
	assert_memory_equal(ram_before, rig->l1->ram, RIG_RAM);
	assert_false(rig->n.in_l2 || rig->n.gif || rig->n.run_pending);
	assert_int_equal(rig->vmcb01->save.dr7, DR7_FIXED);
}

/* --- L1 --- */

static void gif_and_level(void **state)
{
	(void)state;
	rig_legal(rig, RIG_VMCB12);
	rig_enter(rig, RIG_VMCB12);
	assert_true(rig->n.gif && rig->n.in_l2);
	assert_true(leave(&some_exit));
	assert_false(rig->n.in_l2 || rig->n.gif || rig->n.run_pending);
	assert_int_equal(rig->n.full_exit_count, 1);
}

static void assert_clean_kept(uint32_t before, uint32_t must_go)
{
	assert_int_equal(rig->vmcb01->control.clean & must_go, 0);
	assert_int_equal(rig->vmcb01->control.clean & ~before, 0);
}

/* One CR2 and one DR6 for both levels, and without nested paging one PAT; else VMCB01 keeps L1's own (APM2 15.5.1). */
static void l1_gets_shared_registers_and_exit_effects(void **state)
{
	(void)state;
	for (unsigned np = 0; np < 2; np++) {
		struct vmcb want;

		rig_legal(rig, RIG_VMCB12)->control.misc = np ? MISC_NP : 0;
		rig_enter(rig, RIG_VMCB12);
		randomise(&rig->vmcb02->save, sizeof(rig->vmcb02->save));
		rig->vmcb01->save.dr7 = DR7_FIXED | 0x3;
		rig->vmcb01->save.rflags = RFLAGS_FIXED | RFLAGS_VM | RFLAGS_TF | RFLAGS_IF;
		rig->vmcb01->save.cr0 &= ~CR0_PE;
		rig->vmcb01->save.cpl = 3;
		rig->vmcb01->control.clean = CLEAN_ALL;
		want = *rig->vmcb01;
		assert_true(leave(&some_exit));
		assert_clean_kept(CLEAN_ALL, CLEAN_CR2 | CLEAN_DRX | CLEAN_CRX | CLEAN_SEG | (np ? 0 : CLEAN_NP));
		want.save.cr2 = rig->vmcb02->save.cr2;
		want.save.dr6 = rig->vmcb02->save.dr6;
		if (!np)
			want.save.g_pat = rig->vmcb02->save.g_pat;
		want.save.dr7 = DR7_FIXED;
		want.save.rflags &= ~RFLAGS_VM;
		want.save.cr0 |= CR0_PE;
		want.save.cpl = 0;
		want.control.clean = rig->vmcb01->control.clean;
		assert_memory_equal(&want, rig->vmcb01, sizeof(want));
	}
}

/* --- soft events --- */

#define INT_34 (EVENT_V | UINT64_C(0x434))
#define OLD_RIP 0x7000
#define NEXT_RIP 0x7002

/* INT 34h is injected with nRIP 7002h; then L2 exits with this EXITINTINFO and RIP. What RIP does L1 see? */
static uint64_t rip_after(uint64_t intinfo, uint64_t rip)
{
	struct nested_exit exit = {.code = VMEXIT_NPF, .intinfo = intinfo};
	struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12);

	vmcb12->control.eventinj = INT_34;
	vmcb12->control.nrip = NEXT_RIP;
	rig_enter(rig, RIG_VMCB12);
	assert_int_equal(rig->vmcb02->save.rip, NEXT_RIP);
	rig->vmcb02->save.rip = rip;
	assert_true(leave(&exit));
	assert_false(rig->n.soft.pending);
	return vmcb12->save.rip;
}

/* Only the very event that was injected, interrupted at the very place, gives L2 its old RIP back. */
static void interrupted_soft_event_gives_rip_back(void **state)
{
	(void)state;
	assert_int_equal(rip_after(INT_34, NEXT_RIP), OLD_RIP);
	assert_int_equal(rip_after(INT_34 | BITS(63, 32), NEXT_RIP), OLD_RIP); /* not an error code's business */
	assert_int_equal(rip_after(INT_34, 0x9000), 0x9000);
	assert_int_equal(rip_after(INT_34 ^ EVENT_V, NEXT_RIP), NEXT_RIP); /* delivered: L2 went on at nRIP */
	assert_int_equal(rip_after(INT_34 ^ 1, NEXT_RIP), NEXT_RIP);
	assert_int_equal(rip_after(INT_34 ^ BIT(EVENT_TYPE_SHIFT), NEXT_RIP), NEXT_RIP);
	assert_int_equal(rip_after(0, NEXT_RIP), NEXT_RIP);
}

static void soft_event_that_was_delivered_is_forgotten(void **state)
{
	(void)state;
	rip_after(0, NEXT_RIP);
	rig_legal(rig, RIG_VMCB12)->save.rip = NEXT_RIP;
	rig_enter(rig, RIG_VMCB12);
	rig->vmcb02->save.rip = NEXT_RIP;
	assert_true(leave(&(struct nested_exit){.code = VMEXIT_NPF, .intinfo = INT_34}));
	assert_int_equal(rig_vmcb12(rig, RIG_VMCB12)->save.rip, NEXT_RIP);
}

/* --- flushes --- */

/* A #VMEXIT before VMCB02 ever ran (an interrupt was pending) must not lose the flush that VMRUN asked for.
 * Found by strict_cpu.c: TLB_CONTROL of VMCB02 was built anew without it. */
static void exit_before_entry_keeps_the_flush(void **state)
{
	const struct nested_exit exit = {.code = VMEXIT_INTR};

	(void)state;
	for (unsigned np = 0; np < 2; np++) {
		rig_legal(rig, RIG_VMCB12)->control.misc = np ? MISC_NP : 0;
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.tlb_control, TLB_CONTROL_ASID);
		assert_true(nested_exit_full(&rig->n, rig->l1, &exit, rig->vmcb01, rig->vmcb02));
		assert_false(rig->n.run_pending);
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.tlb_control, TLB_CONTROL_ASID);
		assert_true(leave(&some_exit));
		rig_legal(rig, RIG_VMCB12)->control.misc = np ? MISC_NP : 0;
		rig_enter(rig, RIG_VMCB12);
		assert_int_equal(rig->vmcb02->control.tlb_control, TLB_CONTROL_NONE);
		assert_true(leave(&some_exit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_field_and_no_other_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(v_intr_comes_back_by_what_is_enabled, setup, teardown),
		cmocka_unit_test_setup_teardown(vmcb12_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(gif_and_level, setup, teardown),
		cmocka_unit_test_setup_teardown(l1_gets_shared_registers_and_exit_effects, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupted_soft_event_gives_rip_back, setup, teardown),
		cmocka_unit_test_setup_teardown(soft_event_that_was_delivered_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(exit_before_entry_keeps_the_flush, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
