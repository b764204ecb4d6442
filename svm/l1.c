/* SPDX-License-Identifier: MIT */
/* svm/l1.c - makes an L1 out of its description, resets it, and gives everything back.
 * Decides where its RAM lies in host memory. Allocates at set-up only: nothing here runs while vCPUs run, but
 * l1_end() and l1_stop(). Next: load.c (the image), vcpu.c (a vCPU's life), guests.c (who calls this, when). */
#include "svm/l1.h"
#include "svm/msr.h"

#include <amd/vmcb.h>

#include "kernel/pmm.h"
#include "kernel/printf.h"
#include "kernel/percpu.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/wall_clock.h"
#include "svm/answer.h"
#include "svm/config.h"
#include "svm/vcpu.h"

/* --- memory --- */

/* One run, aligned so that the largest pages fit; less aligned when there is no such run. */
static bool alloc_ram(struct l1_ram *ram, uint64_t base, uint64_t size)
{
	*ram = (struct l1_ram){.base = base, .size = size};
	if (size >= SIZE_1G)
		ram->host = pmm_alloc(size, SIZE_1G);
	if (size && !ram->host.a)
		ram->host = pmm_alloc(size, SIZE_2M);
	return !size || ram->host.a;
}

static void free_ram(struct l1_ram *ram)
{
	if (ram->host.a)
		pmm_free(ram->host, ram->size);
	*ram = (struct l1_ram){0};
}

static bool map_part(struct l1 *l1, const struct l1_ram *ram, uint64_t from, uint64_t to)
{
	return npt_map(&l1->npt01, l1pa(ram->base + from), hpa(ram->host.a + from), to - from);
}

static bool map_low(struct l1 *l1)
{
	return map_part(l1, &l1->low, 0, L1_HOLE_BASE) && map_part(l1, &l1->low, L1_HOLE_END, l1->low.size);
}

static bool map_high(struct l1 *l1)
{
	return map_part(l1, &l1->high, 0, l1->high.size);
}

/* A permission map that permits nothing. */
static uint8_t *alloc_permission_map(uint64_t size)
{
	hpa_t at = pmm_alloc(size, PAGE_SIZE);

	return at.a ? memset(hpa_ptr(at), 0xFF, size) : NULL;
}

static void free_permission_map(uint8_t **map, uint64_t size)
{
	if (*map)
		pmm_free(hpa_of(*map), size);
	*map = NULL;
}

static bool build_tables(struct l1 *l1)
{
	l1->msrpm = alloc_permission_map(MSRPM_SIZE);
	l1->iopm = alloc_permission_map(IOPM_SIZE);
	if (l1->msrpm)
		msrpm01_init(l1->msrpm);
	return l1->msrpm && l1->iopm && npt_init(&l1->npt01) && map_low(l1) && map_high(l1);
}

static enum plane_result build_memory(struct l1 *l1, struct plane_error *error)
{
	uint64_t size = l1->config->memory, low = min_u64(size, L1_LOW_LIMIT);
	uint64_t free_mib = pmm_free_bytes() / MIB(1);

	if (alloc_ram(&l1->low, 0, low) && alloc_ram(&l1->high, L1_HIGH_BASE, size - low) && build_tables(l1))
		return PLANE_OK;
	return answer(error, PLANE_NO_ROOM,
		      "guest %s needs %llu MiB in one piece, only %llu MiB are free; lower its memory or give the "
		      "machine more",
		      l1->name, (unsigned long long)(size / MIB(1)), (unsigned long long)free_mib);
}

/* --- life --- */

static enum plane_result build_vcpus(struct l1 *l1, struct plane_error *error)
{
	for (unsigned i = 0; i < l1->vcpu_count; i++) {
		l1->vcpus[i] = vcpu_create(l1, i);
		if (!l1->vcpus[i])
			return answer(error, PLANE_NO_ROOM, "no memory for vCPU %u of guest %s; give the machine more",
				      i, l1->name);
	}
	return PLANE_OK;
}

void l1_power_on(struct l1 *l1)
{
	struct machine_config machine = {
		.vcpu_count = l1->vcpu_count,
		.memory_below_4g = l1->low.size,
		.memory_above_4g = l1->high.size,
		.tsc_khz = time_tsc_khz(),
		.boot_seconds = wall_clock_seconds(),
	};

	spin_lock(&l1->dev_lock);
	l1->start_ns = time_now_ns();
	machine_init(&l1->machine, &machine, l1_host(l1));
	vacpi_build(l1_ptr(l1, l1pa(L1_ACPI_BASE), L1_ACPI_SIZE), L1_ACPI_SIZE, L1_ACPI_BASE, &machine);
	spin_unlock(&l1->dev_lock);
}

