/* SPDX-License-Identifier: MIT */
/* tests/unit/strict_cpu.c - see strict_cpu.h. */
#include <stdio.h>
#include <string.h>

#include <amd/cpu.h>
#include <amd/npt.h>
#include <check.h>

#include "tests/unit/strict_cpu.h"

#define NPT_LEVELS 4

static void complain(struct strict_cpu *cpu, const char *what, unsigned long long detail)
{
	if (!cpu->complaint[0])
		snprintf(cpu->complaint, sizeof(cpu->complaint), "%s %llx", what, detail);
}

/* --- VMCB fields and their clean bits (APM2 15.15.3) --- */

#define FIELD(bit, name) {bit, offsetof(struct vmcb, name), sizeof(((struct vmcb *)0)->name)}

static const struct {
	uint32_t bit;
	size_t offset, size;
} cached_fields[] = {
	FIELD(CLEAN_I, control.intercept), FIELD(CLEAN_I, control.pause_threshold),
	FIELD(CLEAN_I, control.pause_count), FIELD(CLEAN_I, control.tsc_offset),
	FIELD(CLEAN_IOPM, control.iopm_base), FIELD(CLEAN_IOPM, control.msrpm_base),
	FIELD(CLEAN_ASID, control.asid), FIELD(CLEAN_TPR, control.v_intr),
	FIELD(CLEAN_NP, control.misc), FIELD(CLEAN_NP, control.ncr3), FIELD(CLEAN_NP, save.g_pat),
	FIELD(CLEAN_CRX, save.cr0), FIELD(CLEAN_CRX, save.cr3), FIELD(CLEAN_CRX, save.cr4), FIELD(CLEAN_CRX, save.efer),
	FIELD(CLEAN_DRX, save.dr6), FIELD(CLEAN_DRX, save.dr7),
	FIELD(CLEAN_DT, save.gdtr), FIELD(CLEAN_DT, save.idtr),
	FIELD(CLEAN_SEG, save.es), FIELD(CLEAN_SEG, save.cs), FIELD(CLEAN_SEG, save.ss), FIELD(CLEAN_SEG, save.ds),
	FIELD(CLEAN_SEG, save.cpl), FIELD(CLEAN_CR2, save.cr2),
	FIELD(CLEAN_LBR, save.dbgctl), FIELD(CLEAN_LBR, save.br_from), FIELD(CLEAN_LBR, save.br_to),
	FIELD(CLEAN_LBR, save.lastexcp_from), FIELD(CLEAN_LBR, save.lastexcp_to),
	FIELD(CLEAN_AVIC, control.avic_bar), FIELD(CLEAN_AVIC, control.avic_backing),
	FIELD(CLEAN_AVIC, control.avic_logical), FIELD(CLEAN_AVIC, control.avic_physical),
	FIELD(CLEAN_CET, save.s_cet), FIELD(CLEAN_CET, save.ssp), FIELD(CLEAN_CET, save.isst_addr),
};

/* The kept image of this VMCB; *known tells whether there was one. */
static struct vmcb *kept_image(struct strict_cpu *cpu, const struct vmcb *vmcb, bool *known)
{
	for (unsigned i = 0; i < STRICT_VMCBS; i++) {
		*known = cpu->kept[i].at == vmcb;
		if (*known || !cpu->kept[i].at) {
			cpu->kept[i].at = vmcb;
			return &cpu->kept[i].image;
		}
	}
	CHECK(!"more VMCBs than the model keeps");
	return NULL;
}

static void load_fields(struct strict_cpu *cpu, const struct vmcb *vmcb)
{
	uint32_t clean = vmcb->control.clean;
	bool known;
	struct vmcb *image = kept_image(cpu, vmcb, &known);

	cpu->live = *vmcb;
	if (!known && clean)
		complain(cpu, "clean bits of a VMCB never run here:", clean);
	for (size_t i = 0; known && i < ARRAY_COUNT(cached_fields); i++) {
		size_t at = cached_fields[i].offset, size = cached_fields[i].size;

		if (!(clean & cached_fields[i].bit))
			continue;
		if (memcmp((const uint8_t *)image + at, (const uint8_t *)vmcb + at, size))
			complain(cpu, "stale VMCB field at", at);
		memcpy((uint8_t *)&cpu->live + at, (const uint8_t *)image + at, size);
	}
	*image = cpu->live;
}

