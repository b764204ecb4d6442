/* SPDX-License-Identifier: MIT */
/* svm/command.c - what the monitor's commands do.
 * Reads guests' counters without stopping them; life_lock keeps their vCPUs from going away meanwhile. Everything
 * is printed to the `out` of the session that asked. Before: monitor.c. Next: guests.c. */
#include "svm/command.h"

#include <compiler.h>

#include "kernel/log.h"
#include "kernel/pmm.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "svm/config.h"
#include "svm/exit_names.h"
#include "svm/guest_console.h"
#include "svm/guests.h"
#include "svm/report.h"
#include "svm/vcpu.h"
#include "svm/vmm.h"

#define COMMANDS(X)                                                                                \
	X(help, "", "this list")                                                                   \
	X(vms, "", "all guests: number, state, memory, vCPUs")                                     \
	X(exits, "[guest]", "how often and why guests left their CPUs, by level")                  \
	X(regs, "[guest [vcpu]]", "registers at the last exit")                                    \
	X(files, "", "what guests can be made of: boot modules and uploads")                       \
	X(create, "<file>", "makes the guest that a file describes")                               \
	X(start, "<guest>", "starts a guest that was made, or has ended")                          \
	X(stop, "<guest>", "ends a guest")                                                         \
	X(reset, "<guest>", "starts a guest anew from its modules")                                \
	X(destroy, "<guest>", "ends a guest and forgets it")                                       \
	X(save, "<guest>", "saves a running guest to memory")                                      \
	X(restore, "<guest>", "makes a guest what it was when it was saved")                       \
	X(cycle, "<guest> <times>", "saves and restores it again and again")                       \
	X(forget, "<guest>", "gives back the memory of what was saved")                            \
	X(log, "", "what Nestling has logged")                                                     \
	X(focus, "<guest>", "gives the console to a guest")

#define LOG_CHUNK 256u

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
static struct l1 *find_guest(const char *word, struct out *out)
{
	struct l1 *l1 = vmm_find(word, strlen(word));

	if (l1)
		return l1;
	out_print(out, "%s is no guest; vms lists them\n", *word ? word : "That");
	return NULL;
}

/* The guest that the arguments begin with; *all when there are none. */
static struct l1 *optional_guest(char **args, bool *all, struct out *out)
{
	const char *word = next_word(args);

	*all = !*word;
	return *all ? NULL : find_guest(word, out);
}

/* --- commands --- */

static void command_help(char *args, struct out *out)
{
	(void)args;
#define COMMAND_HELP(name, arguments, what) out_print(out, "  %-7s %-15s %s\n", #name, arguments, what);
	COMMANDS(COMMAND_HELP)
	out_print(out, "A guest is its name or its number. Ctrl-] and a digit leave for that guest's console.\n");
}

static void command_vms(char *args, struct out *out)
{
	(void)args;
	for (const struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		bool ended = l1->state == L1_ENDED;

		out_print(out, "%2u %-16s %-8s %6llu MiB %2u vCPU%s%s%s\n", l1->index + 1, l1->name, l1_state_name(l1),
		    (unsigned long long)(l1->config->memory / MIB(1)), l1->vcpu_count, l1->vcpu_count == 1 ? "" : "s",
		    ended ? ": " : "", ended ? l1->end_reason : "");
	}
	out_print(out, "%u of %u CPUs free, %llu KiB of memory free\n", guests_free_cpus(), smp_cpu_count(),
		  (unsigned long long)(pmm_free_bytes() / KIB(1)));
}

static void show_nested(const struct nested *n, struct out *out)
{
	uint64_t refused = 0;

	for (unsigned i = 0; i < REASON_COUNT; i++) {
		refused += n->refusals[i];
		if (n->refusals[i])
			out_print(out, "  VMRUN refused: %-18s %llu\n", vmrun_reason_name((enum vmrun_reason)i),
			    (unsigned long long)n->refusals[i]);
	}
	out_print(out, "  VMRUNs %llu, refused %llu, full exits %llu, check gaps %llu\n", (unsigned long long)n->vmrun_count,
	    (unsigned long long)refused, (unsigned long long)n->full_exit_count,
	    (unsigned long long)n->check_gap_count);
}

