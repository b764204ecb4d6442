/* SPDX-License-Identifier: MIT */
/* svm/exit.h - the exit handlers, one per file exit_<what>.c. Each works on the level that runs (v->vmcb) and says
 * what comes next; stepping over the instruction is svm_exit()'s part. The hottest do both themselves (exit_done()). */
#ifndef SVM_EXIT_H
#define SVM_EXIT_H

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/msr.h>

#include "svm/enable.h"
#include "svm/memo_now.h"
#include "svm/vcpu.h"

/* Called by vmrun.asm after every #VMEXIT. Returns when this vCPU is done; else it runs the guest again. */
void svm_exit(struct vcpu *v);
/* In vmrun.asm: runs the guest, with the stack as svm_exit() found it. */
_Noreturn void svm_enter(struct vcpu *v);
/* Length of the instruction that exited; 0 when its bytes cannot be read any more. */
COLD unsigned exit_decode_length(struct vcpu *v);

/* How to get past the instruction that exited. */
struct step {
	unsigned length; /* 0: its bytes cannot be read any more */
	bool is_64;      /* 64-bit code */
};

static ALWAYS_INLINE struct step exit_step_by(const struct vcpu *v, unsigned length)
{
	const struct vmcb_save *s = &v->vmcb->save;

	return (struct step){.length = length, .is_64 = (s->efer & EFER_LMA) && (s->cs.attr & SEG_L)};
}

/* Where nobody has found out the length yet (v->insn_len). */
static ALWAYS_INLINE struct step exit_first_step(struct vcpu *v)
{
	const struct memo *m;

	if (svm_cpu()->features & SVM_FEAT_NRIPS)
		return exit_step_by(v, (unsigned)(v->vmcb->control.nrip - v->vmcb->save.rip));
	m = memo_now(v);
	return likely(m) ? (struct step){.length = m->length, .is_64 = true} : exit_step_by(v, exit_decode_length(v));
}

static ALWAYS_INLINE struct step exit_step(struct vcpu *v)
{
	return v->insn_len ? exit_step_by(v, v->insn_len) : exit_first_step(v);
}

/* Outside 64-bit code RIP wraps at 32 bits, as the CPU's does. */
static ALWAYS_INLINE void exit_advance(struct vcpu *v, struct step step)
{
	struct vmcb *vmcb = v->vmcb;
	uint64_t rip = vmcb->save.rip + step.length;

	vmcb->save.rip = step.is_64 ? rip : (uint32_t)rip;
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
		svm_enter(v);
	return RESUME_SAME;
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

/* nested_glue.c */
/* An exit of L2. RESUME_UNDECIDED: L1 does not want it, so that it goes where the same exit of L1 goes. */
OWN_FRAME enum resume glue_l2_exit(struct vcpu *v);
OWN_FRAME enum resume glue_vmrun(struct vcpu *v);
enum resume glue_vmload(struct vcpu *v);
enum resume glue_vmsave(struct vcpu *v);
enum resume glue_set_gif(struct vcpu *v, bool gif);
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
