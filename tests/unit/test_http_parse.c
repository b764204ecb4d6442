/* SPDX-License-Identifier: MIT */
/* tests/unit/test_http_parse.c - request heads: what is understood, and what is refused with which status.
 * links: net/http_parse.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "net/http_parse.h"

#define HOST "Host: x\r\n"

static struct http_parser p;

static enum http_status parse(const char *text)
{
	http_parser_init(&p);
	http_parse(&p, text, strlen(text));
	return p.status;
}

static void test_a_request(void **state)
{
	const char text[] = "PUT /api/files/a?b=1 HTTP/1.1\r\nhOST: x\r\nContent-Length: \t123 \r\n"
			    "Authorization: bearer  abc\r\nExpect: 100-Continue\r\nX-Odd: \xC3\xA4\r\n\r\nbody";

	(void)state;
	http_parser_init(&p);
	assert_int_equal(http_parse(&p, text, strlen(text)), strlen(text) - 4);
	assert_int_equal(p.status, HTTP_OK);
	assert_int_equal(p.request.method, HTTP_PUT);
	assert_string_equal(p.request.target, "/api/files/a?b=1");
	assert_int_equal(p.request.length, 123);
	assert_true(p.request.has_length && p.request.is_11 && p.request.keep_alive && p.request.expect_continue);
	assert_true(p.request.has_token);
	assert_int_equal(p.request.token_len, 3);
	assert_memory_equal(p.request.token, "abc", 3);
}

static void test_keep_alive(void **state)
{
	(void)state;
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), HTTP_OK);
	assert_false(p.request.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), HTTP_OK);
	assert_true(p.request.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.1\r\n" HOST "Connection: Close\r\n\r\n"), HTTP_OK);
	assert_false(p.request.keep_alive);
}

/* RFC 9112 2.2: a lone LF ends a line, empty lines before the request are skipped. */
static void test_lenient_lines(void **state)
{
	(void)state;
	assert_int_equal(parse("\r\n\nGET / HTTP/1.1\nHost: x\n\n"), HTTP_OK);
}

