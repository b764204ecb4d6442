/* SPDX-License-Identifier: MIT */
/* svm/smm.h - system management mode of a guest's CPUs (smm.c); leaving it is exit_rsm() of exit.h. */
#ifndef SVM_SMM_H
#define SVM_SMM_H

#include "svm/vcpu.h"

/* Takes the SMI that is pending, from whichever level runs. */
void smm_enter(struct vcpu *v);

/* VMCB01's intercepts follow v->nested.smm.active. */
void smm_watch_rsm(struct vcpu *v);

/* HWCR with SMMLOCK; SMM_BASE and SMM_CTL, false being #GP. */
uint64_t smm_hwcr(const struct vcpu *v);
void smm_hwcr_write(struct vcpu *v, uint64_t value);
bool smm_base_write(struct vcpu *v, uint64_t value);
bool smm_ctl_write(struct vcpu *v, uint64_t value);

#endif
