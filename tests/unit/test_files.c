/* SPDX-License-Identifier: MIT */
/* links: svm/files.c svm/config.c svm/features.c svm/answer.c kernel/printf.c tests/unit/fake_pmm.c */
/* tests/unit/test_files.c - boot modules and uploads under one roof: what may be added, replaced and removed, and that
 * each byte of an upload's memory comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bits.h>

#include "svm/files.h"
#include "tests/unit/fake_pmm.h"

static struct bootinfo boot = {
	.module_count = 2,
	.modules = {
		{.name = "vmlinuz quiet", .name_len = 7, .args = "quiet", .size = 5},
		{.name = "nestling.cfg", .name_len = 12, .args = "", .size = 7},
	},
};
static struct files files;
static struct plane_error error;
static uint8_t *at;

static int begin(void **state)
{
	(void)state;
	files_init(&files, &boot);
	fake_pmm_left = -1;
	fake_pmm_free = MIB(64);
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(fake_pmm_held, files_bytes(&files));
	for (unsigned i = 0; i < FILES_MAX; i++) {
		if (files.at[i].uploaded)
			assert_int_equal(files_remove(&files, files.at[i].own_name, strlen(files.at[i].own_name),
						      &error), PLANE_OK);
	}
	assert_int_equal(fake_pmm_held, 0);
	return 0;
}

static enum plane_result upload(const char *name, uint64_t size)
{
	enum plane_result result = files_upload_begin(&files, name, strlen(name), size, &at, &error);

	if (result != PLANE_OK)
		return result;
	memset(at, name[0], size);
	return files_upload_end(&files, true, &error);
}

static const struct boot_module *find(const char *name)
{
	return files_find(&files, name, strlen(name));
}

static enum plane_result drop(const char *name)
{
	return files_remove(&files, name, strlen(name), &error);
}

static void boot_modules_are_files_that_stay(void **state)
{
	struct plane_file f;

	(void)state;
	assert_ptr_equal(find("vmlinuz"), &files.at[0].module);
	assert_null(find("vmlinu"));
	assert_null(find(""));
	assert_true(files_at(&files, 1, &f));
	assert_string_equal(f.name, "nestling.cfg");
	assert_int_equal(f.size, 7);
	assert_false(f.uploaded);
	assert_false(files_at(&files, 2, &f));
	assert_int_equal(drop("vmlinuz"), PLANE_CONFLICT);
	assert_string_equal(error.text, "vmlinuz is a module of the boot loader; it stays");
	assert_int_equal(upload("vmlinuz", 1), PLANE_CONFLICT);
	assert_int_equal(drop("other"), PLANE_NOT_FOUND);
}

static void uploads_appear_at_their_end(void **state)
{
	struct plane_file f;

	(void)state;
	assert_int_equal(files_upload_begin(&files, "kernel-2.bin_x", 14, 5000, &at, &error), PLANE_OK);
	assert_null(find("kernel-2.bin_x"));
	assert_int_equal(files_bytes(&files), 8192);
	at[4999] = 7;
	assert_int_equal(files_upload_begin(&files, "b", 1, 1, &at, &error), PLANE_CONFLICT);
	assert_string_equal(error.text, "kernel-2.bin_x is being uploaded; wait for its end");
	assert_int_equal(files_upload_end(&files, true, &error), PLANE_OK);
	assert_int_equal(((uint8_t *)hpa_ptr(find("kernel-2.bin_x")->start))[4999], 7);
	assert_true(files_at(&files, 2, &f));
	assert_true(f.uploaded);
	assert_string_equal(f.name, "kernel-2.bin_x");
	assert_int_equal(files_upload_end(&files, true, &error), PLANE_OK); /* without a beginning */
}

static void broken_uploads_leave_nothing(void **state)
{
	(void)state;
	assert_int_equal(files_upload_begin(&files, "a", 1, 5000, &at, &error), PLANE_OK);
	assert_int_equal(files_upload_end(&files, false, &error), PLANE_OK);
	assert_null(find("a"));
	assert_int_equal(fake_pmm_held, 0);
	fake_pmm_left = 0;
	assert_int_equal(upload("a", MIB(3)), PLANE_NO_ROOM);
	assert_string_equal(error.text, "no room for 3072 KiB in one piece, files may take 64512 KiB more");
	fake_pmm_left = -1;
	assert_int_equal(upload("a", 1), PLANE_OK);
}

