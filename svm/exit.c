/* SPDX-License-Identifier: MIT */
/* svm/exit.c - every #VMEXIT comes through here. svm_exit() jumps to the handler that the level which ran has for the exit
 * code; what is odd about an exit besides its code goes to exit_odd() first: INVALID, events, quirks. The hot handlers step
 * over the instruction and run the guest again themselves; for the others, which say what comes next, svm_after_exit() does.
 * Manual: APM2 appendix C (exit codes), 15.7 (nRIP). Next: exit_<what>.c, nested_glue.c. */
#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <check.h>
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>

#include "svm/decode.h"
#include "svm/enable.h"
#include "svm/exit.h"
#include "svm/exit_names.h"
#include "svm/inject.h"
#include "svm/lbr.h"
#include "svm/nested_info.h"
#include "svm/once.h"
#include "svm/quirk.h"

/* The usual encoding of the instructions that we step over, for CPUs that give no nRIP. */
static const struct encoding {
	uint8_t length;
	uint8_t bytes[3];
} usual[VMEXIT_INTERCEPT_END] = {
	[VMEXIT_CPUID] = {2, {0x0F, 0xA2}},
	[VMEXIT_HLT] = {1, {0xF4}},
	[VMEXIT_RDTSC] = {2, {0x0F, 0x31}},
	[VMEXIT_RDPMC] = {2, {0x0F, 0x33}},
	[VMEXIT_INVD] = {2, {0x0F, 0x08}},
	[VMEXIT_WBINVD] = {2, {0x0F, 0x09}},
	[VMEXIT_PAUSE] = {2, {0xF3, 0x90}},
	[VMEXIT_MSR] = {2, {0x0F, 0x32}}, /* RDMSR */
	[VMEXIT_VMRUN] = {3, {0x0F, 0x01, 0xD8}},
	[VMEXIT_VMMCALL] = {3, {0x0F, 0x01, 0xD9}},
	[VMEXIT_VMLOAD] = {3, {0x0F, 0x01, 0xDA}},
	[VMEXIT_VMSAVE] = {3, {0x0F, 0x01, 0xDB}},
	[VMEXIT_STGI] = {3, {0x0F, 0x01, 0xDC}},
	[VMEXIT_CLGI] = {3, {0x0F, 0x01, 0xDD}},
	[VMEXIT_SKINIT] = {3, {0x0F, 0x01, 0xDE}},
	[VMEXIT_INVLPGA] = {3, {0x0F, 0x01, 0xDF}},
	[VMEXIT_XSETBV] = {3, {0x0F, 0x01, 0xD1}},
};
static const struct encoding wrmsr_encoding = {2, {0x0F, 0x30}}, unusual;

static const struct encoding *usual_encoding(const struct vmcb_control *c)
{
	if (c->exitcode >= VMEXIT_INTERCEPT_END)
		return &unusual;
	return c->exitcode == VMEXIT_MSR && c->exitinfo1 ? &wrmsr_encoding : &usual[c->exitcode];
}

unsigned exit_decode_length(struct vcpu *v)
{
	const struct encoding *e = usual_encoding(&v->vmcb->control);
	unsigned length = insn_length(v, e->bytes, e->length);

	memo_learn(v, length);
	return length;
}

