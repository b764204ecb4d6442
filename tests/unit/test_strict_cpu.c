/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/strict_l0.c tests/unit/strict_rules.c tests/unit/strict_cpu.c */
/* links: tests/unit/rig.c tests/unit/fake_l1.c */
/* wraps: tlb02_flush_all tlb02_flush_asid12 tlb02_asid tlb02_renew npt02_is_outdated npt02_drop_all npt02_drop_asid npt02_get */
/* tests/unit/test_strict_cpu.c - nested/ on the CPU that forgives nothing. One scenario for each rule on when the TLB,
 * the shadow or a clean bit must go (svm-facts 8.5, 3.4; APM2 15.15, 15.16, 15.25): with the rule nothing stale is
 * ever used; with the rule removed the CPU catches it, so the scenario proves something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>

#include "tests/unit/strict_l0.h"

#define RIGHTS (PTE_P | PTE_W | PTE_U)
#define SPARE (STRICT_DATA + 9 * PAGE_SIZE) /* a data page that page 0 of no L2 is mapped to */
#define FIRST (STRICT_DATA + PAGE_SIZE)     /* page 0 of ASID 1 */

/* L2's page 0 with ASID 1, used and so kept by the CPU. */
static void use_page_0(struct strict_world *w, enum strict_table table)
{
	strict_run(w, 1, table, TLB_CONTROL_NONE);
	strict_l2(w, 0, PF_W);
	strict_leave(w);
}

static void run_and_look(struct strict_world *w, uint32_t asid, enum strict_table table, uint8_t tlb_control)
{
	strict_run(w, asid, table, tlb_control);
	strict_l2(w, 0, PF_W);
	strict_leave(w);
}

/* --- L1 asks for flushes by TLB_CONTROL --- */

/* L1 without nested paging changes what page 0 of L2 is, in the table that CR3 names. */
static void guest_table_changes(struct strict_world *w, uint8_t tlb_control)
{
	use_page_0(w, TABLE_NONE);
	strict_guest_map(w, 1, 0, SPARE | PTE_P | PTE_W);
	run_and_look(w, 1, TABLE_NONE, tlb_control);
}

static void all_guest(struct strict_world *w)
{
	guest_table_changes(w, TLB_CONTROL_ALL);
}

static void asid_guest(struct strict_world *w)
{
	guest_table_changes(w, TLB_CONTROL_ASID);
}

static void non_global_guest(struct strict_world *w)
{
	guest_table_changes(w, TLB_CONTROL_ASID_NON_GLOBAL);
}

static void nested_table_changes(struct strict_world *w, uint8_t tlb_control)
{
	use_page_0(w, TABLE_A);
	strict_npt12_map(w, TABLE_A, FIRST, SPARE | RIGHTS);
	run_and_look(w, 1, TABLE_A, tlb_control);
	strict_npt12_map(w, TABLE_A, FIRST, SPARE | PTE_P | PTE_U);
	run_and_look(w, 1, TABLE_A, tlb_control);
	strict_npt12_map(w, TABLE_A, FIRST, 0);
	run_and_look(w, 1, TABLE_A, tlb_control);
}

static void all_nested(struct strict_world *w)
{
	nested_table_changes(w, TLB_CONTROL_ALL);
}

static void asid_nested(struct strict_world *w)
{
	nested_table_changes(w, TLB_CONTROL_ASID);
}

/* --- what tells address spaces apart --- */

static void asids_differ(struct strict_world *w)
{
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
	run_and_look(w, 2, TABLE_NONE, TLB_CONTROL_NONE);
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
}

static void tables_differ(struct strict_world *w)
{
	run_and_look(w, 1, TABLE_A, TLB_CONTROL_NONE);
	run_and_look(w, 1, TABLE_B, TLB_CONTROL_NONE);
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
	run_and_look(w, 1, TABLE_A, TLB_CONTROL_NONE);
	run_and_look(w, 1, TABLE_B, TLB_CONTROL_NONE);
}

