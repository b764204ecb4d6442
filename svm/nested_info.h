/* SPDX-License-Identifier: MIT */
/* svm/nested_info.h - what belongs to an exit of L2 by the manual but is missing on the CPU below. */
#ifndef SVM_NESTED_INFO_H
#define SVM_NESTED_INFO_H

#include "svm/vcpu.h"

/* nRIP, decode assists and instruction bytes, as far as L1 was offered them. */
void info_complete(struct vcpu *v, struct nested_exit *exit);
/* Is nRIP all that it adds to exits with this code? */
bool info_is_nrip(uint64_t exitcode);
/* Bytes at L2's RIP. */
void info_insn_bytes(struct vcpu *v, struct nested_exit *exit);

#endif
