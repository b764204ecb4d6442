/* SPDX-License-Identifier: MIT */
/* svm/out.c - text for people, to whichever place the caller was given.
 * A ring belongs to CPU 0 and has no lock; console and log have their own. Users: command.c, report.c. */
#include "svm/out.h"

#include <bits.h>

#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/printf.h"
#include "kernel/string.h"

struct out out_console = {.kind = OUT_CONSOLE};
struct out out_log = {.kind = OUT_LOG};

void out_write(struct out *out, const char *text, size_t len)
{
	switch (out->kind) {
	case OUT_CONSOLE:
		console_write(text, len);
		break;
	case OUT_LOG:
		klog_raw("%.*s", (int)len, text);
		break;
	case OUT_RING:
		for (size_t i = 0; i < len; i++)
			out->ring[out->written++ % out->ring_size] = text[i];
		break;
	}
}

void out_print(struct out *out, const char *fmt, ...)
{
	char text[OUT_MAX];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	out_write(out, text, strlen(text));
}

/* The log ends its lines itself. */
void out_line(struct out *out, const char *fmt, ...)
{
	char text[OUT_MAX + 1];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, OUT_MAX, fmt, args);
	va_end(args);

	size_t len = strlen(text);

	if (out->kind != OUT_LOG)
		text[len++] = '\n';
	out_write(out, text, len);
}

size_t out_read(struct out *out, char *buf, size_t size, uint64_t *lost)
{
	uint64_t oldest = out->written - min_u64(out->written, out->ring_size);
	size_t n = 0;

	*lost = oldest - min_u64(oldest, out->read);
	out->read = max_u64(out->read, oldest);
	while (n < size && out->read < out->written)
		buf[n++] = out->ring[out->read++ % out->ring_size];
	return n;
}
