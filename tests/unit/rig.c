/* SPDX-License-Identifier: MIT */
/* tests/unit/rig.c - see rig.h. */
#include <stdlib.h>
#include <string.h>

#include <amd/cpu.h>
#include <amd/msr.h>
#include <check.h>

#include "nested/check_rules.h"
#include "tests/unit/rig.h"

const uint32_t rig_intercepts[ICPT_COUNT] = {
	[ICPT_CR] = BIT32(0) | BIT32(16) | BIT32(20), [ICPT_DR] = BIT32(7), [ICPT_EXCP] = BIT32(VEC_MC),
	[ICPT_MISC1] = ICPT1_INTR | ICPT1_NMI | ICPT1_IOIO | ICPT1_MSR | ICPT1_SHUTDOWN,
	[ICPT_MISC2] = ICPT2_VMRUN | ICPT2_VMLOAD | ICPT2_VMSAVE | ICPT2_STGI | ICPT2_CLGI,
	[ICPT_MISC3] = ICPT3_MCOMMIT,
};

static struct nested_caps rig_caps(uint32_t features)
{
	struct nested_caps caps = {
		.features = features,
		.asid_count = 8,
		.phys_mbz = BITS(63, 40),
		.pdpte_mbz = PDPTE_MBZ | BITS(63, 40),
		.cr4_mbz = ~(BITS(11, 0) | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP),
		.efer_mbz = ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSR),
		.pages_1g = true,
		.hw_flush_by_asid = true,
	};

	for (unsigned i = 0; i < ICPT_COUNT; i++)
		caps.intercepts[i] = UINT32_MAX;
	return caps;
}

/* L1 as it executes VMRUN. */
static void init_vmcb01(struct vmcb *vmcb01)
{
	struct vmcb_save *s = &vmcb01->save;

	vmcb01->control.tsc_offset = 0x1000;
	s->efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	s->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET;
	s->cr4 = CR4_PAE | CR4_PGE;
	s->cr3 = 0x3000;
	s->rflags = RFLAGS_FIXED | RFLAGS_IF;
	s->dr6 = DR6_FIXED;
	s->dr7 = DR7_FIXED;
	s->cpl = 0;
	s->cs.attr = SEG_L | SEG_P | SEG_S;
	s->rip = 0x1003;
	s->g_pat = PAT_RESET;
	s->dbgctl = 0;
}

void rig_reset(struct rig *rig, uint32_t features, uint8_t poison)
{
	struct nested_caps caps = rig_caps(features);

	memset(rig->pages, 0, sizeof(*rig->pages));
	memset(rig->vmcb01, poison, sizeof(*rig->vmcb01));
	memset(rig->vmcb02, poison, sizeof(*rig->vmcb02));
	memset(rig->spare, poison, sizeof(*rig->spare));
	memset(rig->pages->msrpm01, 0xFF, MSRPM_SIZE);
	memset(rig->pages->msrpm02, 0xFF, MSRPM_SIZE);
	memset(rig->pages->iopm01, 0xFF, IOPM_SIZE);
	init_vmcb01(rig->vmcb01);
	nested_init(&rig->n, &caps, rig->pages->pool, RIG_POOL_PAGES, RIG_ASID_FIRST, RIG_ASID_COUNT);
	rig->n.svme = true;
	rig->in = (struct vmcb02_inputs){
		.iopm = hpa_of(rig->pages->iopm01),
		.msrpm01 = rig->pages->msrpm01,
		.msrpm02 = hpa_of(rig->pages->msrpm02),
		.npt01_root = hpa_of(rig->pages->npt01),
	};
	memcpy(rig->in.intercepts, rig_intercepts, sizeof(rig_intercepts));
}

struct rig *rig_new(uint32_t features, uint8_t poison)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->l1 = fake_l1_new(RIG_RAM);
	rig->pages = aligned_alloc(PAGE_SIZE, sizeof(*rig->pages));
	rig->vmcb01 = &rig->pages->vmcb01;
	rig->vmcb02 = &rig->pages->vmcb02;
	rig->spare = &rig->pages->spare;
	rig_reset(rig, features, poison);
	return rig;
}

