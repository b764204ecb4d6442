/* SPDX-License-Identifier: MIT */
/* wide.h - copies of sixteen bytes, as VMCBs are laid out. On the bare machine they go through XMM0, which is the
 * guest's: whoever copies keeps it from wide_begin() to wide_end(), and between the two runs no guest and returns to
 * nobody. L0 uses no other register of the FPU, and this one in no other place, trap handlers included; legacy SSE leaves
 * the rest of a YMM register alone, and raises nothing here (CR4.OSFXSR=1, CR0.TS=0: L0's). Each byte of the source is
 * read once. On the host, for the tests, it is ordinary C.
 * Manual: APM4 MOVUPS, ANDPS; APM2 11.3 (SSE support). */
#ifndef WIDE_H
#define WIDE_H

#include <stdint.h>

#include <compiler.h>

struct wide {
	uint64_t half[2];
} __attribute__((may_alias)); /* fields of any type lie in it */

#if __STDC_HOSTED__
#define WIDE_ASM(...) ((void)0)
#define WIDE_C(statement) statement
#else
#define WIDE_ASM(...) __asm__ volatile(__VA_ARGS__)
#define WIDE_C(statement)
#endif

static ALWAYS_INLINE void wide_begin(struct wide *kept UNUSED)
{
	WIDE_ASM("movups %%xmm0, %0" : "=m"(*kept));
}

static ALWAYS_INLINE void wide_end(const struct wide *kept UNUSED)
{
	WIDE_ASM("movups %0, %%xmm0" : : "m"(*kept));
}

static ALWAYS_INLINE void wide_copy(void *to_bytes, const void *from_bytes)
{
	struct wide *to = to_bytes;
	const struct wide *from = from_bytes;

	WIDE_ASM("movups %1, %%xmm0\n\tmovups %%xmm0, %0" : "=m"(*to) : "m"(*from));
	WIDE_C(*to = *from);
}

/* With the bits that `mask` has, which must be aligned to its size; likewise below. */
static ALWAYS_INLINE void wide_copy_and(void *to_bytes, const void *from_bytes, const struct wide *mask)
{
	struct wide *to = to_bytes;
	const struct wide *from = from_bytes;

	WIDE_ASM("movups %1, %%xmm0\n\tandps %2, %%xmm0\n\tmovups %%xmm0, %0" : "=m"(*to) : "m"(*from), "m"(*mask));
	WIDE_C(*to = ((struct wide){{from->half[0] & mask->half[0], from->half[1] & mask->half[1]}}));
}

/* And with `bits` besides. */
static ALWAYS_INLINE void wide_copy_or(void *to_bytes, const void *from_bytes, const struct wide *bits)
{
	struct wide *to = to_bytes;
	const struct wide *from = from_bytes;

	WIDE_ASM("movups %1, %%xmm0\n\torps %2, %%xmm0\n\tmovups %%xmm0, %0" : "=m"(*to) : "m"(*from), "m"(*bits));
	WIDE_C(*to = ((struct wide){{from->half[0] | bits->half[0], from->half[1] | bits->half[1]}}));
}

#endif
