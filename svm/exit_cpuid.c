/* SPDX-License-Identifier: MIT */
/* svm/exit_cpuid.c - CPUID of L1, and of L2 where L1 does not intercept it. What it says: caps.c. */
#include "kernel/cpu_insn.h"
#include "svm/caps.h"
#include "svm/exit.h"

enum resume exit_cpuid(struct vcpu *v)
{
	struct vmcb_save *s = &v->vmcb->save;
	struct cpuid_regs r = caps_cpuid(v, (uint32_t)s->rax, (uint32_t)v->regs[GPR_RCX]);

	s->rax = r.eax;
	v->regs[GPR_RBX] = r.ebx;
	v->regs[GPR_RCX] = r.ecx;
	v->regs[GPR_RDX] = r.edx;
	return RESUME_NEXT;
}
