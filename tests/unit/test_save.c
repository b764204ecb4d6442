/* SPDX-License-Identifier: MIT */
/* links: nested/offer.c nested/pause.c nested/tsc.c nested/lbr.c nested/route.c nested/iopm12.c */
/* links: nested/smm.c */
/* links: nested/save.c nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c */
/* links: nested/insn.c tests/unit/rig.c tests/unit/fake_l1.c */
/* tests/unit/test_save.c - nested state as a value: saved in one vCPU and restored in another it is the same state, and
 * L1 sees no difference when L2 leaves. What an image may have wrong: test_restore.c. Rule 11 of svm-facts 11.4. */
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
#include <amd/vmcb_access.h>

#include "tests/unit/rig.h"

static struct rig *from, *to;
static struct nested_image image, again;

static int setup(void **state)
{
	(void)state;
	from = rig_new(RIG_FEATURES, 0x00);
	to = rig_new(RIG_FEATURES, 0xA5);
	srand(11);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(from);
	rig_free(to);
	return 0;
}

static void save(struct rig *rig, struct nested_image *into)
{
	memset(into, 0x5A, sizeof(*into));
	nested_save(&rig->n, rig->vmcb01, rig->vmcb02, into);
}

static struct restore_verdict restore(void)
{
	return nested_restore(&to->n, &image, &to->in, to->vmcb01, to->vmcb02);
}

/* Saves `from`, restores in `to` with the memory of `from`, and saves again: the same bytes. */
static void carry(void)
{
	save(from, &image);
	to->in.apic_tpr = from->in.apic_tpr;
	to->vmcb01->control.tsc_offset = from->vmcb01->control.tsc_offset; /* of the caller's, as all control words */
	assert_int_equal(restore().refusal, RESTORE_NONE);
	memcpy(to->l1->ram, from->l1->ram, RIG_RAM);
	nested_restore_memory(&to->n, to->l1, &to->in);
	save(to, &again);
	assert_memory_equal(&image, &again, sizeof(image));
	assert_memory_equal(&from->vmcb01->save, &to->vmcb01->save, sizeof(from->vmcb01->save));
	assert_int_equal(to->vmcb01->control.clean, 0);
}

/* --- round trips --- */

static void l1_alone(void **state)
{
	(void)state;
	from->n.gif = false;
	from->n.vm_cr = VM_CR_R_INIT;
	from->n.hsave_pa = 0x5000;
	carry();
	assert_true(to->n.svme && !to->n.gif && !to->n.in_l2 && !to->n.run_pending);
	assert_int_equal(to->n.vm_cr, VM_CR_R_INIT);
	assert_int_equal(to->n.hsave_pa, 0x5000);
}

/* GIF=0 with SVM off is a state (svm-facts 11.4, rule 12). */
static void gif_without_svme(void **state)
{
	(void)state;
	from->n.svme = from->n.gif = false;
	carry();
	assert_true(!to->n.svme && !to->n.gif);
}

/* What an earlier L2 has left in struct nested is not part of L1's state. */
static void earlier_l2_is_forgotten(void **state)
{
	struct nested_image before;

	(void)state;
	rig_legal(from, RIG_VMCB12);
	rig_enter(from, RIG_VMCB12);
	assert_true(rig_exit(from, VMEXIT_VMMCALL));
	save(from, &before);
	memset(&from->n.snap, 0xFF, sizeof(from->n.snap));
	from->n.v_intr12 = from->n.soft.event = UINT64_MAX;
	carry();
	assert_memory_equal(&before, &image, sizeof(image));
}

/* As after an exit of L2 that L0 kept. */
static void l2_has_run(struct rig *rig)
{
	struct vmcb_save *s = &rig->vmcb02->save;

	rig->vmcb02->control.eventinj = 0;
	rig->vmcb02->control.clean = CLEAN_ALL;
	rig->vmcb02->control.tlb_control = TLB_CONTROL_NONE;
	rig->n.run_pending = rig->n.soft.pending = false;
	s->rip += 5;
	s->rax = s->rsp = s->cr2 = (uint64_t)rand() << 32 | (uint64_t)rand();
	s->cr0 ^= CR0_TS;
	s->dr6 |= (uint64_t)rand() & 0xF;
	s->rflags ^= RFLAGS_IF;
	s->es.base = s->gdtr.base = s->idtr.base = (uint64_t)rand();
	s->cpl = (uint8_t)(rand() & 3);
	s->g_pat = PAT_RESET ^ 1;
	rig->vmcb02->control.int_shadow = (uint64_t)rand() & INT_SHADOW_ACTIVE;
	rig->vmcb02->control.intercept[ICPT_MISC1] |= ICPT1_VINTR; /* a window of svm/inject.c */
}

