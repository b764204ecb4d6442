/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz.c - see fuzz.h. A property that does not hold ends the program by CHECK, which libFuzzer reports. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>

#include "tests/fuzz/fuzz.h"

uint64_t input_bytes(struct input *in, unsigned count)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < count && !input_ended(in); i++)
		value |= (uint64_t)*in->next++ << (8 * i);
	return value;
}

/* --- L1 --- */

#define ALL_RIGHTS (PTE_P | PTE_W | PTE_U)
#define MAPPED_PAGES 16u

static void make_tables(struct rig *rig)
{
	struct fake_npt12 t = fake_npt12_new(rig->l1, 4, RIG_NPT12);

	for (uint64_t page = 0; page < MAPPED_PAGES; page++)
		fake_npt12_map(&t, page * PAGE_SIZE, 1,
			       (0x40000 + page * PAGE_SIZE) | ALL_RIGHTS | (page & 1 ? PTE_A : 0));
	fake_npt12_map(&t, SIZE_1G, 3, ALL_RIGHTS | PTE_PS);
}

static void set_mode(struct vmcb_save *l1, uint8_t mode)
{
	if (mode & 1)
		l1->efer &= ~(EFER_LME | EFER_LMA);
	if (mode & 2)
		l1->cr4 &= ~CR4_PAE;
	if (mode & 4)
		l1->efer &= ~EFER_NXE;
	if (mode & 8)
		l1->cr4 |= CR4_PSE;
	if (mode & 16)
		l1->cr4 |= CR4_SMEP;
	if (mode & 32)
		l1->cr0 &= ~CR0_PG;
}

/* One rig for all inputs: making a new one takes longer than all that is done with it. */
struct rig *fuzz_rig(struct input *in, uint8_t poison)
{
	static struct rig *rig;
	uint32_t features = ~(uint32_t)input_bytes(in, 4);
	uint8_t flags;

	if (!rig)
		rig = rig_new(features, poison);
	rig->l1->hole_count = 0;
	memset(rig->l1->ram, 0, RIG_RAM);
	rig_reset(rig, features, poison);
	set_mode(&rig->vmcb01->save, (uint8_t)input_bytes(in, 1));
	flags = (uint8_t)input_bytes(in, 1);
	rig->n.gif = flags & 1;
	rig->n.caps.hw_flush_by_asid = flags & 2;
	for (unsigned i = 0; i < 3; i++)
		rig_legal(rig, RIG_VMCB12 + i * PAGE_SIZE);
	make_tables(rig);
	return rig;
}

/* Where words of L1's memory matter. */
static const struct {
	uint64_t start, size;
} places[] = {
	{RIG_VMCB12, PAGE_SIZE},        {RIG_VMCB12, sizeof(struct vmcb_control)},
	{RIG_VMCB12 + 0x400, 0x2A0},    {RIG_VMCB12 + PAGE_SIZE, PAGE_SIZE},
	{RIG_MSRPM12, MSRPM_SIZE},      {RIG_IOPM12, IOPM_SIZE},
	{RIG_L2_CR3, 64},               {RIG_NPT12, 64},
	{RIG_NPT12 + PAGE_SIZE, 64},    {RIG_NPT12 + 2 * PAGE_SIZE, 64},
	{RIG_NPT12 + 3 * PAGE_SIZE, 256}, {RIG_NPT12, 4 * PAGE_SIZE},
	{0, RIG_RAM},                     {SMBASE_RESET + SMRAM_SAVE_OFFSET, sizeof(struct smram_save)},
};

void fuzz_patch(struct rig *rig, struct input *in, unsigned count)
{
	for (unsigned i = 0; i < count && !input_ended(in); i++) {
		uint8_t kind = (uint8_t)input_bytes(in, 1);
		uint64_t at = input_bytes(in, 2) * (kind & 0x80 ? 8 : 1);
		unsigned place = (kind & 0xF) % ARRAY_COUNT(places), bytes = 1u << (kind >> 4 & 3);
		uint64_t value = input_bytes(in, bytes);
		uint8_t *to = rig->l1->ram + places[place].start + at % places[place].size;

		if (kind & 0x40)
			*to ^= (uint8_t)value;
		else
			memcpy(to, &value, min_u64(bytes, (uint64_t)(rig->l1->ram + RIG_RAM - to)));
	}
}

/* --- properties --- */

static bool is_ours(const struct rig *rig, uint64_t table)
{
	uint64_t first = hpa_of(rig->pages->pool).a;

	return table == rig->in.npt01_root.a ||
	       (table >= first && table < first + NPT02_ROOTS * PAGE_SIZE && !(table & PAGE_MASK));
}

