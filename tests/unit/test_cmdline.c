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

static void network(void **state)
{
	const struct net_options *n = &options.net;

	(void)state;
	accept("");
	assert_true(!n->card[0] && n->dhcp && !n->has_address && !n->token[0]);
	accept("net=00:03.0 ip=dhcp token=abc_DEF-1.2");
	assert_string_equal(n->card, "00:03.0");
	assert_true(n->dhcp && !n->has_address);
	assert_string_equal(n->token, "abc_DEF-1.2");
	accept("ip=10.0.2.15/24,10.0.2.2");
	assert_true(!n->dhcp && n->has_address);
	assert_int_equal(n->address, 0x0A00020F);
	assert_int_equal(n->prefix, 24);
	assert_int_equal(n->gateway, 0x0A000202);
	accept("ip=dhcp,192.168.255.1/16");
	assert_true(n->dhcp && n->has_address);
	assert_int_equal(n->address, 0xC0A8FF01);
	assert_int_equal(n->gateway, 0);
	refuse("net=", "net=");
	refuse("net=a-name-too-long-for-it", "net=a-name-too-long-for-it");
	refuse("token=1234567", "token=1234567");
	refuse("token=12345678/", "token=12345678/");
	refuse("ip=", "ip=");
	refuse("ip=static", "ip=static");
	refuse("ip=10.0.2.15", "ip=10.0.2.15");
	refuse("ip=10.0.2.15/0", "ip=10.0.2.15/0");
	refuse("ip=10.0.2.15/31", "ip=10.0.2.15/31");
	refuse("ip=10.0.2/24", "ip=10.0.2/24");
	refuse("ip=10.0.2.256/24", "ip=10.0.2.256/24");
	refuse("ip=10.0.2.1.5/24", "ip=10.0.2.1.5/24");
	refuse("ip=10.0.2.15/24,gate", "ip=10.0.2.15/24,gate");
	refuse("ip=10.0.2.15/24,10.0.2.2,10.0.2.3", "ip=10.0.2.15/24,10.0.2.2,10.0.2.3");
	refuse("ip=dhcp,dhcp", "ip=dhcp,dhcp");
}

/* The longest token, and one more. */
static void longest_token(void **state)
{
	char line[100] = "token=";

	(void)state;
	memset(line + 6, 't', NET_TOKEN_MAX);
	accept(line);
	assert_int_equal(strlen(options.net.token), NET_TOKEN_MAX);
	line[6 + NET_TOKEN_MAX] = 't';
	refuse(line, line);
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
		cmocka_unit_test(network),
		cmocka_unit_test(longest_token),
		cmocka_unit_test(unknown),
	};

	return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
