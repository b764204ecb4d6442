/* SPDX-License-Identifier: MIT */
/* svm/save.c - when a guest is saved and restored, and that it does not notice.
 * CPU 0 asks the vCPUs to pause; the last one to stop does the copying (image.c) and lets them go on. The guest's time
 * stands still from that moment to its going on, or jumps back to the image's: its TSCs and its devices' clock are
 * moved by one and the same reading of the machine's TSC. Its TSC pages (pvclock.c) stay right thereby.
 * May touch the guest's clock; VMCB01's and VMCB02's TSC offsets. Before: guests.c, vmm.c. Next: image.c. */
#include "svm/save.h"

#include <amd/vmcb_access.h>

#include "kernel/cpu_insn.h"
#include "kernel/printf.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "svm/answer.h"
#include "svm/guest_console.h"
#include "svm/image.h"
#include "svm/l1.h"
#include "svm/vmm.h"

#define REPORT_MAX 200u
#define RUN_MIN_NS (NS_PER_MS / 2)
#define RUN_SPREAD_NS (16 * NS_PER_MS) /* how much longer than that a cycle may let the guest run */

/* --- asking for it --- */

static enum plane_result not_busy(const struct l1 *l1, struct plane_error *error)
{
	if (l1->save.job == SAVE_NOTHING)
		return answer_ok(error);
	return answer(error, PLANE_CONFLICT, "guest %s is being saved or restored; try again when the log says it is "
		      "done", l1->name);
}

static enum plane_result may_save(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_busy(l1, error);

	if (result != PLANE_OK)
		return result;
	if (l1->state != L1_RUNNING)
		return answer(error, PLANE_CONFLICT, "guest %s does not run; start it", l1->name);
	if (!l1->save.image)
		l1->save.image = image_create(l1, error);
	return l1->save.image ? PLANE_OK : PLANE_NO_ROOM;
}

static enum plane_result ask(struct l1 *l1, enum save_job job, struct plane_error *error)
{
	l1->save.due = UINT64_MAX;
	l1->save.job = job;
	if (l1_pause(l1))
		return answer_ok(error);
	l1->save.job = SAVE_NOTHING;
	return answer(error, PLANE_CONFLICT, "guest %s is stopping; start it again first", l1->name);
}

enum plane_result save_take(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = may_save(l1, error);

	return result == PLANE_OK ? ask(l1, SAVE_TAKE, error) : result;
}

enum plane_result save_cycle(struct l1 *l1, unsigned cycles, struct plane_error *error)
{
	struct save *s = &l1->save;
	enum plane_result result;

	if (cycles == 0 || cycles > SAVE_CYCLES_MAX)
		return answer(error, PLANE_BAD, "a guest is cycled 1 to %u times; give a number", SAVE_CYCLES_MAX);
	result = may_save(l1, error);
	if (result != PLANE_OK)
		return result;
	s->cycles = s->stops[0] = s->stops[1] = 0;
	s->wanted = cycles;
	s->random = rdtsc() | 1;
	return ask(l1, SAVE_CYCLE, error);
}

bool save_exists(const struct l1 *l1)
{
	return l1->save.job == SAVE_NOTHING && l1->save.image && l1->save.image->taken;
}

static void move_clock(struct l1 *l1, const struct l1_clock *then);

enum plane_result save_put(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_busy(l1, error);

	if (result != PLANE_OK)
		return result;
	if (!save_exists(l1))
		return answer(error, PLANE_CONFLICT, "guest %s has not been saved; save it first", l1->name);
	if (l1->state == L1_RUNNING)
		return ask(l1, SAVE_PUT, error);
	if (!image_check(l1, l1->save.image, error))
		return PLANE_BAD;
	image_put(l1, l1->save.image, false);
	move_clock(l1, &l1->save.image->clock);
	return PLANE_OK;
}

enum plane_result save_forget(struct l1 *l1, struct plane_error *error)
{
	enum plane_result result = not_busy(l1, error);

	if (result == PLANE_OK && l1->save.image) {
		image_destroy(l1->save.image);
		l1->save.image = NULL;
	}
	return result;
}

/* --- time --- */

static struct l1_clock read_clock(const struct l1 *l1)
{
	uint64_t tsc = rdtsc();

