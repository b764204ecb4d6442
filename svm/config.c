/* SPDX-License-Identifier: MIT */
/* svm/config.c - reads nestling.cfg. Pure: text and the store of files in, struct config out.
 * Every mistake has its own message with the line and a way out; the first one ends the reading.
 * Format: docs/guests.md. Next: guests.c, which makes the guests. */
#include "svm/config.h"

#include "kernel/log.h"
#include "kernel/string.h"
#include "svm/features.h"

/* The words that a line may begin with. */
#define OPTIONS(X)                                                                                 \
	X(GUEST, "guest")                                                                          \
	X(MEMORY, "memory")                                                                        \
	X(VCPUS, "vcpus")                                                                          \
	X(IMAGE, "image")                                                                          \
	X(INITRD, "initrd")                                                                        \
	X(CMDLINE, "cmdline")                                                                      \
	X(MODULE, "module")                                                                        \
	X(NESTED, "nested")                                                                        \
	X(SVM, "svm")

#define OPTION_ENUM(id, word) OPT_##id,
#define OPTION_NAME(id, word) word,
#define OPTION_LIST(id, word) " " word

enum option { OPTIONS(OPTION_ENUM) OPT_COUNT };

static const char *const option_names[] = {OPTIONS(OPTION_NAME)};
static const char option_list[] = OPTIONS(OPTION_LIST);

#define QUOTE_MAX 40 /* of the user's own words in a message */

struct parser {
	struct config *config;
	const char *source;
	const struct files *files;
	struct l1_config *guest; /* the one being described */
	unsigned line, guest_line;
	uint32_t seen; /* options that this guest had, bit per enum option */
};

/* --- words --- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool text_is(struct text t, const char *word)
{
	return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

static struct text text_trim(struct text t)
{
	while (t.len && is_space(t.at[0])) {
		t.at++;
		t.len--;
	}
	while (t.len && is_space(t.at[t.len - 1]))
		t.len--;
	return t;
}

/* Cuts the first word off; *rest begins at the next one. */
static struct text text_word(struct text *rest)
{
	struct text all = text_trim(*rest), word = all;

	for (word.len = 0; word.len < all.len && !is_space(all.at[word.len]);)
		word.len++;
	*rest = text_trim((struct text){all.at + word.len, all.len - word.len});
	return word;
}

/* --- errors --- */

/* A word of the user's for "%.*s", cut when it is long. */
#define QUOTE(t) (int)min_u64((t).len, QUOTE_MAX), (t).at

/* Returns false, so that the caller can return it. */
static bool PRINTF_LIKE(2, 3) fail(struct parser *p, const char *fmt, ...)
{
	char *error = p->config->error;
	size_t used = (size_t)ksnprintf(error, CONFIG_ERROR_MAX, "%s line %u: ", p->source, p->line);
	va_list args;

	va_start(args, fmt);
	kvsnprintf(error + used, CONFIG_ERROR_MAX - used, fmt, args);
	va_end(args);
	return false;
}

/* --- values --- */

/* False: no digits first, or more than 64 bits. *rest begins behind the digits. */
static bool number(struct text *rest, uint64_t *value)
{
	size_t digits = 0;

	*value = 0;
	for (; digits < rest->len && rest->at[digits] >= '0' && rest->at[digits] <= '9'; digits++) {
		uint64_t digit = (uint64_t)(rest->at[digits] - '0');

		if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, digit, value))
			return false;
	}
	rest->at += digits;
	rest->len -= digits;
	return digits > 0;
}

static uint64_t unit_of(struct text t)
{
	if (text_is(t, "K"))
		return KIB(1);
	if (text_is(t, "M"))
		return MIB(1);
	return text_is(t, "G") ? GIB(1) : 0;
}