void rig_free(struct rig *rig)
{
	fake_l1_free(rig->l1);
	free(rig->pages);
	free(rig);
}

struct vmcb *rig_vmcb12(struct rig *rig, uint64_t at)
{
	CHECK(at + sizeof(struct vmcb) <= rig->l1->ram_size);
	return (struct vmcb *)(rig->l1->ram + at);
}

struct vmcb *rig_legal(struct rig *rig, uint64_t at)
{
	struct vmcb *vmcb12 = rig_vmcb12(rig, at);

	memset(vmcb12, 0, sizeof(*vmcb12));
	vmcb12->control.intercept[ICPT_MISC1] = ICPT1_MSR | ICPT1_IOIO;
	vmcb12->control.intercept[ICPT_MISC2] = ICPT2_VMRUN | ICPT2_VMMCALL;
	vmcb12->control.asid = 1;
	vmcb12->control.misc = MISC_NP;
	vmcb12->control.ncr3 = RIG_NPT12;
	vmcb12->control.msrpm_base = RIG_MSRPM12;
	vmcb12->control.iopm_base = RIG_IOPM12;
	vmcb12->save.efer = EFER_SVME | EFER_LME | EFER_LMA;
	vmcb12->save.cr0 = CR0_PE | CR0_PG | CR0_WP;
	vmcb12->save.cr3 = RIG_L2_CR3;
	vmcb12->save.cr4 = CR4_PAE;
	vmcb12->save.dr6 = DR6_FIXED;
	vmcb12->save.dr7 = DR7_FIXED;
	vmcb12->save.cs.attr = SEG_L | SEG_P | SEG_S;
	vmcb12->save.rflags = RFLAGS_FIXED;
	vmcb12->save.rip = 0x7000;
	vmcb12->save.g_pat = PAT_RESET;
	return vmcb12;
}

/* What VMRUN found usual passes each rule (nested/check_usual.h). Bits that VMCB02 has set besides are in none. */
static bool usual_is_legal(const struct rig *rig)
{
	struct vmcb12 copy = {.control = rig->n.snap.control, .save = rig->vmcb02->save};
	const struct vmcb_control *c = &copy.control;

	return !check_control(&copy, &rig->n.caps, (rig->vmcb01->save.cr0 & CR0_PG) != 0) &&
	       !check_state(&copy, &rig->n.caps) && !check_wants_pdptes(&copy) &&
	       (!(c->intercept[ICPT_MISC1] & ICPT1_MSR) || port_l1_ptr(rig->l1, l1pa(c->msrpm_base), MSRPM_SIZE));
}

enum vmrun_outcome rig_vmrun(struct rig *rig, uint64_t at)
{
	enum vmrun_outcome outcome = nested_vmrun(&rig->n, rig->l1, l1pa(at), &rig->in, rig->vmcb01, &rig->pages02);

	CHECK(outcome != VMRUN_ENTERED || !rig->n.usual || usual_is_legal(rig));
	return outcome;
}

void rig_enter(struct rig *rig, uint64_t at)
{
	enum vmrun_outcome outcome = rig_vmrun(rig, at);

	CHECK(outcome == VMRUN_ENTERED);
}

/* As svm/exit.c and svm/nested_glue.c do. */
bool rig_exit(struct rig *rig, uint64_t code)
{
	struct nested_exit exit = {.code = code};

	rig->vmcb02->control.exitcode = code;
	rig->vmcb02->control.clean = CLEAN_ALL;
	rig->vmcb02->control.tlb_control = TLB_CONTROL_NONE;
	rig->vmcb02->control.eventinj = 0;
	rig->n.run_pending = false;
	return nested_exit_full(&rig->n, rig->l1, &exit, rig->vmcb01, rig->vmcb02);
}
