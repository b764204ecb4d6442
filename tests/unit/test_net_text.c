/* SPDX-License-Identifier: MIT */
/* tests/unit/test_net_text.c - the small pure parts of net/: JSON, telnet, the token.
 * links: net/json.c net/telnet.c net/token.c kernel/printf.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <bits.h>

#include "kernel/time.h"
#include "net/json.h"
#include "net/secret.h"
#include "net/telnet.h"

uint32_t random32(void)
{
	static uint32_t n;

	return n++ * 0x01234567;
}

static void test_json(void **state)
{
	char text[200];
	struct text_out o = {.at = text, .size = sizeof(text)};

	(void)state;
	json_open(&o, NULL, '{');
	json_text(&o, "a", "\"\\\x01\xFFz");
	json_open(&o, "b", '[');
	json_number(&o, NULL, UINT64_MAX);
	json_bool(&o, NULL, false);
	json_open(&o, NULL, '{');
	json_close(&o, '}');
	json_close(&o, ']');
	json_number(&o, "c", 0);
	json_close(&o, '}');
	text[o.len] = '\0';
	assert_string_equal(text, "{\"a\":\"\\u0022\\u005c\\u0001\\u00ffz\",\"b\":[18446744073709551615,false,{}],\"c\":0}");
	assert_false(o.full);
}

/* Whatever the size: never a byte behind it, and nothing more once something did not fit. */
static void test_json_is_bounded(void **state)
{
	char text[64];

	(void)state;
	for (size_t size = 0; size < 40; size++) {
		struct text_out o = {.at = text, .size = size};

		memset(text, '#', sizeof(text));
		json_open(&o, NULL, '{');
		json_text(&o, "name", "value");
		json_number(&o, "n", 12345);
		json_close(&o, '}');
		assert_int_equal(o.full, size < strlen("{\"name\":\"value\",\"n\":12345}"));
		assert_true(o.len <= size);
		for (size_t i = size; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
	}
}

static void test_telnet_input(void **state)
{
	static const uint8_t in[] = "a\r\nb\r\0c\r\rd\xFF\xFF\xFF\xFD\x01\xFF\xFA\x18x\xFF\xFFy\xFF\xF0z\xFF\xF4\xFF\xF1";
	static const uint8_t want[] = "a\rb\rc\r\rd\xFFz\x03";
	enum telnet_state telnet = TELNET_DATA;
	uint8_t got[64];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(in) - 1; i++) {
		int key = telnet_input(&telnet, in[i]);

		if (key >= 0)
			got[n++] = (uint8_t)key;
	}
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(got, want, n);
}

static void test_telnet_output(void **state)
{
	char out[8];
	size_t len;

	(void)state;
	assert_int_equal(telnet_output("a\n\xFF", 3, out, sizeof(out), &len, 1), 3);
	assert_int_equal(len, 5);
	assert_memory_equal(out, "a\r\n\xFF\xFF", 5);
	assert_int_equal(telnet_output("\n\n\n\n\n\n", 6, out, 5, &len, 1), 2);
	assert_int_equal(len, 4);
}

static void test_token(void **state)
{
	uint64_t now = NS_PER_SEC;

	(void)state;
	token_set("12345678");
	assert_int_equal(token_check("12345678", 8, now), TOKEN_RIGHT);
	assert_int_equal(token_check("12345679", 8, now), TOKEN_WRONG);
	assert_int_equal(token_check("1234567", 7, now), TOKEN_WRONG);
	assert_int_equal(token_check("123456789", 9, now), TOKEN_WRONG);
	assert_int_equal(token_check("12345678\0", 9, now), TOKEN_WRONG);
	assert_int_equal(token_check("", 0, now), TOKEN_WRONG);
}

/* Wrong ones have a rate; the right one always works; time gives allowance back, but no more than the burst. */
static void test_token_rate(void **state)
{
	uint64_t now = 100 * NS_PER_SEC;
	unsigned wrong = 0;

	(void)state;
	token_set("12345678");
	for (unsigned i = 0; i < 100; i++)
		wrong += token_check("guess", 5, now) == TOKEN_WRONG;
	assert_int_equal(wrong, 50);
	assert_int_equal(token_check("guess", 5, now), TOKEN_LATER);
	assert_int_equal(token_check("12345678", 8, now), TOKEN_RIGHT);
	now += NS_PER_SEC;
	for (unsigned i = wrong = 0; i < 100; i++)
		wrong += token_check("guess", 5, now) == TOKEN_WRONG;
	assert_int_equal(wrong, 10);
	now += 1000000 * NS_PER_SEC;
	for (unsigned i = wrong = 0; i < 100; i++)
		wrong += token_check("guess", 5, now) == TOKEN_WRONG;
	assert_int_equal(wrong, 50);
}

static void test_token_that_is_made(void **state)
{
	char text[TOKEN_MADE + 1];

	(void)state;
	token_make(text);
	assert_int_equal(strlen(text), TOKEN_MADE);
	assert_int_equal(strspn(text, "0123456789abcdef"), TOKEN_MADE);
	assert_int_equal(token_check(text, TOKEN_MADE, NS_PER_SEC), TOKEN_RIGHT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_is_bounded),
		cmocka_unit_test(test_telnet_input),
		cmocka_unit_test(test_telnet_output),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_token_rate),
		cmocka_unit_test(test_token_that_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
