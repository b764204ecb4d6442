/* SPDX-License-Identifier: MIT */
/* svm/image.h - a whole L1 guest while nobody runs it: memory, vCPUs, devices, time, as one value in memory of its own.
 * Nothing in it points into the guest, which may have ended, or been made anew, since. */
#ifndef SVM_IMAGE_H
#define SVM_IMAGE_H

#include <plane.h>

#include "svm/vcpu.h"

/* Raised whenever the meaning of the bytes changes. */
#define L1_IMAGE_VERSION 3u

/* One moment: the machine's TSC, and the guest's time then. */
struct l1_clock {
	uint64_t tsc, guest_ns;
};

struct vcpu_image {
	struct vcpu_value value;
	uint64_t tsc_offset, int_shadow; /* of VMCB01's control area; the rest follows from all the other values */
	struct nested_image nested;      /* with VMCB01's save area, and L2 */
};

struct l1_image {
	uint32_t version, vcpu_count;
	uint64_t bytes;              /* of the image without the guest's memory */
	bool taken;                  /* it holds a guest */
	struct l1_clock clock;
	struct machine machine;
	struct l1_ram low, high;     /* copies of the guest's memory */
	struct vcpu_image vcpus[];
};

/* Room for an image of this guest. Null: `error` says how much memory is missing; what to do. */
struct l1_image *image_create(const struct l1 *l1, struct plane_error *error);
void image_destroy(struct l1_image *image);

/* While no vCPU of the guest runs, at `clock`. */
void image_take(struct l1 *l1, struct l1_image *image, const struct l1_clock *clock);
/* Can the guest become this image? False: `error` says why not; nothing has changed. */
bool image_check(const struct l1 *l1, const struct l1_image *image, struct plane_error *error);
/* Makes the guest what it was; image_check() has agreed. Its time stands at image->clock. `scribble`: writes over all
 * of it first, so that what a restore forgets is seen. */
void image_put(struct l1 *l1, const struct l1_image *image, bool scribble);

#endif