/* --- translations --- */

static void tlb_drop(struct strict_cpu *cpu, unsigned i)
{
	cpu->tlb[i] = cpu->tlb[--cpu->tlb_count];
}

static void tlb_flush(struct strict_cpu *cpu, bool all_asids, bool globals)
{
	for (unsigned i = cpu->tlb_count; i-- > 0;) {
		const struct strict_entry *e = &cpu->tlb[i];

		if ((all_asids || e->asid == cpu->live.control.asid) && (globals || !e->global))
			tlb_drop(cpu, i);
	}
	cpu->flushes++;
}

static struct strict_entry *tlb_find(struct strict_cpu *cpu, unsigned level, uint64_t from)
{
	for (unsigned i = 0; i < cpu->tlb_count; i++) {
		struct strict_entry *e = &cpu->tlb[i];

		if (e->asid == cpu->live.control.asid && e->level == level && e->from == from)
			return e;
	}
	return NULL;
}

static void tlb_keep(struct strict_cpu *cpu, struct strict_entry e)
{
	CHECK(cpu->tlb_count < STRICT_TLB);
	e.asid = cpu->live.control.asid;
	cpu->tlb[cpu->tlb_count++] = e;
}

/* --- the nested walk --- */

struct nested_walk {
	bool ok;
	uint64_t to, error;
	bool writable, executable;
};

static uint64_t covered(uint64_t gpa, unsigned level)
{
	return align_down(gpa, BIT(12 + 9 * (level - 1)));
}

/* Where to begin: at the lowest table that is still kept, however old. */
static uint64_t first_table(struct strict_cpu *cpu, uint64_t gpa, unsigned *level)
{
	for (unsigned above = 2; above <= NPT_LEVELS; above++) {
		const struct strict_entry *e = tlb_find(cpu, above, covered(gpa, above));

		if (e) {
			*level = above - 1;
			return e->to;
		}
	}
	*level = NPT_LEVELS;
	return cpu->live.control.ncr3 & PTE_ADDR;
}

/* Tables of these nested page tables allow everything, so that keeping one keeps no rights. */
static struct nested_walk nested_tables(struct strict_cpu *cpu, uint64_t gpa, uint64_t access)
{
	unsigned level;
	uint64_t table = first_table(cpu, gpa, &level), e;
	struct nested_walk w = {.error = PF_U | access};

	for (;; level--) {
		e = ((const uint64_t *)hpa_ptr(hpa(table)))[gpa >> (12 + 9 * (level - 1)) & 511];
		if (!(e & PTE_P))
			return w;
		if (level == 1 || (e & PTE_PS))
			break;
		table = e & PTE_ADDR;
		tlb_keep(cpu, (struct strict_entry){
				      .level = level, .from = covered(gpa, level), .to = table, .global = true});
	}
	w.error |= PF_P;
	w.writable = e & PTE_W;
	w.executable = !(e & PTE_NX);
	w.ok = (!(access & PF_W) || w.writable) && (!(access & PF_ID) || w.executable);
	w.to = (e & PTE_ADDR) + (gpa - covered(gpa, level));
	return w;
}

static bool allows(const struct strict_entry *e, uint64_t access)
{
	return (!(access & PF_W) || e->writable) && (!(access & PF_ID) || e->executable);
}

/* Of guest-physical pages the CPU keeps what it found, too. */
static struct nested_walk nested_walk(struct strict_cpu *cpu, uint64_t gpa, uint64_t access)
{
	struct strict_entry *e = tlb_find(cpu, 1, covered(gpa, 1));
	struct nested_walk w;

	if (e && allows(e, access))
		return (struct nested_walk){.ok = true, .to = e->to + (gpa & PAGE_MASK), .writable = e->writable,
					    .executable = e->executable};
	if (e)
		tlb_drop(cpu, (unsigned)(e - cpu->tlb));
	w = nested_tables(cpu, gpa, access);
	if (w.ok)
		tlb_keep(cpu, (struct strict_entry){.level = 1, .from = covered(gpa, 1), .global = true,
						    .to = align_down(w.to, PAGE_SIZE), .writable = w.writable,
						    .executable = w.executable});
	return w;
}

