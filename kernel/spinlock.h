/* SPDX-License-Identifier: MIT */
/* kernel/spinlock.h - locks for short critical sections. Not first come first served: where CPUs are themselves
 * scheduled (an emulator, another hypervisor), the next in line may be the one that does not run, and everybody would
 * wait for it.
 * Host interrupts are only taken in windows (kernel/irq.h) which hold no lock, so no lock ever
 * has to disable them. */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdint.h>

/* All zero is an open lock. */
struct spinlock {
	uint32_t taken; /* [a] */
};

static inline void spin_lock(struct spinlock *lock)
{
	while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

#endif
