/* SPDX-License-Identifier: MIT */
/* net/api.c - which request means what: the table of routes, and what is checked before a handler runs.
 * Decides the order: path (404), method (405), token (401), length of the body (411, 413). Nothing of a guest is
 * touched before all of these are right. Before: http.c. Next: api_read.c, api_act.c. */
#include "net/http.h"

#include <string.h>

#include <bits.h>

#include "kernel/time.h"
#include "net/secret.h"

enum { SEGMENTS_MAX = 5 };

/* A star stands for any one segment. Those that change a guest, read memory or a console need the token. */
struct http_route {
	const char *path;
	enum http_method method;
	bool token;
	enum http_sink sink;
	enum http_status (*handle)(struct http_conn *c);
};

static const struct http_route routes[] = {
	{"/", HTTP_GET, false, HTTP_SINK_NONE, api_page},
	{"/metrics", HTTP_GET, false, HTTP_SINK_NONE, api_metrics},
	{"/api/host", HTTP_GET, false, HTTP_SINK_NONE, api_host},
	{"/api/guests", HTTP_GET, false, HTTP_SINK_NONE, api_guests},
	{"/api/guests", HTTP_POST, true, HTTP_SINK_TEXT, api_guest_create},
	{"/api/guests/*", HTTP_GET, false, HTTP_SINK_NONE, api_guest},
	{"/api/guests/*", HTTP_DELETE, true, HTTP_SINK_NONE, api_guest_destroy},
	{"/api/guests/*/start", HTTP_POST, true, HTTP_SINK_NONE, api_guest_start},
	{"/api/guests/*/stop", HTTP_POST, true, HTTP_SINK_NONE, api_guest_stop},
	{"/api/guests/*/reset", HTTP_POST, true, HTTP_SINK_NONE, api_guest_reset},
	{"/api/guests/*/console", HTTP_GET, true, HTTP_SINK_NONE, api_guest_console},
	{"/api/guests/*/console", HTTP_POST, true, HTTP_SINK_TEXT, api_guest_type},
	{"/api/files", HTTP_GET, false, HTTP_SINK_NONE, api_files},
	{"/api/files/*", HTTP_PUT, true, HTTP_SINK_FILE, api_file_store},
	{"/api/files/*", HTTP_GET, true, HTTP_SINK_NONE, api_file_read},
	{"/api/files/*", HTTP_DELETE, true, HTTP_SINK_NONE, api_file_remove},
};

static bool fits(const char *pattern, const char *target)
{
	for (unsigned n = 0; n < SEGMENTS_MAX; n++) {
		const char *want, *is;
		size_t want_len, is_len;
		bool wanted = http_segment(pattern, n, &want, &want_len);

		if (wanted != http_segment(target, n, &is, &is_len))
			return false;
		if (!wanted)
			return true;
		if (*want == '*' ? is_len == 0 : want_len != is_len || memcmp(want, is, is_len) != 0)
			return false;
	}
	return false;
}

/* HEAD is GET without the body. */
static bool serves(const struct http_route *r, enum http_method method)
{
	return r->method == method || (r->method == HTTP_GET && method == HTTP_HEAD);
}

static enum http_status check_token(struct http_conn *c)
{
	const struct http_request *r = &c->parser.request;

	if (!r->has_token)
		return HTTP_UNAUTHORIZED;
	switch (token_check(r->token, r->token_len, time_now_ns())) {
	case TOKEN_RIGHT: return HTTP_OK;
	case TOKEN_WRONG: return HTTP_UNAUTHORIZED;
	case TOKEN_LATER: break;
	}
	return HTTP_TOO_MANY;
}

static enum http_status check_body(struct http_conn *c)
{
	const struct http_request *r = &c->parser.request;

	if (c->sink != HTTP_SINK_NONE && !r->has_length)
		return HTTP_LENGTH_REQUIRED;
	if (c->sink != HTTP_SINK_FILE && r->length > HTTP_TEXT_MAX)
		return HTTP_TOO_LARGE;
	return c->sink == HTTP_SINK_FILE ? api_upload_begin(c) : HTTP_OK;
}

enum http_status api_begin(struct http_conn *c)
{
	const struct http_request *r = &c->parser.request;
	enum http_status status;

	if (r->method == HTTP_OTHER)
		return HTTP_NOT_IMPLEMENTED;
	for (unsigned i = 0; i < ARRAY_COUNT(routes) && !c->route; i++) {
		if (!fits(routes[i].path, r->target))
			continue;
		c->allow |= 1u << routes[i].method | (routes[i].method == HTTP_GET ? 1u << HTTP_HEAD : 0);
		if (serves(&routes[i], r->method))
			c->route = &routes[i];
	}
	if (!c->route)
		return c->allow ? HTTP_METHOD_NOT_ALLOWED : HTTP_NOT_FOUND;
	c->sink = c->route->sink;
	status = c->route->token ? check_token(c) : HTTP_OK;
	return status == HTTP_OK ? check_body(c) : status;
}

enum http_status api_finish(struct http_conn *c)
{
	enum http_status status;

	c->type = "application/json";
	status = c->route->handle(c);
	if (status >= HTTP_BAD_REQUEST)
		reply_error(c);
	return status;
}