	return (struct l1_clock){.tsc = tsc, .guest_ns = time_ns_at(tsc) - l1->start_ns};
}

/* The guest's time goes on from where it was when the clock was read. */
static void move_clock(struct l1 *l1, const struct l1_clock *then)
{
	uint64_t tsc = rdtsc();

	spin_lock(&l1->dev_lock);
	l1->start_ns = time_ns_at(tsc) - then->guest_ns;
	spin_unlock(&l1->dev_lock);
	for (unsigned i = 0; i < l1->vcpu_count; i++) {
		struct vcpu *v = l1->vcpus[i];

		vmcb_set_tsc_offset(v->vmcb01, v->vmcb01->control.tsc_offset + then->tsc - tsc);
		if (v->nested.in_l2)
			nested_tsc02(&v->nested, v->vmcb01, v->vmcb02);
	}
}

/* --- at the pause --- */

static void report_taken(struct l1 *l1)
{
	char text[REPORT_MAX];
	int n = ksnprintf(text, sizeof(text), "guest %s is saved:", l1->name);

	for (unsigned i = 0; i < l1->vcpu_count && n < (int)sizeof(text); i++)
		n += ksnprintf(text + n, sizeof(text) - (size_t)n, "%s vCPU %u in level %u", i ? "," : "", i,
			       vcpu_level(l1->vcpus[i]));
	guest_console_note("%s", text);
}

static void plan_next(struct save *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	s->due = time_now_ns() + RUN_MIN_NS + s->random % RUN_SPREAD_NS;
	smp_kick(0);
}

/* True: there is one more to come. */
static bool cycle(struct l1 *l1, const struct l1_clock *now)
{
	struct save *s = &l1->save;
	struct plane_error error;

	image_take(l1, s->image, now);
	for (unsigned i = 0; i < l1->vcpu_count; i++)
		s->stops[vcpu_level(l1->vcpus[i]) - 1]++;
	if (!image_check(l1, s->image, &error)) {
		guest_console_note("%s", error.text);
		return false;
	}
	image_put(l1, s->image, true);
	if (++s->cycles < s->wanted)
		return true;
	guest_console_note("guest %s was saved and restored %u times: %u vCPUs in level 1, %u in level 2", l1->name,
			   s->cycles, s->stops[0], s->stops[1]);
	return false;
}

static void put(struct l1 *l1, struct l1_clock *clock)
{
	struct plane_error error;

	if (!image_check(l1, l1->save.image, &error)) {
		guest_console_note("%s", error.text);
		return;
	}
	image_put(l1, l1->save.image, false);
	*clock = l1->save.image->clock;
	guest_console_note("guest %s is restored", l1->name);
}

bool save_at_pause(struct l1 *l1)
{
	struct l1_clock clock = read_clock(l1);
	struct save *s = &l1->save;
	bool more = false;

	switch ((enum save_job)s->job) {
	case SAVE_TAKE:
		image_take(l1, s->image, &clock);
		report_taken(l1);
		break;
	case SAVE_PUT:
		put(l1, &clock);
		break;
	case SAVE_CYCLE:
		more = cycle(l1, &clock);
		break;
	case SAVE_NOTHING:
		break;
	}
	move_clock(l1, &clock);
	if (!l1_go_on(l1))
		return false;
	if (more)
		plan_next(s);
	else
		s->job = SAVE_NOTHING;
	return true;
}

void save_abandon(struct l1 *l1)
{
	if (l1->save.job == SAVE_NOTHING)
		return;
	guest_console_note("guest %s stops, so it is not saved or restored", l1->name);
	l1->save.due = UINT64_MAX;
	l1->save.job = SAVE_NOTHING;
}

/* --- the host turn --- */

static bool has_due(const struct l1 *l1)
{
	return l1->save.job == SAVE_CYCLE;
}

void save_turn(void)
{
	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (!has_due(l1) || time_now_ns() < l1->save.due)
			continue;
		l1->save.due = UINT64_MAX;
		l1_pause(l1); /* one that stops for good is seen to by save_abandon() */
	}
}

uint64_t save_due(void)
{
	uint64_t due = UINT64_MAX;

	for (const struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1))
		if (has_due(l1))
			due = min_u64(due, l1->save.due);
	return due;
}
