/* SPDX-License-Identifier: MIT */
/* nested/save.c - nested state as a value, and back. A restore trusts the image as little as VMRUN trusts VMCB12: it
 * asks the same checks, changes nothing until all have passed, and takes nothing over that is not named. It is no VMRUN
 * and no #VMEXIT: GIF is what it was, VMCB12 is not written, L1 sees nothing.
 * What is not in the image is made again: VMCB02 by the same merge as at VMRUN, shadow tables and TLB tags from nothing.
 * L1's memory is not looked at, since it may come back later; PDPTEs of L2 are fetched by the CPU itself, which runs
 * VMCB02 under nested paging whatever L1 does.
 * svm-facts 11.4, rule 11. Before: vmrun.c, merge.c. Next: svm/save.c for the whole guest. */
#include <string.h>

#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "check_usual.h"
#include "merge.h"
#include "permmap12.h"

/* A new field lands in one of these two. In the first it is saved by itself: say in check_value() what it may be, and
 * raise NESTED_IMAGE_VERSION. In the second it is not: it must be something that a restore makes again, or a counter. */
_Static_assert(sizeof(struct nested_value) == 80 + sizeof(struct vmcb12) + sizeof(struct smm), "nested_value: checked below? new version?");
_Static_assert(sizeof(struct nested) - offsetof(struct nested, vmcb02_built) ==
		       112 + sizeof(struct npt02) + sizeof(struct tlb02) + TLB02_TAGS * sizeof(struct last_tables) +
			       REASON_COUNT * sizeof(uint64_t),
	       "struct nested: is the new field part of the guest's state?");

/* --- save --- */

static void save_l2(struct vmcb12 *snap, const struct nested *n, const struct vmcb *vmcb02)
{
	vmcb_copy_state(&snap->save, &vmcb02->save);
	snap->control.int_shadow = vmcb02->control.int_shadow & INT_SHADOW_ACTIVE;
	snap->control.v_intr = n->v_intr12;
	if (!n->run_pending)
		snap->control.eventinj = 0;
}

/* What the last L2 has left behind means nothing to L1. */
static void forget_l2(struct nested_value *value)
{
	memset(&value->snap, 0, sizeof(value->snap));
	memset(&value->soft, 0, sizeof(value->soft));
	value->vmcb12_pa = l1pa(0);
	value->v_intr12 = 0;
	value->pause_left = 0;
}

void nested_save(const struct nested *n, const struct vmcb *vmcb01, const struct vmcb *vmcb02,
		 struct nested_image *image)
{
	memset(image, 0, sizeof(*image));
	image->version = NESTED_IMAGE_VERSION;
	image->size = sizeof(*image);
	memcpy(&image->caps, &n->caps, sizeof(image->caps));
	memcpy(&image->value, &n->value, sizeof(image->value));
	memcpy(&image->l1, &vmcb01->save, sizeof(image->l1));
	if (!n->smm.from_l2)
		memset(&image->value.smm.host, 0, sizeof(image->value.smm.host));
	if (!n->in_l2) {
		forget_l2(&image->value);
		return;
	}
	save_l2(&image->value.snap, n, vmcb02);
	if (n->lbr_used)
		lbr02_save(vmcb02, &image->value.snap, &image->l1);
}

/* --- checks --- */

static bool same_caps(const struct nested_caps *a, const struct nested_caps *b)
{
	return a->features == b->features && a->asid_count == b->asid_count && a->phys_mbz == b->phys_mbz &&
	       a->cr4_mbz == b->cr4_mbz && a->efer_mbz == b->efer_mbz &&
	       !memcmp(&a->pages_1g, &b->pages_1g, sizeof(a->pages_1g)) && /* in an image perhaps no bool */
	       !memcmp(a->intercepts, b->intercepts, sizeof(a->intercepts));
}

/* Read as bytes: a bool that holds anything else must not even be looked at. */
static bool is_bool(const bool *flag)
{
	uint8_t byte;

	memcpy(&byte, flag, sizeof(byte));
	return byte <= 1;
}

static bool are_bools(const struct nested_value *v)
{
	return is_bool(&v->svme) && is_bool(&v->gif) && is_bool(&v->in_l2) && is_bool(&v->run_pending) &&
	       is_bool(&v->soft.pending) && is_bool(&v->smm.locked) && is_bool(&v->smm.active) &&
	       is_bool(&v->smm.blocked) && is_bool(&v->smm.nmi_was_blocked) && is_bool(&v->smm.from_l2) &&
	       is_bool(&v->lbr_used);
}

static bool is_page(const struct nested_caps *caps, uint64_t at)
{
	return !(at & PAGE_MASK) && !(at & caps->phys_mbz);
}

static bool svme_is_legal(const struct nested_value *v, const struct nested_caps *caps)
{
	if (!v->svme)
		return !v->in_l2;
	return !(caps->efer_mbz & EFER_SVME) && !(v->vm_cr & VM_CR_SVMDIS);
}

static enum restore_refusal check_value(const struct nested_value *v, const struct nested_caps *caps)
{
	if (!are_bools(v))
		return RESTORE_BOOL;
	if (!svme_is_legal(v, caps))
		return RESTORE_SVME;
	if (v->vm_cr & ~VM_CR_KNOWN)
		return RESTORE_VM_CR;
	if (!is_page(caps, v->hsave_pa))
		return RESTORE_HSAVE_PA;
	if (v->tsc_ratio & TSC_RATIO_MBZ)
		return RESTORE_TSC_RATIO;
	if (v->run_pending ? !v->in_l2 : (v->snap.control.eventinj & EVENT_V) != 0)
		return RESTORE_RUN_PENDING;
	if (v->in_l2 && !is_page(caps, v->vmcb12_pa.a))
		return RESTORE_VMCB12_PA;
	if (v->smm.active ? v->in_l2 : v->smm.from_l2)
		return RESTORE_SMM;
	if (v->soft.pending && (!v->in_l2 || !(v->soft.event & EVENT_V)))
		return RESTORE_SOFT_EVENT;
	return RESTORE_NONE;
}

