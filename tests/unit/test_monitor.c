/* SPDX-License-Identifier: MIT */
/* links: svm/monitor.c svm/out.c kernel/printf.c tests/unit/fake_pmm.c */
/* tests/unit/test_monitor.c - lines are typed and corrected, each session has its own, and none of what a session
 * prints reaches another one or the console. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <plane.h>

#include "kernel/console.h"
#include "kernel/log.h"
#include "svm/command.h"
#include "svm/guest_console.h"
#include "svm/monitor.h"
#include "tests/unit/fake_pmm.h"

static char shown[4096];
static bool console_is_monitors = true;

void console_write(const char *text, size_t len)
{
	strncat(shown, text, len);
}

void klog_raw(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

bool guest_console_is_monitor(void)
{
	return console_is_monitors;
}

/* "many" prints more than a session keeps. */
void command_execute(char *line, struct out *out)
{
	for (unsigned i = 0; !strcmp(line, "many") && i < PLANE_SESSION_MAX; i++)
		out_write(out, "x", 1);
	out_print(out, "did '%s'\n", line);
}

static int begin(void **state)
{
	(void)state;
	shown[0] = '\0';
	console_is_monitors = true;
	fake_pmm_left = -1;
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(fake_pmm_held, 0);
	return 0;
}

static void type(int session, const char *text)
{
	monitor_write(session, text, strlen(text));
}

static void expect(int session, const char *text)
{
	char buf[512];
	uint64_t lost = 9;
	size_t n = monitor_read(session, buf, sizeof(buf), &lost);

	assert_int_equal(lost, 0);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static void sessions_are_apart(void **state)
{
	int one = monitor_open(), two = monitor_open();

	(void)state;
	assert_int_equal(one, 0);
	assert_int_equal(two, 1);
	type(one, "vm");
	type(two, "help\r");
	type(one, "s\r");
	expect(one, "nestling> vms\ndid 'vms'\nnestling> ");
	expect(two, "nestling> help\ndid 'help'\nnestling> ");
	assert_string_equal(shown, "");
	monitor_close(one);
	assert_int_equal(monitor_open(), 0);
	expect(0, "nestling> "); /* nothing is left of the one before */
	monitor_close(0);
	monitor_close(1);
}

static void as_many_as_there_are(void **state)
{
	(void)state;
	fake_pmm_left = 0;
	assert_int_equal(monitor_open(), -1);
	fake_pmm_left = -1;
	for (int i = 0; i < PLANE_SESSIONS_MAX; i++)
		assert_int_equal(monitor_open(), i);
	assert_int_equal(monitor_open(), -1);
	for (int i = 0; i < PLANE_SESSIONS_MAX; i++)
		monitor_close(i);
}

static void a_session_keeps_the_newest(void **state)
{
	static char buf[PLANE_SESSION_MAX + 1];
	int session = monitor_open();
	uint64_t lost;
	size_t n;

	(void)state;
	type(session, "many\n");
	n = monitor_read(session, buf, sizeof(buf), &lost);
	assert_int_equal(n, PLANE_SESSION_MAX);
	assert_int_equal(lost, strlen("nestling> many\n" "did 'many'\n" "nestling> "));
	assert_memory_equal(buf + n - 21, "did 'many'\nnestling> ", 21);
	monitor_close(session);
}

static void lines_can_be_corrected(void **state)
{
	int session = monitor_open();
	char line[200];

	(void)state;
	type(session, "ab\b\bc\x7F" "xyz\x03" "q\x15" "vms\x01\n");
	expect(session, "nestling> ab\b \b\b \bc\b \bxyz\b \b\b \b\b \bq\b \bvms\ndid 'vms'\nnestling> ");
	type(session, "\b");
	expect(session, "");
	memset(line, 'l', sizeof(line));
	monitor_write(session, line, sizeof(line));
	assert_int_equal(monitor_read(session, line, sizeof(line), &(uint64_t){0}), 80);
	monitor_close(session);
}

/* A command may have given the console away; then there is no prompt. */
static void the_console_has_a_line_too(void **state)
{
	(void)state;
	monitor_begin();
	monitor_key('a');
	monitor_redraw();
	monitor_key('\r');
	assert_string_equal(shown, "\nnestling> anestling> a\ndid 'a'\nnestling> ");
	console_is_monitors = false;
	shown[0] = '\0';
	monitor_key('\r');
	assert_string_equal(shown, "\ndid ''\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sessions_are_apart, begin, end),
		cmocka_unit_test_setup_teardown(as_many_as_there_are, begin, end),
		cmocka_unit_test_setup_teardown(a_session_keeps_the_newest, begin, end),
		cmocka_unit_test_setup_teardown(lines_can_be_corrected, begin, end),
		cmocka_unit_test_setup_teardown(the_console_has_a_line_too, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
