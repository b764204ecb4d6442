/* SPDX-License-Identifier: MIT */
/* svm/guests.c - guests come and go at run time: the actions of the monitor and the management plane.
 * Decides what a guest's state allows, its number, and its CPUs. A guest has CPUs and memory from its creation or start
 * until it has ended; its number, its description and its files until it is destroyed. All of this runs on CPU 0;
 * what other CPUs do meanwhile is only to end a guest, or to restart it (vmm.c). Next: l1.c, vmm.c. */
#include "svm/guests.h"

#include <check.h>

#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/pmm.h"
#include "kernel/printf.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "svm/answer.h"
#include "svm/caps.h"
#include "svm/config.h"
#include "svm/enable.h"
#include "svm/features.h"
#include "svm/place.h"
#include "svm/vmm.h"

/* What a guest costs besides what l1_build() takes. */
struct guest {
	struct l1 l1;
	struct l1_config config;
	char text[PLANE_DESCRIPTION_MAX]; /* that config's strings are slices of; a boot guest's are in nestling.cfg */
};

static struct files files;    /* CPU 0 */
static struct config scratch; /* CPU 0: the description that is being read */
static uint32_t last_id;      /* CPU 0 */

struct files *guests_files(void)
{
	return &files;
}

/* --- CPUs --- */

/* A guest that ends meanwhile still counts. */
static void taken_cpus(struct cpu_set *taken)
{
	*taken = (struct cpu_set){0};
	for (const struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		for (unsigned i = 0; l1->state != L1_ENDED && i < l1->vcpu_count; i++)
			cpu_set_add(taken, l1->cpus[i]);
	}
}

unsigned guests_free_cpus(void)
{
	struct cpu_set taken;

	taken_cpus(&taken);
	return place_free(&taken, smp_cpu_count());
}

static enum plane_result assign_cpus(struct l1 *l1, struct plane_error *error)
{
	unsigned count = smp_cpu_count();
	struct cpu_set taken;

	taken_cpus(&taken);
	if (place_vcpus(&taken, count, l1->vcpu_count, l1->cpus))
		return answer_ok(error);
	return answer(error, PLANE_NO_ROOM,
		      "guest %s needs %u CPUs of its own, %u of %u are free; end another guest, lower its vcpus or "
		      "give the machine more CPUs",
		      l1->name, l1->vcpu_count, place_free(&taken, count), count);
}

static enum plane_result build(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = assign_cpus(l1, error);

	return result == PLANE_OK ? l1_build(l1, error) : result;
}

/* --- creation --- */

static struct guest *alloc_guest(struct plane_error *error)
{
	hpa_t at = pmm_alloc(sizeof(struct guest), PAGE_SIZE);

	if (!at.a)
		answer(error, PLANE_NO_ROOM, "no memory for another guest; destroy one");
	return at.a ? hpa_ptr(at) : NULL;
}

static void free_guest(struct guest *g)
{
	pmm_free(hpa_of(g), sizeof(*g));
}

/* by: 1 when the guest comes, -1 when it goes. */
static void use_files(const struct l1_config *config, int by)
{
	files_use(config->image, by);
	if (config->initrd)
		files_use(config->initrd, by);
	for (unsigned i = 0; i < config->module_count; i++)
		files_use(config->modules[i].file, by);
}

static bool name_is_taken(const char *name)
{
	for (const struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (!strcmp(l1->name, name))
			return true;
	}
	return false;
}

static bool find_number(unsigned *number)
{
	for (*number = 0; *number < L1_MAX; (*number)++) {
		if (!vmm_guest(*number))
			return true;
	}
	return false;
}