static void test_refusals(void **state)
{
	static const struct { enum http_status status; const char *text; } cases[] = {
		{HTTP_BAD_REQUEST, "GET\r\n"},
		{HTTP_BAD_REQUEST, "GET / \r\n"},
		{HTTP_BAD_REQUEST, "GET  HTTP/1.1\r\n"},
		{HTTP_BAD_REQUEST, "get / HTTP/1.1\r\n"},
		{HTTP_BAD_REQUEST, "GET http://x/ HTTP/1.1\r\n"},
		{HTTP_BAD_REQUEST, "GET /\xC3 HTTP/1.1\r\n"},
		{HTTP_BAD_REQUEST, "GET /\t HTTP/1.1\r\n"},
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1 \r\n"},
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1\r\n\r\n"}, /* no Host: RFC 9112 3.2 */
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1\r" HOST},
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1\r\n" HOST " folded\r\n"},
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1\r\nHost : x\r\n"},
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1\r\n: x\r\n"},
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1\r\nno colon\r\n"},
		{HTTP_BAD_REQUEST, "GET / HTTP/1.1\r\nHost: \x01\r\n"},
		{HTTP_BAD_REQUEST, "PUT / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n"},
		{HTTP_BAD_REQUEST, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n"},
		{HTTP_BAD_REQUEST, "PUT / HTTP/1.1\r\n" HOST "Content-Length: \r\n"},
		{HTTP_BAD_REQUEST, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n"},
		{HTTP_BAD_REQUEST, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n"},
		{HTTP_BAD_REQUEST, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{HTTP_LENGTH_REQUIRED, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"},
		{HTTP_VERSION, "GET / HTTP/2.0\r\n"},
		{HTTP_MORE, "GET / HTTP/1.1\r\n" HOST},
		{HTTP_OK, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
		{HTTP_OK, "PATCH / HTTP/1.1\r\n" HOST "\r\n"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i].text) != cases[i].status)
			fail_msg("%d, not %d: %s", p.status, cases[i].status, cases[i].text);
	}
}

/* Each bound, exactly reached and passed by one. */
static void test_bounds(void **state)
{
	static char text[HTTP_HEAD_MAX + 100];
	size_t path = HTTP_TARGET_MAX - 1;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	strcpy(text + 5 + path, " HTTP/1.0\r\n\r\n");
	assert_int_equal(parse(text), HTTP_OK);
	assert_int_equal(p.request.target_len, HTTP_TARGET_MAX);
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	strcpy(text + 6 + path, " HTTP/1.0\r\n\r\n");
	assert_int_equal(parse(text), HTTP_URI_TOO_LONG);
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "GET / HTTP/1.0\r\nX: ", 19);
	strcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n");
	assert_int_equal(parse(text), HTTP_OK);
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "GET / HTTP/1.0\r\nX: ", 19);
	strcpy(text + HTTP_HEAD_MAX - 3, "\r\n\r\n");
	assert_int_equal(parse(text), HTTP_HEAD_TOO_LARGE);
}

static void test_a_long_token_is_a_wrong_one(void **state)
{
	char text[200] = "GET / HTTP/1.0\r\nAuthorization: Bearer ";
	size_t len = strlen(text);

	(void)state;
	memset(text + len, 't', HTTP_TOKEN_MAX);
	strcpy(text + len + HTTP_TOKEN_MAX, "\r\n\r\n");
	assert_int_equal(parse(text), HTTP_OK);
	assert_int_equal(p.request.token_len, HTTP_TOKEN_MAX);
	text[len + HTTP_TOKEN_MAX] = 't';
	strcpy(text + len + HTTP_TOKEN_MAX + 1, "\r\n\r\n");
	assert_int_equal(parse(text), HTTP_OK);
	assert_true(p.request.has_token);
	assert_int_equal(p.request.token_len, 0);
}

/* The end of a line of more than HTTP_LINE_MAX bytes is not kept: a length or a token must not be read without it. */
static void test_a_cut_line_says_nothing(void **state)
{
	static char text[2000];

	(void)state;
	strcpy(text, "PUT / HTTP/1.1\r\n" HOST "Content-Length: ");
	memset(text + strlen(text), '0', HTTP_LINE_MAX);
	strcat(text, "5\r\n\r\n");
	assert_int_equal(parse(text), HTTP_BAD_REQUEST);
	memset(text, 0, sizeof(text));
	strcpy(text, "GET / HTTP/1.1\r\n" HOST "Authorization: Bearer token");
	memset(text + strlen(text), ' ', HTTP_LINE_MAX);
	strcat(text, "behind\r\n\r\n");
	assert_int_equal(parse(text), HTTP_OK);
	assert_int_equal(p.request.token_len, 0);
}

static void test_targets(void **state)
{
	const char *segment;
	size_t len;
	uint64_t value = 7;

	(void)state;
	assert_false(http_segment("/", 0, &segment, &len));
	assert_true(http_segment("/api/x?y=/z", 1, &segment, &len));
	assert_int_equal(len, 1);
	assert_false(http_segment("/api/x?y=/z", 2, &segment, &len));
	assert_false(http_segment("/api/", 1, &segment, &len));
	assert_true(http_query("/a?from=12&follow=0", "follow", &value));
	assert_int_equal(value, 0);
	assert_true(http_query("/a?from=12&follow=0", "from", &value));
	assert_int_equal(value, 12);
	assert_false(http_query("/a?from=12x", "from", &value));
	assert_false(http_query("/a?xfrom=12", "from", &value));
	assert_false(http_query("/a", "from", &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_lenient_lines),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_a_long_token_is_a_wrong_one),
		cmocka_unit_test(test_a_cut_line_says_nothing),
		cmocka_unit_test(test_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
