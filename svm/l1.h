/* SPDX-License-Identifier: MIT */
/* svm/l1.h - one L1 guest: its memory, its devices, its vCPUs, its end.
 * Memory map: RAM from 0 up to at most 3 GiB, the rest from 4 GiB; devices below 4 GiB; ACPI tables at E0000h. */
#ifndef SVM_L1_H
#define SVM_L1_H

#include <addr.h>
#include <compiler.h>

#include "kernel/spinlock.h"
#include "svm/npt.h"
#include "vdev/vdev.h"

#define L1_MAX 16
#define L1_NAME_MAX 32
#define L1_LOW_LIMIT GIB(3)
#define L1_HIGH_BASE GIB(4)
#define L1_ACPI_BASE UINT64_C(0xE0000)
#define L1_ACPI_SIZE KIB(128)

struct vcpu;

/* A run of L1 RAM that is contiguous in host memory. */
struct l1_ram {
	uint64_t base; /* l1pa */
	uint64_t size;
	hpa_t host;
};

enum l1_state { L1_EMPTY, L1_CREATED, L1_RUNNING, L1_ENDED };

/* Letters: [I] set once at creation, [m] under dev_lock, [a] atomic, [c] only the console's CPU. */
struct l1 {
	char name[L1_NAME_MAX]; /* [I] */
	unsigned index;         /* [I] */
	unsigned vcpu_count;    /* [I] */
	bool nested;            /* [I] SVM offered */
	struct l1_ram low, high; /* [I] */
	struct npt npt01;       /* [I] after creation: RAM never moves */
	uint8_t *msrpm;         /* [I] our MSR map for L1, MSRPM_SIZE */
	uint8_t *iopm;          /* [I] all ones, IOPM_SIZE */
	struct spinlock dev_lock;
	struct machine machine; /* [m] */
	struct vcpu *vcpus[MACHINE_MAX_VCPUS]; /* [I] */
	_Atomic int state;      /* [a] enum l1_state */
	_Atomic int stop;       /* [a] vCPUs leave their run loops */
	_Atomic unsigned running_vcpus; /* [a] */
	char end_reason[160];   /* written by who ends it first */
};

/* The bytes [at, at + size) of RAM, or NULL unless all of them are RAM. Both runs are contiguous, so this is
 * one comparison and one addition in the common case. */
static inline void *l1_ptr(const struct l1 *l1, l1pa_t at, uint64_t size)
{
	if (likely(at.a < l1->low.size && size <= l1->low.size - at.a))
		return hpa_ptr(hpa(l1->low.host.a + at.a));
	if (at.a >= L1_HIGH_BASE && at.a - L1_HIGH_BASE < l1->high.size &&
	    size <= l1->high.size - (at.a - L1_HIGH_BASE))
		return hpa_ptr(hpa(l1->high.host.a + (at.a - L1_HIGH_BASE)));
	return NULL;
}

/* Ends the whole guest with a reason that people read; every vCPU leaves its loop. First reason wins. */
void l1_end(struct l1 *l1, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