/* L1 runs with EFER.SVME set whatever it was offered, and under our nested paging, hence with a PAT of its own. */
static enum vmrun_reason check_l1(const struct vmcb_save *l1, const struct nested_caps *offered)
{
	struct nested_caps caps = *offered;

	caps.efer_mbz &= ~EFER_SVME;
	return check_save(l1, &caps, true);
}

static struct restore_verdict verdict_on(enum restore_refusal refusal, enum vmrun_reason reason)
{
	return (struct restore_verdict){.refusal = reason ? refusal : RESTORE_NONE, .reason = reason};
}

/* Not being sanitised makes a snapshot fail more checks, never fewer: the bits that a restore drops only ask for more.
 * Without nested paging of L1's, L2's PAT is L1's, and any write of L2 to it was checked. */
struct restore_verdict nested_restore_check(const struct nested *n, const struct nested_image *image)
{
	const struct nested_value *v = &image->value;
	struct restore_verdict verdict = {.refusal = RESTORE_NONE};

	if (image->version != NESTED_IMAGE_VERSION)
		verdict.refusal = RESTORE_VERSION;
	else if (image->size != sizeof(*image))
		verdict.refusal = RESTORE_SIZE;
	else if (!are_bools(v))
		verdict.refusal = RESTORE_BOOL;
	else if (!same_caps(&image->caps, &n->caps))
		verdict.refusal = RESTORE_CAPS;
	else
		verdict.refusal = check_value(v, &n->caps);
	if (!verdict.refusal)
		verdict = verdict_on(RESTORE_L1_STATE, check_l1(&image->l1, &n->caps));
	if (!verdict.refusal && v->smm.from_l2)
		verdict = verdict_on(RESTORE_L1_STATE, check_l1(&v->smm.host, &n->caps));
	if (!verdict.refusal && v->in_l2)
		verdict = verdict_on(RESTORE_CONTROL,
				     check_control(&v->snap, &n->caps, (image->l1.cr0 & CR0_PG) != 0));
	if (!verdict.refusal && v->in_l2)
		verdict = verdict_on(RESTORE_L2_STATE, check_save(&v->snap.save, &n->caps, true));
	return verdict;
}

/* --- restore --- */

static void drop_caches(struct nested *n)
{
	n->root = NULL;
	n->vmcb02_built = n->msrpm02_plain = false;
	check_forget_passed(&n->passed);
	memset(n->last, 0, sizeof(n->last));
	if (n->npt02.pool)
		npt02_drop_all(&n->npt02);
	tlb02_flush_all(&n->tlb02);
}

static void take_value(struct nested *n, const struct nested_value *value)
{
	memcpy(&n->value, value, sizeof(n->value));
	memset(&n->snap, 0, sizeof(n->snap));
	if (n->in_l2)
		vmcb12_sanitise(&n->snap, &n->known, &value->snap);
	else
		forget_l2(&n->value);
	n->v_intr12 = n->snap.control.v_intr;
}

/* All that L0 keeps of L1 in VMCB01. What else a CPU may read there (shadow stacks, SPEC_CTRL) is not L1's: as reset. */
static void take_l1(struct vmcb_save *to, const struct vmcb_save *from)
{
	memset(to, 0, sizeof(*to));
	vmcb_copy_state(to, from);
	vmcb_copy_loaded(to, from);
	vmcb_copy_lbr(to, from);
}

/* The MSR map stays closed until nested_restore_memory(). */
static void build_l2(struct nested *n, const struct vmcb02_inputs *in, const struct vmcb *vmcb01,
		     struct vmcb *vmcb02)
{
	memset(hpa_ptr(in->msrpm02), 0xFF, MSRPM_SIZE);
	vmrun_make_again(n, vmcb01, in, vmcb02);
	vmcb02->save.g_pat = n->snap.save.g_pat;
}

struct restore_verdict nested_restore(struct nested *n, const struct nested_image *image,
				      const struct vmcb02_inputs *in, struct vmcb *vmcb01, struct vmcb *vmcb02)
{
	struct restore_verdict verdict = nested_restore_check(n, image);

	if (verdict.refusal)
		return verdict;
	drop_caches(n);
	take_value(n, &image->value);
	take_l1(&vmcb01->save, &image->l1);
	vmcb01->control.clean = 0;
	lbr01_restore(n, vmcb01);
	if (n->in_l2)
		build_l2(n, in, vmcb01, vmcb02);
	return verdict;
}

void nested_restore_memory(struct nested *n, struct port *port, const struct vmcb02_inputs *in)
{
	const struct vmcb_control *c = &n->snap.control;

	if (n->in_l2)
		msrpm02_merge(port, l1pa(c->msrpm_base), (c->intercept[ICPT_MISC1] & ICPT1_MSR) != 0, in->msrpm01,
			      hpa_ptr(in->msrpm02));
}

#define REFUSAL_TEXT(name, text) [RESTORE_##name] = text,

const char *restore_refusal_text(enum restore_refusal refusal)
{
	static const char *const texts[RESTORE_COUNT] = {RESTORE_REFUSALS(REFUSAL_TEXT)};

	return refusal < RESTORE_COUNT ? texts[refusal] : "unknown reason";
}
