/* SPDX-License-Identifier: MIT */
/* links: svm/inject.c svm/once.c nested/event.c nested/route.c nested/pause.c nested/msrpm12.c nested/iopm12.c */
/* links: tests/unit/fake_l1.c */
/* tests/unit/test_inject.c - an NMI or SMI that an interrupt shadow holds back comes behind the instruction in the shadow,
 * also on a CPU that takes each host interrupt before that instruction (APM2 15.21.5 leaves it open). The CPU here is
 * the least that shows it: an interrupt, or one instruction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <Zydis/Zydis.h>

#include <amd/exitcode.h>

#include "kernel/smp.h"
#include "svm/decode.h"
#include "svm/enable.h"
#include "svm/exit.h"
#include "svm/inject.h"
#include "svm/lbr.h"
#include "svm/once.h"
#include "svm/quirk.h"
#include "svm/smm.h"

struct svm_cpu svm_this_cpu;
uint32_t quirks;

static struct vmcb vmcb;
static struct l1 l1;
static struct vcpu v;
static uint32_t apic_attention;
static bool kicked, smi_pending, smi_taken;
static uint16_t mnemonic;

void smp_kick(unsigned cpu)
{
	(void)cpu;
	kicked = true;
}

bool insn_decode(struct vcpu *vcpu, struct insn *insn)
{
	(void)vcpu;
	*insn = (struct insn){.mnemonic = vmcb.control.insn.len ? ZYDIS_MNEMONIC_PUSHFQ : mnemonic, .length = 1};
	return true;
}

bool machine_smi_pending(const struct machine *m, unsigned vcpu)
{
	(void)m, (void)vcpu;
	return smi_pending;
}

int machine_irq_pending(struct machine *m, unsigned vcpu)
{
	(void)m, (void)vcpu;
	return -1;
}

void smm_enter(struct vcpu *vcpu)
{
	(void)vcpu;
	smi_pending = false;
	smi_taken = true;
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NEVER(type, name, ...)                                                                     \
	type name(__VA_ARGS__)                                                                     \
	{                                                                                          \
		abort();                                                                           \
	}
NEVER(uint8_t, machine_irq_ack, struct machine *m, unsigned vcpu)
NEVER(bool, machine_nmi_take, struct machine *m, unsigned vcpu)
NEVER(enum vcpu_signal, machine_signal_take, struct machine *m, unsigned vcpu, uint8_t *vector)
NEVER(void, machine_vcpu_reset, struct machine *m, unsigned vcpu)
NEVER(void, glue_exit_to_l1, struct vcpu *vcpu, uint64_t code, uint64_t info1, uint64_t info2)
NEVER(enum resume, exit_shutdown, struct vcpu *vcpu)
NEVER(void, vcpu_init, struct vcpu *vcpu)
NEVER(void, vcpu_startup, struct vcpu *vcpu, uint8_t vector)
NEVER(void, vcpu_sync_tpr, struct vcpu *vcpu)
NEVER(void, vcpu_rearm, struct vcpu *vcpu)
NEVER(void, lbr_set, struct vcpu *vcpu, uint64_t debugctl)
NEVER(bool, lbr_stepped, struct vcpu *vcpu, const struct once *step)
NEVER(uint64_t, quirk_event, struct vcpu *vcpu, uint64_t event)
NEVER(bool, quirk_is_int1, struct vcpu *vcpu)
NEVER(void, quirk_restore_intinfo, struct vcpu *vcpu)
NEVER(uint64_t, insn_linear, const struct vcpu *vcpu, unsigned segment, uint64_t offset)
NEVER(struct gmem_fault, gmem_read, struct vcpu *vcpu, uint64_t gva, void *to, unsigned bytes, uint64_t access,
      unsigned *done)
NEVER(struct gmem_fault, gmem_write, struct vcpu *vcpu, uint64_t gva, const void *from, unsigned bytes, uint64_t access,
      unsigned *done)

bool quirk_open_window(struct vcpu *vcpu)
{
	return false;
}

/* --- the CPU --- */

/* The next instruction exits by itself, and is stepped over. */
static void run_cpuid(void)
{
	assert_false(kicked);
	vmcb.control.exitcode = VMEXIT_CPUID;
	vmcb.control.eventinj = 0;
	if (v.once.on)
		assert_false(once_end(&v));
	vmcb.save.rip += 2;
	vmcb.control.int_shadow = 0;
}

