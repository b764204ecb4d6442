/* SPDX-License-Identifier: MIT */
/* nested/nested.h - the only header of nested/ that other folders include. nested/ decides, svm/ acts.
 * Read on: vmrun.c (the story of VMRUN), exit_invalid.c and exit_full.c (the two exits), route.c (whose exit). */
#ifndef NESTED_NESTED_H
#define NESTED_NESTED_H

#include "state.h"

struct nested_exit {
	uint64_t code, info1, info2, intinfo, nrip;
	uint8_t insn_len;
	uint8_t insn_bytes[15];
};

#endif
