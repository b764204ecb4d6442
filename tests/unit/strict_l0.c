/* SPDX-License-Identifier: MIT */
/* tests/unit/strict_l0.c - see strict_l0.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/npt.h>
#include <amd/vmcb_access.h>
#include <check.h>

#include "tests/unit/strict_l0.h"

#define NPT01_PAGES 4
#define ALL_RIGHTS (PTE_P | PTE_W | PTE_U)
#define FAULTS_MAX 8 /* more for one access means that the CPU does not see what L0 writes */

enum strict_rule strict_removed;
struct strict_world *strict_current;

static ALIGNED(4096) uint64_t npt01[NPT01_PAGES][512];

static bool removes_clean(enum strict_rule base, unsigned *bit)
{
	*bit = strict_removed - base;
	return strict_removed >= base && *bit < 16;
}

static void complain(struct strict_world *w, const char *what, unsigned long long detail)
{
	if (!w->complaint[0])
		snprintf(w->complaint, sizeof(w->complaint), "%s %llx", what, detail);
}

const char *strict_complaint(const struct strict_world *w)
{
	if (w->complaint[0])
		return w->complaint;
	return w->cpus[0].complaint[0] ? w->cpus[0].complaint : w->cpus[1].complaint;
}

/* --- entries and exits, as svm/vmrun.asm, svm/exit.c and svm/nested_glue.c have them --- */

static struct vmcb *current(struct strict_world *w)
{
	return w->rig->n.in_l2 ? w->rig->vmcb02 : w->rig->vmcb01;
}

static void l0_exit(struct strict_world *w, uint64_t code, uint64_t info1, uint64_t info2)
{
	struct vmcb_control *c = &w->cpu->current->control;

	strict_vmexit(w->cpu, code, info1, info2);
	c->clean = CLEAN_ALL;
	c->tlb_control = TLB_CONTROL_NONE;
}

static void l0_enter(struct strict_world *w)
{
	strict_vmrun(w->cpu, current(w));
}

static void exit_to_l1(struct strict_world *w, uint64_t code)
{
	const struct nested_exit exit = {.code = code};
	struct vmcb *vmcb01 = w->rig->vmcb01;
	unsigned bit;

	if (!nested_exit_full(&w->rig->n, w->rig->l1, &exit, vmcb01, w->rig->vmcb02))
		complain(w, "VMCB12 is gone", 0);
	if (removes_clean(RULE_CLEAN_01, &bit))
		vmcb01->control.clean |= BIT32(bit);
	l0_enter(w);
}

static void flush_on_entry(struct vmcb *vmcb)
{
	bool by_asid = strict_current->rig->n.caps.hw_flush_by_asid;

	vmcb->control.tlb_control = by_asid ? TLB_CONTROL_ASID : TLB_CONTROL_ALL;
}

/* --- life --- */

static void init_npt01(struct rig *rig)
{
	memset(npt01, 0, sizeof(npt01));
	for (unsigned i = 0; i + 1 < NPT01_PAGES; i++)
		npt01[i][0] = hpa_of(npt01[i + 1]).a | ALL_RIGHTS | PTE_A;
	for (unsigned i = 0; i < RIG_RAM / PAGE_SIZE; i++)
		npt01[NPT01_PAGES - 1][i] = hpa_of(rig->l1->ram + i * PAGE_SIZE).a | ALL_RIGHTS | PTE_A | PTE_D;
	rig->in.npt01_root = hpa_of(npt01[0]);
}

static uint64_t data_page(unsigned i)
{
	return STRICT_DATA + i % STRICT_DATA_PAGES * PAGE_SIZE;
}