/* What VMRUN reads, but for host addresses, tags, and what svm/ decides anew before each entry. */
static struct vmcb lasting(const struct vmcb *vmcb02)
{
	struct vmcb v = *vmcb02;
	struct vmcb_control *c = &v.control;

	c->intercept[ICPT_MISC1] &= ~ICPT1_VINTR;
	c->iopm_base = c->msrpm_base = c->ncr3 = 0;
	c->asid = 0;
	c->tlb_control = 0;
	c->clean = 0;
	c->exitcode = c->exitinfo1 = c->exitinfo2 = c->exitintinfo = 0;
	return v;
}

static void assert_same_l2(void)
{
	struct vmcb a = lasting(from->vmcb02), b = lasting(to->vmcb02);

	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(to->vmcb02->control.clean, 0);
	assert_int_equal(to->vmcb02->control.tlb_control, TLB_CONTROL_ASID);
	assert_memory_equal(from->pages->msrpm02, to->pages->msrpm02, MSRPM_SIZE);
}

/* Both L2s leave, and L1 finds the same in its memory and in its registers. */
static void assert_same_exit(void)
{
	assert_int_equal(rig_exit(from, VMEXIT_CPUID), rig_exit(to, VMEXIT_CPUID));
	assert_memory_equal(from->l1->ram, to->l1->ram, RIG_RAM);
	assert_memory_equal(&from->vmcb01->save, &to->vmcb01->save, sizeof(from->vmcb01->save));
	assert_true(to->n.gif == from->n.gif && to->n.in_l2 == from->n.in_l2);
}

static struct vmcb *enter(uint64_t eventinj)
{
	struct vmcb *vmcb12 = rig_legal(from, RIG_VMCB12);

	vmcb12->control.eventinj = eventinj;
	vmcb12->control.v_intr = V_INTR_MASKING | V_INTR_IRQ | UINT64_C(0x41) << V_INTR_VECTOR_SHIFT | 5;
	vmcb12->control.int_shadow = INT_SHADOW_ACTIVE;
	vmcb12->control.tsc_offset = 0x7777;
	vmcb12->control.nrip = 0x7002;
	rig_enter(from, RIG_VMCB12);
	return vmcb12;
}

static void l2_inside(void **state)
{
	(void)state;
	enter(0);
	l2_has_run(from);
	from->n.v_intr12 = (from->n.v_intr12 & ~(V_INTR_IRQ | V_INTR_TPR)) | 9;
	from->vmcb02->control.v_intr = (from->vmcb02->control.v_intr & ~V_INTR_TPR) | 9;
	carry();
	assert_same_l2();
	assert_int_equal(to->n.v_intr12, from->n.v_intr12);
	assert_same_exit();
}

/* GIF is the saved one: L2 has executed CLGI, which L1 did not intercept. */
static void gif_is_not_forced(void **state)
{
	(void)state;
	enter(0);
	l2_has_run(from);
	from->n.gif = false;
	carry();
	assert_true(!to->n.gif && to->n.in_l2);
}

/* Without nested paging of L1's, L2's PAT is the one that L1 will find. */
static void flat_l2(void **state)
{
	struct vmcb *vmcb12 = rig_legal(from, RIG_VMCB12);

	(void)state;
	vmcb12->control.misc = 0;
	from->in.apic_tpr = 3;
	rig_enter(from, RIG_VMCB12);
	l2_has_run(from);
	carry();
	assert_same_l2();
	assert_int_equal(to->vmcb02->control.ncr3, to->in.npt01_root.a);
	assert_same_exit();
	assert_int_equal(to->vmcb01->save.g_pat, PAT_RESET ^ 1);
}

/* VMRUN was accepted and L2 has not been entered: its event is still to come, also a soft one with its own RIP. */
static void run_pending(void **state)
{
	const uint64_t irq = EVENT_V | 0x33, soft = EVENT_V | (uint64_t)EVENT_SOFT << EVENT_TYPE_SHIFT | 0x80;

	(void)state;
	enter(irq);
	carry();
	assert_true(to->n.run_pending);
	assert_int_equal(to->vmcb02->control.eventinj, irq);
	assert_same_l2();
	assert_same_exit();
	enter(soft);
	carry();
	assert_true(to->n.soft.pending);
	assert_int_equal(to->vmcb02->save.rip, 0x7002);
	assert_same_l2();
	assert_same_exit();
}

/* An event of a VMRUN that has long entered L2 does not come twice. */
static void event_is_not_repeated(void **state)
{
	(void)state;
	enter(EVENT_V | 0x33);
	l2_has_run(from);
	carry();
	assert_int_equal(to->vmcb02->control.eventinj, 0);
	assert_same_l2();
}

