/* SPDX-License-Identifier: MIT */
/* svm/guest_console.c - shares Nestling's console between the guests and the monitor.
 * Decides whose bytes appear as they are (the guest in focus), and when whole lines of the others appear between
 * them: not in the middle of a line, unless that line just stays there, as a prompt does.
 * Lock: console_lock; taken with a dev_lock held, and nothing but the log and the output is called inside.
 * Next: monitor.c. */
#include "svm/guest_console.h"

#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/printf.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "svm/l1.h"
#include "svm/monitor.h"
#include "svm/vcpu.h"
#include "svm/vmm.h"

#define ESCAPE 0x1D /* Ctrl-] */
#define ESCAPE_HELP "\nCtrl-] then: 1-9 a guest's console, m the monitor, Ctrl-] for the guest itself\n"
#define REPLAY_LINES 24
#define TAGGED_MAX 256 /* tag, line, line end */
#define NOTE_MAX 256u
#define PATIENCE_NS (250 * NS_PER_MS) /* how long an unfinished line keeps others from being shown */

static struct spinlock console_lock;
static struct l1 *focus;          /* [console_lock] null: the monitor */
static bool line_open;            /* [console_lock] the cursor stands behind bytes of the guest in focus */
static bool lines_wait;           /* [console_lock] a guest out of focus has lines to show */
static uint64_t last_output_ns;   /* [console_lock] of the guest in focus */
static bool escaped;              /* CPU 0: the escape key was the last one */

static void print(const char *text)
{
	console_write(text, strlen(text));
}

static char ring_at(const struct guest_output *o, uint64_t at)
{
	return o->ring[at % GUEST_OUTPUT_SIZE];
}

/* [from, to) of the ring, as it is. */
static void print_ring(const struct guest_output *o, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t at = from % GUEST_OUTPUT_SIZE;
		uint64_t n = min_u64(to - from, GUEST_OUTPUT_SIZE - at);

		console_write(o->ring + at, n);
		from += n;
	}
}

/* One write for a line, so that what other CPUs print stands before or behind it. Very long lines are cut in two. */
static void print_tagged(const struct l1 *l1, uint64_t from, uint64_t to)
{
	char text[TAGGED_MAX];

	while (to > from && ring_at(&l1->output, to - 1) == '\r')
		to--;
	do {
		size_t n = (size_t)ksnprintf(text, sizeof(text), "[%s] ", l1->name);

		while (from < to && n < sizeof(text) - 1)
			text[n++] = ring_at(&l1->output, from++);
		text[n++] = '\n';
		console_write(text, n);
	} while (from < to);
}

/* The whole lines that wait; with `all`, also what stands behind the last line end. */
static void show_lines(struct l1 *l1, bool all)
{
	struct guest_output *o = &l1->output;

	if (o->written - o->shown > GUEST_OUTPUT_SIZE)
		o->shown = o->written - GUEST_OUTPUT_SIZE;
	for (uint64_t at = o->shown; at < o->written; at++) {
		if (ring_at(o, at) != '\n')
			continue;
		print_tagged(l1, o->shown, at);
		o->shown = at + 1;
	}
	if (all && o->shown < o->written) {
		print_tagged(l1, o->shown, o->written);
		o->shown = o->written;
	}
}

static void end_line(void)
{
	if (line_open)
		print("\n");
	line_open = false;
}

static void show_waiting(void)
{
	end_line();
	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (l1 != focus)
			show_lines(l1, false);
	}
	lines_wait = false;
}

static void out_in_focus(struct guest_output *o, char c)
{
	console_write(&c, 1);
	o->shown = o->written;
	line_open = c != '\n';
	last_output_ns = time_now_ns();
	if (!line_open && lines_wait)
		show_waiting();
}

/* The monitor is not disturbed, unless bytes would get lost. */
static void out_of_focus(struct l1 *l1, char c)
{
	struct guest_output *o = &l1->output;

	if (o->written - o->shown == GUEST_OUTPUT_SIZE) {
		end_line();
		show_lines(l1, true);
	} else if (c == '\n') {
		lines_wait = true;
		if (focus && !line_open)
			show_waiting();
	}
}

void guest_console_out(struct l1 *l1, uint8_t byte)
{
	struct guest_output *o = &l1->output;

	spin_lock(&console_lock);
	o->ring[o->written++ % GUEST_OUTPUT_SIZE] = (char)byte;
	if (focus == l1)
		out_in_focus(o, (char)byte);
	else
		out_of_focus(l1, (char)byte);
	spin_unlock(&console_lock);
}

/* --- other readers --- */

/* One word, written under the lock: it may be a moment old. */
uint64_t guest_console_written(const struct l1 *l1)
{
	return __atomic_load_n(&l1->output.written, __ATOMIC_RELAXED);
}

size_t guest_console_read(struct l1 *l1, uint64_t *cursor, char *buf, size_t size, uint64_t *lost)
{
	const struct guest_output *o = &l1->output;
	size_t n = 0;

	spin_lock(&console_lock);

	uint64_t oldest = o->written - min_u64(o->written, GUEST_OUTPUT_SIZE);

	*lost = oldest - min_u64(oldest, *cursor);
	*cursor = max_u64(*cursor, oldest);
	while (n < size && *cursor < o->written)
		buf[n++] = ring_at(o, (*cursor)++);
	spin_unlock(&console_lock);
	return n;
}

