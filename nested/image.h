/* SPDX-License-Identifier: MIT */
/* nested/image.h - the nested state of a vCPU while nobody runs it: a value without a pointer into anything, that may
 * lie in memory for as long as one likes. save.c makes it and checks it. */
#ifndef NESTED_IMAGE_H
#define NESTED_IMAGE_H

#include "state.h"

/* Raised whenever the meaning of the bytes below changes; an image of another version is refused. */
#define NESTED_IMAGE_VERSION 3u

/* With L2 inside, value.snap is not VMCB12 as it was at VMRUN but as it would have to be for a VMRUN that goes on where
 * L2 stands: L2's state, shadow, V_INTR word, and EVENTINJ only if that VMRUN has not entered L2 yet. */
struct nested_image {
	uint32_t version, size;
	struct nested_caps caps;   /* what the L1 was offered */
	struct nested_value value;
	struct vmcb_save l1;       /* VMCB01 */
};

#define RESTORE_REFUSALS(X)                                                                        \
	X(NONE, "accepted")                                                                        \
	X(VERSION, "the image is of another version")                                              \
	X(SIZE, "the image is of another size")                                                    \
	X(CAPS, "the image is of a guest that was offered other features")                         \
	X(BOOL, "a flag is neither 0 nor 1")                                                       \
	X(SVME, "EFER.SVME is set where SVM is not offered or disabled, or clear with L2 running") \
	X(VM_CR, "VM_CR has a reserved bit set")                                                   \
	X(HSAVE_PA, "VM_HSAVE_PA is no page of this L1")                                           \
	X(TSC_RATIO, "TSC_RATIO has a reserved bit set")                                           \
	X(RUN_PENDING, "a VMRUN is under way without L2, or an event of one that is over")         \
	X(SMM, "L2 runs in SMM, or was interrupted by none")                                       \
	X(VMCB12_PA, "VMCB12 is no page of this L1")                                               \
	X(L1_STATE, "L1's registers are such as VMRUN would refuse")                               \
	X(CONTROL, "the control area of the snapshot is such as VMRUN would refuse")               \
	X(L2_STATE, "L2's registers are such as VMRUN would refuse")                               \
	X(SOFT_EVENT, "the soft event is none")

#define RESTORE_REFUSAL_ENUM(name, text) RESTORE_##name,
enum restore_refusal { RESTORE_REFUSALS(RESTORE_REFUSAL_ENUM) RESTORE_COUNT };

struct restore_verdict {
	enum restore_refusal refusal;
	enum vmrun_reason reason; /* the check that L1_STATE, CONTROL or L2_STATE failed */
};

const char *restore_refusal_text(enum restore_refusal refusal); /* one clause for people */

#endif
