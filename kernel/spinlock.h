/* SPDX-License-Identifier: MIT */
/* kernel/spinlock.h - ticket locks: short critical sections, first come first served.
 * Host interrupts are only taken in windows (kernel/irq.h) which hold no lock, so no lock ever
 * has to disable them. */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdint.h>

/* All zero is an open lock. */
struct spinlock {
	uint32_t next;    /* [a] the ticket to hand out */
	uint32_t serving; /* [a] the ticket whose turn it is */
};

static inline void spin_lock(struct spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
