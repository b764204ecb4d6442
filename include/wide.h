/* SPDX-License-Identifier: MIT */
/* wide.h - copies of sixteen bytes, as VMCBs are laid out. On the bare machine they go through XMM0, which is the guest's:
 * whoever copies keeps it from wide_begin() to wide_end(). L0 uses no other register of the FPU, and this one in no other
 * place; legacy SSE leaves the rest of a YMM register alone, and raises nothing here (CR4.OSFXSR=1, CR0.TS=0: L0's).
 * Each byte of the source is read once. Under an operating system it is ordinary C.
 * Manual: APM1 4.7.1 (MOVUPS), APM2 11.3. */
#ifndef WIDE_H
#define WIDE_H

#include <stdint.h>

#include <compiler.h>

struct wide {
	uint64_t half[2];
};

#if __STDC_HOSTED__

static ALWAYS_INLINE void wide_begin(struct wide *kept)
{
	(void)kept;
}

static ALWAYS_INLINE void wide_end(const struct wide *kept)
{
	(void)kept;
}

static ALWAYS_INLINE void wide_copy(void *to, const void *from)
{
	__builtin_memcpy(to, from, sizeof(struct wide));
}

static ALWAYS_INLINE void wide_copy_and(void *to, const void *from, const struct wide *mask)
{
	struct wide value;

	__builtin_memcpy(&value, from, sizeof(value));
	value.half[0] &= mask->half[0];
	value.half[1] &= mask->half[1];
	__builtin_memcpy(to, &value, sizeof(value));
}

static ALWAYS_INLINE void wide_copy_or(void *to, const void *from, const struct wide *bits)
{
	struct wide value;

	__builtin_memcpy(&value, from, sizeof(value));
	value.half[0] |= bits->half[0];
	value.half[1] |= bits->half[1];
	__builtin_memcpy(to, &value, sizeof(value));
}

#else

static ALWAYS_INLINE void wide_begin(struct wide *kept)
{
	__asm__ volatile("movups %%xmm0, %0" : "=m"(*kept));
}

static ALWAYS_INLINE void wide_end(const struct wide *kept)
{
	__asm__ volatile("movups %0, %%xmm0" : : "m"(*kept));
}

static ALWAYS_INLINE void wide_copy(void *to, const void *from)
{
	__asm__ volatile("movups %1, %%xmm0\n\tmovups %%xmm0, %0"
			 : "=m"(*(struct wide *)to)
			 : "m"(*(const struct wide *)from));
}

/* With the bits that `mask` has, which must be aligned to its size. */
static ALWAYS_INLINE void wide_copy_and(void *to, const void *from, const struct wide *mask)
{
	__asm__ volatile("movups %1, %%xmm0\n\tandps %2, %%xmm0\n\tmovups %%xmm0, %0"
			 : "=m"(*(struct wide *)to)
			 : "m"(*(const struct wide *)from), "m"(*mask));
}

/* And with `bits` besides, aligned likewise. */
static ALWAYS_INLINE void wide_copy_or(void *to, const void *from, const struct wide *bits)
{
	__asm__ volatile("movups %1, %%xmm0\n\torps %2, %%xmm0\n\tmovups %%xmm0, %0"
			 : "=m"(*(struct wide *)to)
			 : "m"(*(const struct wide *)from), "m"(*bits));
}

#endif

#endif
