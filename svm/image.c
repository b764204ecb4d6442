/* SPDX-License-Identifier: MIT */
/* svm/image.c - copies a guest out and back: memory, devices, and for each vCPU the value in struct vcpu, VMCB01, and
 * what nested/save.c makes of the nested state. Devices and values are copied whole, so that new fields come along;
 * addresses of this host are put in anew, caches start empty.
 * Decides nothing about when: save.c does, and sees to it that no vCPU runs. Takes dev_lock and life_lock, since CPU 0
 * may type at the guest's console or look at its registers meanwhile. Next: nested/save.c, live.c. */
#include "svm/image.h"

#include <check.h>

#include "kernel/pmm.h"
#include "kernel/string.h"
#include "svm/answer.h"
#include "svm/msr.h"
#include "svm/smm.h"

/* A new field of struct vcpu is the guest's state, then it belongs into struct vcpu_value and L1_IMAGE_VERSION goes up;
 * or a restore makes it anew (put_vcpu), or it says nothing about the guest. */
_Static_assert(sizeof(struct vcpu_value) == 1536, "saved by itself: is there a host address in it? new version?");
_Static_assert(offsetof(struct vcpu, nested) - offsetof(struct vcpu, vmcb) == 6576, "struct vcpu: is it to be saved?");

#define SCRIBBLE 0xA5

/* --- room --- */

static uint64_t image_bytes(const struct l1 *l1)
{
	return sizeof(struct l1_image) + l1->vcpu_count * sizeof(struct vcpu_image);
}

static bool copy_room(struct l1_ram *copy, const struct l1_ram *ram)
{
	*copy = (struct l1_ram){.base = ram->base, .size = ram->size};
	if (ram->size)
		copy->host = pmm_alloc(ram->size, PAGE_SIZE);
	return !ram->size || copy->host.a;
}

static void free_room(struct l1_ram *copy)
{
	if (copy->host.a)
		pmm_free(copy->host, copy->size);
}

struct l1_image *image_create(const struct l1 *l1, struct plane_error *error)
{
	hpa_t at = pmm_alloc(image_bytes(l1), PAGE_SIZE);
	struct l1_image *image = hpa_ptr(at);
	uint64_t free_mib;

	if (at.a) {
		image->bytes = image_bytes(l1);
		if (copy_room(&image->low, &l1->low) && copy_room(&image->high, &l1->high))
			return image;
		image_destroy(image);
	}
	free_mib = pmm_free_bytes() / MIB(1);
	answer(error, PLANE_NO_ROOM,
	       "to save guest %s takes %llu MiB in one piece, only %llu MiB are free; forget what another guest has "
	       "saved, destroy a guest or give the machine more",
	       l1->name, (unsigned long long)((l1->low.size + l1->high.size) / MIB(1)), (unsigned long long)free_mib);
	return NULL;
}

void image_destroy(struct l1_image *image)
{
	free_room(&image->low);
	free_room(&image->high);
	pmm_free(hpa_of(image), image->bytes);
}

/* --- out --- */

static void take_vcpu(const struct vcpu *v, struct vcpu_image *image)
{
	memcpy(&image->value, &v->value, sizeof(image->value));
	image->tsc_offset = v->vmcb01->control.tsc_offset;
	image->int_shadow = v->vmcb01->control.int_shadow;
	nested_save(&v->nested, v->vmcb01, v->vmcb02, &image->nested);
}

static void copy_ram(const struct l1_ram *to, const struct l1_ram *from)
{
	if (from->size)
		memcpy(hpa_ptr(to->host), hpa_ptr(from->host), from->size);
}

void image_take(struct l1 *l1, struct l1_image *image, const struct l1_clock *clock)
{
	image->version = L1_IMAGE_VERSION;
	image->vcpu_count = l1->vcpu_count;
	image->clock = *clock;
	copy_ram(&image->low, &l1->low);
	copy_ram(&image->high, &l1->high);
	for (unsigned i = 0; i < l1->vcpu_count; i++)
		take_vcpu(l1->vcpus[i], &image->vcpus[i]);
	spin_lock(&l1->dev_lock);
	memcpy(&image->machine, &l1->machine, sizeof(image->machine));
	spin_unlock(&l1->dev_lock);
	image->taken = true;
}

/* --- back --- */

