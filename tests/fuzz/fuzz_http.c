/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_http.c - the pure parts of net/ that read what a peer sends, or write what it gets: request heads,
 * targets, telnet, JSON. The head is the same however it is cut into pieces; nothing leaves its bounds. */
#include <stdlib.h>
#include <string.h>

#include "net/http_parse.h"
#include "net/json.h"
#include "net/telnet.h"
#include "tests/fuzz/fuzz.h"

static void parse(struct http_parser *p, const char *bytes, size_t len, size_t piece)
{
	http_parser_init(p);
	for (size_t at = 0; at < len && p->status == HTTP_MORE;) {
		size_t n = min_u64(piece, len - at), used = http_parse(p, bytes + at, n);

		CHECK(used <= n && (used == n || p->status != HTTP_MORE));
		at += used;
	}
}

static void check_head(const struct http_request *r)
{
	const char *segment;
	size_t len;
	uint64_t value;

	CHECK(r->target_len <= HTTP_TARGET_MAX && strlen(r->target) == r->target_len);
	CHECK(r->token_len <= HTTP_TOKEN_MAX);
	for (unsigned n = 0; n < 6; n++) {
		if (http_segment(r->target, n, &segment, &len))
			CHECK(segment >= r->target && segment + len <= r->target + r->target_len);
	}
	http_query(r->target, "from", &value);
	http_query(r->target, "follow", &value);
}

static void json(const char *bytes, size_t len)
{
	char text[64], out[100];
	struct text_out o = {.at = out, .size = len % sizeof(out)};

	memcpy(text, bytes, min_u64(len, sizeof(text) - 1));
	text[min_u64(len, sizeof(text) - 1)] = '\0';
	json_open(&o, NULL, '{');
	json_text(&o, "key", text);
	json_number(&o, "n", len);
	json_close(&o, '}');
	CHECK(o.len <= o.size);
	for (size_t i = 0; i < o.len; i++)
		CHECK(o.at[i] >= ' ' && o.at[i] < 0x7F);
}

static void telnet(const char *bytes, size_t len)
{
	enum telnet_state state = TELNET_DATA;
	char out[50];
	size_t out_len;

	for (size_t i = 0; i < len; i++)
		CHECK(telnet_input(&state, (uint8_t)bytes[i]) <= 255);
	CHECK(telnet_output(bytes, len, out, sizeof(out), &out_len, 1) <= len && out_len <= sizeof(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_parser whole, pieces;
	char *bytes = malloc(size + 1); /* of its own, so that a sanitizer sees its end */

	memcpy(bytes, data, size);
	parse(&whole, bytes, size, size);
	parse(&pieces, bytes, size, 1 + size % 7);
	CHECK(whole.status == pieces.status);
	CHECK(!memcmp(&whole.request, &pieces.request, sizeof(whole.request)));
	if (whole.status == HTTP_OK)
		check_head(&whole.request);
	json(bytes, size);
	telnet(bytes, size);
	free(bytes);
	return 0;
}
