/* SPDX-License-Identifier: MIT */
/* links: svm/config.c svm/features.c svm/files.c svm/answer.c kernel/printf.c tests/unit/fake_pmm.c */
/* tests/unit/test_config.c - nestling.cfg: what a good description becomes, and the message of each mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpuid.h>

#include "svm/config.h"

static struct bootinfo boot = {
	.module_count = 3,
	.modules = {
		{.name = "vmlinuz quiet", .name_len = 7, .args = "quiet"},
		{.name = "l1.cpio.gz", .name_len = 10, .args = ""},
		{.name = "xen", .name_len = 3, .args = ""},
	},
};
static struct files files;
static struct config config;

static bool read_text(const char *text, size_t size)
{
	files_init(&files, &boot);
	return config_parse(&config, "nestling.cfg", text, size, &files);
}

/* From a copy of exactly that size, so that the sanitizer sees a read behind its end. */
static bool parse(const char *text)
{
	size_t size = strlen(text);
	char *copy = malloc(size ? size : 1);

	memcpy(copy, text, size);
	bool ok = read_text(copy, size);
	/* cmdline and args still point into it: the tests that look there use parse_kept() */
	free(copy);
	return ok;
}

static bool parse_kept(const char *text)
{
	return read_text(text, strlen(text));
}

static void assert_text(struct text t, const char *expected)
{
	assert_int_equal(t.len, strlen(expected));
	assert_memory_equal(t.at, expected, t.len);
}

static void full_description(void **state)
{
	(void)state;
	assert_true(parse_kept("# two guests\n"
			       "guest linux   # the first\n"
			       "  memory 1G\n"
			       "\tvcpus 4\r\n"
			       "  image vmlinuz\n"
			       "  initrd l1.cpio.gz\n"
			       "  cmdline  console=ttyS0  a=b#c  # no part of it\n"
			       "  nested off\n"
			       "\n"
			       "guest xen.1\n"
			       "memory 65536K\n"
			       "image xen\n"
			       "module vmlinuz root=/dev/ram  ro\n"
			       "module l1.cpio.gz"));
	assert_int_equal(config.guest_count, 2);

	const struct l1_config *g = &config.guests[0];

	assert_string_equal(g->name, "linux");
	assert_int_equal(g->memory, GIB(1));
	assert_int_equal(g->vcpus, 4);
	assert_ptr_equal(g->image, &files.at[0].module);
	assert_ptr_equal(g->initrd, &files.at[1].module);
	assert_text(g->cmdline, "console=ttyS0  a=b#c");
	assert_false(g->nested);

	g = &config.guests[1];
	assert_string_equal(g->name, "xen.1");
	assert_int_equal(g->memory, MIB(64));
	assert_int_equal(g->vcpus, 1);
	assert_true(g->nested);
	assert_null(g->initrd);
	assert_text(g->cmdline, "");
	assert_int_equal(g->module_count, 2);
	assert_ptr_equal(g->modules[0].file, &files.at[0].module);
	assert_text(g->modules[0].args, "root=/dev/ram  ro");
	assert_text(g->modules[1].args, "");
	assert_int_equal(g->svm_off, 0);
}

#define GUEST "guest a\nimage xen\nmemory 16M\n"

static void svm_lists(void **state)
{
	(void)state;
	assert_true(parse(GUEST "svm -nrips -pausefilter"));
	assert_int_equal(config.guests[0].svm_off,
			 SVM_FEAT_NRIPS | SVM_FEAT_PAUSE_FILTER);
	assert_true(parse(GUEST "svm np  nrips"));
	assert_int_equal(config.guests[0].svm_off, ~(uint64_t)(SVM_FEAT_NP | SVM_FEAT_NRIPS));
}

#define SVM_NAMES " np lbrv nrips tscrate vmcbclean flushbyasid decodeassists pausefilter pausethreshold vls vgif gmet vnmi addrchk eraps"