/* Two ASIDs on one nested table: L1 flushes the one that it is going to run. */
static void asids_share_a_table(struct strict_world *w)
{
	strict_guest_map(w, 2, 0, FIRST | PTE_P | PTE_W);
	run_and_look(w, 1, TABLE_A, TLB_CONTROL_NONE);
	run_and_look(w, 2, TABLE_A, TLB_CONTROL_NONE);
	strict_npt12_map(w, TABLE_A, FIRST, SPARE | RIGHTS);
	run_and_look(w, 2, TABLE_A, TLB_CONTROL_ASID);
}

/* With EFER.NXE cleared in L1, bit 63 of its entries is reserved. */
static void format_nxe(struct strict_world *w)
{
	strict_npt12_map(w, TABLE_A, FIRST, FIRST | RIGHTS | PTE_NX);
	use_page_0(w, TABLE_A);
	w->cpu->live.save.efer &= ~EFER_NXE;
	run_and_look(w, 1, TABLE_A, TLB_CONTROL_NONE);
}

/* L1 leaves long mode: the page at N_CR3 is read as four PDPTEs, and these have reserved bits set. */
static void format_levels(struct strict_world *w)
{
	use_page_0(w, TABLE_A);
	w->cpu->live.save.efer &= ~(EFER_LME | EFER_LMA);
	w->pae = true;
	run_and_look(w, 1, TABLE_A, TLB_CONTROL_NONE);
}

/* --- our own resources change hands --- */

/* More L2s than tags: the last ones get those of the first. */
static void tags_run_out(struct strict_world *w)
{
	for (uint32_t asid = 1; asid <= STRICT_ASIDS; asid++)
		run_and_look(w, asid, TABLE_NONE, TLB_CONTROL_NONE);
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
}

static void use_far_regions(struct strict_world *w)
{
	for (unsigned i = 0; i < STRICT_FAR_REGIONS; i++)
		strict_l2(w, STRICT_DATA_PAGES + i, PF_W);
}

/* One L2 uses up the pool, so the tables of another, which the CPU still knows, become something else. */
static void pool_runs_out_under_another(struct strict_world *w)
{
	use_page_0(w, TABLE_A);
	strict_run(w, 2, TABLE_C, TLB_CONTROL_NONE);
	use_far_regions(w);
	strict_leave(w);
	strict_run(w, 1, TABLE_A, TLB_CONTROL_NONE);
	for (unsigned page = 0; page < STRICT_DATA_PAGES; page++)
		strict_l2(w, page, PF_W);
	strict_leave(w);
}

/* The same under the L2 that runs. */
static void pool_runs_out_in_use(struct strict_world *w)
{
	strict_run(w, 1, TABLE_C, TLB_CONTROL_NONE);
	for (unsigned page = 0; page < 4; page++)
		strict_l2(w, page, PF_W);
	use_far_regions(w);
	for (unsigned page = 0; page < STRICT_DATA_PAGES; page++)
		strict_l2(w, page, PF_W);
	strict_leave(w);
}

/* --- the rest of 8.5 --- */

static void invlpga(struct strict_world *w)
{
	use_page_0(w, TABLE_NONE);
	strict_guest_map(w, 1, 0, SPARE | PTE_P | PTE_W);
	strict_invlpga(w, 1);
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
}

static void invlpga_of_l1(struct strict_world *w)
{
	strict_l1_access(w, FIRST, true);
	*fake_l1_u64(w->rig->l1, STRICT_L1_TABLE + FIRST / PAGE_SIZE * 8) = SPARE | PTE_P | PTE_W;
	strict_invlpga(w, 0);
	strict_l1_access(w, FIRST, true);
}

static void page_taken_from_l1(struct strict_world *w)
{
	strict_l1_access(w, FIRST, true);
	strict_take_page(w, FIRST);
	strict_l1_access(w, FIRST, false);
}

static void page_taken_from_l2(struct strict_world *w)
{
	use_page_0(w, TABLE_NONE);
	strict_take_page(w, FIRST);
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
}

static void page_taken_from_l2_with_nested_paging(struct strict_world *w)
{
	use_page_0(w, TABLE_A);
	strict_take_page(w, FIRST);
	run_and_look(w, 1, TABLE_A, TLB_CONTROL_NONE);
}

static void l0_executes_mov_cr3(struct strict_world *w)
{
	strict_run(w, 1, TABLE_A, TLB_CONTROL_NONE);
	strict_l2(w, 0, PF_W);
	strict_emulated_cr3(w, 2);
	strict_l2(w, 0, PF_W);
	strict_leave(w);
}

