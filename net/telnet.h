/* SPDX-License-Identifier: MIT */
/* net/telnet.h - the telnet protocol (RFC 854), as far as a console needs it. Pure; host-tested and fuzzed. */
#ifndef NET_TELNET_H
#define NET_TELNET_H

#include <stddef.h>
#include <stdint.h>

enum telnet_state { TELNET_DATA, TELNET_CR, TELNET_IAC, TELNET_OPTION, TELNET_SUB, TELNET_SUB_IAC };

/* WILL ECHO, WILL SUPPRESS-GO-AHEAD: the client sends each key and echoes none. */
#define TELNET_HELLO "\xFF\xFB\x01\xFF\xFB\x03"

/* What a key means to the console, or -1: nothing. Commands vanish but for Interrupt Process, which is Ctrl-C; the end
 * of a line, CR LF or CR NUL, is CR. */
int telnet_input(enum telnet_state *state, uint8_t byte);

/* Escapes output: IAC is doubled; with `lines`, LF becomes CR LF. Takes from `in` what surely fits, gives its length;
 * *out_len is what was written to `out`. */
size_t telnet_output(const char *in, size_t len, char *out, size_t size, size_t *out_len, int lines);

#endif
