/* SPDX-License-Identifier: MIT */
/* kernel/log.h - the log: every line goes to the console and into a ring that the monitor can show. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/printf.h"

#include <stdint.h>

/* One line, without "\n", stamped with the seconds since the clock started. */
void klog(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The same into the ring alone: what the monitor's `log` shows, but nobody wants amid a guest's output. */
void klog_quiet(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* One line as it is: no stamp. For reports that span lines, and the last words of panic. */
void klog_raw(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Copies what the ring holds from *position on and advances it; 0 at the end. Start with 0. */
size_t log_read(uint64_t *position, char *buf, size_t size);

/* For a CPU that is about to stop the machine: another one may hold the locks for ever. */
void log_break_lock(void);

#endif
