/* SPDX-License-Identifier: MIT */
/* net/http_parse.c - request heads. Decides what is refused: control characters, a CR alone, folded lines, space in
 * front of a colon, two lengths that differ, transfer codings (a body must say how long it is, so that its room can
 * be set aside first). Fields of no interest may be of any length within HTTP_HEAD_MAX.
 * Manual: RFC 9112 2.2, 3, 5, 6; RFC 9110 10.1.1. Users: http.c. */
#include "net/http_parse.h"

#include <string.h>

void http_parser_init(struct http_parser *p)
{
	memset(p, 0, sizeof(*p));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equals(const char *text, size_t len, const char *word)
{
	for (size_t i = 0; i < len; i++) {
		if (!word[i] || lower(text[i]) != word[i])
			return false;
	}
	return !word[len];
}

/* All digits, and below 2^60: nobody has that much memory. */
static bool number(const char *text, size_t len, uint64_t *value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || v >> 56)
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	*value = v;
	return len > 0;
}

/* --- the request line --- */

const char *http_method_name(enum http_method method)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE",
	};

	return names[method];
}

static enum http_method method_of(const char *text, size_t len)
{
	for (unsigned m = HTTP_GET; m <= HTTP_DELETE; m++) {
		const char *name = http_method_name((enum http_method)m);

		if (len == strlen(name) && !memcmp(text, name, len))
			return (enum http_method)m;
	}
	return HTTP_OTHER;
}

static bool is_method(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 'A' || text[i] > 'Z')
			return false;
	}
	return len > 0;
}

/* "HTTP/1.1" or "HTTP/1.0" stands behind the last space. */
static enum http_status version(struct http_request *r, const char *text, size_t len)
{
	if (len != 8 || memcmp(text, "HTTP/", 5) || text[6] != '.')
		return HTTP_BAD_REQUEST;
	if (text[5] != '1' || (text[7] != '0' && text[7] != '1'))
		return HTTP_VERSION;
	r->is_11 = r->keep_alive = text[7] == '1';
	return HTTP_MORE;
}

static enum http_status request_line(struct http_parser *p)
{
	struct http_request *r = &p->request;
	const char *first = memchr(p->line, ' ', p->line_len), *end = p->line + p->line_len, *second;

	if (!first || !is_method(p->line, (size_t)(first - p->line)))
		return HTTP_BAD_REQUEST;
	if (p->line_cut)
		return HTTP_URI_TOO_LONG;
	r->method = method_of(p->line, (size_t)(first++ - p->line));
	second = memchr(first, ' ', (size_t)(end - first));
	if (!second || *first != '/')
		return HTTP_BAD_REQUEST;
	if (second - first > HTTP_TARGET_MAX)
		return HTTP_URI_TOO_LONG;
	r->target_len = (unsigned)(second - first);
	memcpy(r->target, first, r->target_len);
	p->in_headers = true;
	return version(r, second + 1, (size_t)(end - second - 1));
}

/* --- header fields --- */

static enum http_status content_length(struct http_request *r, const char *value, size_t len)
{
	uint64_t length;

	if (!number(value, len, &length) || (r->has_length && r->length != length))
		return HTTP_BAD_REQUEST;
	r->has_length = true;
	r->length = length;
	return HTTP_MORE;
}

/* A token that is too long is a wrong one: it is kept empty. So is one whose line is, as its end is not known. */
static void authorization(struct http_request *r, const char *value, size_t len, bool cut)
{
	const size_t scheme = sizeof("Bearer ") - 1;

	r->has_token = false;
	if (len <= scheme || !equals(value, scheme, "bearer "))
		return;
	for (value += scheme, len -= scheme; len && *value == ' '; len--)
		value++;
	r->has_token = true;
	r->token_len = len <= HTTP_TOKEN_MAX && !cut ? (unsigned)len : 0;
	memcpy(r->token, value, r->token_len);
}

static enum http_status field(struct http_parser *p, const char *name, size_t name_len, const char *value, size_t len)
{
	struct http_request *r = &p->request;