static void init_tables(struct strict_world *w)
{
	static const uint64_t at[TABLE_COUNT] = {0, 0x80000, 0xF8000, 0x84000};

	for (unsigned t = TABLE_A; t < TABLE_COUNT; t++) {
		w->tables[t] = fake_npt12_new(w->rig->l1, 4, at[t]);
		for (uint32_t asid = 1; asid <= STRICT_ASIDS; asid++)
			strict_npt12_map(w, t, STRICT_GUEST_TABLE(asid), STRICT_GUEST_TABLE(asid) | ALL_RIGHTS);
		for (unsigned i = 0; i < STRICT_DATA_PAGES; i++)
			strict_npt12_map(w, t, data_page(i),
					 data_page(t == TABLE_B ? STRICT_DATA_PAGES - 1 - i : i) | ALL_RIGHTS);
	}
	for (unsigned i = 0; i < STRICT_FAR_REGIONS; i++)
		strict_npt12_map(w, TABLE_C, (i + 1) * SIZE_2M, data_page(i) | ALL_RIGHTS);
}

/* Every L2 has another order of pages, all of them writable and not global; behind them the far ones. */
static void init_guest_tables(struct strict_world *w)
{
	for (uint32_t asid = 1; asid <= STRICT_ASIDS; asid++) {
		for (unsigned i = 0; i < STRICT_DATA_PAGES; i++)
			strict_guest_map(w, asid, i, data_page(i + asid) | PTE_P | PTE_W);
		for (unsigned i = 0; i < STRICT_FAR_REGIONS; i++)
			strict_guest_map(w, asid, STRICT_DATA_PAGES + i, (i + 1) * SIZE_2M | PTE_P | PTE_W);
	}
	for (unsigned i = 0; i < RIG_RAM / PAGE_SIZE; i++)
		*fake_l1_u64(w->rig->l1, STRICT_L1_TABLE + i * 8) = i * PAGE_SIZE | PTE_P | PTE_W;
}

struct strict_world *strict_new(enum strict_rule rule)
{
	struct strict_world *w = aligned_alloc(PAGE_SIZE, sizeof(*w)); /* VMCBs are aligned, so the CPU is */

	memset(w, 0, sizeof(*w));
	strict_removed = rule;
	strict_current = w;
	w->rig = rig_new(RIG_FEATURES, 0x00);
	w->plain_pages = aligned_alloc(PAGE_SIZE, sizeof(*w->plain_pages));
	w->cpu = &w->cpus[0];
	init_npt01(w->rig);
	init_tables(w);
	init_guest_tables(w);
	rig_legal(w->rig, RIG_VMCB12);
	rig_legal(w->rig, RIG_VMCB12 + PAGE_SIZE);
	w->rig->vmcb01->save.cr3 = STRICT_L1_TABLE;
	w->rig->vmcb01->control.asid = 1;
	w->rig->vmcb01->control.misc = MISC_NP;
	w->rig->vmcb01->control.ncr3 = w->rig->in.npt01_root.a;
	l0_enter(w);
	return w;
}

void strict_free(struct strict_world *w)
{
	free(w->plain_pages);
	rig_free(w->rig);
	free(w);
}

/* --- L1 --- */

struct vmcb *strict_vmcb12(struct strict_world *w)
{
	return rig_vmcb12(w->rig, RIG_VMCB12);
}

void strict_guest_map(struct strict_world *w, uint32_t asid, unsigned page, uint64_t entry)
{
	*fake_l1_u64(w->rig->l1, STRICT_GUEST_TABLE(asid) + page * 8) = entry;
}

void strict_npt12_map(struct strict_world *w, enum strict_table table, uint64_t gpa, uint64_t entry)
{
	fake_npt12_map(&w->tables[table], gpa, 1, entry);
}

/* What does not depend on which resources of the CPU were free. */
static struct vmcb lasting(const struct vmcb *vmcb02)
{
	struct vmcb v = *vmcb02;
	struct vmcb_control *c = &v.control;

	c->asid = 0;
	c->tlb_control = 0;
	c->clean = 0;
	c->ncr3 = c->msrpm_base = 0;
	c->exitcode = c->exitinfo1 = c->exitinfo2 = c->exitintinfo = 0;
	return v;
}