static struct strict_access npf(const struct nested_walk *w, uint64_t stage, uint64_t gpa)
{
	return (struct strict_access){.outcome = STRICT_NPF, .exitinfo1 = w->error | stage, .exitinfo2 = gpa};
}

/* --- one access --- */

/* Walks the guest's table and ours; keeps what it finds. */
static struct strict_access walk(struct strict_cpu *cpu, uint64_t gva, uint64_t access)
{
	uint64_t entry_at = align_down(cpu->live.save.cr3, PAGE_SIZE) + gva / PAGE_SIZE % STRICT_GUEST_PAGES * 8;
	struct nested_walk w = nested_walk(cpu, entry_at, PF_W); /* table accesses are writes (APM2 15.25.5) */
	struct strict_entry final = {.from = align_down(gva, PAGE_SIZE)};
	uint64_t e, gpa;

	if (!w.ok)
		return npf(&w, NPF_WALK, entry_at);
	e = *(const uint64_t *)hpa_ptr(hpa(w.to));
	if (!(e & PTE_P) || ((access & PF_W) && !(e & PTE_W)) || ((access & PF_ID) && (e & PTE_NX)))
		return (struct strict_access){.outcome = STRICT_PF};
	gpa = (e & PTE_ADDR) | (gva & PAGE_MASK);
	w = nested_walk(cpu, gpa, access);
	if (!w.ok)
		return npf(&w, NPF_FINAL, gpa);
	final.to = align_down(w.to, PAGE_SIZE);
	final.writable = w.writable && (e & PTE_W);
	final.executable = w.executable && !(e & PTE_NX);
	final.global = e & PTE_G;
	tlb_keep(cpu, final);
	return (struct strict_access){.outcome = STRICT_DONE, .hpa = w.to};
}

/* What is kept and allows the access is used. What does not allow it goes, and the tables decide (APM2 5.5.2). */
struct strict_access strict_access(struct strict_cpu *cpu, uint64_t gva, uint64_t access)
{
	struct strict_entry *e = tlb_find(cpu, 0, align_down(gva, PAGE_SIZE));

	CHECK(cpu->current);
	if (e && allows(e, access)) {
		cpu->hits++;
		return (struct strict_access){.outcome = STRICT_DONE, .hpa = e->to + (gva & PAGE_MASK)};
	}
	if (e)
		tlb_drop(cpu, (unsigned)(e - cpu->tlb));
	return walk(cpu, gva, access);
}

void strict_mov_cr3(struct strict_cpu *cpu, uint64_t cr3)
{
	cpu->live.save.cr3 = cr3;
	tlb_flush(cpu, false, false);
}

/* --- VMRUN and #VMEXIT: neither flushes by itself (APM2 15.16) --- */

void strict_vmrun(struct strict_cpu *cpu, struct vmcb *vmcb)
{
	CHECK(!cpu->current);
	load_fields(cpu, vmcb);
	cpu->current = vmcb;
	if (!cpu->live.control.asid)
		complain(cpu, "ASID of the host", 0);
	if (cpu->only_flush_all && vmcb->control.tlb_control > TLB_CONTROL_ALL)
		complain(cpu, "TLB_CONTROL that this CPU does not know", vmcb->control.tlb_control);
	switch (vmcb->control.tlb_control) {
	case TLB_CONTROL_NONE: break;
	case TLB_CONTROL_ALL: tlb_flush(cpu, true, true); break;
	case TLB_CONTROL_ASID: tlb_flush(cpu, false, true); break;
	case TLB_CONTROL_ASID_NON_GLOBAL: tlb_flush(cpu, false, false); break;
	default: complain(cpu, "reserved TLB_CONTROL", vmcb->control.tlb_control);
	}
}

void strict_vmexit(struct strict_cpu *cpu, uint64_t code, uint64_t info1, uint64_t info2)
{
	struct vmcb_control *c = &cpu->current->control;
	bool known;

	CHECK(cpu->current);
	cpu->current->save = cpu->live.save;
	c->v_intr = cpu->live.control.v_intr;
	c->int_shadow = cpu->live.control.int_shadow;
	c->exitcode = code;
	c->exitinfo1 = info1;
	c->exitinfo2 = info2;
	c->exitintinfo = 0;
	c->eventinj = 0;
	*kept_image(cpu, cpu->current, &known) = cpu->live;
	cpu->current = NULL;
}
