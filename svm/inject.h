/* SPDX-License-Identifier: MIT */
/* svm/inject.h - events on their way into a vCPU. */
#ifndef SVM_INJECT_H
#define SVM_INJECT_H

#include "svm/vcpu.h"

/* Before every entry: chooses what is injected, opens or closes the interrupt window, or takes an exit from L2 to L1.
 * True when something was delivered, which also wakes a halted vCPU. */
bool inject_prepare(struct vcpu *v);
/* The handler of an NMI, real or virtual, has executed its IRET. */
void inject_nmi_over(struct vcpu *v);
/* After every exit: what the exit interrupted must be delivered again. */
COLD void inject_collect(struct vcpu *v);

/* This level runs now, or GIF was set: what was held back may be due.
 * L1's interrupts have a flag of their own (machine_wants_attention), so that this answers for the rest. */
static inline void inject_level_changed(struct vcpu *v, unsigned level)
{
	const struct nested *n = &v->nested;
	const uint64_t virtual = V_INTR_IRQ | V_INTR_NMI | V_INTR_NMI_MASK;

	if (v->nmi_pending || v->init_pending || v->nmi_blocked || (level == 2 && (n->v_intr12 & virtual)))
		v->attention = true;
}

#endif
