/* SPDX-License-Identifier: MIT */
/* svm/exit.h - the exit handlers, one per file exit_<what>.c. Each works on the level that runs (v->vmcb) and says
 * what comes next; stepping over the instruction is svm_after_exit()'s part. The hottest do both themselves
 * (exit_done()). */
#ifndef SVM_EXIT_H
#define SVM_EXIT_H

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/msr.h>

#include "svm/enable.h"
#include "svm/memo_now.h"
#include "svm/vcpu.h"

/* Called by vmrun.asm after every #VMEXIT. Mostly the handler, in whose call this ends, runs the guest again itself. If
 * it returns, svm_after_exit() is next: that one returns when this vCPU is done; else it runs the guest again. */
enum resume svm_exit(struct vcpu *v);
void svm_after_exit(struct vcpu *v, enum resume resume);
/* Once for each vCPU, after quirk_detect(). */
void exit_init(struct vcpu *v);
/* Runs the guest, with the stack as svm_exit() found it: a jump to vmrun.asm, for which no caller needs a frame. */
_Noreturn static ALWAYS_INLINE void exit_enter(struct vcpu *v)
{
	__asm__ volatile("jmp svm_enter" : : "D"(v) : "memory");
	__builtin_unreachable();
}
/* Length of the instruction that exited; 0 when its bytes cannot be read any more. */
COLD unsigned exit_decode_length(struct vcpu *v);

/* How to get past the instruction that exited. */
struct step {
	unsigned length; /* 0: its bytes cannot be read any more */
	uint64_t width;  /* mask of RIP: outside 64-bit code it wraps at 32 bits, as the CPU's does */
};

static ALWAYS_INLINE struct step exit_step_by(const struct vcpu *v, unsigned length)
{
	return (struct step){.length = length, .width = memo_is_64_bit(&v->vmcb->save) ? UINT64_MAX : UINT32_MAX};
}

/* Where nobody has found out the length yet (v->insn_len). */
static ALWAYS_INLINE struct step exit_first_step(struct vcpu *v)
{
	const struct memo *m;

	if (svm_cpu()->features & SVM_FEAT_NRIPS)
		return exit_step_by(v, (unsigned)(v->vmcb->control.nrip - v->vmcb->save.rip));
	m = memo_now(v);
	return likely(m) ? (struct step){m->length, UINT64_MAX} : exit_step_by(v, exit_decode_length(v));
}

static ALWAYS_INLINE struct step exit_step(struct vcpu *v)
{
	return v->insn_len ? exit_step_by(v, v->insn_len) : exit_first_step(v);
}

static ALWAYS_INLINE void exit_advance(struct vcpu *v, struct step step)
{
	struct vmcb *vmcb = v->vmcb;

	vmcb->save.rip = (vmcb->save.rip + step.length) & step.width;
	vmcb->save.rflags &= ~RFLAGS_RF;
	vmcb->control.int_shadow = 0;
}

static inline void exit_advance_rip(struct vcpu *v)
{
	exit_advance(v, exit_step(v));
}

/* The trap behind an instruction that was stepped over. */
static inline void exit_trap_if_tf(struct vcpu *v)
{
	if (unlikely(v->vmcb->save.rflags & RFLAGS_TF) && !(v->vmcb->save.dbgctl & DEBUGCTL_BTF))
		vcpu_raise_db(v, DR6_BS);
}

/* How the hottest handlers end: mostly nothing waits, and the guest runs on at once. */
static ALWAYS_INLINE enum resume exit_done(struct vcpu *v)
{
	if (likely(!vcpu_has_work(v)))
		exit_enter(v);
	return RESUME_SAME;
}

/* The same for an instruction that is done: by this step, or nobody knows its length yet. */
static ALWAYS_INLINE enum resume exit_done_step(struct vcpu *v, struct step step)
{
	exit_advance(v, step);
	exit_trap_if_tf(v);
	return exit_done(v);
}

static ALWAYS_INLINE enum resume exit_done_first(struct vcpu *v)
{
	return exit_done_step(v, exit_first_step(v));
}

OWN_FRAME enum resume exit_cpuid(struct vcpu *v);
OWN_FRAME enum resume exit_msr(struct vcpu *v);
OWN_FRAME enum resume exit_io(struct vcpu *v);
OWN_FRAME enum resume exit_npf(struct vcpu *v);
/* L1 or L2 touched an L1-physical address where there is no RAM; npf_info as in EXITINFO1 of #VMEXIT(NPF). */
enum resume exit_device(struct vcpu *v, l1pa_t at, uint64_t npf_info);
enum resume exit_cr0_write(struct vcpu *v);
enum resume exit_cr4_read(struct vcpu *v);
enum resume exit_cr4_write(struct vcpu *v);
enum resume exit_cr8(struct vcpu *v, bool write);
enum resume exit_excp(struct vcpu *v, uint8_t vector);
enum resume exit_soft_int(struct vcpu *v);
enum resume exit_icebp(struct vcpu *v);
enum resume exit_rdtsc(struct vcpu *v, bool with_aux);
enum resume exit_intr(struct vcpu *v);
enum resume exit_vintr(struct vcpu *v);
enum resume exit_iret(struct vcpu *v);
enum resume exit_gp(struct vcpu *v);
enum resume exit_ud(struct vcpu *v);
OWN_FRAME enum resume exit_hlt(struct vcpu *v);
enum resume exit_rsm(struct vcpu *v);
enum resume exit_xsetbv(struct vcpu *v);
enum resume exit_shutdown(struct vcpu *v);
enum resume exit_invalid_hw(struct vcpu *v);
enum resume exit_unexpected(struct vcpu *v);

/* MOV CRn: as many bits as the mode has; is the value one that CR0, CR4 can have? */
uint64_t cr_width(const struct vcpu *v, uint64_t value);
bool cr0_is_legal(const struct vcpu *v, uint64_t value);
bool cr4_is_legal(const struct vcpu *v, uint64_t value);

/* Any exit of L2, whoever's it is. */
OWN_FRAME enum resume exit_of_l2(struct vcpu *v);

/* nested_glue.c */
/* As exit_of_l2(), for instructions whose exit is L1's by one intercept bit and which give L1 nothing but nRIP. Only
 * when nothing is odd about the exit (exit.c). */
enum resume glue_l2_instruction(struct vcpu *v);
/* An exit of L2. RESUME_UNDECIDED: L1 does not want it, so that it goes where the same exit of L1 goes. */
enum resume glue_l2_exit(struct vcpu *v);
OWN_FRAME enum resume glue_vmrun(struct vcpu *v);
OWN_FRAME enum resume glue_vmload(struct vcpu *v);
OWN_FRAME enum resume glue_vmsave(struct vcpu *v);
OWN_FRAME enum resume glue_set_gif(struct vcpu *v);
enum resume glue_invlpga(struct vcpu *v);
/* PAUSE of L2 that L1 intercepts, through a filter. */
enum resume glue_pause(struct vcpu *v);
/* NPT12 refuses an access of L2: L1 gets #VMEXIT(NPF) with these infos. */
enum resume glue_l2_npf(struct vcpu *v, uint64_t exitinfo1, uint64_t exitinfo2);
/* After the CPU refused VMCB02: puts L2's state back that it overwrote with the host's. */
void glue_restore_l2_state(struct vcpu *v);
/* #VMEXIT of L2 to L1 for a reason that is not in VMCB02: events, and faults found by emulation. */
void glue_exit_to_l1(struct vcpu *v, uint64_t code, uint64_t info1, uint64_t info2);

#endif