/* However little is free: what is left is not for files. */
static void uploads_leave_some_memory(void **state)
{
	(void)state;
	fake_pmm_free = FILES_LEAVE + KIB(8);
	assert_int_equal(upload("a", KIB(8) + 1), PLANE_NO_ROOM);
	assert_string_equal(error.text, "no room for 8 KiB in one piece, files may take 8 KiB more");
	assert_int_equal(upload("a", UINT64_MAX), PLANE_NO_ROOM);
	assert_int_equal(upload("a", KIB(8)), PLANE_OK);
	fake_pmm_free = FILES_LEAVE - 1;
	assert_int_equal(upload("b", 1), PLANE_NO_ROOM);
	assert_int_equal(fake_pmm_held, KIB(8));
}

static void names_and_sizes(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a b", "a/b", "../x", "a\n", "abcdefghijklmnopqrstuvwxyz012345"};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(upload(bad[i], 1), PLANE_BAD);
	assert_int_equal(upload("a", 0), PLANE_BAD);
	assert_int_equal(upload("abcdefghijklmnopqrstuvwxyz01234", 1), PLANE_OK);
}

static void a_used_file_stays(void **state)
{
	const struct boot_module *module;

	(void)state;
	assert_int_equal(upload("a", 1), PLANE_OK);
	module = find("a");
	files_use(module, 1);
	files_use(module, 1);
	assert_int_equal(drop("a"), PLANE_CONFLICT);
	assert_string_equal(error.text, "file a is needed by a guest; destroy that one first");
	assert_int_equal(upload("a", 2), PLANE_CONFLICT);
	files_use(module, -1);
	assert_int_equal(drop("a"), PLANE_CONFLICT);
	files_use(module, -1);
	assert_int_equal(upload("a", 2), PLANE_OK); /* replaced */
	assert_int_equal(find("a")->size, 2);
	assert_int_equal(fake_pmm_held, PAGE_SIZE);
	assert_int_equal(drop("a"), PLANE_OK);
	assert_null(find("a"));
}

/* A guest that came between the two ends of an upload keeps the file that it was made of. */
static void used_while_its_successor_arrives(void **state)
{
	const struct boot_module *module;

	(void)state;
	assert_int_equal(upload("a", 1), PLANE_OK);
	module = find("a");
	assert_int_equal(files_upload_begin(&files, "a", 1, 9, &at, &error), PLANE_OK);
	files_use(module, 1);
	assert_int_equal(files_upload_end(&files, true, &error), PLANE_CONFLICT);
	assert_ptr_equal(find("a"), module);
	assert_int_equal(module->size, 1);
	assert_int_equal(fake_pmm_held, PAGE_SIZE);
	files_use(module, -1);
}

/* The boot loader may put an empty module where another one begins: reading that one is no use of the empty one. */
static void an_empty_module_is_never_read(void **state)
{
	static uint8_t bytes[3];
	const struct bootinfo bi = {
		.module_count = 2,
		.modules = {
			{.name = "empty", .name_len = 5, .args = "", .start = hpa_of(bytes)},
			{.name = "full", .name_len = 4, .args = "", .start = hpa_of(bytes), .size = 3},
		},
	};
	uint64_t size;

	(void)state;
	files_init(&files, &bi);
	assert_null(files_pin(&files, "empty", 5, &size));
	assert_int_equal(files.at[0].users, 0);
	assert_ptr_equal(files_pin(&files, "full", 4, &size), bytes);
	assert_int_equal(files.at[1].users, 1);
	files_unpin(&files, bytes);
	assert_int_equal(files.at[0].users, 0);
	assert_int_equal(files.at[1].users, 0);
}

static void so_many_and_no_more(void **state)
{
	char name[8];

	(void)state;
	for (unsigned i = 0; i < FILES_UPLOADED_MAX; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(upload(name, 1), PLANE_OK);
	}
	assert_int_equal(upload("one-more", 1), PLANE_NO_ROOM);
	assert_string_equal(error.text, "there are 32 uploaded files already; remove one");
	assert_int_equal(upload("f3", 9), PLANE_OK); /* takes the place of the old one */
	assert_int_equal(drop("f7"), PLANE_OK);
	assert_int_equal(upload("one-more", 1), PLANE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(boot_modules_are_files_that_stay, begin, end),
		cmocka_unit_test_setup_teardown(uploads_appear_at_their_end, begin, end),
		cmocka_unit_test_setup_teardown(broken_uploads_leave_nothing, begin, end),
		cmocka_unit_test_setup_teardown(uploads_leave_some_memory, begin, end),
		cmocka_unit_test_setup_teardown(names_and_sizes, begin, end),
		cmocka_unit_test_setup_teardown(a_used_file_stays, begin, end),
		cmocka_unit_test_setup_teardown(used_while_its_successor_arrives, begin, end),
		cmocka_unit_test_setup_teardown(an_empty_module_is_never_read, begin, end),
		cmocka_unit_test_setup_teardown(so_many_and_no_more, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
