/* SPDX-License-Identifier: MIT */
/* svm/monitor.c - Nestling's own small command line.
 * Runs a character at a time on CPU 0, from guest_console_poll(): nothing here waits. Reads guests' counters without
 * stopping them; life_lock keeps their vCPUs from going away meanwhile. Before: guest_console.c. Next: vmm.c. */
#include "svm/monitor.h"

#include <compiler.h>

#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/pmm.h"
#include "kernel/printf.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "svm/config.h"
#include "svm/exit_names.h"
#include "svm/guest_console.h"
#include "svm/report.h"
#include "svm/vcpu.h"
#include "svm/vmm.h"

#define COMMANDS(X)                                                                                \
	X(help, "", "this list")                                                                   \
	X(vms, "", "all guests: number, state, memory, vCPUs")                                     \
	X(exits, "[guest]", "how often and why guests left their CPUs, by level")                  \
	X(regs, "[guest [vcpu]]", "registers at the last exit")                                    \
	X(reset, "<guest>", "starts a guest anew from its modules")                                \
	X(end, "<guest>", "ends a guest")                                                          \
	X(log, "", "what Nestling has logged")                                                     \
	X(focus, "<guest>", "gives the console to a guest")

#define PROMPT "nestling> "
#define LINE_MAX 80u
#define OUT_MAX 256u
#define LOG_CHUNK 256u

enum { KEY_BACKSPACE = 0x08, KEY_CTRL_C = 0x03, KEY_CTRL_U = 0x15, KEY_DELETE = 0x7F };

static char line[LINE_MAX + 1];
static unsigned line_len;

static void PRINTF_LIKE(1, 2) say(const char *fmt, ...)
{
	char text[OUT_MAX];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	console_write(text, strlen(text));
}

/* --- arguments --- */

/* Cuts the next word off *rest; "" at the end. */
static char *next_word(char **rest)
{
	char *word = *rest;

	while (*word == ' ')
		word++;
	for (*rest = word; **rest && **rest != ' ';)
		(*rest)++;
	if (**rest)
		*(*rest)++ = '\0';
	return word;
}

/* A small decimal number; UINT32_MAX when it is none. */
static unsigned number(const char *word)
{
	unsigned n = 0;

	if (!*word || strlen(word) > 3)
		return UINT32_MAX;
	for (; *word; word++) {
		if (*word < '0' || *word > '9')
			return UINT32_MAX;
		n = n * 10 + (unsigned)(*word - '0');
	}
	return n;
}

/* By number, as vms shows it, or by name. Null, and said so, when there is none. */
static struct l1 *find_guest(const char *word)
{
	unsigned n = number(word);

	if (n >= 1 && n <= vmm_guest_count())
		return vmm_guest(n - 1);
	for (unsigned i = 0; i < vmm_guest_count(); i++) {
		if (!strcmp(word, vmm_guest(i)->name))
			return vmm_guest(i);
	}
	say("%s is no guest; vms lists them\n", *word ? word : "That");
	return NULL;
}

/* The guests that a command with an optional guest is about: [*first, *end). */
static bool guest_range(char **args, unsigned *first, unsigned *end)
{
	const char *word = next_word(args);

	*first = 0;
	*end = vmm_guest_count();
	if (!*word)
		return true;

	const struct l1 *l1 = find_guest(word);

	if (!l1)
		return false;
	*first = l1->index;
	*end = l1->index + 1;
	return true;
}

/* --- commands --- */

static void command_help(char *args)
{
	(void)args;
#define COMMAND_HELP(name, arguments, what) say("  %-6s %-15s %s\n", #name, arguments, what);
	COMMANDS(COMMAND_HELP)
	say("A guest is its name or its number. Ctrl-] and a digit leave for that guest's console.\n");
}

static const char *state_name(const struct l1 *l1)
{
	switch ((enum l1_state)l1->state) {
	case L1_EMPTY: return "empty";
	case L1_CREATED: return "starting";
	case L1_RUNNING: return l1->stop == L1_GO ? "running" : "stopping";
	case L1_ENDED: return "ended";
	}
	return "";
}

static void command_vms(char *args)
{
	(void)args;
	for (unsigned i = 0; i < vmm_guest_count(); i++) {
		const struct l1 *l1 = vmm_guest(i);
		bool ended = l1->state == L1_ENDED;

		say("%2u %-16s %-8s %6llu MiB %2u vCPU%s%s%s\n", i + 1, l1->name, state_name(l1),
		    (unsigned long long)(l1->config->memory / MIB(1)), l1->vcpu_count, l1->vcpu_count == 1 ? "" : "s",
		    ended ? ": " : "", ended ? l1->end_reason : "");
	}
	say("%u CPUs, %llu MiB free\n", smp_cpu_count(), (unsigned long long)(pmm_free_bytes() / MIB(1)));
}

