/* SPDX-License-Identifier: MIT */
/* nested/pause.c - when a PAUSE that L1 intercepts in L2 becomes a #VMEXIT. Writes the counter alone, which VMRUN loads.
 * Manual: APM2 15.14.4 (Pause Intercept Filtering). Before: route.c. Next: svm/nested_glue.c glue_pause(). */
#include <amd/exitcode.h>

#include "merge.h"

/* No exit to L0 and entry after it takes less. A longer threshold might not have passed meanwhile, and the CPU, which
 * loads its counter anew at each entry, would forget PAUSEs that count; then they are counted here. */
#define EXIT_CYCLES 256u

static bool cpu_filters(const struct nested *n)
{
	uint16_t threshold = n->snap.control.pause_threshold;

	return n->caps.hw_pause_threshold && threshold && threshold <= EXIT_CYCLES;
}

uint32_t pause02(const struct nested *n)
{
	return cpu_filters(n) ? n->snap.control.pause : 0;
}

bool nested_filters_pause(const struct nested *n)
{
	return nested_intercepts(n, VMEXIT_PAUSE) && n->snap.control.pause_count && !cpu_filters(n);
}

/* With a threshold the counter must fall below zero, without one it must reach zero. */
bool nested_pause(struct nested *n, uint64_t elapsed)
{
	const struct vmcb_control *c = &n->snap.control;

	if (!c->pause_threshold)
		return n->pause_left <= 1 || --n->pause_left == 0;
	if (elapsed > c->pause_threshold) {
		n->pause_left = c->pause_count;
		return false;
	}
	if (n->pause_left == 0)
		return true;
	n->pause_left--;
	return false;
}