/* RAM comes zeroed from the allocator: the first time this would be work for nothing. */
static void clear_ram(struct l1 *l1)
{
	memset(hpa_ptr(l1->low.host), 0, l1->low.size);
	if (l1->high.size)
		memset(hpa_ptr(l1->high.host), 0, l1->high.size);
}

const char *l1_reset(struct l1 *l1)
{
	if (l1->state != L1_EMPTY)
		clear_ram(l1);
	l1_power_on(l1);

	const char *error = load_image(l1, l1->config, &l1->entry);

	for (unsigned i = 0; i < l1->vcpu_count; i++)
		vcpu_reset(l1->vcpus[i]);
	if (!error)
		vcpu_set_entry(l1->vcpus[0], &l1->entry);
	l1->stop = L1_GO;
	return error;
}

static enum plane_result build_image(struct l1 *l1, struct plane_error *error)
{
	const struct boot_module *image = l1->config->image;
	const char *what = l1_reset(l1);

	if (!what)
		return answer_ok(error);
	return answer(error, PLANE_BAD, "guest %s: image %.*s: %s", l1->name, (int)image->name_len, image->name, what);
}

enum plane_result l1_build(struct l1 *l1, struct plane_error *error)
{
	l1->state = L1_EMPTY;

	enum plane_result result = build_memory(l1, error);

	if (result == PLANE_OK)
		result = build_vcpus(l1, error);
	if (result == PLANE_OK)
		result = build_image(l1, error);
	if (result != PLANE_OK)
		l1_release(l1);
	else
		l1->state = L1_CREATED;
	return result;
}

/* Under life_lock, because the monitor may be looking at a vCPU. */
void l1_release(struct l1 *l1)
{
	spin_lock(&l1->life_lock);
	for (unsigned i = 0; i < l1->vcpu_count; i++) {
		if (l1->vcpus[i])
			vcpu_destroy(l1->vcpus[i]);
		l1->vcpus[i] = NULL;
	}
	spin_unlock(&l1->life_lock);
	npt_destroy(&l1->npt01);
	free_permission_map(&l1->msrpm, MSRPM_SIZE);
	free_permission_map(&l1->iopm, IOPM_SIZE);
	free_ram(&l1->high);
	free_ram(&l1->low);
}

const char *l1_state_name(const struct l1 *l1)
{
	switch ((enum l1_state)l1->state) {
	case L1_EMPTY:
	case L1_CREATED: return "created";
	case L1_RUNNING: return l1->stop <= L1_STOP_PAUSE ? "running" : "stopping";
	case L1_ENDED: return "ended";
	}
	return "";
}

/* --- the end --- */

/* vCPUs on other CPUs leave at their next exit; the kick makes that now. Under life_lock: a guest that restarts may end
 * while CPU 0 stops it, and its vCPUs are gone then. */
static void kick_all(struct l1 *l1)
{
	for (unsigned i = 0; i < l1->vcpu_count; i++) {
		if (l1->cpus[i] != this_cpu()->index)
			smp_kick(l1->cpus[i]);
		else if (l1->vcpus[i])
			l1->vcpus[i]->attention = true;
	}
}

/* The first one decides, but a person's wish to see it ended goes before a restart. */
static void PRINTF_LIKE(3, 0) stop(struct l1 *l1, enum l1_stop how, const char *fmt, va_list args)
{
	spin_lock(&l1->life_lock);
	bool undecided = l1->stop <= L1_STOP_PAUSE || (l1->stop == L1_STOP_RESTART && l1->wish != L1_WISH_NONE);
	bool first = undecided && l1->state == L1_RUNNING;

	if (first) {
		kvsnprintf(l1->end_reason, sizeof(l1->end_reason), fmt, args);
		l1->stop = how;
		kick_all(l1);
	}
	spin_unlock(&l1->life_lock);
}

bool l1_pause(struct l1 *l1)
{
	spin_lock(&l1->life_lock);
	bool first = l1->stop == L1_GO && l1->state == L1_RUNNING;

	if (first) {
		l1->stop = L1_STOP_PAUSE;
		kick_all(l1);
	}
	spin_unlock(&l1->life_lock);
	return first;
}

bool l1_go_on(struct l1 *l1)
{
	spin_lock(&l1->life_lock);
	bool paused = l1->stop == L1_STOP_PAUSE;

	if (paused)
		l1->stop = L1_GO;
	spin_unlock(&l1->life_lock);
	return paused;
}

void l1_end(struct l1 *l1, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	stop(l1, L1_STOP_DIED, fmt, args);
	va_end(args);
}

void l1_stop(struct l1 *l1, enum l1_stop how, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	stop(l1, how, fmt, args);
	va_end(args);
}
