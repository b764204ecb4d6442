/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_guest.h - an L1 with RAM and nothing else, for the tests of the loaders. */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include <stdlib.h>
#include <string.h>

#include "svm/config.h"

#define GUEST_RAM MIB(64)

static struct l1 guest;

/* RAM is filled with a pattern: a loader must not rely on zeroes. */
static inline int guest_setup(void **state)
{
	(void)state;
	guest.low = (struct l1_ram){0, GUEST_RAM, hpa_of(aligned_alloc(PAGE_SIZE, GUEST_RAM))};
	memset(hpa_ptr(guest.low.host), 0xA5, GUEST_RAM);
	return 0;
}

static inline int guest_teardown(void **state)
{
	(void)state;
	free(hpa_ptr(guest.low.host));
	return 0;
}

/* A module with a copy of its own in exactly as many bytes, so that the sanitizer sees a read behind its end. */
static inline struct boot_module fake_module(const char *name, const void *bytes, size_t size)
{
	void *copy = malloc(size ? size : 1);

	memcpy(copy, bytes, size);
	return (struct boot_module){.name = name, .name_len = strlen(name), .args = "", .start = hpa_of(copy),
				    .size = size};
}

static inline void free_module(struct boot_module *m)
{
	free(hpa_ptr(m->start));
}

static inline void *guest_at(uint64_t at, uint64_t size)
{
	return l1_ptr(&guest, l1pa(at), size);
}

static inline uint64_t guest_word(uint64_t at, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, guest_at(at, bytes), bytes);
	return v;
}

#endif
