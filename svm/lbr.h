/* SPDX-License-Identifier: MIT */
/* svm/lbr.h - DEBUGCTL.LBR and BTF of the level that runs, where the CPU does not do them for guests (lbr.c). */
#ifndef SVM_LBR_H
#define SVM_LBR_H

#include <amd/msr.h>

#include "svm/vcpu.h"

/* Must each instruction be looked at? */
static inline bool lbr_steps(const struct vcpu *v)
{
	return unlikely(v->vmcb->save.dbgctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)) && !v->nested.caps.hw_lbr;
}

/* DEBUGCTL of the level that runs. */
void lbr_set(struct vcpu *v, uint64_t debugctl);
/* Right before an entry with a DEBUGCTL other than 0: L1's reads of it exit from now on. Where it is stepped, sees to
 * an exit after one instruction, or after the event that is being injected. */
void lbr_prepare(struct vcpu *v);
/* After an exit. */
void lbr_after_exit(struct vcpu *v);
/* An instruction was stepped; v->once still tells which. True: it was a branch that was taken. */
bool lbr_stepped(struct vcpu *v, const struct once *step);

#endif
