/* SPDX-License-Identifier: MIT */
/* svm/plane.c - plane.h served: a management plane's view of the guests, copied out value by value.
 * Decides nothing: actions go to guests.c and files.c. A vCPU is looked at under life_lock, so that it does not go away
 * meanwhile; its counters are read while it counts. Nothing here is on an exit path. Opposite: net/. */
#include <plane.h>

#include <amd/cpuid.h>

#include "kernel/cpu_insn.h"
#include "kernel/pmm.h"
#include "kernel/printf.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "svm/answer.h"
#include "svm/caps.h"
#include "svm/config.h"
#include "svm/enable.h"
#include "svm/exit_names.h"
#include "svm/features.h"
#include "svm/guests.h"
#include "svm/monitor.h"
#include "svm/report.h"
#include "svm/vmm.h"

_Static_assert(PLANE_VCPUS_MAX == MACHINE_MAX_VCPUS && PLANE_CONSOLE_MAX == GUEST_OUTPUT_SIZE, "as plane.h promises");

#define UPLOAD_SOURCE "description" /* what a text that came from outside is called in messages */

/* Null when that guest is gone. */
static struct l1 *find(uint32_t id)
{
	struct l1 *l1 = vmm_next(NULL);

	while (l1 && l1->id != id)
		l1 = vmm_next(l1);
	return l1;
}

/* --- the host --- */

/* Three leaves of 16 characters; the words of svm/features.h begin with a space. */
static void put_cpu_name(char name[PLANE_CPU_NAME_MAX])
{
	struct cpuid_regs part[3];

	for (uint32_t i = 0; i < 3; i++)
		part[i] = cpuid(CPUID_EXT_NAME + i, 0);
	memcpy(name, part, sizeof(part));
}

static void put_words(char words[PLANE_FEATURES_MAX], uint64_t features)
{
	char text[SVM_FEATURES_TEXT];

	svm_features_list(text, sizeof(text), features);
	ksnprintf(words, PLANE_FEATURES_MAX, "%s", text + (text[0] == ' '));
}

static void plane_host(struct plane_host *host)
{
	*host = (struct plane_host){
		.version = vmm_version(),
		.cpu_count = smp_cpu_count(),
		.cpus_free = guests_free_cpus(),
		.svm_features = svm_cpu()->features,
		.asid_count = svm_cpu()->asid_count,
		.uptime_ns = time_now_ns(),
		.memory_total = pmm_total_bytes(),
		.memory_free = pmm_free_bytes(),
		.memory_files = files_bytes(guests_files()),
		.guests_max = L1_MAX,
	};
	for (const struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1))
		host->guests++;
	put_cpu_name(host->cpu_name);
	put_words(host->svm_words, svm_cpu()->features);
}

/* --- guests --- */

static bool plane_guest_at(unsigned n, uint32_t *id)
{
	const struct l1 *l1 = vmm_next(NULL);

	while (l1 && n-- > 0)
		l1 = vmm_next(l1);
	if (l1)
		*id = l1->id;
	return l1;
}

static bool plane_guest_find(const char *name, size_t len, uint32_t *id)
{
	const struct l1 *l1 = vmm_find(name, len);

	if (l1)
		*id = l1->id;
	return l1;
}

static void put_end_reason(struct l1 *l1, char reason[PLANE_REASON_MAX])
{
	spin_lock(&l1->life_lock);
	memcpy(reason, l1->end_reason, PLANE_REASON_MAX);
	spin_unlock(&l1->life_lock);
}

static bool plane_guest(uint32_t id, struct plane_guest *guest)
{
	struct l1 *l1 = find(id);

	if (!l1)
		return false;

	bool runs = l1->state == L1_RUNNING, active = l1->state != L1_ENDED;
	uint64_t now = time_now_ns();

	*guest = (struct plane_guest){
		.id = id,
		.number = l1->index + 1,
		.state = l1_state_name(l1),
		.active = active,
		.died = !active && l1->stop == L1_STOP_DIED,
		.vcpus = l1->vcpu_count,
		.memory = l1->config->memory,
		.nested = l1->nested,
		.uptime_ns = runs ? now - min_u64(now, l1->start_ns) : 0,
		.console_written = guest_console_written(l1),
	};
	memcpy(guest->name, l1->name, PLANE_NAME_MAX);
	for (unsigned i = 0; active && i < l1->vcpu_count; i++)
		guest->cpus[i] = l1->cpus[i];
	put_words(guest->svm_words, caps_svm_features(l1));
	put_end_reason(l1, guest->end_reason);
	return true;
}

/* --- vCPUs and their counters --- */

/* With the guest's life_lock taken, unless it is null: there is no such vCPU (any more). */
static const struct vcpu *lock_vcpu(uint32_t id, unsigned vcpu)
{
	struct l1 *l1 = find(id);

	if (!l1 || vcpu >= l1->vcpu_count)
		return NULL;
	spin_lock(&l1->life_lock);

	const struct vcpu *v = l1->vcpus[vcpu];

	if (!v)
		spin_unlock(&l1->life_lock); /* a guest that restarts may have one again from now on */
	return v;
}

