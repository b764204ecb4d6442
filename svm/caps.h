/* SPDX-License-Identifier: MIT */
/* svm/caps.h - what an L1 is offered: CPUID as it sees it, and the reserved bits that follow from that. */
#ifndef SVM_CAPS_H
#define SVM_CAPS_H

#include "svm/vcpu.h"

#define L1_ASID_COUNT 0x8000u /* as Zen has */

/* SVM features for this L1; 0 when nested is off. */
uint64_t caps_svm_features(const struct l1 *l1);
void caps_build(struct nested_caps *caps, const struct l1 *l1);

/* XCR0 bits that L1 may set. */
uint64_t caps_xcr0(void);

#endif
