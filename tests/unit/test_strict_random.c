/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/strict_l0.c tests/unit/strict_rules.c tests/unit/strict_cpu.c */
/* links: tests/unit/rig.c tests/unit/fake_l1.c */
/* wraps: tlb02_flush_all tlb02_flush_asid12 tlb02_asid tlb02_renew npt02_is_outdated npt02_drop_all npt02_drop_asid npt02_get */
/* tests/unit/test_strict_random.c - an L1 that does everything at random, but flushes what the manual says it must,
 * runs L2s on the CPU that forgives nothing: no stale translation and no stale VMCB field is ever used, and VMCB02 is
 * always what a VMRUN without history would have built. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>

#include "tests/unit/strict_l0.h"

#define ROUNDS 4000u
#define SEEDS 4u
#define RANDOM_ASIDS STRICT_ASIDS

static struct strict_world *w;

/* What L1 owes before it may run an ASID again. */
static struct {
	bool guest;  /* entries of the guest's table changed: any flush of that ASID will do */
	bool strong; /* nested tables or global entries changed: TLB_CONTROL 1 or 3 */
} owed[RANDOM_ASIDS + 1];

static unsigned pick(unsigned n)
{
	return (unsigned)rand() % n;
}

static uint32_t pick_asid(void)
{
	return 1 + pick(RANDOM_ASIDS);
}

static uint64_t pick_data(void)
{
	return STRICT_DATA + pick(STRICT_DATA_PAGES) * PAGE_SIZE;
}

/* --- what L1 edits --- */

static void edit_guest_table(void)
{
	uint32_t asid = pick_asid();
	unsigned page = pick(STRICT_DATA_PAGES);
	uint64_t *entry = fake_l1_u64(w->rig->l1, STRICT_GUEST_TABLE(asid) + page * 8);
	uint64_t old = *entry;

	*entry = pick_data() | (pick(8) ? PTE_P : 0) | (pick(3) ? PTE_W : 0) | (pick(4) ? 0 : PTE_G) |
		 (pick(4) ? 0 : PTE_NX);
	if (!(old & PTE_P))
		return; /* what was not present is not in the TLB */
	owed[asid].guest = true;
	owed[asid].strong |= (old & PTE_G) != 0;
}

static void edit_nested_table(void)
{
	static const uint64_t marks[] = {PTE_A, PTE_D, PTE_U, PTE_W};
	enum strict_table table = TABLE_A + pick(TABLE_COUNT - TABLE_A);
	uint64_t gpa = pick(8) ? pick_data() : STRICT_GUEST_TABLE(pick_asid());
	uint64_t to = gpa >= STRICT_DATA ? pick_data() : gpa, e = to | (pick(8) ? PTE_P : 0) | (pick(4) ? 0 : PTE_NX);
	uint64_t old = fake_npt12_read(&w->tables[table], fake_npt12_entry(&w->tables[table], gpa, 1));

	for (size_t i = 0; i < ARRAY_COUNT(marks); i++)
		e |= pick(5) ? marks[i] : 0;
	strict_npt12_map(w, table, gpa, e);
	for (uint32_t asid = 1; asid <= RANDOM_ASIDS && (old & PTE_P); asid++)
		owed[asid].strong = true;
}

/* One field of one group, with its clean bit. */
static void edit_vmcb12(struct vmcb *vmcb12)
{
	struct vmcb_control *c = &vmcb12->control;
	struct vmcb_save *s = &vmcb12->save;
	uint32_t bit = BIT32(pick(10));

	switch (bit) {
	case CLEAN_I: c->intercept[ICPT_MISC1] ^= ICPT1_HLT; c->tsc_offset += pick(3); break;
	case CLEAN_TPR: c->v_intr = (pick(2) ? V_INTR_MASKING : 0) | pick(16); break;
	case CLEAN_NP: s->g_pat = pick(2) ? 0 : UINT64_C(0x0606060606060606); break;
	case CLEAN_CRX: s->cr0 ^= CR0_WP; s->efer ^= EFER_NXE; break;
	case CLEAN_DRX: s->dr7 ^= BIT(pick(8)); s->dr6 ^= BIT(pick(4)); break;
	case CLEAN_DT: s->gdtr.base += 8; s->idtr.limit ^= 0xFF; break;
	case CLEAN_SEG: s->es.sel ^= 8; s->cs.base ^= 0x10; s->cpl = (uint8_t)pick(4); break;
	case CLEAN_CR2: s->cr2 += PAGE_SIZE; break;
	default: break;
	}
	c->clean &= ~bit;
	s->rip += pick(3);
	c->int_shadow = pick(2);
}

/* --- what L2 becomes by itself --- */