static void unlock_vcpu(const struct vcpu *v)
{
	spin_unlock(&v->l1->life_lock);
}

static bool plane_vcpu(uint32_t id, unsigned vcpu, struct plane_vcpu *info)
{
	const struct vcpu *v = lock_vcpu(id, vcpu);

	if (!v)
		return false;
	*info = (struct plane_vcpu){
		.cpu = v->l1->cpus[vcpu],
		.activity = vcpu_activity_name(v),
		.level = vcpu_level(v),
		.vmrun_count = v->nested.vmrun_count,
		.full_exit_count = v->nested.full_exit_count,
		.check_gap_count = v->nested.check_gap_count,
	};
	for (unsigned i = 0; i < REASON_COUNT; i++)
		info->refused_count += v->nested.refusals[i];
	unlock_vcpu(v);
	return true;
}

static bool plane_exits(uint32_t id, unsigned vcpu, unsigned n, struct plane_exits *exits)
{
	const struct vcpu *v = n < EXIT_COUNTERS ? lock_vcpu(id, vcpu) : NULL;

	if (!v)
		return false;
	exits->name = exit_counter_name(n);
	exits->count[0] = v->exits_of[0].counts[n];
	exits->count[1] = v->exits_of[1].counts[n];
	unlock_vcpu(v);
	return true;
}

static bool plane_refusals(uint32_t id, unsigned vcpu, unsigned n, struct plane_refusals *refusals)
{
	const struct vcpu *v = n < REASON_COUNT ? lock_vcpu(id, vcpu) : NULL;

	if (!v)
		return false;
	refusals->name = vmrun_reason_name((enum vmrun_reason)n);
	refusals->text = vmrun_reason_text((enum vmrun_reason)n);
	refusals->count = v->nested.refusals[n];
	unlock_vcpu(v);
	return true;
}

/* --- files --- */

static bool plane_file_at(unsigned n, struct plane_file *file)
{
	return files_at(guests_files(), n, file);
}

static enum plane_result plane_upload_begin(const char *name, size_t len, uint64_t size, uint8_t **at,
					    struct plane_error *error)
{
	return files_upload_begin(guests_files(), name, len, size, at, error);
}

static enum plane_result plane_upload_end(bool keep, struct plane_error *error)
{
	return files_upload_end(guests_files(), keep, error);
}

static enum plane_result plane_file_remove(const char *name, size_t len, struct plane_error *error)
{
	return files_remove(guests_files(), name, len, error);
}

static const uint8_t *plane_file_pin(const char *name, size_t len, uint64_t *size)
{
	return files_pin(guests_files(), name, len, size);
}

static void plane_file_unpin(const uint8_t *at)
{
	files_unpin(guests_files(), at);
}

/* --- actions --- */

static enum plane_result plane_create(const char *text, size_t size, uint32_t *id, struct plane_error *error)
{
	struct l1 *l1 = NULL;
	enum plane_result result = guests_create(UPLOAD_SOURCE, text, size, &l1, error);

	if (result == PLANE_OK)
		*id = l1->id;
	return result;
}

/* Four that differ in their name only. */
#define ACTION(name)                                                                               \
	static enum plane_result plane_##name(uint32_t id, struct plane_error *error)              \
	{                                                                                          \
		struct l1 *l1 = find(id);                                                          \
                                                                                                   \
		return l1 ? guests_##name(l1, error) :                                             \
			    answer(error, PLANE_NOT_FOUND, "there is no such guest any more");     \
	}
ACTION(start)
ACTION(stop)
ACTION(reset)
ACTION(destroy)

/* --- consoles --- */

static size_t plane_console_read(uint32_t id, uint64_t *cursor, char *buf, size_t size, uint64_t *lost)
{
	struct l1 *l1 = find(id);

	*lost = 0;
	return l1 ? guest_console_read(l1, cursor, buf, size, lost) : 0;
}

static size_t plane_console_write(uint32_t id, const char *text, size_t len)
{
	struct l1 *l1 = find(id);

	return l1 ? guest_console_type(l1, text, len) : len;
}

const struct plane_ops svm_plane = {
	.host = plane_host,
	.guest_at = plane_guest_at,
	.guest_find = plane_guest_find,
	.guest = plane_guest,
	.vcpu = plane_vcpu,
	.exit_kinds = EXIT_COUNTERS,
	.refusal_kinds = REASON_COUNT,
	.exits = plane_exits,
	.refusals = plane_refusals,
	.file_at = plane_file_at,
	.upload_begin = plane_upload_begin,
	.upload_end = plane_upload_end,
	.file_remove = plane_file_remove,
	.file_pin = plane_file_pin,
	.file_unpin = plane_file_unpin,
	.create = plane_create,
	.start = plane_start,
	.stop = plane_stop,
	.reset = plane_reset,
	.destroy = plane_destroy,
	.console_read = plane_console_read,
	.console_write = plane_console_write,
	.monitor_open = monitor_open,
	.monitor_close = monitor_close,
	.monitor_write = monitor_write,
	.monitor_read = monitor_read,
};
