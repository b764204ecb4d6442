/* SPDX-License-Identifier: MIT */
/* net/http_parse.h - the head of an HTTP/1.x request, a byte at a time (RFC 9112). Pure; host-tested and fuzzed.
 * Bounded by the struct below: what does not fit is refused with a status of its own. */
#ifndef NET_HTTP_PARSE_H
#define NET_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_TARGET_MAX 160
#define HTTP_TOKEN_MAX 64
#define HTTP_LINE_MAX 512
#define HTTP_HEAD_MAX 8192

enum http_method { HTTP_OTHER, HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE };

/* Zero: not at the end of the head yet. HTTP_OK: it is complete. Else the answer to give, then close. */
enum http_status {
	HTTP_MORE = 0,
	HTTP_OK = 200,
	HTTP_CREATED = 201,
	HTTP_BAD_REQUEST = 400,
	HTTP_UNAUTHORIZED = 401,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD_NOT_ALLOWED = 405,
	HTTP_CONFLICT = 409,
	HTTP_LENGTH_REQUIRED = 411,
	HTTP_TOO_LARGE = 413,
	HTTP_URI_TOO_LONG = 414,
	HTTP_TOO_MANY = 429,
	HTTP_HEAD_TOO_LARGE = 431,
	HTTP_INTERNAL = 500,
	HTTP_NOT_IMPLEMENTED = 501,
	HTTP_VERSION = 505,
	HTTP_NO_ROOM = 507,
};

/* Of those but HTTP_OTHER. */
const char *http_method_name(enum http_method method);

struct http_request {
	enum http_method method;
	bool is_11;             /* HTTP/1.1: answers may be chunked */
	bool keep_alive;
	bool expect_continue;
	bool has_length;
	uint64_t length;        /* of the body; 0 unless has_length */
	bool has_token;
	unsigned target_len, token_len;
	char target[HTTP_TARGET_MAX + 1]; /* path and query, as sent; printable ASCII */
	char token[HTTP_TOKEN_MAX + 1];   /* of "Authorization: Bearer" */
};

struct http_parser {
	enum http_status status;
	bool in_headers, has_host, chunked;
	bool line_cut;          /* the line is longer than `line` */
	bool after_cr;
	unsigned line_len, head_len;
	char line[HTTP_LINE_MAX];
	struct http_request request;
};

void http_parser_init(struct http_parser *p);
/* Takes bytes up to the end of the head and returns how many; p->status tells when it is there, or what is wrong. */
size_t http_parse(struct http_parser *p, const char *bytes, size_t len);

/* Cuts the path of a target: segment `n`, from 0; "/" has none. False behind the last. */
bool http_segment(const char *target, unsigned n, const char **segment, size_t *len);
/* The number behind "?name=" or "&name=". False when there is none. */
bool http_query(const char *target, const char *name, uint64_t *value);

#endif
