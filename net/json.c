/* SPDX-License-Identifier: MIT */
/* net/json.c - JSON (RFC 8259) a value at a time. Bytes outside of ASCII are taken for Latin-1 and escaped, so that
 * the answer is valid whatever a guest's name or a reason holds. Users: api_read.c, metrics.c. */
#include "net/json.h"

#include <string.h>

#include "kernel/printf.h"

enum { PIECE_MAX = 512, ASCII_MAX = 0x7E };

static void out_bytes(struct text_out *o, const char *text, size_t len)
{
	if (o->full || len > o->size - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->at + o->len, text, len);
	o->len += len;
}

void out_text(struct text_out *o, const char *text)
{
	out_bytes(o, text, strlen(text));
}

void out_printf(struct text_out *o, const char *fmt, ...)
{
	char piece[PIECE_MAX];
	va_list args;

	va_start(args, fmt);
	size_t len = (size_t)kvsnprintf(piece, sizeof(piece), fmt, args);
	va_end(args);
	if (len >= sizeof(piece))
		o->full = true;
	else
		out_bytes(o, piece, len);
}

static void quoted(struct text_out *o, const char *text)
{
	out_text(o, "\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\' || c < ' ' || c > ASCII_MAX)
			out_printf(o, "\\u%04x", c);
		else
			out_bytes(o, text, 1);
	}
	out_text(o, "\"");
}

/* What stands before a value. */
static void begin_value(struct text_out *o, const char *key)
{
	if (o->comma)
		out_text(o, ",");
	o->comma = true;
	if (key) {
		quoted(o, key);
		out_text(o, ":");
	}
}

void json_open(struct text_out *o, const char *key, char bracket)
{
	begin_value(o, key);
	out_bytes(o, &bracket, 1);
	o->comma = false;
}

void json_close(struct text_out *o, char bracket)
{
	out_bytes(o, &bracket, 1);
	o->comma = true;
}

void json_text(struct text_out *o, const char *key, const char *text)
{
	begin_value(o, key);
	quoted(o, text);
}

void json_number(struct text_out *o, const char *key, uint64_t value)
{
	begin_value(o, key);
	out_printf(o, "%llu", (unsigned long long)value);
}

void json_bool(struct text_out *o, const char *key, bool value)
{
	begin_value(o, key);
	out_text(o, value ? "true" : "false");
}
