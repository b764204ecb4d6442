/* SPDX-License-Identifier: MIT */
/* kernel/string.c - memory and string functions, for our own calls and for those gcc makes.
 * Decides nothing but speed; prototypes are those of <string.h>. */
#include "kernel/string.h"

#include <stdint.h>

/* Guest memory is cleared and images are copied through here: blocks of eight words, because an
 * emulator takes many times longer for a string instruction than for a plain store. */
enum { BLOCK_WORDS = 8, BLOCK_SIZE = BLOCK_WORDS * sizeof(uint64_t) };

typedef uint64_t unaligned_word __attribute__((aligned(1), may_alias));

void *memcpy(void *dst, const void *src, size_t n)
{
	unaligned_word *d = dst;
	const unaligned_word *s = src;

	for (; n >= BLOCK_SIZE; n -= BLOCK_SIZE, d += BLOCK_WORDS, s += BLOCK_WORDS)
#pragma GCC unroll 8
		for (unsigned i = 0; i < BLOCK_WORDS; i++)
			d[i] = s[i];
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return dst;
}

void *memset(void *dst, int value, size_t n)
{
	unaligned_word *d = dst;
	uint64_t fill = (uint8_t)value * UINT64_C(0x0101010101010101);

	for (; n >= BLOCK_SIZE; n -= BLOCK_SIZE, d += BLOCK_WORDS)
#pragma GCC unroll 8
		for (unsigned i = 0; i < BLOCK_WORDS; i++)
			d[i] = fill;
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(value) : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		return memcpy(dst, src, n);

	uint8_t *d = (uint8_t *)dst + n;
	const uint8_t *s = (const uint8_t *)src + n;

	while (n--)
		*--d = *--s;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const uint8_t *p = s;

	for (; n; n--, p++)
		if (*p == (uint8_t)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; n--, a++, b++)
		;
	return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)(uintptr_t)s;
}
