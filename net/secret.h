/* SPDX-License-Identifier: MIT */
/* net/secret.h - random numbers, and the secret that state-changing, memory-reading and console calls need. */
#ifndef NET_SECRET_H
#define NET_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/cmdline.h"

#define TOKEN_MADE 32 /* characters of one that token_make() makes: 128 bits */

/* For sequence numbers, ports and the token. */
uint32_t random32(void);
/* Does the CPU have a generator of its own? Without, numbers come from the jitter of the clock alone. */
bool random_is_good(void);

enum token_answer {
	TOKEN_RIGHT,
	TOKEN_WRONG,
	TOKEN_LATER, /* wrong, and too many were lately: end the connection */
};

/* `text` has at most NET_TOKEN_MAX characters. */
void token_set(const char *text);
/* Makes one of 128 random bits, sets it, and gives it for the person to read. */
void token_make(char text[TOKEN_MADE + 1]);

/* Compares in a time that does not depend on where they differ. `now` is time_now_ns(): wrong ones are counted. */
enum token_answer token_check(const char *text, size_t len, uint64_t now);

#endif
