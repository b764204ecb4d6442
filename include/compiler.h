/* SPDX-License-Identifier: MIT */
/* compiler.h - the few compiler words that the sources use, under names of ours. */
#ifndef COMPILER_H
#define COMPILER_H

#define PACKED __attribute__((packed))
#define ALIGNED(n) __attribute__((aligned(n)))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define HOT __attribute__((hot))
#define COLD __attribute__((cold, noinline))
#define OWN_FRAME __attribute__((noinline)) /* what it needs of registers and stack is not taken by every caller */
#define FLATTEN __attribute__((flatten)) /* all that it calls becomes part of it, unless that has its own frame */
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Stops the compiler from moving memory accesses across; the CPU may still reorder. */
#define barrier() __asm__ volatile("" ::: "memory")

#endif
