/* SPDX-License-Identifier: MIT */
/* svm/quirk.h - what the CPU model below does not honour, and what L0 does instead (quirk.c; docs/engines.md has one
 * row for each deviation). Found out once at boot; on a CPU that follows the manual nothing of this runs. */
#ifndef SVM_QUIRK_H
#define SVM_QUIRK_H

#include <amd/cpu.h>
#include <amd/exitcode.h>

#include "kernel/cpu_insn.h"
#include "svm/vcpu.h"

enum quirk {
	QUIRK_INTERCEPTS = 1 << 0,  /* some intercept bits do nothing, or report another's exit code */
	QUIRK_FAULT_ORDER = 1 << 1, /* CR and DR accesses exit before they fault; CR0 takes illegal values */
	QUIRK_NO_SHADOW = 1 << 2,   /* VMCB.INTERRUPT_SHADOW is not loaded */
	QUIRK_EVENTINJ = 1 << 3,    /* EV bit, gate DPL and double faults of injected exceptions */
	QUIRK_LMA = 1 << 4,         /* EFER.LMA is loaded as it is, not computed from LME and PG */
	QUIRK_BREAKPOINTS = 1 << 5, /* DR7 of a VMCB arms nothing, that of the host stays armed */
	QUIRK_LATE_VIRQ = 1 << 6,   /* V_IRQ is not looked at by VMRUN when the guest's IF is 1 */
	QUIRK_INTINFO = 1 << 7,     /* EXITINTINFO of an interrupted INTn is that of an earlier event */
	QUIRK_LMSW = 1 << 8,        /* LMSW without a change is no selective CR0 write; RSM is #UD first */
	QUIRK_DB_DR6 = 1 << 9,      /* an intercepted #DB leaves DR6 as it was */
	QUIRK_SVM_ADDRESS = 1 << 10, /* VMRUN, VMLOAD, VMSAVE exit before rAX is looked at */
	QUIRK_LBR = 1 << 13,        /* CPUID has LbrVirt, but nothing records branches */
	QUIRK_RF = 1 << 11,         /* a nested fault on the fetch of an instruction clears RF */
	QUIRK_CR2 = 1 << 12,        /* VMRUN does not load CR2 */
	QUIRK_LATE_INTR = 1 << 14,  /* a guest that is entered with IF=0 is not left for INTR until it sets IF */
};

/* What the CPU forgets at an exit that comes before the instruction has run. */
enum quirk_held { HELD_SHADOW = 1, HELD_RF = 2 };

extern uint32_t quirks;

/* Deviations that guests meet as well, because nothing can be done; they are told by CPUID_UNHIDDEN (svm/caps.h). */
enum unhidden {
	UNHIDDEN_PDPTE_A = 1 << 0, /* walks set bit 5 (A) of PDPTEs in PAE format, which is reserved there */
};

extern uint32_t unhidden;

static inline bool has_quirk(enum quirk quirk)
{
	return unlikely(quirks & quirk);
}

/* Once at boot, before any vCPU is made. */
void quirk_detect(void);

/* Intercepts that stand in for those that the CPU ignores: L0's own, and more in a VMCB02 that was just built. */
void quirk_widen_l0(uint32_t *icpt);
void quirk_widen02(struct vcpu *v);

/* Another VMCB is in use, or its DR7 was written: its breakpoints. */
COLD void quirk_rearm(struct vcpu *v);
/* With DR7.GD they always differ, and quirk_rearm() finds nothing to do. */
static ALWAYS_INLINE void quirk_arm_by(struct vcpu *v, const struct vmcb *vmcb)
{
	if (has_quirk(QUIRK_BREAKPOINTS) && unlikely(read_dr7() != vmcb->save.dr7))
		quirk_rearm(v);
}
static inline void quirk_arm(struct vcpu *v)
{
	quirk_arm_by(v, v->vmcb);
}
/* L1's VMCB is in use after an exit, which has taken its breakpoints away. */
static inline void quirk_disarm(void)
{
	if (has_quirk(QUIRK_BREAKPOINTS) && unlikely(read_dr7() != DR7_FIXED))
		write_dr7(DR7_FIXED);
}
/* The VMCB in use has a CR2 that is not the one that the last exit left in the CPU. */
static inline void quirk_load_cr2(const struct vcpu *v)
{
	if (has_quirk(QUIRK_CR2))
		write_cr2(v->vmcb->save.cr2);
}
/* MOV to DR0-3 exits while breakpoints are armed by hand. */
enum resume quirk_address_write(struct vcpu *v, unsigned n);
/* Intercepted for the same reason. */
enum resume quirk_dr7_write(struct vcpu *v);

/* Exit codes that quirk_after_exit() may change or refuse; none on a CPU without quirks. */
extern bool quirk_codes[VMEXIT_INTERCEPT_END];

/* Has quirk_after_exit() anything to do, besides what v->odd_entry says? Mostly not, and this is asked after every
 * exit. */
static inline bool quirk_may_concern(const struct vmcb_control *c, uint64_t code)
{
	return (code < VMEXIT_INTERCEPT_END && quirk_codes[code]) || (c->int_shadow & INT_SHADOW_ACTIVE);
}

static inline bool quirk_concerns(const struct vcpu *v)
{
	const struct vmcb_control *c = &v->vmcb->control;

	return quirk_may_concern(c, c->exitcode) || v->held || v->event_given;
}

/* If quirk_concerns() said so, after an exit, before anybody has looked at it: makes of the exit what a CPU that
 * follows the manual would have stored. RESUME_SAME: there is no exit to handle, an exception came first and is
 * pending now. */
enum resume quirk_after_exit(struct vcpu *v);

/* --- quirk_event.c --- */

/* VMCB02 was built with RF or a shadow, or an exit came: what must last until the instruction at RIP has run. */
COLD void quirk_hold(struct vcpu *v);
void quirk_keep_held(struct vcpu *v);

/* EXITINTINFO is valid: makes it the event that was meant, or that really was under way. */
void quirk_restore_intinfo(struct vcpu *v);

/* QUIRK_INTINFO: was the #DB that was under way made by the INT1 at RIP, which is executed again? */
bool quirk_is_int1(struct vcpu *v);

/* EVENTINJ as this CPU must be told, so that the guest sees `event` delivered. */
uint64_t quirk_event(struct vcpu *v, uint64_t event);

/* An alarm is wanted that this CPU would not give: asks for an exit instead. */
bool quirk_open_window(struct vcpu *v);

/* --- quirk_xsetbv.c --- */

/* L2's CR4.OSXSAVE is taken out of the CPU, after VMRUN and after a CR4 write of L2, and put back. */
void quirk_hide_xsave(struct vcpu *v);
void quirk_show_xsave(struct vcpu *v);
void quirk_cr4_written(struct vcpu *v, uint64_t old);
/* A #UD meanwhile. True: it was none, and L2 runs on. */
bool quirk_hidden_ud(struct vcpu *v);

#endif