/* VMCB02 is what a VMRUN without any history would have made of the same VMCB12. */
static void compare_with_plain_build(struct strict_world *w, uint64_t at)
{
	struct vmcb02_inputs in = w->rig->in;
	struct vmcb02_pages pages = {.vmcb02 = &w->plain_pages->vmcb02, .spare = &w->plain_pages->spare};
	struct vmcb got, want;

	nested_init(&w->plain, &w->rig->n.caps, w->plain_pages->pool, RIG_POOL_PAGES, RIG_ASID_FIRST, RIG_ASID_COUNT);
	in.msrpm02 = hpa_of(w->plain_pages->msrpm02);
	if (nested_vmrun(&w->plain, w->rig->l1, l1pa(at), &in, w->rig->vmcb01, &pages) !=
	    VMRUN_ENTERED)
		complain(w, "VMRUN refused without history", at);
	got = lasting(w->rig->vmcb02);
	want = lasting(pages.vmcb02);
	for (size_t i = 0; i < sizeof(got); i++)
		if (((uint8_t *)&got)[i] != ((uint8_t *)&want)[i])
			complain(w, "VMCB02 differs from one built afresh at", i);
}

/* Leaves clean bits set that our code has cleared, as if it had forgotten to. */
static void forget_to_clear(struct strict_world *w, uint64_t at)
{
	struct vmcb_control *c = &w->rig->vmcb02->control;
	unsigned bit;

	if (removes_clean(RULE_CLEAN_02, &bit) && w->rig->n.vmrun_count > 1)
		c->clean |= BIT32(bit);
	if (strict_removed == RULE_CLEAN_FIRST)
		c->clean = CLEAN_ALL;
	if (strict_removed == RULE_CLEAN_MOVED)
		c->clean = rig_vmcb12(w->rig, at)->control.clean;
}

/* L1 writes a field, and gives up its clean bit when that changes it. */
#define L1_WRITES(vmcb12, field, value, bit)                                                                           \
	do {                                                                                                           \
		if ((vmcb12)->field != (value))                                                                        \
			(vmcb12)->control.clean &= ~(bit);                                                             \
		(vmcb12)->field = (value);                                                                             \
	} while (0)

static bool l1_vmrun(struct strict_world *w, uint64_t at, uint32_t asid, enum strict_table table, uint8_t tlb_control)
{
	struct vmcb *vmcb12 = rig_vmcb12(w->rig, at);

	CHECK(!w->rig->n.in_l2);
	vmcb12->control.tlb_control = tlb_control;
	L1_WRITES(vmcb12, control.asid, asid, CLEAN_ASID);
	L1_WRITES(vmcb12, control.misc, table == TABLE_NONE ? 0 : MISC_NP, CLEAN_NP);
	L1_WRITES(vmcb12, control.ncr3, w->tables[table].npt12.ncr3, CLEAN_NP);
	L1_WRITES(vmcb12, save.cr3, STRICT_GUEST_TABLE(asid), CLEAN_CRX);
	w->asid = asid;
	w->table = table;
	l0_exit(w, VMEXIT_VMRUN, 0, 0);
	if (rig_vmrun(w->rig, at) != VMRUN_ENTERED) {
		complain(w, "VMRUN refused:", w->rig->n.last_refusal);
		l0_enter(w);
		return false;
	}
	compare_with_plain_build(w, at);
	forget_to_clear(w, at);
	return true;
}

void strict_run_at(struct strict_world *w, uint64_t at, uint32_t asid, enum strict_table table, uint8_t tlb_control)
{
	if (l1_vmrun(w, at, asid, table, tlb_control))
		l0_enter(w);
}

void strict_run(struct strict_world *w, uint32_t asid, enum strict_table table, uint8_t tlb_control)
{
	strict_run_at(w, RIG_VMCB12, asid, table, tlb_control);
}

void strict_run_interrupted(struct strict_world *w, uint32_t asid, enum strict_table table, uint8_t tlb_control)
{
	if (l1_vmrun(w, RIG_VMCB12, asid, table, tlb_control))
		exit_to_l1(w, VMEXIT_INTR);
}

