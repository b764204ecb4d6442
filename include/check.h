/* SPDX-License-Identifier: MIT */
/* check.h - assertions on our own state. A CHECK may never depend on what a guest wrote:
 * guest mistakes are decisions (inject, reflect, kill that VM), not failed checks. */
#ifndef CHECK_H
#define CHECK_H

/* Supplied by kernel/panic.c on the machine, by the test program on the host. */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			check_failed(__FILE__, __LINE__, #cond);                                   \
	} while (0)

#endif