static bool set_memory(struct parser *p, struct text value)
{
	struct text rest = value;
	uint64_t count, bytes;

	if (!number(&rest, &count) || unit_of(rest) == 0 || __builtin_mul_overflow(count, unit_of(rest), &bytes))
		return fail(p, "'%.*s' is no amount of memory; write for example 512M or 2G", QUOTE(value));
	if (bytes < CONFIG_MEMORY_MIN || bytes > CONFIG_MEMORY_MAX)
		return fail(p, "memory %.*s is out of range; give 16M to 512G", QUOTE(value));
	if (bytes % SIZE_2M != 0)
		return fail(p, "memory %.*s is no multiple of 2M; round it", QUOTE(value));
	p->guest->memory = bytes;
	return true;
}

static bool set_vcpus(struct parser *p, struct text value)
{
	struct text rest = value;
	uint64_t count;

	if (!number(&rest, &count) || rest.len || count < 1 || count > MACHINE_MAX_VCPUS)
		return fail(p, "vcpus '%.*s' is out of range; give 1 to %u", QUOTE(value), MACHINE_MAX_VCPUS);
	p->guest->vcpus = (unsigned)count;
	return true;
}

static bool set_nested(struct parser *p, struct text value)
{
	p->guest->nested = text_is(value, "on");
	if (!p->guest->nested && !text_is(value, "off"))
		return fail(p, "nested '%.*s' is neither; write on or off", QUOTE(value));
	return true;
}

static bool find_module(struct parser *p, struct text name, const struct boot_module **file)
{
	*file = files_find(p->files, name.at, name.len);
	return *file || fail(p, "there is no module '%.*s'; add a module2 line with that name to grub.cfg, or upload it",
			     QUOTE(name));
}

static bool add_module(struct parser *p, struct text value)
{
	struct text name = text_word(&value);
	struct l1_config *g = p->guest;

	if (g->module_count == CONFIG_MODULES_MAX)
		return fail(p, "more than %u modules for one guest; leave some out", CONFIG_MODULES_MAX);

	struct config_module *m = &g->modules[g->module_count++];

	m->args = value;
	return find_module(p, name, &m->file);
}

static uint64_t svm_feature(struct text name)
{
	for (size_t i = 0; i < SVM_FEATURE_COUNT; i++) {
		if (text_is(name, svm_features[i].name))
			return svm_features[i].bit;
	}
	return 0;
}

static bool unknown_feature(struct parser *p, struct text name)
{
	char names[CONFIG_ERROR_MAX];

	svm_features_list(names, sizeof(names), UINT64_MAX);
	return fail(p, "unknown SVM feature '%.*s'; expected some of:%s", QUOTE(name), names);
}

/* Either a list of all that is wanted, or a list of what is not. */
static bool set_svm(struct parser *p, struct text list)
{
	uint64_t on = 0, off = 0;

	while (list.len) {
		struct text word = text_word(&list), name = word;
		bool minus = word.at[0] == '-';

		if (minus)
			name = (struct text){word.at + 1, word.len - 1};
		uint64_t bit = svm_feature(name);
		if (!bit)
			return unknown_feature(p, name);
		*(minus ? &off : &on) |= bit;
	}
	if (on && off)
		return fail(p, "svm lists features both with and without '-'; use one of the two ways");
	p->guest->svm_off = on ? ~on : off;
	return true;
}

/* --- guests --- */