/* --- focus --- */

static void show_rest(struct l1 *l1)
{
	struct guest_output *o = &l1->output;

	if (o->shown == o->written)
		return;
	print_ring(o, o->shown, o->written);
	o->shown = o->written;
	line_open = ring_at(o, o->written - 1) != '\n';
}

/* The last lines again, so that the person sees where the guest stands. */
static void replay(struct l1 *l1)
{
	struct guest_output *o = &l1->output;
	uint64_t from = o->written, oldest = o->written - min_u64(o->written, GUEST_OUTPUT_SIZE);

	for (unsigned lines = 0; from > oldest; from--) {
		if (ring_at(o, from - 1) == '\n' && lines++ == REPLAY_LINES)
			break;
	}
	o->shown = from;
	show_rest(l1);
}

/* Null: to the monitor. */
static void move_focus(struct l1 *l1)
{
	char title[L1_NAME_MAX + 64];

	end_line();
	focus = l1;
	if (!l1) {
		monitor_begin();
		return;
	}
	show_waiting();
	ksnprintf(title, sizeof(title), "--- guest %s (Ctrl-] m: monitor) ---\n", l1->name);
	print(title);
}

/* To the next guest, or the monitor: nobody asked for it, so what is known of that guest is not shown again. */
static void pass_focus(const struct l1 *from)
{
	struct l1 *next = vmm_other_guest(from);

	move_focus(next);
	if (next)
		show_rest(next);
}

/* The first focus is silent: nothing was there before it. */
void guest_console_focus(struct l1 *l1)
{
	spin_lock(&console_lock);
	if (!focus && l1 && !l1->output.written) {
		focus = l1;
	} else {
		move_focus(l1);
		if (l1)
			replay(l1);
	}
	spin_unlock(&console_lock);
}

/* Zero, or a defect of ours: each run of the tests asks for it here. */
static unsigned long long check_gaps(const struct l1 *l1)
{
	unsigned long long count = 0;

	for (unsigned i = 0; i < l1->vcpu_count; i++)
		count += l1->vcpus[i]->nested.check_gap_count;
	return count;
}

static void begin_note(void)
{
	line_open = line_open || !focus; /* the monitor's prompt */
	end_line();
}

static void end_note(void)
{
	if (!focus)
		monitor_redraw();
}

void guest_console_note(const char *fmt, ...)
{
	char text[NOTE_MAX];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	spin_lock(&console_lock);
	begin_note();
	klog("%s", text);
	end_note();
	spin_unlock(&console_lock);
}

void guest_console_ended(struct l1 *l1)
{
	spin_lock(&console_lock);
	begin_note();
	show_lines(l1, true);
	klog("guest %s ended: %s; check gaps %llu", l1->name, l1->end_reason, check_gaps(l1));
	end_note();
	if (focus == l1 && (vmm_other_guest(l1) || vmm_stays()))
		pass_focus(l1);
	spin_unlock(&console_lock);
}

/* Under the lock, because other CPUs walk the list to show lines that wait. */
void guest_console_list(struct l1 **slot, struct l1 *l1)
{
	spin_lock(&console_lock);
	if (*slot && focus == *slot)
		pass_focus(*slot);
	*slot = l1;
	spin_unlock(&console_lock);
}

bool guest_console_is_monitor(void)
{
	return __atomic_load_n(&focus, __ATOMIC_RELAXED) == NULL;
}

/* --- input --- */

static void escape_command(struct l1 *to, char c)
{
	struct l1 *l1 = c >= '1' && c <= '9' ? vmm_guest((unsigned)(c - '1')) : NULL;

	if (c == 'm')
		guest_console_focus(NULL);
	else if (l1)
		guest_console_focus(l1);
	else if (c != ESCAPE || !to)
		print(ESCAPE_HELP);
}

size_t guest_console_type(struct l1 *l1, const char *text, size_t len)
{
	size_t n = len;

	spin_lock(&l1->dev_lock);
	if (l1->state == L1_RUNNING) {
		n = min_u64(len, machine_console_room(&l1->machine));
		for (size_t i = 0; i < n; i++)
			machine_console_in(&l1->machine, (uint8_t)text[i]);
	}
	spin_unlock(&l1->dev_lock);
	return n;
}

static void key(char c)
{
	struct l1 *to = __atomic_load_n(&focus, __ATOMIC_RELAXED);
	bool command = escaped;

	escaped = !command && c == ESCAPE;
	if (escaped)
		return;
	if (command)
		escape_command(to, c);
	if (to && (!command || c == ESCAPE))
		guest_console_type(to, &c, 1);
	else if (!to && !command)
		monitor_key(c);
}

void guest_console_poll(void)
{
	for (int c = console_read(); c >= 0; c = console_read())
		key((char)c);
	if (!__atomic_load_n(&lines_wait, __ATOMIC_RELAXED))
		return;
	spin_lock(&console_lock);
	if (focus && time_now_ns() - last_output_ns > PATIENCE_NS)
		show_waiting();
	spin_unlock(&console_lock);
}
