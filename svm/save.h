/* SPDX-License-Identifier: MIT */
/* svm/save.h - a running guest is saved to memory and becomes what it was, once or many times, without noticing. */
#ifndef SVM_SAVE_H
#define SVM_SAVE_H

#include <bits.h>
#include <plane.h>

struct l1;
struct l1_image;

enum save_job { SAVE_NOTHING, SAVE_TAKE, SAVE_PUT, SAVE_CYCLE };

/* Of one guest. Letters as in l1.h; [p] by CPU 0 while `job` is SAVE_NOTHING, else at the pause. */
struct save {
	_Atomic int job;           /* [a] enum save_job; CPU 0 sets it, the pause clears it */
	_Atomic uint64_t due;      /* [a] host time of the next pause of a cycle; UINT64_MAX: none */
	struct l1_image *image;    /* [p] null: nothing was ever saved */
	unsigned cycles, wanted;   /* [p] */
	unsigned stops[2];         /* [p] vCPUs that a cycle found in level 1, in level 2 */
	uint64_t random;           /* [p] when the next one is due */
};

#define SAVE_CYCLES_MAX 1000000u

/* Asks for it; done when all vCPUs have stopped, which the log tells. CPU 0. */
enum plane_result save_take(struct l1 *l1, struct plane_error *error);
/* The guest runs: at the next pause. Else at once, before its first vCPU runs. */
enum plane_result save_put(struct l1 *l1, struct plane_error *error);
/* `cycles` times: saves the guest, writes over it, restores it, and lets it run for a while of no fixed length. */
enum plane_result save_cycle(struct l1 *l1, unsigned cycles, struct plane_error *error);
/* Gives the memory of what was saved back. */
enum plane_result save_forget(struct l1 *l1, struct plane_error *error);
/* Is there something to restore? */
bool save_exists(const struct l1 *l1);

/* In the host turn: pauses guests whose cycle is due. When it wants the next turn: save_due(), in time_now_ns(). */
void save_turn(void);
uint64_t save_due(void);

/* The last vCPU has stopped for a pause: does what was asked for. True: the guest goes on. */
bool save_at_pause(struct l1 *l1);
/* The guest ends or restarts instead. */
void save_abandon(struct l1 *l1);

#endif
