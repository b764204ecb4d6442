/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_vmcb12.c - the copy of VMCB12: which bits get into it, with which features; L1's page itself stays as
 * it is. And there and back: a full exit and a VMRUN without a change in between lead to the same VMCB02. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/msr.h>

#include "nested/merge.h"
#include "tests/unit/rig.h"

static struct rig *rig;

static int setup(void **state)
{
	(void)state;
	rig = rig_new(RIG_FEATURES, 0x00);
	srand(3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(rig);
	return 0;
}

/* --- sanitising --- */

#define V_INTR_ALWAYS (BITS(39, 32) | BIT(24) | BIT(20) | BITS(19, 16) | BIT(8) | BITS(3, 0))

/* A field of the copy, and which of its bits may be set when L1 was offered `feature`, or without it. */
struct field {
	size_t offset, size;
	uint64_t bits;
	uint32_t feature;
	uint64_t bits_without;
};

#define WHOLE(name) {offsetof(struct vmcb, name), sizeof(((struct vmcb *)0)->name), UINT64_MAX, 0, 0}
#define SOME(name, bits) {offsetof(struct vmcb, name), sizeof(((struct vmcb *)0)->name), bits, 0, 0}

static const struct field fields[] = {
	WHOLE(control.tsc_offset),
	WHOLE(control.asid),
	WHOLE(control.ncr3),
	WHOLE(control.nrip),
	SOME(control.iopm_base, ~PAGE_MASK),
	SOME(control.msrpm_base, ~PAGE_MASK),
	SOME(control.tlb_control, 7),
	SOME(control.int_shadow, 1),
	SOME(control.eventinj, ~BITS(30, 12)),
	{offsetof(struct vmcb, control.pause_threshold), 2, UINT64_MAX, SVM_FEAT_PAUSE_THRESHOLD, 0},
	{offsetof(struct vmcb, control.pause_count), 2, UINT64_MAX, SVM_FEAT_PAUSE_FILTER, 0},
	{offsetof(struct vmcb, control.misc), 8, MISC_NP | MISC_GMET, SVM_FEAT_NP | SVM_FEAT_GMET, 0},
	{offsetof(struct vmcb, control.misc2), 8, MISC2_VLS | MISC2_LBR, SVM_FEAT_VLS | SVM_FEAT_LBR_VIRT, 0},
	{offsetof(struct vmcb, control.v_intr), 8, V_INTR_ALWAYS | BIT(9) | BIT(25) | BIT(11) | BIT(12) | BIT(26),
	 SVM_FEAT_VGIF | SVM_FEAT_VNMI, V_INTR_ALWAYS},
	WHOLE(save.es), WHOLE(save.cs), WHOLE(save.ss), WHOLE(save.ds), WHOLE(save.gdtr.limit),
	WHOLE(save.gdtr.base), WHOLE(save.idtr.limit), WHOLE(save.idtr.base), WHOLE(save.cpl), WHOLE(save.efer),
	WHOLE(save.cr4), WHOLE(save.cr3), WHOLE(save.cr0), WHOLE(save.dr7), WHOLE(save.dr6), WHOLE(save.rflags),
	WHOLE(save.rip), WHOLE(save.rsp), WHOLE(save.rax), WHOLE(save.cr2), WHOLE(save.g_pat),
};

/* struct vmcb12 holds the areas at the same distances as struct vmcb. */
_Static_assert(offsetof(struct vmcb12, save) == offsetof(struct vmcb, save), "fields[] serves both");

static uint8_t expected(const struct field *f, size_t byte, uint32_t features)
{
	uint64_t bits = (features & f->feature) == f->feature ? f->bits : f->bits_without;

	return (uint8_t)(bits >> (byte % 8 * 8));
}

static void assert_field_of_ones(const struct field *f, uint32_t features)
{
	for (size_t i = 0; i < f->size; i++) {
		const uint8_t *copy = (const uint8_t *)&rig->n.snap + f->offset;

		if (copy[i] != expected(f, i, features))
			fail_msg("features %x, VMCB12 byte %03zX of ones: %02x in the copy", features, f->offset + i,
				 copy[i]);
	}
}

/* Each bit of each field on its own: all ones into the copy, and all ones but one field into it. */
static void bits_that_get_into_the_copy(void **state)
{
	static const uint32_t features[] = {RIG_FEATURES, RIG_FEATURES & ~(SVM_FEAT_NP | SVM_FEAT_GMET), RIG_FEATURES & ~(SVM_FEAT_VLS | SVM_FEAT_LBR_VIRT),
					    RIG_FEATURES & ~SVM_FEAT_PAUSE_THRESHOLD,
					    RIG_FEATURES & ~(SVM_FEAT_PAUSE_FILTER | SVM_FEAT_PAUSE_THRESHOLD),
					    RIG_FEATURES & ~(SVM_FEAT_VGIF | SVM_FEAT_VNMI)};
	uint8_t *page = rig->l1->ram + RIG_VMCB12;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(features); i++) {
		nested_offer(&rig->n, features[i]);
		memset(page, 0xFF, PAGE_SIZE);
		assert_true(vmcb12_snapshot(&rig->n.snap, &rig->n.snap.save, &rig->n.known, rig->l1, l1pa(RIG_VMCB12)));
		for (size_t f = 0; f < ARRAY_COUNT(fields); f++)
			assert_field_of_ones(&fields[f], features[i]);
		for (size_t b = 0; b < PAGE_SIZE; b++)
			assert_int_equal(page[b], 0xFF);
	}
}