/* What is made again: nothing of the shadow, of TLB tags and of the MSR map is believed. */
static void caches_are_dropped(void **state)
{
	(void)state;
	enter(0);
	save(from, &image);
	rig_legal(to, RIG_VMCB12);
	rig_enter(to, RIG_VMCB12);
	to->n.root->empty = false; /* as if it had been filled */
	*(uint64_t *)hpa_ptr(to->n.root->table) = PTE_P | PTE_W | PTE_U | 0x123000;
	memset(to->pages->msrpm02, 0, MSRPM_SIZE);
	assert_int_equal(restore().refusal, RESTORE_NONE);
	assert_int_equal(*(uint64_t *)hpa_ptr(to->n.root->table), 0);
	assert_int_equal(to->vmcb02->control.tlb_control, TLB_CONTROL_ASID);
	for (unsigned i = 0; i < MSRPM_SIZE; i++)
		assert_int_equal(to->pages->msrpm02[i], 0xFF); /* until nested_restore_memory() */
	nested_restore_memory(&to->n, from->l1, &to->in);
	assert_memory_equal(to->pages->msrpm02, from->pages->msrpm02, MSRPM_SIZE);
}

/* Counters are about what this vCPU did; a restore is no VMRUN and no #VMEXIT. */
static void nothing_is_counted_or_written(void **state)
{
	static uint8_t ram[RIG_RAM];

	(void)state;
	enter(0);
	save(from, &image);
	memcpy(ram, to->l1->ram, RIG_RAM);
	to->n.vmrun_count = to->n.full_exit_count = to->n.check_gap_count = 7;
	assert_int_equal(restore().refusal, RESTORE_NONE);
	assert_true(to->n.vmrun_count == 7 && to->n.full_exit_count == 7 && to->n.check_gap_count == 7);
	assert_memory_equal(ram, to->l1->ram, RIG_RAM);
}

/* What passed before the restore, or RSM, is none of what passes after it, and VMCB02's pages are made anew. */
static void assert_nothing_has_passed(void)
{
	struct vmcb *vmcb12 = rig_vmcb12(to, RIG_VMCB12);
	struct vmcb legal = *vmcb12;

	assert_true(rig_exit(to, VMEXIT_VMMCALL));
	for (unsigned ones = 1; ones < 4; ones++) {
		vmcb12->save.efer = ones & 1 ? UINT64_MAX : legal.save.efer;
		vmcb12->save.cs.attr = ones & 2 ? UINT16_MAX : legal.save.cs.attr;
		assert_int_equal(rig_vmrun(to, RIG_VMCB12), VMRUN_REFUSED);
		assert_int_equal(to->n.last_refusal, ones & 1 ? REASON_EFER_MBZ : REASON_LONG_CS_L_D);
	}
	*vmcb12 = legal;
	memset(to->spare, 0xA5, sizeof(*to->spare));
	rig_enter(to, RIG_VMCB12);
	assert_false(to->n.usual);
	assert_int_equal(to->vmcb02->control.misc, MISC_NP);
	assert_int_equal(to->vmcb02->control.avic_bar, 0);
}

static void nothing_has_passed_after_it(void **state)
{
	(void)state;
	enter(0);
	rig_legal(to, RIG_VMCB12);
	rig_enter(to, RIG_VMCB12); /* something has, here */
	carry();
	assert_nothing_has_passed();
}

/* RSM after the restore goes where it would have gone (smm.c). */
static void smm_over_l2(void **state)
{
	uint64_t gpr[16] = {0};
	struct smm_cpu cpu = {.gpr = gpr, .nmi_blocked = true};

	(void)state;
	enter(0);
	l2_has_run(from);
	assert_true(nested_smi(&from->n, from->l1, from->vmcb01, from->vmcb02, &cpu));
	carry();
	assert_true(to->n.smm.active && to->n.smm.from_l2 && to->n.smm.nmi_was_blocked && !to->n.in_l2);
	assert_int_equal(nested_rsm(&from->n, from->l1, &from->in, from->vmcb01, from->vmcb02, &cpu), RSM_TO_L2);
	assert_int_equal(nested_rsm(&to->n, to->l1, &to->in, to->vmcb01, to->vmcb02, &cpu), RSM_TO_L2);
	assert_same_l2();
	assert_same_exit();
	to->n.in_l2 = true; /* as if it were still inside */
	assert_nothing_has_passed();
}

