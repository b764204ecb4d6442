/* SPDX-License-Identifier: MIT */
/* svm/turn.h - the host turn: what CPU 0 does for the machine between two stretches of guest. */
#ifndef SVM_TURN_H
#define SVM_TURN_H

#include <plane.h>

/* Set-up. Null: there is no management plane. */
void turn_init(plane_turn_fn *plane);

/* CPU 0, no lock held: after each of its interrupts. True: turn_due() has changed, so arm the alarm anew. */
bool turn_take(void);
/* When the next one is wanted though nothing happens, in time_now_ns(); or PLANE_NO_TURN. */
uint64_t turn_due(void);

#endif
