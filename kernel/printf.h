/* SPDX-License-Identifier: MIT */
/* kernel/printf.h - formatting into a buffer, as snprintf does. Pure, unit-tested. */
#ifndef KERNEL_PRINTF_H
#define KERNEL_PRINTF_H

#include <compiler.h>

#include <stdarg.h>
#include <stddef.h>

/* Conversions d i u x X c s p %, width, precision for s, flags 0 and -, lengths l ll z h hh.
 * Returns the length the whole text has; writes at most size bytes, the last one a zero. */
int ksnprintf(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list args) PRINTF_LIKE(3, 0);

#endif