/* Each mistake, and the whole message that it gets. */
static const struct {
	const char *text, *error;
} mistakes[] = {
	{"", "nestling.cfg describes no guest; add 'guest <name>' with memory and image, see docs/guests.md"},
	{"# nothing\n", "nestling.cfg describes no guest; add 'guest <name>' with memory and image, see docs/guests.md"},
	{"guest a\nmemroy 1G\n",
	 "nestling.cfg line 2: unknown option 'memroy'; expected one of: guest memory vcpus image initrd cmdline "
	 "module nested svm"},
	{"memory 1G\n", "nestling.cfg line 1: 'memory' stands before the first guest; begin with a line "
			"'guest <name>'"},
	{"guest\n", "nestling.cfg line 1: 'guest' has no value; write it behind the word"},
	{"guest a b\n", "nestling.cfg line 1: 'a b' is no guest name; use up to 31 letters, digits, '-', '_' or '.'"},
	{"guest ..\n", "nestling.cfg line 1: '..' is no guest name; use up to 31 letters, digits, '-', '_' or '.'"},
	{"guest .\n", "nestling.cfg line 1: '.' is no guest name; use up to 31 letters, digits, '-', '_' or '.'"},
	{"guest abcdefghijklmnopqrstuvwxyz012345\n",
	 "nestling.cfg line 1: 'abcdefghijklmnopqrstuvwxyz012345' is no guest name; use up to 31 letters, digits, "
	 "'-', '_' or '.'"},
	{GUEST "guest a\n", "nestling.cfg line 4: there is already a guest 'a'; give this one another name"},
	{"\nguest a\nmemory 16M\n", "nestling.cfg line 2: guest a has no image; add a line 'image <module>'"},
	{"guest a\nimage xen\nguest b\n", "nestling.cfg line 1: guest a has no memory; add a line 'memory 512M'"},
	{GUEST "image xen\n", "nestling.cfg line 4: 'image' is given twice for guest a; keep one"},
	{"guest a\nimage xen.gz\n", "nestling.cfg line 2: there is no module 'xen.gz'; add a module2 line with that "
				    "name to grub.cfg, or upload it"},
	{GUEST "module vmlinu x\n", "nestling.cfg line 4: there is no module 'vmlinu'; add a module2 line with that "
				    "name to grub.cfg, or upload it"},
	{"guest a\nmemory\n", "nestling.cfg line 2: 'memory' has no value; write it behind the word"},
	{"guest a\nmemory M\n",
	 "nestling.cfg line 2: 'M' is no amount of memory; write for example 512M or 2G"},
	{"guest a\nmemory 512\n",
	 "nestling.cfg line 2: '512' is no amount of memory; write for example 512M or 2G"},
	{"guest a\nmemory 512MB\n",
	 "nestling.cfg line 2: '512MB' is no amount of memory; write for example 512M or 2G"},
	{"guest a\nmemory 18446744073709551616K\n",
	 "nestling.cfg line 2: '18446744073709551616K' is no amount of memory; write for example 512M or 2G"},
	{"guest a\nmemory 17179869184G\n",
	 "nestling.cfg line 2: '17179869184G' is no amount of memory; write for example 512M or 2G"},
	{"guest a\nmemory 14M\n", "nestling.cfg line 2: memory 14M is out of range; give 16M to 512G"},
	{"guest a\nmemory 513G\n", "nestling.cfg line 2: memory 513G is out of range; give 16M to 512G"},
	{"guest a\nmemory 17M\n", "nestling.cfg line 2: memory 17M is no multiple of 2M; round it"},
	{"guest a\nvcpus 0\n", "nestling.cfg line 2: vcpus '0' is out of range; give 1 to 16"},
	{"guest a\nvcpus 17\n", "nestling.cfg line 2: vcpus '17' is out of range; give 1 to 16"},
	{"guest a\nvcpus two\n", "nestling.cfg line 2: vcpus 'two' is out of range; give 1 to 16"},
	{"guest a\nvcpus 2 3\n", "nestling.cfg line 2: vcpus '2 3' is out of range; give 1 to 16"},
	{"guest a\nnested yes\n", "nestling.cfg line 2: nested 'yes' is neither; write on or off"},
	{"guest a\nsvm -nrip\n", "nestling.cfg line 2: unknown SVM feature 'nrip'; expected some of:" SVM_NAMES},
	{"guest a\nsvm -\n", "nestling.cfg line 2: unknown SVM feature ''; expected some of:" SVM_NAMES},
	{"guest a\nsvm np -vgif\n", "nestling.cfg line 2: svm lists features both with and without '-'; use one of "
				    "the two ways"},
	{"\x7F" "ELF\x02\x01", "nestling.cfg line 1: a byte that is no text; is nestling.cfg the right file?"},
};

static void each_mistake_has_its_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(mistakes); i++) {
		assert_false(parse(mistakes[i].text));
		assert_string_equal(config.error, mistakes[i].error);
	}
}

/* A description that came at run time is called by its own name. */
static void errors_name_the_source(void **state)
{
	(void)state;
	files_init(&files, &boot);
	assert_false(config_parse(&config, "b.cfg", "guest b\nmemory 1\n", 17, &files));
	assert_string_equal(config.error, "b.cfg line 2: '1' is no amount of memory; write for example 512M or 2G");
	assert_false(config_parse(&config, "b.cfg", "", 0, &files));
	assert_string_equal(config.error,
			    "b.cfg describes no guest; add 'guest <name>' with memory and image, see docs/guests.md");
}

static void long_words_are_cut(void **state)
{
	char text[400] = "guest a\nimage ";

	(void)state;
	memset(text + strlen(text), 'x', 300);
	assert_false(parse(text));
	assert_true(strlen(config.error) < CONFIG_ERROR_MAX - 1);
	assert_non_null(strstr(config.error, "add a module2 line"));
}

static void too_many(void **state)
{
	char text[2048] = "";

	(void)state;
	for (char name = 'a'; name <= 'a' + L1_MAX; name++)
		snprintf(text + strlen(text), 64, "guest %c\nimage xen\nmemory 16M\n", name);
	assert_false(parse(text));
	assert_string_equal(config.error, "nestling.cfg line 49: more than 16 guests; leave some out");

	strcpy(text, GUEST);
	for (int i = 0; i <= CONFIG_MODULES_MAX; i++)
		strcat(text, "module xen\n");
	assert_false(parse(text));
	assert_string_equal(config.error,
			    "nestling.cfg line 12: more than 8 modules for one guest; leave some out");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_description),  cmocka_unit_test(svm_lists),
		cmocka_unit_test(each_mistake_has_its_message), cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(too_many), cmocka_unit_test(errors_name_the_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
