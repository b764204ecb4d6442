/* SPDX-License-Identifier: MIT */
/* svm/msr.h - MSRs of a guest for those who emulate. False is #GP. */
#ifndef SVM_MSR_H
#define SVM_MSR_H

#include "svm/vcpu.h"

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value);
bool pat_is_legal(uint64_t pat);
/* VMCB01 follows v->nested.svme and .gif, which must be right. */
void msr_svme_changed(struct vcpu *v);
/* Opens, in a map of all ones, the MSRs that L1 may use directly because they are in the CPU for it anyway. */
void msrpm01_init(uint8_t *map);
/* The DEBUGCTL of this vCPU's L1 may be another than the CPU's: L1 must not read that. */
void msr_watch_debugctl(struct vcpu *v);

#endif