/* Bits of features that are not offered do not come in by way of an image. */
static void unknown_bits_are_dropped(void **state)
{
	(void)state;
	enter(0);
	l2_has_run(from);
	save(from, &image);
	image.value.snap.control.ghcb = image.value.snap.control.avic_bar = UINT64_MAX;
	image.value.snap.control.v_intr |= V_INTR_AVIC | V_INTR_X2AVIC;
	image.value.snap.control.misc |= MISC_SEV | MISC_SEV_ES;
	image.value.snap.save.spec_ctrl = image.value.snap.save.s_cet = UINT64_MAX;
	assert_int_equal(restore().refusal, RESTORE_NONE);
	assert_int_equal(to->n.v_intr12 & (V_INTR_AVIC | V_INTR_X2AVIC), 0);
	memcpy(to->l1->ram, from->l1->ram, RIG_RAM);
	nested_restore_memory(&to->n, to->l1, &to->in);
	assert_same_l2();
}

/* As in a VMCB01 of L0: what it never writes is as it was made, and the CPU has stored canonical bases. */
static void as_vmcb01(struct vmcb_save *s)
{
	struct vmcb_save copy = *s;

	vmcb_copy_loaded(s, &copy);
	memset(s->reserved_0a0, 0, sizeof(s->reserved_0a0));
	memset(s->reserved_0cc, 0, sizeof(s->reserved_0cc));
	memset(s->reserved_0d8, 0, sizeof(s->reserved_0d8));
	memset(s->reserved_180, 0, sizeof(s->reserved_180));
	memset(s->reserved_248, 0, sizeof(s->reserved_248));
	memset(s->reserved_298, 0, sizeof(s->reserved_298));
	memset(s->reserved_2e8, 0, sizeof(s->reserved_2e8));
	s->s_cet = s->ssp = s->isst_addr = s->spec_ctrl = 0;
}

/* Random features and random legal states. */
static void random_states(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		uint32_t features = (uint32_t)rand() << 16 ^ (uint32_t)rand();
		struct vmcb *vmcb12;

		rig_reset(from, features, (uint8_t)rand());
		rig_reset(to, features, (uint8_t)rand());
		as_vmcb01(&from->vmcb01->save);
		from->vmcb02->control.tlb_control = 0;
		vmcb12 = rig_legal(from, RIG_VMCB12);
		vmcb12->control.misc = (uint64_t)rand() & MISC_NP;
		vmcb12->control.v_intr = ((uint64_t)rand() << 32 | (uint64_t)rand()) & ~V_INTR_NMI_ENABLE;
		vmcb12->control.tsc_offset = (uint64_t)rand();
		vmcb12->control.intercept[ICPT_CR] = (uint32_t)rand();
		vmcb12->control.intercept[ICPT_EXCP] = (uint32_t)rand();
		from->in.apic_tpr = (uint8_t)(rand() & 15);
		rig_enter(from, RIG_VMCB12);
		if (rand() % 4) {
			l2_has_run(from);
			from->n.v_intr12 ^= V_INTR_IRQ;
		}
		carry();
		assert_same_l2();
		assert_same_exit();
	}
}

/* L2's records of branches, a set of its own or the one that it shares with L1. */
static void records_of_branches(void **state)
{
	(void)state;
	for (unsigned own = 0; own < 2; own++) {
		rig_legal(from, RIG_VMCB12)->control.misc2 = own ? MISC2_LBR : 0;
		rig_reset(from, RIG_FEATURES, 0);
		rig_reset(to, RIG_FEATURES, 0);
		from->n.lbr_used = true;
		from->vmcb01->save.br_from = 1;
		rig_enter(from, RIG_VMCB12);
		from->vmcb02->save.dbgctl = DEBUGCTL_LBR;
		from->vmcb02->save.br_from = 2;
		save(from, &image);
		assert_int_equal(restore().refusal, RESTORE_NONE);
		assert_int_equal(to->vmcb02->save.dbgctl, DEBUGCTL_LBR);
		assert_int_equal(to->vmcb02->save.br_from, 2);
		assert_int_equal(to->vmcb01->save.br_from, own ? 1 : 2);
		assert_true(to->n.lbr_used);
	}
}

/* An L1 that was offered no SVM runs with EFER.SVME set all the same; SVM must not come by way of an image. */
static void guest_without_svm(void **state)
{
	(void)state;
	from->n.caps.efer_mbz |= EFER_SVME;
	to->n.caps.efer_mbz |= EFER_SVME;
	from->n.svme = false;
	carry();
	image.value.svme = true;
	assert_int_equal(restore().refusal, RESTORE_SVME);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(l1_alone), TEST(gif_without_svme), TEST(earlier_l2_is_forgotten), TEST(l2_inside),
		TEST(gif_is_not_forced), TEST(flat_l2), TEST(run_pending), TEST(event_is_not_repeated),
		TEST(caches_are_dropped), TEST(nothing_is_counted_or_written), TEST(unknown_bits_are_dropped),
		TEST(nothing_has_passed_after_it),
		TEST(smm_over_l2), TEST(random_states), TEST(records_of_branches), TEST(guest_without_svm),
	};

	return cmocka_run_group_tests_name("save", tests, NULL, NULL);
}