bool image_check(const struct l1 *l1, const struct l1_image *image, struct plane_error *error)
{
	if (image->version != L1_IMAGE_VERSION || image->vcpu_count != l1->vcpu_count ||
	    image->low.size != l1->low.size || image->high.size != l1->high.size) {
		answer(error, PLANE_BAD, "what is saved is not this guest %s; save it again", l1->name);
		return false;
	}
	for (unsigned i = 0; i < l1->vcpu_count; i++) {
		struct restore_verdict verdict =
			nested_restore_check(&l1->vcpus[i]->nested, &image->vcpus[i].nested);

		if (!verdict.refusal)
			continue;
		answer(error, PLANE_BAD, "vCPU %u of guest %s cannot be restored: %s%s%s", i, l1->name,
		       restore_refusal_text(verdict.refusal), verdict.reason ? ": " : "",
		       verdict.reason ? vmrun_reason_text(verdict.reason) : "");
		return false;
	}
	return true;
}

/* What the next exit would look at of the one before. */
static void forget_last_exit(struct vcpu *v)
{
	v->once.on = v->once.stepping = false;
	v->event_given = 0;
	v->lbr_event = false;
	v->osxsave_hidden = false;
	v->odd_entry = v->held != 0;
	v->insn_len = 0;
	memo_forget(v);
	v->attention = true;
}

/* As after a reset, but for what the guest has made of it; inject.c sees to its windows. */
static void put_control(struct vcpu *v, const struct vcpu_image *image)
{
	struct vmcb_control *c = &v->vmcb01->control;

	vcpu_reset_control(v);
	c->tsc_offset = image->tsc_offset;
	c->int_shadow = image->int_shadow & INT_SHADOW_ACTIVE;
}

/* The machine and the guest's memory are back. VMCB02 is as it was made, but for L2. */
static void put_vcpu(struct vcpu *v, const struct vcpu_image *image)
{
	struct restore_verdict verdict;

	memcpy(&v->value, &image->value, sizeof(v->value));
	put_control(v, image);
	memset(v->vmcb02, 0, sizeof(*v->vmcb02));
	vcpu_sync_tpr(v);
	verdict = nested_restore(&v->nested, &image->nested, &v->inputs02, v->vmcb01, v->vmcb02);
	CHECK(!verdict.refusal);
	nested_restore_memory(&v->nested, (struct port *)v->l1, &v->inputs02);
	msr_svme_changed(v);
	smm_watch_rsm(v);
	forget_last_exit(v);
	vcpu_use_level(v, vcpu_level(v));
}

/* --- what a restore must not leave as it is --- */

static void scribble_ram(const struct l1_ram *ram)
{
	if (ram->size)
		memset(hpa_ptr(ram->host), SCRIBBLE, ram->size);
}

static void scribble_vcpu(struct vcpu *v)
{
	memset(&v->value, SCRIBBLE, sizeof(v->value));
	memset(&v->nested.value, SCRIBBLE, sizeof(v->nested.value));
	memset(v->vmcb01, SCRIBBLE, sizeof(*v->vmcb01));
	memset(v->vmcb02, SCRIBBLE, sizeof(*v->vmcb02));
	memset(v->msrpm02, SCRIBBLE, MSRPM_SIZE);
}

/* --- all of it --- */

static void put_memory(const struct l1_ram *ram, const struct l1_ram *copy, bool scribble)
{
	if (scribble)
		scribble_ram(ram);
	copy_ram(ram, copy);
}

void image_put(struct l1 *l1, const struct l1_image *image, bool scribble)
{
	put_memory(&l1->low, &image->low, scribble);
	put_memory(&l1->high, &image->high, scribble);
	spin_lock(&l1->dev_lock);
	spin_lock(&l1->life_lock);
	if (scribble)
		memset(&l1->machine, SCRIBBLE, sizeof(l1->machine));
	memcpy(&l1->machine, &image->machine, sizeof(l1->machine));
	l1->machine.host = l1_host(l1);
	for (unsigned i = 0; i < l1->vcpu_count; i++) {
		if (scribble)
			scribble_vcpu(l1->vcpus[i]);
		put_vcpu(l1->vcpus[i], &image->vcpus[i]);
	}
	spin_unlock(&l1->life_lock);
	spin_unlock(&l1->dev_lock);
}