/* From VMRUN to #VMEXIT and what svm/exit.c does first. True: the guest's instruction has run. */
static bool run(bool interrupt)
{
	struct vmcb_control *c = &vmcb.control;
	struct vmcb_save *s = &vmcb.save;
	bool done = !interrupt && !kicked;

	if (done) {
		s->rip++;
		c->int_shadow = 0;
		c->exitcode = s->rflags & RFLAGS_TF ? VMEXIT_EXCP(VEC_DB) : VMEXIT_CPUID;
		s->dr6 |= s->rflags & RFLAGS_TF ? DR6_BS : 0;
	} else {
		c->exitcode = VMEXIT_INTR;
		v.attention = true;
		kicked = false;
	}
	c->eventinj = 0;
	if (v.once.on)
		assert_int_equal(once_end(&v), done);
	return done;
}

static int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&v, 0, sizeof(v));
	v.l1 = &l1;
	v.vmcb = v.vmcb01 = &vmcb;
	v.apic_attention = &apic_attention;
	v.nested.gif = true;
	v.activity = VCPU_RUNNING;
	vmcb.save.rip = 0x1000;
	vmcb.save.rflags = RFLAGS_FIXED | RFLAGS_IF;
	vmcb.save.dr6 = DR6_FIXED;
	vmcb.control.int_shadow = INT_SHADOW_ACTIVE;
	vmcb.control.intercept[ICPT_EXCP] = BIT32(VEC_MC);
	kicked = smi_pending = smi_taken = false;
	mnemonic = ZYDIS_MNEMONIC_NOP;
	return 0;
}

/* --- tests --- */

/* Interrupts come before the instruction three times, and no more of them than the machine has. */
static void pass_the_shadow(void)
{
	const uint64_t rflags = vmcb.save.rflags;

	for (unsigned i = 0; i < 3; i++) {
		inject_prepare(&v);
		assert_false(vmcb.control.eventinj & EVENT_V);
		assert_false(run(true));
		assert_int_equal(vmcb.save.rflags, rflags);
	}
	inject_prepare(&v);
	assert_false(vmcb.control.eventinj & EVENT_V);
	assert_true(run(false));
	assert_int_equal(vmcb.save.rip, 0x1001);
	assert_int_equal(vmcb.save.rflags, rflags);
	assert_int_equal(vmcb.save.dr6, DR6_FIXED);
	assert_int_equal(vmcb.control.intercept[ICPT_EXCP], BIT32(VEC_MC));
	assert_true(v.attention);
	inject_prepare(&v);
}

static void nmi_behind_the_shadow(void **state)
{
	(void)state;
	v.nmi_pending = true;
	pass_the_shadow();
	assert_int_equal(vmcb.control.eventinj, EVENT_V | (uint64_t)EVENT_NMI << EVENT_TYPE_SHIFT | VEC_NMI);
	assert_false(v.nmi_pending);
}

static void smi_behind_the_shadow(void **state)
{
	(void)state;
	smi_pending = true;
	pass_the_shadow();
	assert_true(smi_taken);
}

/* CPUID ends the shadow without a trap: somebody has to look. */
static void an_exit_in_the_shadow(void **state)
{
	(void)state;
	v.nmi_pending = true;
	inject_prepare(&v);
	run_cpuid();
	assert_true(v.attention);
	inject_prepare(&v);
	assert_int_equal(vmcb.control.eventinj, EVENT_V | (uint64_t)EVENT_NMI << EVENT_TYPE_SHIFT | VEC_NMI);
}

/* Bytes that the CPU stored at an earlier exit, of another L2 perhaps, are not those of the instruction in the shadow. */
static void stored_bytes_are_not_believed(void **state)
{
	(void)state;
	vmcb.control.insn.len = 1;
	v.nmi_pending = true;
	inject_prepare(&v);
	assert_true(run(false)); /* PUSHFQ would have its stack mended */
}

/* It gives its shadow away, and the NMI comes first. */
static void without_a_step(void)
{
	v.nmi_pending = true;
	inject_prepare(&v);
	assert_true(kicked && v.attention);
	assert_false(run(false));
	inject_prepare(&v);
	assert_int_equal(vmcb.control.eventinj, EVENT_V | (uint64_t)EVENT_NMI << EVENT_TYPE_SHIFT | VEC_NMI);
	assert_int_equal(vmcb.save.rip, 0x1000);
}

/* SYSCALL would store TF. */
static void what_cannot_be_stepped(void **state)
{
	(void)state;
	mnemonic = ZYDIS_MNEMONIC_SYSCALL;
	without_a_step();
}

/* With BTF the CPU would trap at the next branch instead. */
static void branch_steps_are_no_steps(void **state)
{
	(void)state;
	v.nested.caps.hw_lbr = true;
	vmcb.save.dbgctl = DEBUGCTL_BTF;
	without_a_step();
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nmi_behind_the_shadow),
		TEST(smi_behind_the_shadow),
		TEST(an_exit_in_the_shadow),
		TEST(stored_bytes_are_not_believed),
		TEST(what_cannot_be_stepped),
		TEST(branch_steps_are_no_steps),
	};

	return cmocka_run_group_tests_name("inject", tests, NULL, NULL);
}
