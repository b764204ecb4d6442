/* SPDX-License-Identifier: MIT */
/* kernel/panic.h - the two ways to stop the machine. A guest can reach neither. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <compiler.h>

#include <stdbool.h>

/* Our own bug: "nestling: panic: ..." and where; every CPU halts. */
_Noreturn void panic(const char *fmt, ...) PRINTF_LIKE(1, 2) COLD;

/* The user's or the machine's fault: one line "nestling: error: <what>; <what to do>", then halt. */
_Noreturn void fatal(const char *fmt, ...) PRINTF_LIKE(1, 2) COLD;

/* Stops the other CPUs and opens the console to this one. Also for reports of traps. */
void panic_begin(void);

/* True while some CPU has stopped the machine: the others end in halt_forever(). */
bool panic_is_on(void);

_Noreturn void halt_forever(void);

#endif
