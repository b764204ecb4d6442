/* SPDX-License-Identifier: MIT */
/* svm/fpu.c - brings the extended state of this CPU to its initial values, since the CPU may have had another guest;
 * saves it and loads it again. L0 itself uses none of it but XMM0, which it puts back (include/wide.h). Components that
 * the guest's XCR0 leaves out keep their values in the CPU, so all are moved.
 * Manual: APM2 11.5 (XSAVE/XRSTOR), table 14-1; APM4 XRSTOR, FXRSTOR. Users: vcpu.c, live.c. */
#include "svm/fpu.h"

#include <string.h>

#include <amd/cpu.h>
#include <bits.h>

#include "kernel/cpu_insn.h"
#include "svm/caps.h"

/* An XSAVE area whose XSTATE_BV names no component, so that each gets its initial state; its first 512 bytes are an
 * FXSAVE area with the same meaning. */
static const struct {
	uint16_t fcw;
	uint8_t unused[22];
	uint32_t mxcsr;
	uint8_t rest[484];
	uint64_t header[8];
} _Alignas(64) initial = {.fcw = 0x37F, .mxcsr = 0x1F80};

_Static_assert(sizeof(initial) == 512 + 64, "legacy area and header, APM2 11.5.7");

static void set_xcr0(uint64_t value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* Guests reach no other components than those of caps_xcr0(). XCR0 at 1 hides all but x87 until it is set again. */
void fpu_reset(void)
{
	if (!(read_cr4() & CR4_OSXSAVE)) {
		__asm__ volatile("fxrstor64 %0" : : "m"(initial));
		return;
	}
	set_xcr0(caps_xcr0());
	__asm__ volatile("xrstor64 %0" : : "m"(initial), "a"(UINT32_MAX), "d"(UINT32_MAX));
	set_xcr0(XCR0_X87);
}

/* FXSAVE and FXRSTOR leave XMM registers out without CR4.OSFXSR (APM2 11.4.4). */
void fpu_save(struct fpu_state *state)
{
	memset(state->area, 0, sizeof(state->area));
	if (!(read_cr4() & CR4_OSXSAVE)) {
		write_cr4(read_cr4() | CR4_OSFXSR);
		__asm__ volatile("fxsave64 %0" : "=m"(state->area));
		return;
	}
	__asm__ volatile("xgetbv" : "=a"(state->xcr0) : "c"(0) : "edx");
	set_xcr0(caps_xcr0());
	__asm__ volatile("xsave64 %0" : "+m"(state->area) : "a"(UINT32_MAX), "d"(UINT32_MAX));
}

void fpu_load(const struct fpu_state *state)
{
	if (!(read_cr4() & CR4_OSXSAVE)) {
		write_cr4(read_cr4() | CR4_OSFXSR);
		__asm__ volatile("fxrstor64 %0" : : "m"(state->area));
		return;
	}
	set_xcr0(caps_xcr0());
	__asm__ volatile("xrstor64 %0" : : "m"(state->area), "a"(UINT32_MAX), "d"(UINT32_MAX));
	set_xcr0(state->xcr0);
}