/* The copy takes each bit from its own place. */
static void every_bit_lands_in_its_place(void **state)
{
	uint8_t *page = rig->l1->ram + RIG_VMCB12;

	(void)state;
	for (size_t f = 0; f < ARRAY_COUNT(fields); f++)
		for (size_t i = 0; i < fields[f].size; i++)
			for (unsigned bit = 0; bit < 8; bit++) {
				uint8_t want = (uint8_t)(1u << bit) & expected(&fields[f], i, RIG_FEATURES);

				memset(page, 0, PAGE_SIZE);
				page[fields[f].offset + i] = (uint8_t)(1u << bit);
				assert_true(vmcb12_snapshot(&rig->n.snap, &rig->n.snap.save, &rig->n.known, rig->l1, l1pa(RIG_VMCB12)));
				assert_int_equal(((uint8_t *)&rig->n.snap)[fields[f].offset + i], want);
				for (size_t g = 0; g < ARRAY_COUNT(fields); g++)
					for (size_t j = 0; g != f && j < fields[g].size; j++)
						assert_int_equal(((uint8_t *)&rig->n.snap)[fields[g].offset + j], 0);
			}
}

/* Intercepts of instructions that this L1 does not have are no intercepts (svm-facts R8). */
static void only_known_intercepts(void **state)
{
	(void)state;
	memset(rig->l1->ram + RIG_VMCB12, 0xFF, PAGE_SIZE);
	for (unsigned i = 0; i < ICPT_COUNT; i++)
		for (unsigned bit = 0; bit < 32; bit++) {
			rig->n.caps.intercepts[i] = BIT32(bit);
			nested_offer(&rig->n, RIG_FEATURES);
			assert_true(vmcb12_snapshot(&rig->n.snap, &rig->n.snap.save, &rig->n.known, rig->l1, l1pa(RIG_VMCB12)));
			assert_int_equal(rig->n.snap.control.intercept[i], BIT32(bit));
		}
}

static void virtual_gif_and_nmi_apart(void **state)
{
	(void)state;
	memset(rig->l1->ram + RIG_VMCB12, 0xFF, PAGE_SIZE);
	nested_offer(&rig->n, RIG_FEATURES & ~SVM_FEAT_VNMI);
	assert_true(vmcb12_snapshot(&rig->n.snap, &rig->n.snap.save, &rig->n.known, rig->l1, l1pa(RIG_VMCB12)));
	assert_int_equal(rig->n.snap.control.v_intr, V_INTR_ALWAYS | BIT(9) | BIT(25));
}

