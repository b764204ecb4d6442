/* SPDX-License-Identifier: MIT */
/* svm/fpu.h - x87, SSE and AVX registers: they stay in the CPU while L0 runs. */
#ifndef SVM_FPU_H
#define SVM_FPU_H

/* As at power-on, XCR0 too: nothing of what another guest left in this CPU is to be seen. */
void fpu_reset(void);

#endif
