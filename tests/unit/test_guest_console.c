/* SPDX-License-Identifier: MIT */
/* links: svm/guest_console.c kernel/printf.c */
/* tests/unit/test_guest_console.c - what several readers see of a guest's output, what typed text goes where, and who
 * has the console when guests come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/time.h"
#include "svm/l1.h"
#include "svm/monitor.h"
#include "svm/vmm.h"

/* --- the surroundings --- */

static char shown[1 << 16];
static const char *typed;
static uint32_t room;
static char received[64];
static unsigned monitor_begun;
static struct l1 *guests[2];

void console_write(const char *text, size_t len)
{
	strncat(shown, text, len);
}

int console_read(void)
{
	return *typed ? *typed++ : -1;
}

void klog(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(shown + strlen(shown), 256, fmt, args);
	va_end(args);
	strcat(shown, "\n");
}

uint64_t time_now_ns(void)
{
	return 0;
}

uint32_t machine_console_room(const struct machine *m)
{
	(void)m;
	return room;
}

void machine_console_in(struct machine *m, uint8_t byte)
{
	(void)m;
	strncat(received, (char *)&byte, 1);
	room--;
}

void monitor_begin(void)
{
	monitor_begun++;
}

void monitor_redraw(void)
{
}

void monitor_key(char c)
{
	char text[] = {'<', c, '>', '\0'};

	strcat(shown, text);
}

struct l1 *vmm_guest(unsigned n)
{
	return n < 2 ? guests[n] : NULL;
}

struct l1 *vmm_next(const struct l1 *after)
{
	return !after && guests[0] ? guests[0] : after != guests[1] ? guests[1] : NULL;
}

struct l1 *vmm_other_guest(const struct l1 *than)
{
	for (unsigned i = 0; i < 2; i++) {
		if (guests[i] && guests[i] != than && guests[i]->state != L1_ENDED)
			return guests[i];
	}
	return NULL;
}

bool vmm_stays(void)
{
	return true;
}

/* --- the tests --- */

static struct l1 a, b;

static int begin(void **state)
{
	(void)state;
	a = (struct l1){.name = "a", .state = L1_RUNNING};
	b = (struct l1){.name = "b", .state = L1_RUNNING};
	guest_console_list(&guests[0], &a);
	guest_console_list(&guests[1], &b);
	guest_console_focus(&a);
	shown[0] = received[0] = '\0';
	typed = "";
	room = 16;
	monitor_begun = 0;
	return 0;
}

/* Each test begins and ends with the monitor having the console. */
static int end(void **state)
{
	(void)state;
	guest_console_focus(NULL);
	return 0;
}

static void out(struct l1 *l1, const char *text)
{
	while (*text)
		guest_console_out(l1, (uint8_t)*text++);
}

static void expect(struct l1 *l1, uint64_t *cursor, size_t size, const char *text, uint64_t lost_expected)
{
	char buf[64];
	uint64_t lost = 99;
	size_t n = guest_console_read(l1, cursor, buf, size, &lost);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
	assert_int_equal(lost, lost_expected);
}

static void readers_do_not_disturb_each_other(void **state)
{
	uint64_t one = 0, two = 0;

	(void)state;
	out(&b, "hello\n");
	expect(&b, &one, 3, "hel", 0);
	expect(&b, &two, 64, "hello\n", 0);
	expect(&b, &two, 64, "", 0);
	out(&b, "more");
	expect(&b, &one, 64, "lo\nmore", 0);
	expect(&b, &two, 64, "more", 0);
	assert_int_equal(guest_console_written(&b), 10);
	assert_string_equal(shown, "[b] hello\n"); /* beside the guest in focus, as ever */
	two = 1000;
	expect(&b, &two, 64, "", 0); /* a cursor from nowhere reads nothing */
}

static void a_slow_reader_is_told_what_it_lost(void **state)
{
	uint64_t cursor = 0;

	(void)state;
	out(&b, "first");
	for (unsigned i = 0; i < GUEST_OUTPUT_SIZE; i++)
		guest_console_out(&b, i % 2 ? 'y' : 'x');
	expect(&b, &cursor, 4, "xyxy", 5);
	out(&b, "123456");
	expect(&b, &cursor, 2, "xy", 2);
	cursor = guest_console_written(&b) - 4;
	expect(&b, &cursor, 64, "3456", 0);
}

static void no_more_is_taken_than_there_is_room(void **state)
{
	(void)state;
	room = 3;
	assert_int_equal(guest_console_type(&b, "abcde", 5), 3);
	assert_string_equal(received, "abc");
	assert_int_equal(guest_console_type(&b, "de", 2), 0);
	b.state = L1_ENDED;
	assert_int_equal(guest_console_type(&b, "de", 2), 2); /* nobody will ever read it */
	assert_string_equal(received, "abc");
}

static void keys_go_to_the_guest_in_focus(void **state)
{
	(void)state;
	typed = "x\x1D" "2y\x1D\x1D\x1Dmz";
	guest_console_poll();
	assert_string_equal(received, "xy\x1D");
	assert_non_null(strstr(shown, "--- guest b "));
	assert_non_null(strstr(shown, "<z>"));
	typed = "\x1D" "9";
	guest_console_poll();
	assert_non_null(strstr(shown, "Ctrl-] then:"));
}

/* The next guest that lives gets the console, else the monitor. */
static void a_guest_that_is_taken_off_the_list_loses_the_console(void **state)
{
	(void)state;
	out(&b, "unfinished");
	guest_console_list(&guests[0], NULL);
	assert_non_null(strstr(shown, "--- guest b "));
	assert_non_null(strstr(shown, "unfinished"));
	assert_false(guest_console_is_monitor());
	b.state = L1_ENDED;
	guest_console_ended(&b);
	assert_true(guest_console_is_monitor());
	assert_int_equal(monitor_begun, 1);
	guest_console_focus(&b); /* to see its last lines again */
	assert_false(guest_console_is_monitor());
	guest_console_list(&guests[1], NULL);
	assert_true(guest_console_is_monitor());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(readers_do_not_disturb_each_other, begin, end),
		cmocka_unit_test_setup_teardown(a_slow_reader_is_told_what_it_lost, begin, end),
		cmocka_unit_test_setup_teardown(no_more_is_taken_than_there_is_room, begin, end),
		cmocka_unit_test_setup_teardown(keys_go_to_the_guest_in_focus, begin, end),
		cmocka_unit_test_setup_teardown(a_guest_that_is_taken_off_the_list_loses_the_console, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
