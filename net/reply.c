/* SPDX-License-Identifier: MIT */
/* net/reply.c - frames answers. Decides how the peer learns where one ends: an answer that fits the buffer at once has
 * its length told, so small ones are one write and one segment; a longer one is chunked, or, for HTTP/1.0, ends with
 * the connection. Touches only the connection's own fields. Manual: RFC 9112 6, 7.1. Before: http.c. */
#include "net/http.h"

#include <string.h>

#include <bits.h>

#define TAIL_ROOM 8u /* behind a chunk: its line end, and the last chunk */
#define LAST_CHUNK "0\r\n\r\n"

/* Their phrases, and what the peer is told if nobody knows better. */
static const struct { enum http_status status; const char *phrase, *error; } statuses[] = {
	{HTTP_INTERNAL, "Internal Server Error", "it cannot be done"},
	{HTTP_OK, "OK", ""},
	{HTTP_CREATED, "Created", ""},
	{HTTP_BAD_REQUEST, "Bad Request", "this is no HTTP request"},
	{HTTP_UNAUTHORIZED, "Unauthorized", "the token is missing or wrong; send 'Authorization: Bearer TOKEN'"},
	{HTTP_NOT_FOUND, "Not Found", "there is no such thing; docs/network.md lists what there is"},
	{HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed", "not with this method; see Allow"},
	{HTTP_CONFLICT, "Conflict", "not now"},
	{HTTP_LENGTH_REQUIRED, "Length Required", "the body must tell its length; send Content-Length"},
	{HTTP_TOO_LARGE, "Content Too Large", "the body is too large"},
	{HTTP_URI_TOO_LONG, "URI Too Long", "the path is too long"},
	{HTTP_TOO_MANY, "Too Many Requests", "too many wrong tokens; wait a second"},
	{HTTP_HEAD_TOO_LARGE, "Request Header Fields Too Large", "the head of the request is too large"},
	{HTTP_NOT_IMPLEMENTED, "Not Implemented", "this method means nothing here"},
	{HTTP_VERSION, "HTTP Version Not Supported", "speak HTTP/1.1 or HTTP/1.0"},
	{HTTP_NO_ROOM, "Insufficient Storage", "no room"},
};

static unsigned find_status(enum http_status status)
{
	for (unsigned i = 1; i < ARRAY_COUNT(statuses); i++) {
		if (statuses[i].status == status)
			return i;
	}
	return 0;
}

static enum http_produced produce_error(struct http_conn *c, struct text_out *out)
{
	json_open(out, NULL, '{');
	json_text(out, "error", c->error[0] ? c->error : statuses[find_status(c->status)].error);
	json_close(out, '}');
	out_text(out, "\n");
	return HTTP_LAST_PIECE;
}

void reply_error(struct http_conn *c)
{
	c->type = "application/json";
	c->produce = produce_error;
	c->file_left = 0;
}

void reply_begin(struct http_conn *c, enum http_status status)
{
	c->status = status;
	c->out_at = c->out_end = 0;
	c->head_sent = c->chunked = c->finished = false;
	c->body_left_out = c->parser.request.method == HTTP_HEAD;
	if (c->body_left_out)
		c->file_left = 0;
}

static void write_allow(struct text_out *o, unsigned methods)
{
	const char *before = "Allow: ";

	for (unsigned m = HTTP_GET; m <= HTTP_DELETE; m++) {
		if (!(methods & 1u << m))
			continue;
		out_printf(o, "%s%s", before, http_method_name((enum http_method)m));
		before = ", ";
	}
	out_text(o, "\r\n");
}

static void write_head(struct http_conn *c, struct text_out *o, bool has_length, uint64_t length)
{
	out_printf(o, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
		   (unsigned)c->status, statuses[find_status(c->status)].phrase, c->type);
	if (c->status == HTTP_UNAUTHORIZED)
		out_text(o, "WWW-Authenticate: Bearer\r\n");
	if (c->status == HTTP_METHOD_NOT_ALLOWED)
		write_allow(o, c->allow);
	if (c->tells_cursor)
		out_printf(o, "Nestling-Cursor: %llu\r\n", (unsigned long long)c->at.end);
	if (has_length)
		out_printf(o, "Content-Length: %llu\r\n", (unsigned long long)length);
	else if (c->chunked)
		out_text(o, "Transfer-Encoding: chunked\r\n");
	out_text(o, c->close_after ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
}

/* What stands before `len` bytes of body, the last ones or not. */
static void write_front(struct http_conn *c, struct text_out *front, uint64_t len, bool last)
{
	if (!c->head_sent) {
		bool has_length = last || c->file;

		c->chunked = !has_length && c->parser.request.is_11;
		c->close_after = c->close_after || (!has_length && !c->chunked);
		write_head(c, front, has_length, c->file ? c->file_size : len);
		c->head_sent = true;
	}
	if (c->chunked && len && !c->body_left_out)
		out_printf(front, "%llx\r\n", (unsigned long long)len);
}

/* The body's bytes stand at HTTP_HEAD_ROOM already. */
static void frame(struct http_conn *c, uint64_t len, bool last)
{
	char text[HTTP_HEAD_ROOM];
	struct text_out front = {.at = text, .size = sizeof(text)};
	struct text_out tail = {.at = c->buf + HTTP_HEAD_ROOM, .size = sizeof(c->buf) - HTTP_HEAD_ROOM, .len = len};

	write_front(c, &front, len, last);
	if (c->body_left_out)
		tail.len = 0;
	else if (c->chunked && len)
		out_text(&tail, "\r\n");
	if (c->chunked && last && !c->body_left_out)
		out_text(&tail, LAST_CHUNK);
	c->out_at = (unsigned)(HTTP_HEAD_ROOM - front.len);
	memcpy(c->buf + c->out_at, text, front.len);
	c->out_end = (unsigned)(HTTP_HEAD_ROOM + tail.len);
	c->finished = last || c->body_left_out;
}

bool reply_fill(struct http_conn *c)
{
	struct text_out o = {
		.at = c->buf + HTTP_HEAD_ROOM,
		.size = sizeof(c->buf) - HTTP_HEAD_ROOM - TAIL_ROOM,
		.comma = c->at.comma,
	};
	enum http_produced produced = c->produce ? HTTP_PIECE : HTTP_LAST_PIECE;

	while (produced == HTTP_PIECE && o.size - o.len >= HTTP_PIECE_MAX)
		produced = c->produce(c, &o);
	c->at.comma = o.comma;
	if (o.full) { /* HTTP_PIECE_MAX is too small: the peer must see that something is missing */
		c->close_after = true;
		produced = HTTP_LAST_PIECE;
	}
	if (produced == HTTP_WAIT && !o.len && c->head_sent)
		return false;
	frame(c, o.len, produced == HTTP_LAST_PIECE);
	return true;
}