void strict_refused(struct strict_world *w, uint64_t at)
{
	l0_exit(w, VMEXIT_VMRUN, 0, 0);
	if (rig_vmrun(w->rig, at) != VMRUN_REFUSED)
		complain(w, "VMRUN accepted", at);
	l0_enter(w);
}

void strict_invlpga(struct strict_world *w, uint32_t asid)
{
	l0_exit(w, VMEXIT_INVLPGA, 0, 0);
	if (asid == 0 && strict_removed != RULE_INVLPGA_L1)
		flush_on_entry(w->rig->vmcb01);
	if (asid != 0 && strict_removed != RULE_INVLPGA)
		nested_invlpga(&w->rig->n, asid);
	l0_enter(w);
}

void strict_l1_access(struct strict_world *w, uint64_t at, bool is_ram)
{
	struct strict_access a = strict_access(w->cpu, at, PF_W);
	uint64_t entry = *fake_l1_u64(w->rig->l1, STRICT_L1_TABLE + at / PAGE_SIZE * 8);

	if ((a.outcome == STRICT_DONE) != is_ram)
		complain(w, "L1 reaches what is not there, or not what is:", at);
	else if (is_ram && a.hpa != hpa_of(w->rig->l1->ram).a + (entry & PTE_ADDR) + (at & PAGE_MASK))
		complain(w, "stale translation of L1 for", at);
	if (a.outcome == STRICT_NPF) {
		l0_exit(w, VMEXIT_NPF, a.exitinfo1, a.exitinfo2);
		l0_enter(w);
	}
}

/* --- L2 --- */

/* What L1's nested table says now, read the plain way. */
static bool npt12_says(struct strict_world *w, uint64_t gpa, uint64_t access, uint64_t *at)
{
	struct fake_npt12 *table = &w->tables[w->table];
	bool nxe = w->rig->vmcb01->save.efer & EFER_NXE;
	uint64_t e;

	*at = gpa;
	if (w->table == TABLE_NONE)
		return true;
	if (w->pae)
		return false; /* entries made for long mode have reserved bits of the other format set */
	e = fake_npt12_read(table, fake_npt12_entry(table, gpa, 1));
	*at = (e & PTE_ADDR) | (gpa & PAGE_MASK);
	return (e & PTE_P) && (e & PTE_U) && (!(access & PF_W) || (e & PTE_W)) &&
	       (!(e & PTE_NX) || (nxe && !(access & PF_ID)));
}

static bool is_ram(struct strict_world *w, uint64_t at)
{
	return port_l1_ptr(w->rig->l1, l1pa(at), 1);
}

static enum strict_result expected(struct strict_world *w, unsigned page, uint64_t access, uint64_t *at)
{
	uint64_t e;

	if (!npt12_says(w, w->rig->vmcb02->save.cr3 + page * 8, PF_W, at))
		return L2_REFLECTED;
	if (!is_ram(w, *at))
		return L2_DEVICE;
	e = *fake_l1_u64(w->rig->l1, *at);
	if (!(e & PTE_P) || ((access & PF_W) && !(e & PTE_W)) || ((access & PF_ID) && (e & PTE_NX)))
		return L2_PAGE_FAULT;
	if (!npt12_says(w, e & PTE_ADDR, access, at))
		return L2_REFLECTED;
	return is_ram(w, *at) ? L2_DONE : L2_DEVICE;
}

/* An #NPF of L2, as svm/nested_glue.c and svm/exit_npf.c take it. True: L2 tries again. */
static bool l0_npf(struct strict_world *w, const struct strict_access *a, enum strict_result *result)
{
	struct nested *n = &w->rig->n;
	struct npt02_result r;

	*result = L2_DEVICE;
	l0_exit(w, VMEXIT_NPF, a->exitinfo1, a->exitinfo2);
	n->run_pending = false;
	if (!n->root)
		return false;
	r = npt02_fault(&n->npt02, n->root, w->rig->l1, l2pa(a->exitinfo2), a->exitinfo1);
	if (r.dropped && strict_removed != RULE_DROPPED)
		flush_on_entry(w->rig->vmcb02);
	if (r.verdict == NPT02_REFLECT)
		*result = L2_REFLECTED;
	return r.verdict == NPT02_FILLED;
}