static void show_nested(const struct nested *n)
{
	uint64_t refused = 0;

	for (unsigned i = 0; i < REASON_COUNT; i++) {
		refused += n->refusals[i];
		if (n->refusals[i])
			say("  VMRUN refused: %-18s %llu\n", vmrun_reason_name((enum vmrun_reason)i),
			    (unsigned long long)n->refusals[i]);
	}
	say("  VMRUNs %llu, refused %llu, full exits %llu, check gaps %llu\n", (unsigned long long)n->vmrun_count,
	    (unsigned long long)refused, (unsigned long long)n->full_exit_count,
	    (unsigned long long)n->check_gap_count);
}

static void show_exits(const struct vcpu *v)
{
	say("guest %s vCPU %u\n", v->l1->name, v->index);
	for (unsigned i = 0; i < EXIT_COUNTERS; i++) {
		if (v->exit_counts[0][i] || v->exit_counts[1][i])
			say("  %-16s level 1: %-12llu level 2: %llu\n", exit_counter_name(i),
			    (unsigned long long)v->exit_counts[0][i], (unsigned long long)v->exit_counts[1][i]);
	}
	if (v->l1->nested)
		show_nested(&v->nested);
}

static void command_exits(char *args)
{
	unsigned first, end;

	if (!guest_range(&args, &first, &end))
		return;
	for (; first < end; first++) {
		struct l1 *l1 = vmm_guest(first);

		spin_lock(&l1->life_lock);
		for (unsigned i = 0; i < l1->vcpu_count && l1->vcpus[i]; i++)
			show_exits(l1->vcpus[i]);
		spin_unlock(&l1->life_lock);
	}
}

static void command_regs(char *args)
{
	unsigned first, end;

	if (!guest_range(&args, &first, &end))
		return;

	unsigned only = number(next_word(&args));

	for (; first < end; first++) {
		struct l1 *l1 = vmm_guest(first);

		spin_lock(&l1->life_lock);
		for (unsigned i = 0; i < l1->vcpu_count && l1->vcpus[i]; i++) {
			if (only == UINT32_MAX || only == i)
				vcpu_report(l1->vcpus[i]);
		}
		spin_unlock(&l1->life_lock);
	}
}

static void command_reset(char *args)
{
	struct l1 *l1 = find_guest(next_word(&args));
	char error[CONFIG_ERROR_MAX];

	if (l1 && !vmm_restart(l1, error, sizeof(error)))
		say("%s\n", error);
}

static void command_end(char *args)
{
	struct l1 *l1 = find_guest(next_word(&args));

	if (l1)
		l1_stop(l1, L1_STOP_END, "ended from the monitor");
}

static void command_log(char *args)
{
	char chunk[LOG_CHUNK];
	uint64_t position = 0;
	size_t n;

	(void)args;
	while ((n = log_read(&position, chunk, sizeof(chunk))) > 0)
		console_write(chunk, n);
}

static void command_focus(char *args)
{
	struct l1 *l1 = find_guest(next_word(&args));

	if (l1)
		guest_console_focus(l1);
}

/* --- the line --- */

static void execute(char *rest)
{
	const char *command = next_word(&rest);

#define COMMAND_CALL(name, arguments, what)                                                        \
	if (!strcmp(command, #name)) {                                                             \
		command_##name(rest);                                                              \
		return;                                                                            \
	}
	COMMANDS(COMMAND_CALL)
	if (*command)
		say("%s is no command; help lists them\n", command);
}

void monitor_begin(void)
{
	line_len = 0;
	say("\n" PROMPT);
}

void monitor_redraw(void)
{
	say(PROMPT "%.*s", (int)line_len, line);
}

static void enter(void)
{
	say("\n");
	line[line_len] = '\0';
	line_len = 0;
	execute(line);
	if (guest_console_is_monitor())
		say(PROMPT);
}

static void erase(void)
{
	line_len--;
	say("\b \b");
}

void monitor_key(char c)
{
	switch (c) {
	case '\r':
	case '\n':
		enter();
		break;
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (line_len)
			erase();
		break;
	case KEY_CTRL_C:
	case KEY_CTRL_U:
		while (line_len)
			erase();
		break;
	default:
		if (c < ' ' || line_len == LINE_MAX)
			break;
		line[line_len++] = c;
		console_write(&c, 1);
	}
}
