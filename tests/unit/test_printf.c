/* SPDX-License-Identifier: MIT */
/* links: kernel/printf.c */
/* tests/unit/test_printf.c - every conversion and length of ksnprintf, compared with the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/printf.h"

/* The C library is the judge. */
#define SAME(fmt, ...)                                                                             \
	do {                                                                                       \
		char ours[128], theirs[128];                                                       \
		int a = ksnprintf(ours, sizeof(ours), fmt, __VA_ARGS__);                           \
		int b = snprintf(theirs, sizeof(theirs), fmt, __VA_ARGS__);                        \
                                                                                                   \
		assert_string_equal(ours, theirs);                                                 \
		assert_int_equal(a, b);                                                            \
	} while (0)

static void signed_numbers(void **state)
{
	(void)state;
	SAME("%d|%i|%d", 0, 42, -42);
	SAME("%5d|%-5d|%05d|%05d", 42, 42, 42, -42);
	SAME("%d|%d", INT32_MAX, INT32_MIN);
	SAME("%ld|%lld|%zd", INT64_MIN, (long long)INT64_MAX, (ssize_t)-1);
	SAME("%hd|%hhd", (short)-2, (signed char)-3);
}

static void unsigned_numbers(void **state)
{
	(void)state;
	SAME("%u|%lu|%llu|%zu", UINT32_MAX, UINT64_MAX, (unsigned long long)UINT64_MAX, (size_t)7);
	SAME("%x|%X|%lx|%llx", 0xbeefu, 0xBEEFu, UINT64_MAX, 0x123456789abcdefull);
	SAME("%08x|%-8x|%8x|%016llx", 0x12u, 0x12u, 0x12u, 0x12ull);
	SAME("%hu|%hhx", (unsigned short)65535, (unsigned char)255);
}

static void text(void **state)
{
	(void)state;
	SAME("%s|%10s|%-10s|%.2s|%.*s|%c|%%", "abc", "abc", "abc", "abc", 1, "abc", 'x');
	SAME("%*d|%-*d|", 6, 42, 6, 42);
	SAME("%p", (void *)0x1234);
}

static void null_text(void **state)
{
	char buf[16];
	const char *volatile none = NULL; /* not seen through by the compiler */

	(void)state;
	ksnprintf(buf, sizeof(buf), "%s", none);
	assert_string_equal(buf, "(null)");
}

static void unterminated_text_with_precision(void **state)
{
	char *exact = malloc(3);
	char buf[8];

	(void)state;
	memcpy(exact, "abc", 3);
	ksnprintf(buf, sizeof(buf), "%.*s", 3, exact);
	assert_string_equal(buf, "abc");
	free(exact);
}

static void small_buffers(void **state)
{
	char buf[4] = "zzz";

	(void)state;
	assert_int_equal(ksnprintf(buf, 0, "%s", "hello"), 5);
	assert_string_equal(buf, "zzz");
	assert_int_equal(ksnprintf(buf, 1, "%s", "hello"), 5);
	assert_string_equal(buf, "");
	assert_int_equal(ksnprintf(buf, sizeof(buf), "%s", "hello"), 5);
	assert_string_equal(buf, "hel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_numbers),
		cmocka_unit_test(unsigned_numbers),
		cmocka_unit_test(text),
		cmocka_unit_test(null_text),
		cmocka_unit_test(unterminated_text_with_precision),
		cmocka_unit_test(small_buffers),
	};

	return cmocka_run_group_tests_name("printf", tests, NULL, NULL);
}
