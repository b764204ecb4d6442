/* SPDX-License-Identifier: MIT */
/* links: svm/out.c kernel/printf.c */
/* tests/unit/test_out.c - a ring keeps the newest bytes and tells how many are lost; lines end where they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/console.h"
#include "kernel/log.h"
#include "svm/out.h"

static char shown[2 * OUT_MAX], logged[2 * OUT_MAX];

void console_write(const char *text, size_t len)
{
	strncat(shown, text, len);
}

/* As the log does, which ends the line. */
void klog_raw(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(logged, sizeof(logged), fmt, args);
	va_end(args);
	strcat(logged, "|");
}

static char ring[8], buf[16];
static struct out out;

static int begin(void **state)
{
	(void)state;
	out = (struct out){.kind = OUT_RING, .ring = ring, .ring_size = sizeof(ring)};
	memset(buf, 0, sizeof(buf));
	shown[0] = logged[0] = '\0';
	return 0;
}

static void expect(size_t size, const char *text, uint64_t lost_expected)
{
	uint64_t lost = 99;
	size_t n = out_read(&out, buf, size, &lost);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
	assert_int_equal(lost, lost_expected);
}

static void each_byte_is_read_once(void **state)
{
	(void)state;
	expect(sizeof(buf), "", 0);
	out_print(&out, "a%uc", 8);
	expect(2, "a8", 0);
	out_line(&out, "d");
	expect(sizeof(buf), "cd\n", 0);
	expect(sizeof(buf), "", 0);
}

static void the_newest_bytes_stay(void **state)
{
	(void)state;
	out_print(&out, "12345678");
	expect(3, "123", 0);
	out_print(&out, "abcdef"); /* the ring has "78abcdef" now; 4, 5 and 6 are gone */
	expect(sizeof(buf), "78abcdef", 3);
	out_print(&out, "0123456789ABCDEFGHIJ");
	expect(2, "CD", 12);
	expect(sizeof(buf), "EFGHIJ", 0);
}

static void lines_end_once(void **state)
{
	char many[3 * OUT_MAX];

	(void)state;
	out_line(&out_console, "x %d", 1);
	assert_string_equal(shown, "x 1\n");
	out_line(&out_log, "y %d", 2);
	assert_string_equal(logged, "y 2|");
	memset(many, 'm', sizeof(many));
	shown[0] = '\0';
	out_line(&out_console, "%.*s", (int)sizeof(many), many);
	assert_int_equal(strlen(shown), OUT_MAX);
	assert_int_equal(shown[OUT_MAX - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_byte_is_read_once, begin),
		cmocka_unit_test_setup(the_newest_bytes_stay, begin),
		cmocka_unit_test_setup(lines_end_once, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
