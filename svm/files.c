/* SPDX-License-Identifier: MIT */
/* svm/files.c - a small store of named files in memory.
 * Decides what may be uploaded, replaced and removed: never what a guest's description names, since the guest is made
 * from it again when it restarts. Allocates one piece of memory per upload. Users: config.c, guests.c, plane.c. */
#include "svm/files.h"

#include <bits.h>
#include <check.h>

#include "kernel/pmm.h"
#include "kernel/string.h"
#include "svm/answer.h"
#include "svm/config.h"

/* The name of a file for "%.*s". */
#define NAME(file) (int)(file)->module.name_len, (file)->module.name

void files_init(struct files *files, const struct bootinfo *bi)
{
	memset(files, 0, sizeof(*files));
	for (uint32_t i = 0; i < bi->module_count; i++)
		files->at[i].module = bi->modules[i];
}

static bool has_name(const struct file *file, const char *name, size_t len)
{
	return len && file->module.name_len == len && memcmp(file->module.name, name, len) == 0;
}

/* Null when there is none. */
static struct file *find(struct files *files, const char *name, size_t len)
{
	for (unsigned i = 0; i < FILES_MAX; i++) {
		if (has_name(&files->at[i], name, len))
			return &files->at[i];
	}
	return NULL;
}

const struct boot_module *files_find(const struct files *files, const char *name, size_t len)
{
	const struct file *file = find((struct files *)files, name, len);

	return file ? &file->module : NULL;
}

static struct file *file_of(const struct boot_module *module)
{
	_Static_assert(offsetof(struct file, module) == 0, "a module is the beginning of its file");
	return (struct file *)module;
}

void files_use(const struct boot_module *module, int by)
{
	file_of(module)->users += by;
	CHECK(file_of(module)->users >= 0);
}

const uint8_t *files_pin(struct files *files, const char *name, size_t len, uint64_t *size)
{
	struct file *file = find(files, name, len);

	if (!file || !file->module.size)
		return NULL;
	file->users++;
	*size = file->module.size;
	return hpa_ptr(file->module.start);
}

/* An empty module, of which the boot loader may say any address, was never pinned. */
void files_unpin(struct files *files, const uint8_t *at)
{
	for (unsigned i = 0; i < FILES_MAX; i++) {
		const struct boot_module *module = &files->at[i].module;

		if (module->size && hpa_ptr(module->start) == at) {
			files_use(module, -1);
			return;
		}
	}
}

bool files_at(const struct files *files, unsigned n, struct plane_file *info)
{
	for (unsigned i = 0; i < FILES_MAX; i++) {
		const struct file *file = &files->at[i];

		if (!file->module.name_len || n-- > 0)
			continue;
		*info = (struct plane_file){
			.size = file->module.size, .uploaded = file->uploaded, .users = (unsigned)file->users};
		memcpy(info->name, file->module.name, min_u64(file->module.name_len, PLANE_NAME_MAX - 1));
		return true;
	}
	return false;
}

uint64_t files_bytes(const struct files *files)
{
	uint64_t bytes = align_up(files->upload.module.size, PAGE_SIZE);

	for (unsigned i = 0; i < FILES_MAX; i++) {
		if (files->at[i].uploaded)
			bytes += align_up(files->at[i].module.size, PAGE_SIZE);
	}
	return bytes;
}

/* --- coming and going --- */

static struct file *free_place(struct files *files)
{
	for (unsigned i = BOOT_MODULES_MAX; i < FILES_MAX; i++) {
		if (!files->at[i].module.name_len)
			return &files->at[i];
	}
	return NULL;
}

/* May this one be taken away? */
static enum plane_result removable(const struct file *file, struct plane_error *error)
{
	if (!file->uploaded)
		return answer(error, PLANE_CONFLICT, "%.*s is a module of the boot loader; it stays", NAME(file));
	if (file->users)
		return answer(error, PLANE_CONFLICT, "file %.*s is needed by a guest; destroy that one first",
			      NAME(file));
	return answer_ok(error);
}

static void take_away(struct file *file)
{
	pmm_free(file->module.start, file->module.size);
	*file = (struct file){0};
}

/* Could a file of that name be added now? */
static enum plane_result addable(struct files *files, const char *name, size_t len, struct plane_error *error)
{
	const struct file *old = find(files, name, len);

	if (old)
		return removable(old, error);
	if (!free_place(files))
		return answer(error, PLANE_NO_ROOM, "there are %u uploaded files already; remove one",
			      FILES_UPLOADED_MAX);
	return answer_ok(error);
}

enum plane_result files_upload_begin(struct files *files, const char *name, size_t len, uint64_t size, uint8_t **at,
				     struct plane_error *error)
{
	struct file *upload = &files->upload;

	if (!config_is_name((struct text){name, len}))
		return answer(error, PLANE_BAD, "a file's name is up to %u letters, digits, '-', '_' or '.'",
			      PLANE_NAME_MAX - 1);
	if (!size)
		return answer(error, PLANE_BAD, "the file is empty");
	if (upload->module.name_len)
		return answer(error, PLANE_CONFLICT, "%.*s is being uploaded; wait for its end", NAME(upload));

	enum plane_result result = addable(files, name, len, error);

	if (result != PLANE_OK)
		return result;

	uint64_t free = pmm_free_bytes(), room = free - min_u64(free, FILES_LEAVE);
	hpa_t start = size <= room ? pmm_alloc(size, PAGE_SIZE) : hpa(0);

	if (!start.a)
		return answer(error, PLANE_NO_ROOM, "no room for %llu KiB in one piece, files may take %llu KiB more",
			      (unsigned long long)(size / KIB(1)), (unsigned long long)(room / KIB(1)));
	memcpy(upload->own_name, name, len);
	upload->uploaded = true;
	upload->module = (struct boot_module){
		.name = upload->own_name, .name_len = len, .args = "", .start = start, .size = size};
	*at = hpa_ptr(start);
	return PLANE_OK;
}

/* What was there at the beginning of the upload is asked again: guests may have come since. */
enum plane_result files_upload_end(struct files *files, bool keep, struct plane_error *error)
{
	struct file *upload = &files->upload;
	const char *name = upload->own_name;
	size_t len = upload->module.name_len;
	enum plane_result result = len && keep ? addable(files, name, len, error) : answer_ok(error);

	if (!len)
		return result;
	if (!keep || result != PLANE_OK) {
		take_away(upload);
		return result;
	}

	struct file *old = find(files, name, len);

	if (old)
		take_away(old);

	struct file *place = free_place(files);

	*place = *upload;
	place->module.name = place->own_name;
	*upload = (struct file){0};
	return PLANE_OK;
}

enum plane_result files_remove(struct files *files, const char *name, size_t len, struct plane_error *error)
{
	struct file *file = find(files, name, len);

	if (!file)
		return answer(error, PLANE_NOT_FOUND, "there is no file of that name");

	enum plane_result result = removable(file, error);

	if (result == PLANE_OK)
		take_away(file);
	return result;
}
