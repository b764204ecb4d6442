/* SPDX-License-Identifier: MIT */
/* net/json.h - writes text and JSON into a buffer of fixed size. Pure; host-tested and fuzzed.
 * A writer that runs out of room remembers it (`full`) and writes no more; it never writes behind its buffer. */
#ifndef NET_JSON_H
#define NET_JSON_H

#include <compiler.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_out {
	char *at;
	size_t size, len;
	bool full;  /* something did not fit */
	bool comma; /* JSON: a value stands before the next one */
};

void out_text(struct text_out *o, const char *text);
/* As ksnprintf(), at most 512 bytes at a time. */
void out_printf(struct text_out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* `key` is null within an array. Keys are ours and need no escapes; text may hold anything. */
void json_open(struct text_out *o, const char *key, char bracket);
void json_close(struct text_out *o, char bracket);
void json_text(struct text_out *o, const char *key, const char *text);
void json_number(struct text_out *o, const char *key, uint64_t value);
void json_bool(struct text_out *o, const char *key, bool value);

#endif
