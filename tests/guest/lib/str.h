/* SPDX-License-Identifier: MIT */
/* lib/str.h - memory and string helpers of the test kernels. */
#ifndef STR_H
#define STR_H

#include <bits.h>

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
/* Whether the first n characters of both are equal. */
bool string_starts(const char *s, const char *prefix, size_t n);
size_t string_length(const char *s);

#endif
