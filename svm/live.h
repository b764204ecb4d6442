/* SPDX-License-Identifier: MIT */
/* svm/live.h - what of a guest stays in the CPU while L0 runs, put away when its vCPU stops. */
#ifndef SVM_LIVE_H
#define SVM_LIVE_H

#include <addr.h>

#include "svm/fpu.h"

struct vcpu;

struct live_state {
	bool saved;             /* the rest is valid; else the CPU is to be as after a reset */
	struct fpu_state fpu;
	uint64_t tsc_aux, dr[4];
};

/* On the vCPU's CPU, GIF=0: from the CPU to v->live, the VMLOAD registers to VMCB01; and back. Nothing of the guest is
 * left in the CPU between the two. */
void live_put_away(struct vcpu *v);
void live_bring_back(struct vcpu *v);

/* FS, GS, TR, LDTR, KernelGSBase, STAR, LSTAR, CSTAR, SFMASK, SYSENTER_* between the CPU and that page. */
static inline void svm_vmload(hpa_t vmcb)
{
	__asm__ volatile("vmload" : : "a"(vmcb.a) : "memory");
}

static inline void svm_vmsave(hpa_t vmcb)
{
	__asm__ volatile("vmsave" : : "a"(vmcb.a) : "memory");
}

#endif