/* The exits that are not hot. */
static OWN_FRAME enum resume dispatch_other(struct vcpu *v)
{
	uint64_t code = v->vmcb->control.exitcode;

	switch (code) {
	case VMEXIT_INTR: return exit_intr(v);
	case VMEXIT_NMI: return exit_intr(v);
	case VMEXIT_SMI: return exit_intr(v); /* pending still: firmware takes it in the window */
	case VMEXIT_VINTR: return exit_vintr(v);
	case VMEXIT_IRET: return exit_iret(v);
	case VMEXIT_RSM: return exit_rsm(v);
	case VMEXIT_CR_WRITE(0):
	case VMEXIT_CR0_SEL_WRITE: return exit_cr0_write(v);
	case VMEXIT_CR_READ(4): return exit_cr4_read(v);
	case VMEXIT_CR_WRITE(4): return exit_cr4_write(v);
	case VMEXIT_CR_READ(8): return exit_cr8(v, false);
	case VMEXIT_CR_WRITE(8): return exit_cr8(v, true);
	case VMEXIT_XSETBV: return exit_xsetbv(v);
	case VMEXIT_INVLPGA: return glue_invlpga(v);
	case VMEXIT_INVD: return RESUME_NEXT; /* memory stays coherent: nothing to do */
	case VMEXIT_WBINVD: return RESUME_NEXT;
	case VMEXIT_DR_WRITE(0):
	case VMEXIT_DR_WRITE(1):
	case VMEXIT_DR_WRITE(2):
	case VMEXIT_DR_WRITE(3): return quirk_address_write(v, (unsigned)(code - VMEXIT_DR_WRITE(0)));
	case VMEXIT_DR_WRITE(5):
	case VMEXIT_DR_WRITE(7): return quirk_dr7_write(v);
	case VMEXIT_RDTSC: return exit_rdtsc(v, false);
	case VMEXIT_RDTSCP: return exit_rdtsc(v, true);
	case VMEXIT_SWINT:
	case VMEXIT_EXCP(VEC_BP):
	case VMEXIT_EXCP(VEC_OF): return exit_soft_int(v);
	case VMEXIT_ICEBP: return exit_icebp(v);
	case VMEXIT_RDPMC: return exit_gp(v);
	case VMEXIT_PAUSE: return glue_pause(v);
	case VMEXIT_VMMCALL:
	case VMEXIT_SKINIT:
	case VMEXIT_MONITOR:
	case VMEXIT_MWAIT:
	case VMEXIT_RDPRU:
	case VMEXIT_INVLPGB:
	case VMEXIT_INVLPGB_ILLEGAL:
	case VMEXIT_MCOMMIT:
	case VMEXIT_TLBSYNC: return exit_ud(v);
	case VMEXIT_SHUTDOWN: return exit_shutdown(v);
	default:
		if (code >= VMEXIT_EXCP(0) && code < VMEXIT_INTR)
			return exit_excp(v, (uint8_t)(code - VMEXIT_EXCP(0)));
		return exit_unexpected(v);
	}
}

/* Handlers of L1's exits, and of L2's exits that L1 does not want: the hot ones. */
static exit_handler *const hot[VMEXIT_INTERCEPT_END] = {
	[VMEXIT_CPUID] = exit_cpuid,
	[VMEXIT_HLT] = exit_hlt,
	[VMEXIT_IOIO] = exit_io,
	[VMEXIT_MSR] = exit_msr,
	[VMEXIT_VMRUN] = glue_vmrun,
	[VMEXIT_VMLOAD] = glue_vmload,
	[VMEXIT_VMSAVE] = glue_vmsave,
	[VMEXIT_STGI] = glue_set_gif,
	[VMEXIT_CLGI] = glue_set_gif,
};

static enum resume dispatch(struct vcpu *v)
{
	uint64_t code = v->vmcb->control.exitcode;

	if (code < VMEXIT_INTERCEPT_END && hot[code])
		return hot[code](v);
	return code == VMEXIT_NPF ? exit_npf(v) : dispatch_other(v);
}

enum resume exit_of_l2(struct vcpu *v)
{
	enum resume resume = glue_l2_exit(v);

	return resume == RESUME_UNDECIDED ? dispatch(v) : resume;
}

static enum resume exit_of_level(struct vcpu *v)
{
	return v->nested.in_l2 ? exit_of_l2(v) : dispatch(v);
}

/* --- what is rarely so --- */

/* An exit that is about nothing but a trick of L0's own, or that a fault of the guest comes before. */
static bool is_no_exit(struct vcpu *v)
{
	if (lbr_steps(v))
		lbr_after_exit(v);
	if (v->once.on && once_end(v))
		return true;
	if (quirks && quirk_concerns(v) && quirk_after_exit(v) == RESUME_SAME)
		return true;
	v->odd_entry = v->once.on || v->held || v->event_given;
	return false;
}

