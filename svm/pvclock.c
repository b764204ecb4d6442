/* SPDX-License-Identifier: MIT */
/* svm/pvclock.c - fills the guest's clock pages. Measuring the TSC against an emulated timer is what a guest does
 * otherwise, and where exits are slow (every emulator) that fails. The TSC runs at one rate for ever, so a page is
 * written once per request and never again. Layout: the public pvclock ABI, 32 bytes.
 * May touch the L1's memory at the address it gave. */
#include <string.h>

#include "kernel/cpu_insn.h"
#include "kernel/time.h"
#include "svm/pvclock.h"

#define ENABLE UINT64_C(1)
#define FLAG_STABLE 1

struct pvclock_time {
	uint32_t version; /* odd while the fields below change */
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time; /* ns of guest time at that TSC */
	uint32_t mul;         /* ns = ((ticks << shift) * mul) >> 32 */
	int8_t shift;
	uint8_t flags;
	uint8_t pad[2];
};
_Static_assert(sizeof(struct pvclock_time) == 32, "ABI");

struct pvclock_wall {
	uint32_t version, seconds, nanoseconds; /* Unix time when guest time was 0 */
};

/* Scales the rate into (1, 2] GHz, where mul is in 2^31 .. 2^32 - 1 and no precision is lost. */
static void set_rate(struct pvclock_time *t, uint64_t tsc_khz)
{
	uint64_t ns_per_s = 1000000000, hz = tsc_khz * 1000;
	int shift = 0;

	while (hz > 2 * ns_per_s) {
		hz >>= 1;
		shift--;
	}
	while (hz <= ns_per_s) {
		hz <<= 1;
		shift++;
	}
	t->mul = (uint32_t)((ns_per_s << 32) / hz);
	t->shift = (int8_t)shift;
}

void pvclock_update(struct vcpu *v)
{
	uint64_t at = v->msrs.pv_system_time;
	struct pvclock_time *t = l1_ptr(v->l1, l1pa(at & ~ENABLE), sizeof(*t));
	uint32_t version;

	if (!(at & ENABLE) || !t)
		return;
	version = (t->version | 1) + 2;
	t->version = version;
	barrier();
	t->system_time = time_now_ns() - v->l1->start_ns;
	t->tsc_timestamp = rdtsc() + v->vmcb01->control.tsc_offset;
	set_rate(t, time_tsc_khz());
	t->flags = FLAG_STABLE;
	barrier();
	t->version = version + 1;
}

void pvclock_write_system_time(struct vcpu *v, uint64_t value)
{
	v->msrs.pv_system_time = value;
	pvclock_update(v);
}

void pvclock_write_wall_clock(struct vcpu *v, uint64_t value)
{
	struct pvclock_wall *w = l1_ptr(v->l1, l1pa(value), sizeof(*w));

	v->msrs.pv_wall_clock = value;
	if (w)
		*w = (struct pvclock_wall){.version = 2, .seconds = (uint32_t)v->l1->machine.config.boot_seconds};
}