/* How it came out: what it sees of SVM, and why no more. */
static void log_guest(const struct l1 *l1)
{
	const struct l1_config *c = l1->config;
	char text[SVM_FEATURES_TEXT];

	klog("guest %s: %llu MiB, %u vCPU%s from CPU %u on, image %.*s, nested SVM %s", l1->name,
	     (unsigned long long)(c->memory / MIB(1)), c->vcpus, c->vcpus == 1 ? "" : "s", l1->cpus[0],
	     (int)c->image->name_len, c->image->name, c->nested ? "on" : "off");
	if (!c->nested)
		return;
	svm_features_list(text, sizeof(text), caps_svm_features(l1));
	klog("guest %s: SVM features offered:%s", l1->name, text);
	svm_features_explain(text, sizeof(text), c->svm_off, svm_hw_features());
	if (text[0])
		klog("guest %s: not offered:%s", l1->name, text);
}

/* Makes a guest of its description and lists it. */
static enum plane_result add(struct guest *g, const struct l1_config *config, struct plane_error *error)
{
	struct l1 *l1 = &g->l1;

	g->config = *config;
	l1->config = &g->config;
	l1->name = g->config.name;
	l1->vcpu_count = config->vcpus;
	l1->nested = config->nested;
	if (name_is_taken(l1->name))
		return answer(error, PLANE_CONFLICT, "there is already a guest '%s'; give this one another name",
			      l1->name);
	if (!find_number(&l1->index))
		return answer(error, PLANE_NO_ROOM, "there are already %u guests; destroy one", L1_MAX);

	enum plane_result result = build(l1, error);

	if (result != PLANE_OK)
		return result;
	l1->id = ++last_id;
	use_files(config, 1);
	vmm_list(l1->index, l1);
	log_guest(l1);
	return PLANE_OK;
}

/* The description is read where it will stay. */
static enum plane_result describe(struct guest *g, const char *source, size_t size, struct plane_error *error)
{
	if (!config_parse(&scratch, source, g->text, size, &files))
		return answer(error, PLANE_BAD, "%s", scratch.error);
	if (scratch.guest_count != 1)
		return answer(error, PLANE_BAD, "%s describes %u guests; describe one", source, scratch.guest_count);
	return add(g, &scratch.guests[0], error);
}

enum plane_result guests_create(const char *source, const char *text, size_t size, struct l1 **l1,
				struct plane_error *error)
{
	if (size > PLANE_DESCRIPTION_MAX)
		return answer(error, PLANE_BAD, "%s has more than %u bytes; shorten it", source,
			      PLANE_DESCRIPTION_MAX);

	struct guest *g = alloc_guest(error);

	if (!g)
		return PLANE_NO_ROOM;
	memcpy(g->text, text, size);

	enum plane_result result = describe(g, source, size, error);

	if (result == PLANE_OK)
		*l1 = &g->l1;
	else
		free_guest(g);
	return result;
}

/* --- the guests of the boot loader's nestling.cfg --- */

void guests_init(const struct bootinfo *bi, bool none_is_fine)
{
	const struct boot_module *file = bootinfo_module(bi, CONFIG_FILE);
	struct plane_error error;

	files_init(&files, bi);
	if (!file && none_is_fine)
		return;
	if (!file)
		fatal("there is no module named " CONFIG_FILE "; add 'module2 <path> " CONFIG_FILE
		      "' to grub.cfg, see docs/guests.md");
	if (!config_parse(&scratch, CONFIG_FILE, hpa_ptr(file->start), file->size, &files))
		fatal("%s", scratch.error);
	for (unsigned i = 0; i < scratch.guest_count; i++) {
		struct guest *g = alloc_guest(&error);

		if (!g || add(g, &scratch.guests[i], &error) != PLANE_OK)
			fatal("%s", error.text);
	}
}

/* --- start and reset --- */

static enum plane_result not_doomed(const struct l1 *l1, struct plane_error *error)
{
	if (l1->wish == L1_WISH_FORGET)
		return answer(error, PLANE_CONFLICT, "guest %s is being destroyed", l1->name);
	if (l1->wish == L1_WISH_END && l1->state == L1_RUNNING)
		return answer(error, PLANE_CONFLICT, "guest %s is being stopped; try again when it has ended", l1->name);
	return answer_ok(error);
}

static enum plane_result rebuild(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = build(l1, error);

	if (result != PLANE_OK)
		l1->state = L1_ENDED;
	return result;
}