static void show_exits(const struct vcpu *v, struct out *out)
{
	out_print(out, "guest %s vCPU %u\n", v->l1->name, v->index);
	for (unsigned i = 0; i < EXIT_COUNTERS; i++) {
		if (v->exits_of[0].counts[i] || v->exits_of[1].counts[i])
			out_print(out, "  %-16s level 1: %-12llu level 2: %llu\n", exit_counter_name(i),
			    (unsigned long long)v->exits_of[0].counts[i], (unsigned long long)v->exits_of[1].counts[i]);
	}
	if (v->l1->nested)
		show_nested(&v->nested, out);
}

static void command_exits(char *args, struct out *out)
{
	bool all;
	const struct l1 *only = optional_guest(&args, &all, out);

	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (!all && l1 != only)
			continue;
		spin_lock(&l1->life_lock);
		for (unsigned i = 0; i < l1->vcpu_count && l1->vcpus[i]; i++)
			show_exits(l1->vcpus[i], out);
		spin_unlock(&l1->life_lock);
	}
}

static void command_regs(char *args, struct out *out)
{
	bool all;
	const struct l1 *only_guest = optional_guest(&args, &all, out);
	unsigned only = number(next_word(&args));

	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (!all && l1 != only_guest)
			continue;
		spin_lock(&l1->life_lock);
		for (unsigned i = 0; i < l1->vcpu_count && l1->vcpus[i]; i++) {
			if (only == UINT32_MAX || only == i)
				vcpu_report(l1->vcpus[i], out);
		}
		spin_unlock(&l1->life_lock);
	}
}

static void command_files(char *args, struct out *out)
{
	struct plane_file f;

	(void)args;
	for (unsigned n = 0; files_at(guests_files(), n, &f); n++)
		out_print(out, "%-31s %8llu KiB %s, used %u time%s\n", f.name,
			  (unsigned long long)(align_up(f.size, KIB(1)) / KIB(1)),
			  f.uploaded ? "uploaded" : "boot module", f.users, f.users == 1 ? "" : "s");
}

static void command_create(char *args, struct out *out)
{
	const char *name = next_word(&args);
	const struct boot_module *file = files_find(guests_files(), name, strlen(name));
	struct plane_error error;
	struct l1 *l1 = NULL;

	if (!file)
		out_print(out, "%s is no file; files lists them\n", *name ? name : "That");
	else if (guests_create(name, hpa_ptr(file->start), file->size, &l1, &error) != PLANE_OK)
		out_print(out, "%s\n", error.text);
	else
		out_print(out, "guest %s is number %u; start it\n", l1->name, l1->index + 1);
}

/* Those that differ in their name only. */
#define ACTION(name)                                                                               \
	static void command_##name(char *args, struct out *out)                                    \
	{                                                                                          \
		struct l1 *l1 = find_guest(next_word(&args), out);                                 \
		struct plane_error error;                                                          \
                                                                                                   \
		if (l1 && guests_##name(l1, &error) != PLANE_OK)                                   \
			out_print(out, "%s\n", error.text);                                        \
	}
ACTION(start)
ACTION(stop)
ACTION(reset)
ACTION(destroy)
ACTION(save)
ACTION(restore)
ACTION(forget)

static void command_cycle(char *args, struct out *out)
{
	struct l1 *l1 = find_guest(next_word(&args), out);
	struct plane_error error;

	if (l1 && guests_cycle(l1, number(next_word(&args)), &error) != PLANE_OK)
		out_print(out, "%s\n", error.text);
}

static void command_log(char *args, struct out *out)
{
	char chunk[LOG_CHUNK];
	uint64_t position = 0;
	size_t n;

	(void)args;
	while ((n = log_read(&position, chunk, sizeof(chunk))) > 0)
		out_write(out, chunk, n);
}

static void command_focus(char *args, struct out *out)
{
	struct l1 *l1 = find_guest(next_word(&args), out);

	if (l1)
		guest_console_focus(l1);
}

void command_execute(char *line, struct out *out)
{
	const char *command = next_word(&line);

#define COMMAND_CALL(name, arguments, what)                                                        \
	if (!strcmp(command, #name)) {                                                             \
		command_##name(line, out);                                                         \
		return;                                                                            \
	}
	COMMANDS(COMMAND_CALL)
	if (*command)
		out_print(out, "%s is no command; help lists them\n", command);
}