static void l2_changes_itself(void)
{
	struct vmcb_save *s = &w->cpu->live.save;

	s->rip += 3;
	s->rflags ^= RFLAGS_ZF;
	switch (pick(6)) {
	case 0: s->cr2 += PAGE_SIZE; break;
	case 1: s->cr0 ^= CR0_TS; break;
	case 2: s->ss.base += 0x10; s->cpl = (uint8_t)pick(4); break;
	case 3: s->dr6 ^= 1; s->dr7 ^= 2; break;
	case 4: s->gdtr.base += 0x10; break;
	default: s->g_pat ^= UINT64_C(1) << 8; break;
	}
}

static void l2_runs(uint32_t asid)
{
	static const uint64_t kinds[] = {0, PF_W, PF_ID};
	bool far = w->table == TABLE_C && pick(4) == 0;

	for (unsigned i = pick(12); i > 0; i--)
		strict_l2(w, pick(pick(2) ? STRICT_DATA_PAGES : 4), kinds[pick(3)]);
	for (unsigned i = 0; far && i < STRICT_FAR_REGIONS; i++)
		strict_l2(w, STRICT_DATA_PAGES + i, kinds[pick(3)]);
	if (pick(3) == 0)
		l2_changes_itself();
	if (pick(8) == 0) {
		strict_emulated_cr3(w, pick_asid());
		strict_l2(w, pick(STRICT_DATA_PAGES), PF_W);
		owed[asid].strong = true; /* L1 will put the old CR3 back */
	}
	strict_leave(w);
}

/* --- VMRUN --- */

/* The weakest flush that pays what is owed, or a stronger one. */
static uint8_t pick_flush(uint32_t asid)
{
	uint8_t choice[] = {TLB_CONTROL_ALL, TLB_CONTROL_ASID, TLB_CONTROL_ASID_NON_GLOBAL, TLB_CONTROL_NONE};
	unsigned count = owed[asid].strong ? 2 : owed[asid].guest ? 3 : 4;
	uint8_t control = choice[count < 4 || pick(8) == 0 ? pick(count) : 3];

	if (control == TLB_CONTROL_ALL)
		memset(owed, 0, sizeof(owed));
	if (control != TLB_CONTROL_NONE)
		owed[asid].guest = false;
	if (control == TLB_CONTROL_ASID)
		owed[asid].strong = false;
	return control;
}

static void vmrun(void)
{
	uint64_t at = RIG_VMCB12 + (pick(4) ? 0 : PAGE_SIZE);
	struct vmcb *vmcb12 = rig_vmcb12(w->rig, at);
	enum strict_table table = pick(TABLE_COUNT);
	uint32_t asid = pick(3) ? 1 + pick(2) : pick_asid();

	for (unsigned i = pick(4); i > 0; i--)
		edit_vmcb12(vmcb12);
	w->rig->in.apic_tpr = (uint8_t)pick(16);
	if (pick(8) == 0 && at == RIG_VMCB12) {
		strict_run_interrupted(w, asid, table, pick_flush(asid));
	} else {
		strict_run_at(w, at, asid, table, pick_flush(asid));
		l2_runs(asid);
	}
	vmcb12->control.clean = pick(4) ? CLEAN_ALL : 0;
}

/* VMRUN refused in between: must not disturb what is kept of the last L2. */
static void refused_vmrun(void)
{
	struct vmcb *vmcb12 = strict_vmcb12(w);
	uint32_t intercepts = vmcb12->control.intercept[ICPT_MISC2];
	uint64_t refusals = w->rig->n.refusals[REASON_VMRUN_INTERCEPT];

	vmcb12->control.intercept[ICPT_MISC2] = 0;
	vmcb12->control.clean &= ~CLEAN_I;
	strict_refused(w, RIG_VMCB12);
	assert_int_equal(w->rig->n.refusals[REASON_VMRUN_INTERCEPT], refusals + 1);
	vmcb12->control.intercept[ICPT_MISC2] = intercepts;
}

static void invlpga(void)
{
	uint32_t asid = pick_asid();

	strict_invlpga(w, asid);
	owed[asid].guest = false; /* of nested tables it says nothing */
}

static void step(void)
{
	switch (pick(16)) {
	case 0: edit_guest_table(); break;
	case 1: edit_nested_table(); break;
	case 2: invlpga(); break;
	case 3: strict_l1_access(w, pick_data(), true); break;
	case 4: refused_vmrun(); break;
	default: vmrun(); break;
	}
}

static void random_l1(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		srand(seed);
		memset(owed, 0, sizeof(owed));
		w = strict_new(RULE_NONE);
		w->cpu->only_flush_all = seed % 2;
		w->rig->n.caps.hw_flush_by_asid = seed % 2 == 0;
		for (unsigned i = 0; i < ROUNDS; i++) {
			step();
			if (strict_complaint(w)[0])
				fail_msg("seed %u round %u: %s", seed, i, strict_complaint(w));
		}
		assert_true(w->cpu->hits > ROUNDS / 8 && w->rig->n.npt02.exhausted > 0);
		strict_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_l1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
