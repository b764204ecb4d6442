/* SPDX-License-Identifier: MIT */
/* kernel/panic.c - the two ways to stop the machine, and CHECK's.
 * Decides that the first CPU to stop speaks and that all others fall silent (NMI). */
#include "kernel/panic.h"

#include "kernel/cpu_insn.h"
#include "kernel/lapic.h"
#include "kernel/log.h"
#include "kernel/smp.h"

#include <check.h>

enum { MESSAGE_SIZE = 400 };

static bool panic_on; /* [a] */

_Noreturn void halt_forever(void)
{
	for (;;) {
		cli();
		hlt();
	}
}

bool panic_is_on(void)
{
	return __atomic_load_n(&panic_on, __ATOMIC_ACQUIRE);
}

void panic_begin(void)
{
	if (__atomic_exchange_n(&panic_on, true, __ATOMIC_ACQ_REL))
		halt_forever(); /* somebody, perhaps we ourselves, is already at it */
	if (smp_cpu_count() > 1) /* one that was not started yet would run from the reset vector */
		lapic_send_nmi_to_others();
	log_break_lock();
}

_Noreturn void panic(const char *fmt, ...)
{
	char text[MESSAGE_SIZE];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	panic_begin();
	klog_raw("nestling: panic: %s (called from %p)", text, __builtin_return_address(0));
	halt_forever();
}

_Noreturn void fatal(const char *fmt, ...)
{
	char text[MESSAGE_SIZE];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	panic_begin();
	klog_raw("nestling: error: %s", text);
	halt_forever();
}

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	panic("%s:%d: CHECK(%s) failed", file, line, what);
}