static COLD enum resume exit_odd(struct vcpu *v)
{
	const struct vmcb_control *c = &v->vmcb->control;

	if (c->exitintinfo & EVENT_V)
		inject_collect(v);
	if (c->exitcode == VMEXIT_INVALID)
		return exit_invalid_hw(v);
	if ((v->odd_entry || quirk_may_concern(c, c->exitcode)) && is_no_exit(v))
		return RESUME_SAME;
	return exit_of_level(v); /* by the code that it really is */
}

#define ODD_ENTRY 1u
#define ODD_INTINFO (EVENT_V >> 24)
_Static_assert(ODD_ENTRY == INT_SHADOW_ACTIVE && ODD_ENTRY == (uint32_t)true, "is_odd() asks for them at once");

/* Is there more to see to than the exit code, but for quirk_codes[]? Bits 30:24 of EXITINTINFO are reserved: should
 * one be set, exit_odd() finds nothing. */
static ALWAYS_INLINE bool is_odd(const struct vcpu *v, const struct vmcb_control *c)
{
	uint32_t all = v->odd_entry | (uint32_t)c->int_shadow | (uint8_t)(c->exitintinfo >> 24);

	return (all & (ODD_ENTRY | ODD_INTINFO)) != 0;
}

/* --- one exit --- */

static exit_handler *handler_of_l2(unsigned code)
{
	bool address_first = has_quirk(QUIRK_SVM_ADDRESS) &&
			     (code == VMEXIT_VMRUN || code == VMEXIT_VMLOAD || code == VMEXIT_VMSAVE);

	return nested_is_routed_by_bit(code) && info_is_nrip(code) && !address_first ? glue_l2_instruction : exit_of_l2;
}

void exit_init(struct vcpu *v)
{
	for (unsigned code = 0; code < VMEXIT_INTERCEPT_END; code++) {
		v->exits_of[0].handlers[code] = quirk_codes[code] ? exit_odd : hot[code] ? hot[code] : dispatch_other;
		v->exits_of[1].handlers[code] = quirk_codes[code] ? exit_odd : handler_of_l2(code);
	}
}

/* Codes are 64 bits wide, but not every engine stores the upper half of the negative ones (docs/engines.md). */
static uint64_t exit_code_64(uint64_t code)
{
	return (uint32_t)code >= 0xFFFFFFF0 && code >> 32 == 0 ? code | UINT64_C(0xFFFFFFFF00000000) : code;
}

/* A code that is in no table; nested faults are the usual ones of these. */
static OWN_FRAME enum resume exit_large_code(struct vcpu *v)
{
	struct vmcb_control *c = &v->vmcb->control;
	uint64_t code = c->exitcode;

	if (code != VMEXIT_NPF)
		c->exitcode = code = exit_code_64(code);
	v->exits->counts[exit_counter(code)]++;
	return unlikely(code == VMEXIT_INVALID || is_odd(v, c)) ? exit_odd(v) : exit_of_level(v);
}

enum resume svm_exit(struct vcpu *v)
{
	struct vmcb_control *c = &v->vmcb->control;
	struct level_exits *exits = v->exits;
	uint64_t code = c->exitcode;

	c->clean = CLEAN_ALL; /* setters take back what they change */
	c->tlb_control = TLB_CONTROL_NONE;
	c->eventinj = 0; /* the CPU has cleared V itself (APM3, VMRUN), but who knows each of them */
	if (unlikely(code >= VMEXIT_INTERCEPT_END))
		return exit_large_code(v);
	exits->counts[code]++;
	if (unlikely(is_odd(v, c)))
		return exit_odd(v);
	return exits->handlers[code](v);
}

void svm_after_exit(struct vcpu *v, enum resume resume)
{
	if (resume == RESUME_NEXT) {
		exit_advance_rip(v);
		exit_trap_if_tf(v);
	} else {
		CHECK(resume != RESUME_UNDECIDED);
	}
	v->insn_len = 0;
	if (likely(!vcpu_has_work(v)) || vcpu_ready(v))
		exit_enter(v);
}