/* The two names that mean something else in a path are in no URL that a client sends. */
bool config_is_name(struct text t)
{
	if (text_is(t, ".") || text_is(t, ".."))
		return false;
	for (size_t i = 0; i < t.len; i++) {
		char c = t.at[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
			return false;
	}
	return t.len > 0 && t.len < L1_NAME_MAX;
}

/* What a complete description must have. */
static bool end_guest(struct parser *p)
{
	const struct l1_config *g = p->guest;

	if (!g || (g->image && g->memory))
		return true;
	p->line = p->guest_line;
	if (!g->image)
		return fail(p, "guest %s has no image; add a line 'image <module>'", g->name);
	return fail(p, "guest %s has no memory; add a line 'memory 512M'", g->name);
}

static bool begin_guest(struct parser *p, struct text name)
{
	struct config *c = p->config;

	if (!end_guest(p))
		return false;
	if (!config_is_name(name))
		return fail(p, "'%.*s' is no guest name; use up to %u letters, digits, '-', '_' or '.'", QUOTE(name),
			    L1_NAME_MAX - 1);
	if (c->guest_count == L1_MAX)
		return fail(p, "more than %u guests; leave some out", L1_MAX);
	for (unsigned i = 0; i < c->guest_count; i++) {
		if (text_is(name, c->guests[i].name))
			return fail(p, "there is already a guest '%.*s'; give this one another name", QUOTE(name));
	}
	p->guest = &c->guests[c->guest_count++];
	*p->guest = (struct l1_config){.vcpus = 1, .nested = true, .cmdline = {"", 0}};
	memcpy(p->guest->name, name.at, name.len);
	p->guest_line = p->line;
	p->seen = 0;
	return true;
}

/* find_option() has found it. */
static bool set_option(struct parser *p, enum option option, struct text value)
{
	switch (option) {
	case OPT_GUEST:
		return begin_guest(p, value);
	case OPT_MEMORY:
		return set_memory(p, value);
	case OPT_VCPUS:
		return set_vcpus(p, value);
	case OPT_IMAGE:
		return find_module(p, value, &p->guest->image);
	case OPT_INITRD:
		return find_module(p, value, &p->guest->initrd);
	case OPT_CMDLINE:
		p->guest->cmdline = value;
		return true;
	case OPT_MODULE:
		return add_module(p, value);
	case OPT_NESTED:
		return set_nested(p, value);
	case OPT_SVM:
		return set_svm(p, value);
	case OPT_COUNT:
		break;
	}
	return false;
}

static enum option find_option(struct text word)
{
	unsigned i = 0;

	while (i < OPT_COUNT && !text_is(word, option_names[i]))
		i++;
	return (enum option)i;
}

/* --- lines --- */

/* A comment begins with '#' at the start of the line or behind a space. */
static struct text cut_comment(struct text line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.at[i] == '#' && (i == 0 || is_space(line.at[i - 1])))
			line.len = i;
	}
	return line;
}

static bool is_text(struct text line)
{
	for (size_t i = 0; i < line.len; i++) {
		if ((unsigned char)line.at[i] < ' ' && line.at[i] != '\t')
			return false;
	}
	return true;
}

static bool parse_line(struct parser *p, struct text line)
{
	struct text value = text_trim(cut_comment(line));

	if (!is_text(line))
		return fail(p, "a byte that is no text; is %s the right file?", p->source);
	if (value.len == 0)
		return true;

	struct text word = text_word(&value);
	enum option option = find_option(word);

	if (option == OPT_COUNT)
		return fail(p, "unknown option '%.*s'; expected one of:%s", QUOTE(word), option_list);
	if (option != OPT_GUEST && !p->guest)
		return fail(p, "'%.*s' stands before the first guest; begin with a line 'guest <name>'", QUOTE(word));
	if (value.len == 0)
		return fail(p, "'%.*s' has no value; write it behind the word", QUOTE(word));
	if (option != OPT_GUEST && option != OPT_MODULE && (p->seen & BIT32(option)))
		return fail(p, "'%.*s' is given twice for guest %s; keep one", QUOTE(word), p->guest->name);
	if (!set_option(p, option, value))
		return false;
	p->seen |= BIT32(option);
	return true;
}

/* Lines end with LF or CR LF; the last one may end with the text. */
static struct text next_line(struct text *rest)
{
	struct text line = {rest->at, 0};

	while (line.len < rest->len && rest->at[line.len] != '\n')
		line.len++;

	size_t used = line.len < rest->len ? line.len + 1 : line.len;

	rest->at += used;
	rest->len -= used;
	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

bool config_parse(struct config *config, const char *source, const char *text, size_t size,
		  const struct files *files)
{
	struct parser p = {.config = config, .source = source, .files = files};
	struct text rest = {text, size};

	config->guest_count = 0;
	config->error[0] = '\0';
	while (rest.len) {
		p.line++;
		if (!parse_line(&p, next_line(&rest)))
			return false;
	}
	if (!p.guest) {
		ksnprintf(config->error, CONFIG_ERROR_MAX,
			  "%s describes no guest; add 'guest <name>' with memory and image, see docs/guests.md", source);
		return false;
	}
	return end_guest(&p);
}
