/* SPDX-License-Identifier: MIT */
/* kernel/log.c - the log ring and the stamped lines of klog().
 * Decides the form of a line and what the ring keeps: the newest RING_SIZE bytes.
 * Lock: log_lock, then the console's own (kernel/console.c). */
#include "kernel/log.h"

#include "kernel/console.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/time.h"

#include <bits.h>

enum { RING_SIZE = 64 * 1024, LINE_SIZE = 512 };

static struct spinlock log_lock;
static char ring[RING_SIZE];  /* [log_lock] */
static uint64_t ring_written; /* [log_lock] bytes ever written */
static bool lock_broken;      /* [a] */

static void ring_add(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ring[ring_written++ % RING_SIZE] = text[i];
}

/* A line that does not fit ends in "..." rather than being lost. */
static void emit(char *line, size_t len, bool shown)
{
	if (len > LINE_SIZE - 2) {
		len = LINE_SIZE - 2;
		memset(line + len - 3, '.', 3);
	}
	line[len++] = '\n';

	bool locked = !__atomic_load_n(&lock_broken, __ATOMIC_RELAXED);

	if (locked)
		spin_lock(&log_lock);
	ring_add(line, len);
	if (shown)
		console_write(line, len);
	if (locked)
		spin_unlock(&log_lock);
}

void log_break_lock(void)
{
	__atomic_store_n(&lock_broken, true, __ATOMIC_RELAXED);
	console_break_lock();
}

static size_t stamp(char *line)
{
	uint64_t ms = time_now_ns() / 1000000;

	return (size_t)ksnprintf(line, LINE_SIZE, "[%3llu.%03llu] ", (unsigned long long)(ms / 1000),
				 (unsigned long long)(ms % 1000));
}

static void stamped(const char *fmt, va_list args, bool shown)
{
	char line[LINE_SIZE];
	size_t len = stamp(line);

	len += (size_t)kvsnprintf(line + len, sizeof(line) - len, fmt, args);
	emit(line, len, shown);
}

void klog(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	stamped(fmt, args, true);
	va_end(args);
}

void klog_quiet(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	stamped(fmt, args, false);
	va_end(args);
}

void klog_raw(const char *fmt, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, fmt);
	size_t len = (size_t)kvsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	emit(line, len, true);
}

size_t log_read(uint64_t *position, char *buf, size_t size)
{
	size_t n = 0;

	spin_lock(&log_lock);
	if (ring_written > RING_SIZE)
		*position = max_u64(*position, ring_written - RING_SIZE);
	while (n < size && *position < ring_written)
		buf[n++] = ring[(*position)++ % RING_SIZE];
	spin_unlock(&log_lock);
	return n;
}
