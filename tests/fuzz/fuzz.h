/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz.h - what the fuzz targets share: the input read as numbers, and the properties of VMCB02 and of L1's
 * memory that hold whatever L1 does. A target is one function, LLVMFuzzerTestOneInput(); libFuzzer calls it, and so
 * does replay.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include <check.h>

#include "tests/unit/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Numbers out of the input, zeros behind its end. */
struct input {
	const uint8_t *next, *end;
};

uint64_t input_bytes(struct input *in, unsigned count);
static inline bool input_ended(const struct input *in)
{
	return in->next == in->end;
}

/* A rig whose L1 was offered what the input says, in the mode that it says; VMCB12s at RIG_VMCB12 and behind are legal,
 * nested tables map some pages. */
struct rig *fuzz_rig(struct input *in, uint8_t poison);
/* Writes up to `count` words of the input to places of L1's memory where nested/ looks. */
void fuzz_patch(struct rig *rig, struct input *in, unsigned count);

/* Of a VMCB02 that is about to run: L0's intercepts are there, tables are ours, nothing of L1's where it must not be,
 * and the CPU will accept it. */
void fuzz_check_vmcb02(const struct rig *rig);
/* Every leaf of the shadow tables is RAM of L1, every table is in the pool. */
void fuzz_check_shadow(const struct rig *rig);
/* All of L1's memory but [start, start + size) is as in `copy`. */
void fuzz_check_ram(const struct rig *rig, const uint8_t *copy, uint64_t start, uint64_t size);

#endif
