/* SPDX-License-Identifier: MIT */
/* svm/files.h - the files that guests are made of: the boot loader's modules, and what has been uploaded since.
 * To a guest's description both are modules. */
#ifndef SVM_FILES_H
#define SVM_FILES_H

#include <bootinfo.h>
#include <plane.h>

#define FILES_UPLOADED_MAX 32
/* What uploads leave free. Guests that run need no more memory; the monitor's sessions do, by which they are ended. */
#define FILES_LEAVE (4 * PLANE_SESSIONS_MAX * PLANE_SESSION_MAX)
#define FILES_MAX (BOOT_MODULES_MAX + FILES_UPLOADED_MAX)

struct file {
	struct boot_module module; /* name_len 0: the place is free */
	char own_name[PLANE_NAME_MAX]; /* of an uploaded one */
	bool uploaded;
	int users;                 /* guests that name it, each time they do; readers */
};

/* Belongs to CPU 0; other CPUs read the modules of the guests that they restart, which stay as they are. */
struct files {
	struct file at[FILES_MAX];
	struct file upload;        /* the one that is being received, if any */
};

/* Takes the boot loader's modules in; the first BOOT_MODULES_MAX places are theirs. */
void files_init(struct files *files, const struct bootinfo *bi);
/* Null when there is none of that name. */
const struct boot_module *files_find(const struct files *files, const char *name, size_t len);
/* A guest begins (1) or ceases (-1) to need a module that files_find() gave. */
void files_use(const struct boot_module *module, int by);

/* As plane.h says. */
bool files_at(const struct files *files, unsigned n, struct plane_file *file);
enum plane_result files_upload_begin(struct files *files, const char *name, size_t len, uint64_t size, uint8_t **at,
				     struct plane_error *error);
enum plane_result files_upload_end(struct files *files, bool keep, struct plane_error *error);
enum plane_result files_remove(struct files *files, const char *name, size_t len, struct plane_error *error);
const uint8_t *files_pin(struct files *files, const char *name, size_t len, uint64_t *size);
void files_unpin(struct files *files, const uint8_t *at);
/* Memory that uploads hold, the unfinished one included. */
uint64_t files_bytes(const struct files *files);

#endif
