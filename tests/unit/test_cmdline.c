/* SPDX-License-Identifier: MIT */
/* links: kernel/cmdline.c */
/* tests/unit/test_cmdline.c - Nestling's own options: defaults, each option, and which word an error names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/cmdline.h"

static struct options options;

static void accept(const char *line)
{
	assert_null(cmdline_parse(&options, line).what);
}

static void refuse(const char *line, const char *word)
{
	struct cmdline_error e = cmdline_parse(&options, line);

	assert_non_null(e.what);
	assert_int_equal(e.word_len, strlen(word));
	assert_memory_equal(e.word, word, e.word_len);
}

static void defaults(void **state)
{
	(void)state;
	accept("");
	assert_true(options.serial && options.screen && !options.stay);
	assert_int_equal(options.com1_port, 0x3F8);
	assert_int_equal(options.com1_baud, 115200);
	accept("    ");
}

static void console(void **state)
{
	(void)state;
	accept("console=serial");
	assert_true(options.serial && !options.screen);
	accept("console=vga");
	assert_true(!options.serial && options.screen);
	accept("console=vga,serial");
	assert_true(options.serial && options.screen);
	refuse("console=", "console=");
	refuse("console=,", "console=,");
	refuse("stay console=tty0", "console=tty0");
	refuse("console=serial,tv", "console=serial,tv");
	assert_true(options.serial && options.screen);
}

static void com1(void **state)
{
	(void)state;
	accept("com1=0x2f8,9600");
	assert_int_equal(options.com1_port, 0x2F8);
	assert_int_equal(options.com1_baud, 9600);
	accept("com1=1016");
	assert_int_equal(options.com1_port, 1016);
	assert_int_equal(options.com1_baud, 115200);
	accept("com1=0xFFF8,115200");
	refuse("com1=", "com1=");
	refuse("com1=0x", "com1=0x");
	refuse("com1=0", "com1=0");
	refuse("com1=0xFFF9", "com1=0xFFF9");
	refuse("com1=0x3g8", "com1=0x3g8");
	refuse("com1=99999999999999999999", "com1=99999999999999999999");
	refuse("com1=0x3f8,0", "com1=0x3f8,0");
	refuse("com1=0x3f8,1234567", "com1=0x3f8,1234567");
	refuse("com1=0x3f8,100000", "com1=0x3f8,100000");
	refuse("com1=0x3f8,9600,8n1", "com1=0x3f8,9600,8n1");
}

static void unknown(void **state)
{
	(void)state;
	refuse("stay stray", "stray");
	assert_true(options.stay);
	refuse("stayed", "stayed");
	refuse("sta", "sta");
	refuse("  quiet  console=vga", "quiet");
	assert_true(options.serial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(console),
		cmocka_unit_test(com1),
		cmocka_unit_test(unknown),
	};

	return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
