/* SPDX-License-Identifier: MIT */
/* addr.h - one type per kind of physical address, so that mixing levels does not compile.
 * hpa_t: host-physical. l1pa_t: guest-physical of an L1. l2pa_t: guest-physical of an L2, which
 * L1's nested page table maps to l1pa_t. Conversion between kinds: svm/l1.h and nested/walk12.c. */
#ifndef ADDR_H
#define ADDR_H

#include <bits.h>

typedef struct { uint64_t a; } hpa_t;
typedef struct { uint64_t a; } l1pa_t;
typedef struct { uint64_t a; } l2pa_t;

static inline hpa_t hpa(uint64_t a)
{
	return (hpa_t){a};
}

static inline l1pa_t l1pa(uint64_t a)
{
	return (l1pa_t){a};
}

static inline l2pa_t l2pa(uint64_t a)
{
	return (l2pa_t){a};
}

/* All of physical memory is mapped one to one (kernel/paging.c), so a host-physical address is a pointer. */
static inline void *hpa_ptr(hpa_t p)
{
	return (void *)(uintptr_t)p.a;
}

static inline hpa_t hpa_of(const void *p)
{
	return hpa((uintptr_t)p);
}

#endif