enum plane_result guests_start(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_doomed(l1, error);

	if (result == PLANE_OK && l1->state == L1_RUNNING)
		result = answer(error, PLANE_CONFLICT, "guest %s runs already", l1->name);
	if (result == PLANE_OK && l1->state == L1_ENDED)
		result = rebuild(l1, error);
	if (result != PLANE_OK)
		return result;
	l1->wish = L1_WISH_NONE;
	l1_power_on(l1); /* its time begins now, not when it was made */
	vmm_launch(l1);
	return PLANE_OK;
}

enum plane_result guests_reset(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_doomed(l1, error);

	if (result != PLANE_OK)
		return result;
	if (l1->state == L1_ENDED)
		return guests_start(l1, error);
	if (l1->state != L1_RUNNING)
		return answer(error, PLANE_CONFLICT, "guest %s has not been started; start it", l1->name);
	l1_stop(l1, L1_STOP_RESTART, "somebody reset it");
	return PLANE_OK;
}

/* --- save and restore: save.c --- */

enum plane_result guests_save(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_doomed(l1, error);

	return result == PLANE_OK ? save_take(l1, error) : result;
}

enum plane_result guests_cycle(struct l1 *l1, unsigned cycles, struct plane_error *error)
{
	enum plane_result result = not_doomed(l1, error);

	return result == PLANE_OK ? save_cycle(l1, cycles, error) : result;
}

/* A guest that does not run is made first, unless it is there already; then it runs. */
enum plane_result guests_restore(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_doomed(l1, error);
	bool runs = l1->state == L1_RUNNING;

	if (result == PLANE_OK && l1->state == L1_ENDED && save_exists(l1))
		result = rebuild(l1, error);
	if (result == PLANE_OK)
		result = save_put(l1, error);
	if (result != PLANE_OK || runs)
		return result;
	l1->wish = L1_WISH_NONE;
	vmm_launch(l1);
	return PLANE_OK;
}

enum plane_result guests_forget(struct l1 *l1, struct plane_error *error)
{
	return save_forget(l1, error);
}

/* --- the end --- */

/* A guest that never ran ends on the spot. */
static void discard(struct l1 *l1)
{
	l1_release(l1);
	ksnprintf(l1->end_reason, sizeof(l1->end_reason), "it was never started");
	l1->state = L1_ENDED;
}

static void forget(struct l1 *l1)
{
	struct guest *g = (struct guest *)l1;

	_Static_assert(offsetof(struct guest, l1) == 0, "an L1 is the beginning of its guest");
	klog("guest %s is destroyed", l1->name);
	vmm_list(l1->index, NULL);
	save_forget(l1, &(struct plane_error){""});
	use_files(&g->config, -1);
	free_guest(g);
}

/* A guest that restarts just now does not notice being stopped: the wish stays until it has come true. */
static void pursue(struct l1 *l1)
{
	if (l1->state == L1_RUNNING)
		l1_stop(l1, L1_STOP_END, "somebody %s it", l1->wish == L1_WISH_END ? "stopped" : "destroyed");
	if (l1->state == L1_CREATED)
		discard(l1);
	if (l1->state == L1_ENDED && l1->wish == L1_WISH_FORGET)
		forget(l1);
}

enum plane_result guests_stop(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_doomed(l1, error);

	if (result == PLANE_OK && l1->state == L1_ENDED)
		result = answer(error, PLANE_CONFLICT, "guest %s has ended already", l1->name);
	if (result != PLANE_OK)
		return result;
	l1->wish = L1_WISH_END;
	pursue(l1);
	return PLANE_OK;
}

enum plane_result guests_destroy(struct l1 *l1, struct plane_error *error)
{
	l1->wish = L1_WISH_FORGET;
	pursue(l1);
	return answer_ok(error);
}

void guests_turn(void)
{
	for (struct l1 *l1 = vmm_next(NULL), *next; l1; l1 = next) {
		next = vmm_next(l1);
		if (l1->wish != L1_WISH_NONE)
			pursue(l1);
	}
}
