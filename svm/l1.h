/* SPDX-License-Identifier: MIT */
/* svm/l1.h - one L1 guest: its memory, its devices, its vCPUs, its end.
 * Memory map: RAM from 0 up to at most 3 GiB, with a hole from A0000h where a PC has video memory, the rest from 4 GiB;
 * devices below 4 GiB; ACPI tables at E0000h. */
#ifndef SVM_L1_H
#define SVM_L1_H

#include <addr.h>
#include <compiler.h>
#include <plane.h>

#include "kernel/spinlock.h"
#include "svm/guest_console.h"
#include "svm/load.h"
#include "svm/npt.h"
#include "svm/save.h"
#include "vdev/vdev.h"

#define L1_MAX 16
#define L1_NAME_MAX PLANE_NAME_MAX
#define L1_LOW_LIMIT GIB(3)
#define L1_HIGH_BASE GIB(4)
#define L1_HOLE_BASE UINT64_C(0xA0000)
#define L1_HOLE_END UINT64_C(0xC0000)
#define L1_ACPI_BASE UINT64_C(0xE0000)
#define L1_ACPI_SIZE KIB(128)
#define L1_REASON_MAX PLANE_REASON_MAX

struct vcpu;

/* A run of L1 RAM that is contiguous in host memory. The low one has host memory behind the hole, too, which stays zero
 * since nobody reaches it: whoever takes it for a page table finds nothing present there. */
struct l1_ram {
	uint64_t base; /* l1pa */
	uint64_t size;
	hpa_t host;
};

/* Created: has all it needs and nobody has started it; CPU 0 alone may touch it. Running: from its start to its end,
 * restarts included. Ended: holds neither memory nor CPUs. */
enum l1_state { L1_EMPTY, L1_CREATED, L1_RUNNING, L1_ENDED };

/* Why the vCPUs leave their run loops; the first one that says so decides, but a pause gives way to any other. */
enum l1_stop { L1_GO, L1_STOP_PAUSE, L1_STOP_RESTART, L1_STOP_END, L1_STOP_DIED };

/* What a person wants of it; guests.c sees to it in the host turn. */
enum l1_wish { L1_WISH_NONE, L1_WISH_END, L1_WISH_FORGET };

/* Letters: [I] set once at creation, [m] under dev_lock, [l] under life_lock, [a] atomic, [s] while no vCPU
 * runs. [B] by l1_build(), gone when the guest has ended. Lock order: dev_lock, life_lock. */
struct l1 {
	const struct l1_config *config; /* [I] */
	const char *name;       /* [I] */
	unsigned index;         /* [I] its number, from 0 */
	uint32_t id;            /* [I] never used again */
	unsigned vcpu_count;    /* [I] */
	bool nested;            /* [I] SVM offered */
	unsigned cpus[MACHINE_MAX_VCPUS]; /* [B] the physical CPU of each vCPU */
	struct l1_ram low, high; /* [B] */
	struct npt npt01;       /* [B] RAM never moves */
	uint8_t *msrpm;         /* [B] our MSR map for L1, MSRPM_SIZE, all ones at first */
	uint8_t *iopm;          /* [B] all ones, IOPM_SIZE */
	struct spinlock dev_lock;
	struct machine machine; /* [m] */
	uint64_t start_ns;      /* [s] host time at which guest time is 0 */
	struct l1_entry entry;  /* [s] where vCPU 0 begins */
	struct spinlock life_lock;
	struct vcpu *vcpus[MACHINE_MAX_VCPUS]; /* [B] [l] */
	_Atomic int state;      /* [a] enum l1_state */
	_Atomic int stop;       /* [a] enum l1_stop; not L1_GO: vCPUs leave their run loops */
	_Atomic int wish;       /* [a] enum l1_wish; CPU 0 writes it. With one, the guest does not restart */
	_Atomic unsigned running_vcpus; /* [a] */
	char end_reason[L1_REASON_MAX]; /* [l] */
	struct save save;       /* save.c */
	struct guest_output output; /* guest_console.c */
};

/* The bytes [at, at + size) of RAM, or NULL unless all of them are RAM. Runs are contiguous, so this is one comparison
 * in the common case, which is a page or less in the RAM between the hole and the devices: no guest is that small. */
static inline void *l1_ptr(const struct l1 *l1, l1pa_t at, uint64_t size)
{
	uint64_t above = l1->low.size - L1_HOLE_END;
	bool fits = __builtin_constant_p(size) && size <= PAGE_SIZE ? true : size <= above;

	if (likely(fits && at.a - L1_HOLE_END <= above - size))
		return hpa_ptr(hpa(l1->low.host.a + at.a));
	if (at.a < L1_HOLE_BASE && size <= L1_HOLE_BASE - at.a)
		return hpa_ptr(hpa(l1->low.host.a + at.a));
	if (at.a >= L1_HIGH_BASE && at.a - L1_HIGH_BASE < l1->high.size &&
	    size <= l1->high.size - (at.a - L1_HIGH_BASE))
		return hpa_ptr(hpa(l1->high.host.a + (at.a - L1_HIGH_BASE)));
	return NULL;
}

/* Ends the whole guest with a reason that people read; every vCPU leaves its loop. First reason wins. */
void l1_end(struct l1 *l1, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The guest's own wish, or a person's: no register report. how: L1_STOP_END or L1_STOP_RESTART. */
void l1_stop(struct l1 *l1, enum l1_stop how, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Makes every vCPU of a running guest leave its loop where save.c can copy it. False: it stops for good already. */
bool l1_pause(struct l1 *l1);
/* The pause is over. False: meanwhile somebody wants another kind of stop. */
bool l1_go_on(struct l1 *l1);

/* "created", "running", "stopping" or "ended". */
const char *l1_state_name(const struct l1 *l1);

/* --- life: guests.c and vmm.c call these --- */

/* Memory, tables, devices, vCPUs, image; `cpus` are chosen. When it fails, nothing is held. */
enum plane_result l1_build(struct l1 *l1, struct plane_error *error);
/* Its devices as at power-on, its time 0: the last thing before its first vCPU runs. */
void l1_power_on(struct l1 *l1);
/* As after power-on, in the memory it has: called by l1_build() and for a restart. Null, or what is wrong. */
const char *l1_reset(struct l1 *l1);
/* Gives everything back that l1_build() took. */
void l1_release(struct l1 *l1);

/* What the devices of this guest call their host. */
static inline struct vdev_host *l1_host(struct l1 *l1)
{
	return (struct vdev_host *)l1;
}

static inline struct l1 *l1_of_host(struct vdev_host *host)
{
	return (struct l1 *)host;
}

#endif
