/* SPDX-License-Identifier: MIT */
/* kernel/wall_clock.h - the date, from the machine's battery-backed clock. */
#ifndef KERNEL_WALL_CLOCK_H
#define KERNEL_WALL_CLOCK_H

#include <stdint.h>

/* Seconds since 1970, taking the clock to run in UTC. Set-up only: it may wait for some milliseconds. */
uint64_t wall_clock_seconds(void);

#endif
