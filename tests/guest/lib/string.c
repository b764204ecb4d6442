/* SPDX-License-Identifier: MIT */
/* lib/string.c - the four functions the compiler may call by itself, and string comparison. */
#include "str.h"

void *memcpy(void *to, const void *from, size_t n)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return start;
}

void *memset(void *to, int byte, size_t n)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

bool string_starts(const char *s, const char *prefix, size_t n)
{
	for (; n; n--, s++, prefix++)
		if (*s != *prefix)
			return false;
	return true;
}

size_t string_length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}
