/* SPDX-License-Identifier: MIT */
/* svm/caps.h - what an L1 is offered: CPUID as it sees it, and the reserved bits that follow from that. */
#ifndef SVM_CAPS_H
#define SVM_CAPS_H

#include "svm/vcpu.h"

/* CPUID 4000_0000h as our guests see it: "NestlingSVM ". */
#define NESTLING_EBX 0x7473654Eu
#define NESTLING_ECX 0x676E696Cu
#define NESTLING_EDX 0x204D5653u
/* The leaf behind it. EAX: enum unhidden (svm/quirk.h). */
#define CPUID_UNHIDDEN 0x40000001u

#define L1_ASID_COUNT 0x8000u /* as Zen has */

/* SVM features for this L1; 0 when nested is off. */
uint64_t caps_svm_features(const struct l1 *l1);
void caps_build(struct nested_caps *caps, const struct l1 *l1);

/* XCR0 bits that L1 may set. */
uint64_t caps_xcr0(void);

#endif
