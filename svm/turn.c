/* SPDX-License-Identifier: MIT */
/* svm/turn.c - the host turn: the console, guests that are to go or to pause, the management
 * plane.
 * Runs on CPU 0 alone, whether that runs a vCPU or not: from vcpu_run(), between two stretches of guest and never
 * within an exit, or from vmm.c's idle loop. The guest of CPU 0 stands still meanwhile, so each part does a bounded
 * amount of work. Next: guest_console.c, guests.c; net/. */
#include "svm/turn.h"

#include <bits.h>

#include "svm/guest_console.h"
#include "svm/guests.h"
#include "svm/save.h"

static plane_turn_fn *plane;         /* [I] */
static uint64_t due = PLANE_NO_TURN; /* CPU 0 */

void turn_init(plane_turn_fn *plane_turn)
{
	plane = plane_turn;
}

bool turn_take(void)
{
	uint64_t before = due;

	guest_console_poll();
	guests_turn();
	save_turn();
	due = save_due();
	if (plane)
		due = min_u64(due, plane());
	return due != before;
}

uint64_t turn_due(void)
{
	return due;
}