/* L1 asks for a flush, but an interrupt comes before L2's first instruction; the next VMRUN does not ask again. */
static void exit_before_entry(struct strict_world *w)
{
	use_page_0(w, TABLE_NONE);
	strict_guest_map(w, 1, 0, SPARE | PTE_P | PTE_W);
	strict_run_interrupted(w, 1, TABLE_NONE, TLB_CONTROL_ASID);
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
}

static void vcpu_comes_back_to_a_cpu(struct strict_world *w)
{
	use_page_0(w, TABLE_NONE);
	strict_move_to_cpu(w, 1);
	strict_guest_map(w, 1, 0, SPARE | PTE_P | PTE_W);
	strict_vmcb12(w)->save.cr2++;
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_ASID);
	strict_move_to_cpu(w, 0);
	run_and_look(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
}

/* --- clean bits --- */

/* Two VMRUNs, and between them L1 changes something of each group. */
static void l1_changes_all_groups(struct strict_world *w)
{
	struct vmcb *vmcb12 = strict_vmcb12(w);
	static uint8_t other_iopm[IOPM_SIZE];

	use_page_0(w, TABLE_A);
	vmcb12->control.clean = 0;
	vmcb12->control.intercept[ICPT_MISC1] |= ICPT1_HLT;
	vmcb12->control.tsc_offset += 5;
	vmcb12->control.v_intr = V_INTR_MASKING | 3;
	vmcb12->save.cr0 ^= CR0_WP;
	vmcb12->save.dr7 |= 1;
	vmcb12->save.gdtr.base += 8;
	vmcb12->save.ss.sel += 8;
	vmcb12->save.cr2 += 8;
	vmcb12->save.g_pat = 0;
	w->rig->in.iopm = hpa_of(other_iopm);
	run_and_look(w, 2, TABLE_A, TLB_CONTROL_NONE);
}

/* L1's clean bits speak of its VMCB at that address; ours is another one, and both its pages have run another L2 since. */
static void vmcb12_at_another_address(struct strict_world *w)
{
	use_page_0(w, TABLE_A);
	for (unsigned page = 0; page < 2; page++) {
		strict_run_at(w, RIG_VMCB12 + PAGE_SIZE, 2, TABLE_A, TLB_CONTROL_NONE);
		strict_leave(w);
	}
	strict_vmcb12(w)->control.clean = CLEAN_ALL & ~CLEAN_NP;
	use_page_0(w, TABLE_A);
}

/* What a #VMEXIT changes of L1: the debug registers, CR2, without nested paging the PAT; PE and CPL are forced. */
static void exit_changes_l1(struct strict_world *w)
{
	struct vmcb_save *l1 = &w->cpu->live.save;

	l1->dr7 = DR7_FIXED | 1;
	l1->cr0 &= ~(CR0_PE | CR0_PG);
	l1->cpl = 3;
	strict_vmcb12(w)->save.cr2 = 0x1234000;
	strict_vmcb12(w)->save.g_pat = 0;
	use_page_0(w, TABLE_NONE);
}

/* The PAT is one register for both while nested paging is off: what L2 made of it, L1 finds. */
static void l2_changes_the_shared_pat(struct strict_world *w)
{
	strict_run(w, 1, TABLE_NONE, TLB_CONTROL_NONE);
	w->cpu->live.save.g_pat ^= 1;
	strict_leave(w);
}

/* --- each rule, kept and removed --- */

