/* SPDX-License-Identifier: MIT */
/* net/token.c - keeps the token, compares it in constant time, and bounds how fast somebody can guess.
 * Guesses: a bucket of WRONG_BURST that fills again at WRONG_PER_SEC. Beyond it a wrong token is answered with "later"
 * and a closed connection, which makes noise slow; the right one always works, so nobody keeps the owner out. What
 * stops guessing is the token's length: NET_TOKEN_MIN characters at least, 128 random bits if we made it.
 * Users: api.c, tcp_console.c. */
#include "net/secret.h"

#include <string.h>

#include <bits.h>

#include "kernel/time.h"

enum { WRONG_BURST = 50, WRONG_PER_SEC = 10 };

static char token[NET_TOKEN_MAX + 1]; /* zeros behind its end */
static size_t token_len;
static uint64_t allowance = WRONG_BURST * NS_PER_SEC; /* of wrong tokens, one being NS_PER_SEC */
static uint64_t counted_at;

void token_set(const char *text)
{
	memset(token, 0, sizeof(token));
	token_len = min_u64(strlen(text), NET_TOKEN_MAX);
	memcpy(token, text, token_len);
	allowance = WRONG_BURST * NS_PER_SEC;
}

void token_make(char text[TOKEN_MADE + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint32_t word = 0;

	for (unsigned i = 0; i < TOKEN_MADE; i++) {
		if (i % 8 == 0)
			word = random32();
		text[i] = digits[word & 0xF];
		word >>= 4;
	}
	text[TOKEN_MADE] = '\0';
	token_set(text);
}

/* Touches every byte of the token whatever `text` is; the token's length is no secret. */
static bool is_equal(const char *text, size_t len)
{
	volatile unsigned differ = len != token_len;

	for (size_t i = 0; i < sizeof(token); i++)
		differ |= (unsigned char)token[i] ^ (unsigned char)(i < len ? text[i] : 0);
	return !differ;
}

/* One wrong token costs NS_PER_SEC of the allowance. */
static void refill(uint64_t now)
{
	uint64_t full = WRONG_BURST * NS_PER_SEC, passed = min_u64(now - counted_at, full);

	counted_at = now;
	allowance = min_u64(allowance + passed * WRONG_PER_SEC, full);
}

enum token_answer token_check(const char *text, size_t len, uint64_t now)
{
	refill(now);
	if (token_len && is_equal(text, len))
		return TOKEN_RIGHT;
	if (allowance < NS_PER_SEC)
		return TOKEN_LATER;
	allowance -= NS_PER_SEC;
	return TOKEN_WRONG;
}
