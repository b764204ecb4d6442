/* SPDX-License-Identifier: MIT */
/* net/sys_arch.c - what lwIP asks of an operating system, with NO_SYS: a clock, random numbers, and what to do when
 * it finds itself broken. Decides that such a fault ends the network plane and nothing else: the turn is left by a
 * long jump, as no code of lwIP may go on behind its assertion. Before: net.c. Needs: arch/cc.h. */
#include <check.h>
#include <lwip/sys.h>

#include "kernel/time.h"
#include "net/secret.h"
#include "net/stack.h"

typedef uint32_t unaligned_u32 __attribute__((aligned(1), may_alias));

/* All belong to CPU 0. */
static bool in_turn;
static const char *fault;        /* what broke; null: nothing so far */
static void *turn_end[5];        /* where net_fault() goes to */

u32_t sys_now(void)
{
	return (u32_t)(time_now_ns() / NS_PER_MS);
}

uint32_t net_random32(void)
{
	return random32();
}

/* The Internet checksum's sum (RFC 1071), not complemented. Half of what a download costs is spent here, and lwIP's own
 * looks for a carry at each word. */
u16_t net_checksum(const void *data, int len)
{
	const unaligned_u32 *words = data;
	uint64_t sum = 0;
	uint32_t last = 0;

#pragma GCC unroll 8
	for (; len >= 4; len -= 4)
		sum += *words++;
	memcpy(&last, words, (size_t)len);
	sum += last;
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (u16_t)sum;
}

/* The single-context rule: our own callers break it or nobody does. */
void net_assert_turn(void)
{
	CHECK(in_turn);
}

void net_fault(const char *what)
{
	CHECK(in_turn);
	fault = what;
	__builtin_longjmp(turn_end, 1);
}

bool context_run(void (*work)(void), const char **what)
{
	CHECK(!in_turn);
	if (!fault && __builtin_setjmp(turn_end) == 0) {
		in_turn = true;
		work();
	}
	in_turn = false;
	*what = fault;
	return !fault;
}
