/* SPDX-License-Identifier: MIT */
/* svm/fpu.h - x87, SSE and AVX registers: they stay in the CPU while L0 runs. */
#ifndef SVM_FPU_H
#define SVM_FPU_H

#include <bits.h>
#include <compiler.h>

/* The format of XSAVE (APM2 11.5.6) as far as AVX, which is all that caps_xcr0() lets a guest have: no more than the low
 * word of XCR0. */
struct fpu_state {
	uint8_t area[832] ALIGNED(64);
	uint32_t xcr0;
};

/* As at power-on, XCR0 too: nothing of what another guest left in this CPU is to be seen. */
void fpu_reset(void);
/* All of it, XCR0 too. */
void fpu_save(struct fpu_state *state);
void fpu_load(const struct fpu_state *state);

#endif