	if (equals(name, name_len, "content-length"))
		return p->line_cut ? HTTP_BAD_REQUEST : content_length(r, value, len);
	if (equals(name, name_len, "transfer-encoding"))
		p->chunked = true;
	else if (equals(name, name_len, "host"))
		p->has_host = true;
	else if (equals(name, name_len, "authorization"))
		authorization(r, value, len, p->line_cut);
	else if (equals(name, name_len, "expect"))
		r->expect_continue = equals(value, len, "100-continue");
	else if (equals(name, name_len, "connection"))
		r->keep_alive = equals(value, len, "keep-alive") || (r->keep_alive && !equals(value, len, "close"));
	return HTTP_MORE;
}

static enum http_status header_line(struct http_parser *p)
{
	const char *colon = memchr(p->line, ':', p->line_len), *value, *end = p->line + p->line_len;

	if (!colon || colon == p->line || memchr(p->line, ' ', (size_t)(colon - p->line)) ||
	    memchr(p->line, '\t', (size_t)(colon - p->line)))
		return HTTP_BAD_REQUEST;
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t');)
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return field(p, p->line, (size_t)(colon - p->line), value, (size_t)(end - value));
}

static enum http_status head_end(struct http_parser *p)
{
	if (p->request.is_11 && !p->has_host)
		return HTTP_BAD_REQUEST;
	if (p->chunked)
		return p->request.has_length ? HTTP_BAD_REQUEST : HTTP_LENGTH_REQUIRED;
	return HTTP_OK;
}

/* --- lines --- */

static enum http_status line_end(struct http_parser *p)
{
	enum http_status status;

	if (p->line_len == 0 && !p->in_headers)
		return HTTP_MORE; /* RFC 9112 2.2: an empty line before a request means nothing */
	if (p->line_len == 0)
		return head_end(p);
	status = p->in_headers ? header_line(p) : request_line(p);
	p->line_len = 0;
	p->line_cut = false;
	return status;
}

/* The request line is printable ASCII; values of fields may hold other bytes, but no controls. */
static bool may_stand(const struct http_parser *p, unsigned char c)
{
	if (c == '\r' || (c >= ' ' && c < 0x7F))
		return true;
	return p->in_headers && (c == '\t' || c > 0x7F);
}

static enum http_status byte(struct http_parser *p, char c)
{
	if (++p->head_len > HTTP_HEAD_MAX)
		return HTTP_HEAD_TOO_LARGE;
	if (c == '\n') {
		p->after_cr = false;
		return line_end(p);
	}
	if (p->after_cr || !may_stand(p, (unsigned char)c))
		return HTTP_BAD_REQUEST;
	if (c == '\r') {
		p->after_cr = true;
		return HTTP_MORE;
	}
	if (p->line_len == HTTP_LINE_MAX)
		p->line_cut = true;
	else
		p->line[p->line_len++] = c;
	return HTTP_MORE;
}

size_t http_parse(struct http_parser *p, const char *bytes, size_t len)
{
	size_t used = 0;

	while (used < len && p->status == HTTP_MORE)
		p->status = byte(p, bytes[used++]);
	return used;
}

/* --- targets --- */

bool http_segment(const char *target, unsigned n, const char **segment, size_t *len)
{
	for (; *target == '/'; n--) {
		target++;
		*segment = target;
		while (*target && *target != '/' && *target != '?')
			target++;
		*len = (size_t)(target - *segment);
		if (n == 0)
			return *len > 0 || *target == '/';
	}
	return false;
}

bool http_query(const char *target, const char *name, uint64_t *value)
{
	size_t name_len = strlen(name);

	for (target = strchr(target, '?'); target; target = strchr(target, '&')) {
		target++;
		if (strncmp(target, name, name_len) || target[name_len] != '=')
			continue;
		target += name_len + 1;

		const char *end = strchr(target, '&');

		return number(target, end ? (size_t)(end - target) : strlen(target), value);
	}
	return false;
}