static void all_of_the_page_must_be_memory(void **state)
{
	(void)state;
	assert_true(vmcb12_snapshot(&rig->n.snap, &rig->n.snap.save, &rig->n.known, rig->l1, l1pa(RIG_RAM - PAGE_SIZE)));
	assert_false(vmcb12_snapshot(&rig->n.snap, &rig->n.snap.save, &rig->n.known, rig->l1, l1pa(RIG_RAM)));
	assert_false(vmcb12_snapshot(&rig->n.snap, &rig->n.snap.save, &rig->n.known, rig->l1, l1pa(UINT64_MAX & ~PAGE_MASK)));
}

/* --- there and back --- */

static void random_bytes(void *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)at)[i] = (uint8_t)rand();
}

/* What an L2 may have become, in the CPU's own words: fixed bits as the CPU has them. */
static void run_l2(struct vmcb *vmcb02)
{
	struct vmcb_save *s = &vmcb02->save;
	uint16_t l_d = s->cs.attr & (SEG_L | SEG_D);

	random_bytes(&s->es, 4 * sizeof(s->es));
	s->cs.attr = (uint16_t)((s->cs.attr & ~(SEG_L | SEG_D)) | l_d);
	random_bytes(&s->gdtr.base, sizeof(s->gdtr.base));
	random_bytes(&s->idtr.base, sizeof(s->idtr.base));
	s->gdtr.limit = (uint32_t)rand() & 0xFFFF;
	s->idtr.limit = (uint32_t)rand() & 0xFFFF;
	s->cpl = (uint8_t)(rand() % 4);
	random_bytes(&s->rflags, sizeof(s->rflags));
	random_bytes(&s->rip, sizeof(s->rip));
	s->rflags |= RFLAGS_FIXED;
	random_bytes(&s->rsp, sizeof(s->rsp));
	random_bytes(&s->rax, sizeof(s->rax));
	random_bytes(&s->cr2, sizeof(s->cr2));
	s->cr0 ^= rand() % 2 ? CR0_TS : 0;
	s->cr4 ^= rand() % 2 ? CR4_PGE : 0;
	s->cr3 = (uint64_t)rand() * PAGE_SIZE & BITS(39, 12);
	s->dr6 = (uint64_t)rand() % 16 | DR6_FIXED;
	s->dr7 = (uint64_t)rand() % 256 | DR7_FIXED;
	s->g_pat = rand() % 2 ? PAT_RESET : 0;
	vmcb02->control.int_shadow = (uint64_t)(rand() % 2);
}

/* What belongs to one run only: tags, flushes, clean bits, exit information, the event that was injected. */
static struct vmcb lasting(const struct vmcb *vmcb02)
{
	struct vmcb v = *vmcb02;
	struct vmcb_control *c = &v.control;

	c->asid = 0;
	c->tlb_control = 0;
	c->clean = 0;
	c->exitcode = c->exitinfo1 = c->exitinfo2 = c->exitintinfo = c->nrip = c->eventinj = 0;
	return v;
}

static void there_and_back(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct vmcb *vmcb12 = rig_legal(rig, RIG_VMCB12), ran, again;

		vmcb12->control.misc = round % 2 ? MISC_NP : 0;
		vmcb12->control.v_intr = round % 3 ? V_INTR_MASKING : 0;
		rig_enter(rig, RIG_VMCB12);
		run_l2(rig->vmcb02);
		ran = lasting(rig->vmcb02);
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
		rig_enter(rig, RIG_VMCB12);
		again = lasting(rig->vmcb02);
		assert_memory_equal(&ran, &again, sizeof(ran));
		assert_true(rig_exit(rig, VMEXIT_VMMCALL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bits_that_get_into_the_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(every_bit_lands_in_its_place, setup, teardown),
		cmocka_unit_test_setup_teardown(only_known_intercepts, setup, teardown),
		cmocka_unit_test_setup_teardown(virtual_gif_and_nmi_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(all_of_the_page_must_be_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(there_and_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
