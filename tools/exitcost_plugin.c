/* SPDX-License-Identifier: MIT */
/* tools/exitcost_plugin.c - a plugin for QEMU's TCG: lists each instruction of an ELF file that is executed while a mark
 * is set. The marks are the NOPs of tests/bench/bench_ops.c. The guest's code may lie at the same virtual addresses as
 * ours, so an instruction counts only when its bytes are those of the file. Output: "mark address" lines of one
 * round, for tools/exitcost.py. Arguments: elf=<64-bit ELF file>, out=<file>, round=<number>; a round begins with a
 * mark and has instructions of ours in it. Debian ships no header of QEMU's plugin interface; what is used of its
 * version 1 is declared here.
 * Without round= marks do not matter: "count address" lines of all that was executed until the end. */
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MARKS 4u
#define MARK_LENGTH 7u
static const uint8_t mark_bytes[] = {0x0F, 0x1F, 0x80};
static const uint8_t mark_tag[] = {'S', 'E', 'N'};	/* upper three bytes of the displacement */

/* --- the plugin interface --- */

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { PLUGIN_NO_REGS };
typedef void (*translate_fn)(plugin_id id, struct qemu_plugin_tb *tb);
typedef void (*execute_fn)(unsigned vcpu, void *data);
typedef void (*end_fn)(plugin_id id, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translate_fn fn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, execute_fn fn, int regs, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, end_fn fn, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* --- the program that is watched --- */

static struct {
	uint8_t *bytes;
	uint64_t start, size;
} text;
static unsigned mark;
static bool is_fresh;		/* nothing of ours has run since the mark was set */
static unsigned rounds[MARKS], wanted_round;
static FILE *out;
static uint64_t *counts;	/* of each address, when marks do not matter */

static void *whole_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	char *data = NULL;

	*size = 0;
	while (f && !feof(f)) {
		data = realloc(data, *size + 65536);
		*size += data ? fread(data + *size, 1, 65536, f) : 0;
	}
	if (f)
		fclose(f);
	return data;
}

static bool text_load(const char *path)
{
	size_t size;
	const uint8_t *file = whole_file(path, &size);
	const Elf64_Ehdr *head = (const void *)file;

	for (unsigned i = 0; file && size > sizeof(*head) && i < head->e_phnum; i++) {
		const Elf64_Phdr *p = (const void *)(file + head->e_phoff + i * sizeof(*p));

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		text.start = p->p_vaddr;
		text.size = p->p_filesz;
		text.bytes = malloc(text.size);
		memcpy(text.bytes, file + p->p_offset, text.size);
		return true;
	}
	return false;
}

/* --- the list --- */

static void on_mark(unsigned vcpu, void *data)
{
	(void)vcpu;
	mark = (unsigned)(uintptr_t)data;
	is_fresh = true;
}

static void on_insn(unsigned vcpu, void *data)
{
	(void)vcpu;
	if (counts)
		counts[(uintptr_t)data]++;
	if (counts || !mark)
		return;
	rounds[mark] += is_fresh;
	is_fresh = false;
	if (rounds[mark] == wanted_round)
		fprintf(out, "%u %lx\n", mark, text.start + (uintptr_t)data);
}

static void on_translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *bytes = qemu_plugin_insn_data(insn);
		size_t size = qemu_plugin_insn_size(insn);
		uint64_t at = qemu_plugin_insn_vaddr(insn) - text.start;

		if (at < text.size && at + size <= text.size && !memcmp(bytes, text.bytes + at, size))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, PLUGIN_NO_REGS, (void *)(uintptr_t)at);
		else if (size == MARK_LENGTH && !memcmp(bytes, mark_bytes, 3) && !memcmp(bytes + 4, mark_tag, 3) &&
			 bytes[3] < MARKS)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, PLUGIN_NO_REGS,
							       (void *)(uintptr_t)bytes[3]);
	}
}

static void on_end(plugin_id id, void *data)
{
	(void)id;
	(void)data;
	for (uint64_t at = 0; counts && at < text.size; at++)
		if (counts[at])
			fprintf(out, "%lu %lx\n", counts[at], text.start + at);
	if (fclose(out))
		perror("exitcost: cannot write the list");
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "elf=", 4) && !text_load(argv[i] + 4))
			fprintf(stderr, "exitcost: no code in %s\n", argv[i] + 4);
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		if (!strncmp(argv[i], "round=", 6))
			wanted_round = (unsigned)atoi(argv[i] + 6);
	}
	if (!text.bytes || !out)
		return -1;
	if (!wanted_round)
		counts = calloc(text.size, sizeof(*counts));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
