/* SPDX-License-Identifier: MIT */
/* svm/config.h - the guest description, nestling.cfg, as values. The format is told in docs/guests.md.
 * Strings are slices of the text and modules are those of files.h: both stay where they are while a guest lives. */
#ifndef SVM_CONFIG_H
#define SVM_CONFIG_H

#include <bootinfo.h>

#include "svm/files.h"
#include "svm/l1.h"

#define CONFIG_FILE "nestling.cfg"
#define CONFIG_MODULES_MAX 8
#define CONFIG_MEMORY_MIN MIB(16)
#define CONFIG_MEMORY_MAX GIB(512)
#define CONFIG_ERROR_MAX 256

/* A piece of a text; not terminated. */
struct text {
	const char *at;
	size_t len;
};

struct config_module {
	const struct boot_module *file;
	struct text args;
};

struct l1_config {
	char name[L1_NAME_MAX];
	uint64_t memory;
	unsigned vcpus;
	const struct boot_module *image;
	const struct boot_module *initrd; /* or null */
	struct text cmdline;
	unsigned module_count;
	struct config_module modules[CONFIG_MODULES_MAX];
	bool nested;      /* SVM is offered */
	uint64_t svm_off; /* SVM_FEAT_* that must not be offered */
};

struct config {
	unsigned guest_count;
	struct l1_config guests[L1_MAX];
	char error[CONFIG_ERROR_MAX]; /* one line: what is wrong; what to do */
};

/* Letters, digits, '-', '_', '.'; 1 to L1_NAME_MAX - 1 of them. */
bool config_is_name(struct text name);

/* `source`: what the text is called in messages. False: config->error names the line and says what to do. */
bool config_parse(struct config *config, const char *source, const char *text, size_t size,
		  const struct files *files);

#endif
