/* SPDX-License-Identifier: MIT */
/* svm/out.h - where text for people goes: the machine's console, the log, or a ring that somebody reads later. */
#ifndef SVM_OUT_H
#define SVM_OUT_H

#include <compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum out_kind { OUT_CONSOLE, OUT_LOG, OUT_RING };

struct out {
	enum out_kind kind;
	char *ring;             /* OUT_RING: the newest ring_size bytes of `written` */
	size_t ring_size;
	uint64_t written, read; /* OUT_RING: bytes ever */
};

extern struct out out_console, out_log;

/* To the console and to rings: any text. */
void out_write(struct out *out, const char *text, size_t len);
/* Up to OUT_MAX - 1 bytes of text; what is longer is cut. */
#define OUT_MAX 256u
void PRINTF_LIKE(2, 3) out_print(struct out *out, const char *fmt, ...);
/* The same as a line, whose end is added; this is the one for the log. */
void PRINTF_LIKE(2, 3) out_line(struct out *out, const char *fmt, ...);
/* The next bytes of a ring, 0 when all have been read. *lost: bytes that were overwritten before. */
size_t out_read(struct out *out, char *buf, size_t size, uint64_t *lost);

#endif
