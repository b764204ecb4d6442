/* SPDX-License-Identifier: MIT */
/* net/random.c - random numbers from the CPU.
 * How good they are: with RDRAND, which every CPU of AMD since Excavator has, as good as that. Without, each is made of
 * the time that 256 accesses to a slow register took, which are bus cycles or exits of their own: that is noise on real
 * machines and on emulators that run in real time, and the same at every start on an emulator that counts
 * instructions (`-icount`). net.c says in the log when it is so. Host tests have their own. */
#include <bits.h>

#include <amd/cpuid.h>

#include "kernel/cpu_insn.h"
#include "net/secret.h"

enum {
	RDRAND_TRIES = 32,
	SAMPLES = 256,
	PORT_POST = 0x80, /* the diagnostic port: reading it takes a bus cycle and changes nothing */
};

#define FEATURES_ECX_RDRAND BIT32(30)
#define ODD_CONSTANT UINT64_C(0x9E3779B97F4A7C15)

static uint64_t pool;

bool random_is_good(void)
{
	return cpuid(CPUID_FEATURES, 0).ecx & FEATURES_ECX_RDRAND;
}

static bool rdrand(uint32_t *word)
{
	bool ok = false;

	for (unsigned i = 0; i < RDRAND_TRIES && !ok; i++)
		__asm__ volatile("rdrand %0" : "=r"(*word), "=@ccc"(ok));
	return ok;
}

static void mix(uint64_t value)
{
	pool = (pool ^ value) * ODD_CONSTANT;
	pool ^= pool >> 29;
}

uint32_t random32(void)
{
	uint32_t word;

	if (random_is_good() && rdrand(&word))
		return word;
	for (unsigned i = 0; i < SAMPLES; i++) {
		inb(PORT_POST);
		mix(rdtsc());
	}
	return (uint32_t)(pool >> 32);
}