static bool pat_exists(uint64_t pat)
{
	for (unsigned i = 0; i < 8; i++, pat >>= 8)
		if ((pat & 0xFF) > 7 || (pat & 0xFE) == 2)
			return false;
	return true;
}

static bool event_exists(uint64_t event, bool in_64bit)
{
	unsigned type = (unsigned)(event >> 8 & 7), vector = (unsigned)(event & 0xFF);

	if (!(event & EVENT_V) || type == 0 || type == 2 || type == 4)
		return true;
	return type == 3 && vector < 32 && vector != 2 && !((vector == 4 || vector == 5) && in_64bit);
}

/* What the CPU checks, written down a second time from the list in APM2 15.5.1; it has the features of L1's. */
static void check_hardware_accepts(const struct rig *rig)
{
	const struct vmcb_save *s = &rig->vmcb02->save;
	const struct vmcb_control *c = &rig->vmcb02->control;
	bool long_mode = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);

	CHECK((s->efer & EFER_SVME) && !(s->efer & rig->n.caps.efer_mbz) && !(s->cr4 & rig->n.caps.cr4_mbz));
	CHECK(!(s->cr0 >> 32 || s->dr6 >> 32 || s->dr7 >> 32 || s->cr3 >> 40));
	CHECK(!(s->cr0 & CR0_NW) || (s->cr0 & CR0_CD));
	CHECK(!long_mode || ((s->cr4 & CR4_PAE) && (s->cr0 & CR0_PE)));
	CHECK(!long_mode || (s->cs.attr & (SEG_L | SEG_D)) != (SEG_L | SEG_D));
	CHECK(pat_exists(s->g_pat));
	CHECK(event_exists(c->eventinj, long_mode && (s->cs.attr & SEG_L)));
	CHECK((c->intercept[ICPT_MISC2] & ICPT2_VMRUN) && c->asid);
}

void fuzz_check_vmcb02(const struct rig *rig)
{
	const struct vmcb_control *c = &rig->vmcb02->control;

	for (unsigned i = 0; i < ICPT_COUNT; i++)
		CHECK((c->intercept[i] & rig_intercepts[i]) == rig_intercepts[i]);
	CHECK(c->intercept[ICPT_CR] & BIT32(24));
	CHECK(c->iopm_base == rig->in.iopm.a && c->msrpm_base == rig->in.msrpm02.a);
	CHECK(c->misc == (rig->n.root ? MISC_NP | (rig->n.snap.control.misc & MISC_GMET) : MISC_NP));
	CHECK(!(c->misc & MISC_GMET) || (rig->n.caps.features & SVM_FEAT_GMET));
	CHECK(c->misc2 == 0 && is_ours(rig, c->ncr3));
	CHECK((c->v_intr & ~V_INTR_TPR) == V_INTR_MASKING);
	CHECK(c->asid >= RIG_ASID_FIRST && c->asid < RIG_ASID_FIRST + RIG_ASID_COUNT);
	CHECK(!(c->clean & ~CLEAN_ALL) && !(c->int_shadow & ~INT_SHADOW_ACTIVE));
	CHECK(c->tlb_control == TLB_CONTROL_NONE || c->tlb_control == TLB_CONTROL_ALL || rig->n.caps.hw_flush_by_asid);
	CHECK(c->pause_count == 0 && c->avic_bar == 0 && c->ghcb == 0 && c->vmsa == 0 && c->bus_lock_count == 0);
	check_hardware_accepts(rig);
}

static void check_table(const struct rig *rig, uint64_t at, unsigned level)
{
	const uint64_t *table = hpa_ptr(hpa(at));
	uint64_t pool = hpa_of(rig->pages->pool).a, ram = hpa_of(rig->l1->ram).a;

	for (unsigned i = 0; i < 512; i++) {
		uint64_t e = table[i], to = e & PTE_ADDR;

		if (!(e & PTE_P))
			continue;
		if (level > 1 && !(e & PTE_PS)) {
			CHECK(to >= pool + NPT02_ROOTS * PAGE_SIZE && to < pool + RIG_POOL_PAGES * PAGE_SIZE);
			check_table(rig, to, level - 1);
		} else {
			CHECK(level == 1 && to >= ram && to < ram + RIG_RAM);
		}
	}
}

void fuzz_check_shadow(const struct rig *rig)
{
	for (unsigned i = 0; i < rig->n.npt02.used; i++)
		check_table(rig, rig->n.npt02.roots[i].table.a, 4);
}

void fuzz_check_ram(const struct rig *rig, const uint8_t *copy, uint64_t start, uint64_t size)
{
	CHECK(memcmp(copy, rig->l1->ram, start) == 0);
	CHECK(memcmp(copy + start + size, rig->l1->ram + start + size, RIG_RAM - start - size) == 0);
}
