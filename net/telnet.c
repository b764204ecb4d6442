/* SPDX-License-Identifier: MIT */
/* net/telnet.c - telnet for people and for plain TCP tools. Options that the client offers are not answered: a client
 * takes silence for a refusal, and a program that speaks no telnet is not disturbed. User: tcp_console.c. */
#include "net/telnet.h"

enum {
	IAC = 255,
	WILL = 251,
	DONT = 254,
	SB = 250,
	SE = 240,
	INTERRUPT = 244,
	CTRL_C = 3,
};

static int after_iac(enum telnet_state *state, uint8_t byte)
{
	*state = TELNET_DATA;
	if (byte == IAC)
		return IAC;
	if (byte == INTERRUPT)
		return CTRL_C;
	if (byte >= WILL && byte <= DONT)
		*state = TELNET_OPTION;
	else if (byte == SB)
		*state = TELNET_SUB;
	return -1;
}

static int data(enum telnet_state *state, uint8_t byte)
{
	*state = byte == IAC ? TELNET_IAC : byte == '\r' ? TELNET_CR : TELNET_DATA;
	return byte == IAC ? -1 : byte;
}

int telnet_input(enum telnet_state *state, uint8_t byte)
{
	switch (*state) {
	case TELNET_DATA: return data(state, byte);
	case TELNET_CR:
		if (byte != '\n' && byte != 0)
			return data(state, byte);
		*state = TELNET_DATA;
		return -1;
	case TELNET_IAC: return after_iac(state, byte);
	case TELNET_OPTION: *state = TELNET_DATA; return -1;
	case TELNET_SUB:
		if (byte == IAC)
			*state = TELNET_SUB_IAC;
		return -1;
	case TELNET_SUB_IAC: *state = byte == SE ? TELNET_DATA : TELNET_SUB; return -1;
	}
	return -1;
}

size_t telnet_output(const char *in, size_t len, char *out, size_t size, size_t *out_len, int lines)
{
	size_t used = 0;

	for (*out_len = 0; used < len && size - *out_len >= 2; used++) {
		if (in[used] == (char)IAC)
			out[(*out_len)++] = (char)IAC;
		if (in[used] == '\n' && lines)
			out[(*out_len)++] = '\r';
		out[(*out_len)++] = in[used];
	}
	return used;
}
