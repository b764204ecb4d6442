/* SPDX-License-Identifier: MIT */
/* svm/monitor.c - Nestling's own small command line: characters become lines, lines become commands.
 * Runs a character at a time on CPU 0, from guest_console_poll() or the management plane: nothing here waits.
 * Before: guest_console.c, plane.c. Next: command.c. */
#include "svm/monitor.h"

#include <check.h>
#include <plane.h>

#include "kernel/pmm.h"
#include "kernel/string.h"
#include "svm/command.h"
#include "svm/guest_console.h"

#define PROMPT "nestling> "
#define LINE_MAX 80u

enum { KEY_BACKSPACE = 0x08, KEY_CTRL_C = 0x03, KEY_CTRL_U = 0x15, KEY_DELETE = 0x7F };

/* Somebody's line. */
struct monitor {
	struct out out;
	char line[LINE_MAX + 1];
	unsigned len;
};

static struct monitor console = {.out = {.kind = OUT_CONSOLE}};
static struct monitor sessions[PLANE_SESSIONS_MAX]; /* CPU 0; in use while there is a ring */

static void enter(struct monitor *m)
{
	out_print(&m->out, "\n");
	m->line[m->len] = '\0';
	m->len = 0;
	command_execute(m->line, &m->out);
	if (m != &console || guest_console_is_monitor())
		out_print(&m->out, PROMPT);
}

static void erase(struct monitor *m)
{
	m->len--;
	out_print(&m->out, "\b \b");
}

static void key(struct monitor *m, char c)
{
	switch (c) {
	case '\r':
	case '\n':
		enter(m);
		break;
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (m->len)
			erase(m);
		break;
	case KEY_CTRL_C:
	case KEY_CTRL_U:
		while (m->len)
			erase(m);
		break;
	default:
		if (c < ' ' || m->len == LINE_MAX)
			break;
		m->line[m->len++] = c;
		out_write(&m->out, &c, 1);
	}
}

/* --- on the console --- */

void monitor_begin(void)
{
	console.len = 0;
	out_print(&console.out, "\n" PROMPT);
}

void monitor_redraw(void)
{
	out_print(&console.out, PROMPT "%.*s", (int)console.len, console.line);
}

void monitor_key(char c)
{
	key(&console, c);
}

/* --- elsewhere --- */

static struct monitor *find_session(int session)
{
	CHECK(session >= 0 && session < PLANE_SESSIONS_MAX && sessions[session].out.ring);
	return &sessions[session];
}

int monitor_open(void)
{
	int n = 0;

	while (n < PLANE_SESSIONS_MAX && sessions[n].out.ring)
		n++;

	hpa_t ring = n < PLANE_SESSIONS_MAX ? pmm_alloc(PLANE_SESSION_MAX, PAGE_SIZE) : hpa(0);

	if (!ring.a)
		return -1;
	sessions[n] = (struct monitor){
		.out = {.kind = OUT_RING, .ring = hpa_ptr(ring), .ring_size = PLANE_SESSION_MAX},
	};
	out_print(&sessions[n].out, PROMPT);
	return n;
}

void monitor_close(int session)
{
	struct monitor *m = find_session(session);

	pmm_free(hpa_of(m->out.ring), PLANE_SESSION_MAX);
	m->out.ring = NULL;
}

void monitor_write(int session, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		key(find_session(session), text[i]);
}

size_t monitor_read(int session, char *buf, size_t size, uint64_t *lost)
{
	return out_read(&find_session(session)->out, buf, size, lost);
}