static const struct {
	enum strict_rule rule;
	void (*scenario)(struct strict_world *w);
} rules[] = {
	{RULE_ALL_TLB, all_guest},
	{RULE_ALL_SHADOW, all_nested},
	{RULE_ASID_TLB, asid_guest},
	{RULE_ASID_SHADOW, asid_nested},
	{RULE_NON_GLOBAL_TLB, non_global_guest},
	{RULE_OUTDATED, all_nested},
	{RULE_OUTDATED, asid_nested},
	{RULE_RENEW, all_guest},
	{RULE_RENEW, asid_guest},
	{RULE_RENEW, non_global_guest},
	{RULE_TAG_ASID, asids_differ},
	{RULE_TAG_TABLE, tables_differ},
	{RULE_TAG_FLUSH, tags_run_out},
	{RULE_KEY_ASID, asids_share_a_table},
	{RULE_KEY_NCR3, tables_differ},
	{RULE_KEY_NXE, format_nxe},
	{RULE_KEY_LEVELS, format_levels},
	{RULE_FRESH, pool_runs_out_under_another},
	{RULE_DROPPED, pool_runs_out_in_use},
	{RULE_INVLPGA, invlpga},
	{RULE_INVLPGA_L1, invlpga_of_l1},
	{RULE_NPT01_L1, page_taken_from_l1},
	{RULE_NPT01_L2, page_taken_from_l2},
	{RULE_NPT01_SHADOW, page_taken_from_l2_with_nested_paging},
	{RULE_EMULATED_CR3, l0_executes_mov_cr3},
	{RULE_EXIT_BEFORE_ENTRY, exit_before_entry},
	{RULE_OTHER_CPU_TLB, vcpu_comes_back_to_a_cpu},
	{RULE_OTHER_CPU_CLEAN, vcpu_comes_back_to_a_cpu},
	{RULE_CLEAN_FIRST, asids_differ},
	{RULE_CLEAN_MOVED, vmcb12_at_another_address},
	{RULE_CLEAN_02 + 0, l1_changes_all_groups}, /* intercepts, TSC offset */
	{RULE_CLEAN_02 + 1, l1_changes_all_groups}, /* permission maps */
	{RULE_CLEAN_02 + 2, l1_changes_all_groups}, /* ASID */
	{RULE_CLEAN_02 + 3, l1_changes_all_groups}, /* V_TPR */
	{RULE_CLEAN_02 + 4, l1_changes_all_groups}, /* nested paging, PAT */
	{RULE_CLEAN_02 + 5, l1_changes_all_groups}, /* CR0, CR3, CR4, EFER */
	{RULE_CLEAN_02 + 6, l1_changes_all_groups}, /* DR6, DR7 */
	{RULE_CLEAN_02 + 7, l1_changes_all_groups}, /* GDT, IDT */
	{RULE_CLEAN_02 + 8, l1_changes_all_groups}, /* segments, CPL */
	{RULE_CLEAN_02 + 9, l1_changes_all_groups}, /* CR2 */
	{RULE_CLEAN_01 + 4, l2_changes_the_shared_pat},
	{RULE_CLEAN_01 + 5, exit_changes_l1},
	{RULE_CLEAN_01 + 6, exit_changes_l1},
	{RULE_CLEAN_01 + 8, exit_changes_l1},
	{RULE_CLEAN_01 + 9, exit_changes_l1},
};

static void nothing_stale_with_all_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
		struct strict_world *w = strict_new(RULE_NONE);

		rules[i].scenario(w);
		if (strict_complaint(w)[0])
			fail_msg("scenario of rule %d: %s", rules[i].rule, strict_complaint(w));
		strict_free(w);
	}
}

static void each_rule_removed_is_caught(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
		struct strict_world *w = strict_new(rules[i].rule);

		rules[i].scenario(w);
		if (!strict_complaint(w)[0])
			fail_msg("rule %d can be removed and nobody notices", rules[i].rule);
		strict_free(w);
	}
}

/* What need not go stays: VMRUN and #VMEXIT by themselves flush nothing, so an L2 finds its translations again. */
static void nothing_is_flushed_without_need(void **state)
{
	struct strict_world *w = strict_new(RULE_NONE);
	unsigned flushes, hits;

	(void)state;
	run_and_look(w, 1, TABLE_A, TLB_CONTROL_NONE);
	run_and_look(w, 2, TABLE_A, TLB_CONTROL_NONE);
	flushes = w->cpu->flushes;
	hits = w->cpu->hits;
	for (unsigned i = 0; i < 10; i++)
		run_and_look(w, 1 + i % 2, TABLE_A, TLB_CONTROL_NONE);
	assert_int_equal(w->cpu->flushes, flushes);
	assert_int_equal(w->cpu->hits, hits + 10);
	assert_string_equal(strict_complaint(w), "");
	strict_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stale_with_all_rules),
		cmocka_unit_test(each_rule_removed_is_caught),
		cmocka_unit_test(nothing_is_flushed_without_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