static enum strict_result l2_access(struct strict_world *w, unsigned page, uint64_t access, uint64_t *hpa)
{
	enum strict_result result;

	for (unsigned faults = 0; faults < FAULTS_MAX; faults++) {
		struct strict_access a = strict_access(w->cpu, page * PAGE_SIZE, access);
		bool again;

		*hpa = a.hpa;
		if (a.outcome == STRICT_DONE)
			return L2_DONE;
		if (a.outcome == STRICT_PF)
			return L2_PAGE_FAULT;
		again = l0_npf(w, &a, &result);
		l0_enter(w); /* L2 goes on: a device has been served, a reflected fault is L1's to repair */
		if (!again)
			return result;
	}
	complain(w, "L2 faults for ever at page", page);
	return L2_DEVICE;
}

enum strict_result strict_l2(struct strict_world *w, unsigned page, uint64_t access)
{
	uint64_t at = 0, hpa = 0;
	enum strict_result want = expected(w, page, access, &at), got;

	CHECK(w->rig->n.in_l2);
	got = l2_access(w, page, access, &hpa);
	if (got != want)
		complain(w, "L2 gets what L1's tables do not say, at page", page);
	else if (got == L2_DONE && hpa != hpa_of(w->rig->l1->ram).a + at)
		complain(w, "stale translation of L2 for page", page);
	return got;
}

void strict_leave(struct strict_world *w)
{
	CHECK(w->rig->n.in_l2);
	l0_exit(w, VMEXIT_VMMCALL, 0, 0);
	w->rig->n.run_pending = false;
	exit_to_l1(w, VMEXIT_VMMCALL);
}

void strict_emulated_cr3(struct strict_world *w, uint32_t asid)
{
	l0_exit(w, VMEXIT_CR_WRITE(3), 0, 0);
	vmcb_set_cr3(w->rig->vmcb02, STRICT_GUEST_TABLE(asid));
	if (strict_removed != RULE_EMULATED_CR3)
		flush_on_entry(w->rig->vmcb02);
	l0_enter(w);
}

/* --- L0 --- */

void strict_take_page(struct strict_world *w, uint64_t at)
{
	struct vmcb *now = current(w);

	l0_exit(w, VMEXIT_INTR, 0, 0);
	npt01[NPT01_PAGES - 1][at / PAGE_SIZE] = 0;
	fake_l1_hole(w->rig->l1, at, PAGE_SIZE);
	npt02_drop_all(&w->rig->n.npt02);
	if (strict_removed != RULE_NPT01_L2) {
		tlb02_flush_all(&w->rig->n.tlb02);
		if (now == w->rig->vmcb02)
			flush_on_entry(now);
	}
	if (strict_removed != RULE_NPT01_L1)
		flush_on_entry(w->rig->vmcb01);
	l0_enter(w);
}

/* Whatever the other CPU keeps of the time when the vCPU was there last is old. */
void strict_move_to_cpu(struct strict_world *w, unsigned index)
{
	struct rig *rig = w->rig;

	l0_exit(w, VMEXIT_INTR, 0, 0);
	w->cpu = &w->cpus[index];
	if (strict_removed != RULE_OTHER_CPU_TLB) {
		tlb02_flush_all(&rig->n.tlb02);
		flush_on_entry(rig->vmcb01);
		flush_on_entry(rig->vmcb02);
	}
	if (strict_removed != RULE_OTHER_CPU_CLEAN)
		rig->vmcb01->control.clean = rig->vmcb02->control.clean = 0;
	l0_enter(w);
}
