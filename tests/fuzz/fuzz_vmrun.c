/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_vmrun.c - any VMCB12 in any memory: VMRUN is refused and changes nothing but what it must, or VMCB02
 * is fit to run, the same over 00h and A5h bytes, and the same again after a full exit. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/exitcode.h>

#include "nested/merge.h"
#include "tests/fuzz/fuzz.h"

static ALIGNED(4096) uint8_t ram[RIG_RAM];

/* What the CPU may be handed differently each time: tags, flushes, clean bits, events, exit fields. */
static struct vmcb lasting(const struct vmcb *vmcb02)
{
	struct vmcb v = *vmcb02;
	struct vmcb_control *c = &v.control;

	c->asid = 0;
	c->tlb_control = 0;
	c->clean = 0;
	c->iopm_base = c->msrpm_base = c->ncr3 = c->nrip = c->eventinj = 0;
	c->exitcode = c->exitinfo1 = c->exitinfo2 = c->exitintinfo = 0;
	return v;
}

/* A page of the rig as it was before. */
static const struct vmcb *same_page(const struct rig *rig, const struct rig_pages *before, const struct vmcb *page)
{
	return (const struct vmcb *)((const uint8_t *)before + ((const uint8_t *)page - (const uint8_t *)rig->pages));
}

static void check_refused(struct rig *rig, const struct rig_pages *before)
{
	struct vmcb spare = *same_page(rig, before, rig->spare);
	const struct vmcb *vmcb12 = rig_vmcb12(rig, RIG_VMCB12);
	struct vmcb *copy = (struct vmcb *)(ram + RIG_VMCB12);

	copy->control.exitcode = UINT64_MAX;
	copy->control.exitinfo1 = copy->control.exitinfo2 = copy->control.eventinj = 0;
	CHECK(memcmp(copy, vmcb12, sizeof(*copy)) == 0);
	fuzz_check_ram(rig, ram, RIG_VMCB12, PAGE_SIZE);
	CHECK(!rig->n.gif && !rig->n.in_l2 && rig->n.last_refusal != REASON_NONE);
	CHECK(memcmp(same_page(rig, before, rig->vmcb02), rig->vmcb02, sizeof(struct vmcb)) == 0);
	if (rig->n.last_refusal != REASON_VMCB_UNBACKED) /* the state that was judged, and no other byte */
		vmcb_copy_state(&spare.save, &vmcb12->save);
	CHECK(memcmp(&spare, rig->spare, sizeof(spare)) == 0);
	CHECK(memcmp(before->msrpm01, rig->pages->msrpm01, sizeof(*before) - offsetof(struct rig_pages, msrpm01)) == 0);
	CHECK(rig->vmcb01->save.dr7 == DR7_FIXED);
}

/* L2 changes what a VMRUN may find in it without being refused. */
static void l2_runs(struct vmcb *vmcb02)
{
	struct vmcb_save *s = &vmcb02->save;

	s->es.base++, s->cs.base++, s->ss.base++, s->ds.base++;
	s->gdtr.base++, s->gdtr.limit++, s->idtr.base++, s->idtr.limit++;
	s->cpl ^= 3;
	s->cr0 ^= CR0_TS;
	s->cr2++, s->rip++, s->rsp++, s->rax++;
	s->cr4 ^= CR4_PGE;
	s->rflags ^= RFLAGS_IF;
	s->dr6 ^= 1, s->dr7 ^= 1;
	vmcb02->control.int_shadow ^= INT_SHADOW_ACTIVE;
}

/* A soft event moves RIP; the CPU has delivered it when L2 exits later. */
static void check_there_and_back(struct rig *rig)
{
	struct vmcb ran, again;

	l2_runs(rig->vmcb02);
	ran = lasting(rig->vmcb02);
	CHECK(rig_exit(rig, VMEXIT_VMMCALL));
	fuzz_check_ram(rig, ram, RIG_VMCB12, PAGE_SIZE);
	CHECK(!rig->n.gif && !rig->n.in_l2);
	CHECK(rig_vmcb12(rig, RIG_VMCB12)->control.eventinj == 0);
	if (rig_vmrun(rig, RIG_VMCB12 + PAGE_SIZE) == VMRUN_ENTERED) { /* another L2 in between */
		l2_runs(rig->vmcb02);
		CHECK(rig_exit(rig, VMEXIT_VMMCALL));
	}
	CHECK(rig_vmrun(rig, RIG_VMCB12) == VMRUN_ENTERED);
	fuzz_check_vmcb02(rig);
	again = lasting(rig->vmcb02);
	CHECK(memcmp(&ran, &again, sizeof(ran)) == 0);
}

/* The whole input once more, over other bytes. */
static struct rig *perform(const uint8_t *data, size_t size, uint8_t poison, enum vmrun_outcome *outcome,
			   struct rig_pages *before)
{
	struct input in = {data, data + size};
	struct rig *rig = fuzz_rig(&in, poison);

	fuzz_patch(rig, &in, 256);
	memcpy(ram, rig->l1->ram, RIG_RAM);
	*before = *rig->pages;
	*outcome = rig_vmrun(rig, RIG_VMCB12);
	return rig;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig_pages before;
	enum vmrun_outcome outcome, again;
	struct rig *rig = perform(data, size, 0xA5, &again, &before);
	struct vmcb over_a5 = lasting(rig->vmcb02), over_00;

	rig = perform(data, size, 0x00, &outcome, &before);
	CHECK(outcome == again && outcome != VMRUN_UNDECIDED);
	over_00 = lasting(rig->vmcb02);
	if (outcome == VMRUN_REFUSED) {
		check_refused(rig, &before);
	} else {
		CHECK(memcmp(&over_00, &over_a5, sizeof(over_00)) == 0);
		fuzz_check_ram(rig, ram, 0, 0);
		fuzz_check_vmcb02(rig);
		check_there_and_back(rig);
	}
	return 0;
}
