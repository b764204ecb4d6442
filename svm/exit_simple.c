/* SPDX-License-Identifier: MIT */
/* svm/exit_simple.c - exits that need a few lines each: interrupts of the host, windows, HLT, exceptions, the end.
 * Manual: APM2 15.9, 15.12, 15.13, 15.14.3 (Shutdown). */
#include <amd/cpu.h>
#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "kernel/cpu_insn.h"
#include "kernel/irq.h"
#include "svm/exit.h"
#include "svm/exit_names.h"
#include "svm/guest_console.h"
#include "svm/inject.h"
#include "svm/once.h"

/* A physical interrupt or NMI ended the guest's run: the host takes it now. */
enum resume exit_intr(struct vcpu *v)
{
	if (svm_cpu()->eraps)
		v->vmcb->control.erap &= (uint8_t)~ERAP_CLEAR; /* done when the guest was entered */
	irq_window();
	vcpu_host_work(v);
	v->attention = true;
	return RESUME_SAME;
}

/* Our alarm: the guest can take an interrupt now. */
enum resume exit_vintr(struct vcpu *v)
{
	v->attention = true;
	return RESUME_SAME;
}

/* Out of the handler of the NMI that we injected. The exit comes before IRET executes, and a further NMI must not be
 * taken on the frame of the first one: IRET is stepped. */
enum resume exit_iret(struct vcpu *v)
{
	if (!once_step(v, true))
		inject_nmi_over(v);
	v->attention = true;
	return RESUME_SAME;
}

enum resume exit_hlt(struct vcpu *v)
{
	v->activity = VCPU_HALTED;
	v->attention = true;
	return RESUME_NEXT;
}

/* L1 does not ask for this one of the two (quirk.c), or has scaled the TSC of L2 (nested/tsc.c). */
enum resume exit_rdtsc(struct vcpu *v, bool with_aux)
{
	uint64_t tsc = vcpu_tsc(v);

	v->vmcb->save.rax = (uint32_t)tsc;
	v->regs[GPR_RDX] = tsc >> 32;
	if (with_aux)
		v->regs[GPR_RCX] = (uint32_t)rdmsr(MSR_TSC_AUX);
	return RESUME_NEXT;
}

enum resume exit_gp(struct vcpu *v)
{
	vcpu_raise_error(v, VEC_GP, 0);
	return RESUME_SAME;
}

enum resume exit_ud(struct vcpu *v)
{
	vcpu_raise(v, VEC_UD);
	return RESUME_SAME;
}

enum resume exit_shutdown(struct vcpu *v)
{
	l1_end(v->l1, "vCPU %u shut down (triple fault in level %u)", v->index, vcpu_level(v));
	return RESUME_STOP;
}

enum resume exit_unexpected(struct vcpu *v)
{
	uint64_t code = v->vmcb->control.exitcode;

	l1_end(v->l1, "vCPU %u: unexpected #VMEXIT %llx (%s) in level %u", v->index, (unsigned long long)code,
	       exit_name(code), vcpu_level(v));
	return RESUME_STOP;
}
