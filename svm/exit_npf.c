/* SPDX-License-Identifier: MIT */
/* svm/exit_npf.c - L1 touched what NPT01 does not map: a device, or nothing. (L2's nested faults: nested_glue.c.)
 * Manual: APM2 15.25.6. Next: emulate.c. */
#include <amd/cpu.h>
#include <amd/npt.h>

#include "svm/decode.h"
#include "svm/exit.h"

enum resume exit_device(struct vcpu *v, l1pa_t at, uint64_t npf_info)
{
	if (npf_info & NPF_WALK) {
		l1_end(v->l1, "vCPU %u: page tables at %llx, where there is no memory", v->index,
		       (unsigned long long)at.a);
		return RESUME_STOP;
	}
	if (unlikely(v->vmcb->control.exitintinfo & EVENT_V)) { /* no instruction did that */
		l1_end(v->l1, "vCPU %u: an event is delivered by way of %llx, where there is no memory", v->index,
		       (unsigned long long)at.a);
		return RESUME_STOP;
	}
	if (npf_info & PF_ID) { /* reads as all ones, and FF FF is no instruction */
		vcpu_raise(v, VEC_UD);
		return RESUME_SAME;
	}
	return emulate_mmio(v, at, (npf_info & PF_W) != 0);
}

enum resume exit_npf(struct vcpu *v)
{
	const struct vmcb_control *c = &v->vmcb->control;

	return exit_device(v, l1pa(c->exitinfo2), c->exitinfo1);
}
