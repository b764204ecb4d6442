/* SPDX-License-Identifier: MIT */
/* nested/vmrun.c - the story of VMRUN, six steps. Whoever reaches step 5 has changed nothing but the snapshot. Its control
 * area is in struct nested, its state where it will be needed: in the spare one of two pages, which only becomes VMCB02
 * when it has passed.
 *   1 may the instruction run at all?         nested.h, asked by svm/nested_glue.c before RIP moves
 *   2 copy VMCB12 once                        vmcb12.c
 *   3 check the copy                          check_usual.h, or check_control.c and check_state.c
 *   4 refused: the consistency exit, the end  exit_invalid.c
 *   5 build VMCB02                            merge.c, cannot fail
 *   6 commit: L2 is what runs now; GIF=1 last
 * Manual: APM2 15.5 (VMRUN). Next: svm/nested_glue.c runs VMCB02. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/msr.h>

#include "check_usual.h"
#include "merge.h"
#include "permmap12.h"

/* The mode that L1 is in now gives the format of its nested tables (APM2 15.25.3). */
static struct npt12 npt12_of(const struct nested *n, const struct vmcb *vmcb01)
{
	const struct vmcb_save *l1 = &vmcb01->save;
	uint8_t levels = l1->efer & EFER_LMA ? 4 : l1->cr4 & CR4_PAE ? 3 : 2;

	return (struct npt12){
		.ncr3 = n->snap.control.ncr3,
		.levels = levels,
		.nxe = (l1->efer & EFER_NXE) != 0,
		.pse = (l1->cr4 & CR4_PSE) != 0,
		.smep = (l1->cr4 & CR4_SMEP) != 0,
		.pages_1g = n->caps.pages_1g,
		.phys_mbz = n->caps.phys_mbz,
		.gmet = (n->snap.control.misc & MISC_GMET) != 0,
	};
}

/* An L2 in PAE mode without nested paging has its PDPTEs loaded, hence checked, by VMRUN itself. */
static enum vmrun_reason check_l2_pdptes(const struct nested *n, struct port *port)
{
	const struct vmcb_save *s = &n->snap.save;
	const uint64_t *table;
	uint64_t pdpte[4];

	if (!check_wants_pdptes(&n->snap))
		return REASON_NONE;
	table = port_l1_ptr(port, l1pa(s->cr3 & PDPT_ADDR), sizeof(pdpte));
	if (table)
		memcpy(pdpte, table, sizeof(pdpte));
	else
		memset(pdpte, 0xFF, sizeof(pdpte));
	barrier();
	return check_pdptes(&n->snap, &n->caps, pdpte);
}

/* The rules of the state and what needs memory besides. The MSR map must be there when it is used, since L0 merges it
 * now (the I/O map is looked up when an access exits: unbacked reads as all ones). */
static enum vmrun_reason check_rest(const struct nested *n, struct port *port)
{
	const struct vmcb_control *c = &n->snap.control;
	enum vmrun_reason reason = check_state(&n->snap, &n->caps);

	if (!reason)
		reason = check_l2_pdptes(n, port);
	if (!reason && (c->intercept[ICPT_MISC1] & ICPT1_MSR) && !port_l1_ptr(port, l1pa(c->msrpm_base), MSRPM_SIZE))
		reason = REASON_MSRPM_UNBACKED;
	return reason;
}

/* The rules of the control area. The manual gives no order among all these, and L1 cannot see one. */
static enum vmrun_reason check_first(const struct nested *n, const struct vmcb *vmcb01)
{
	return check_control(&n->snap, &n->caps, (vmcb01->save.cr0 & CR0_PG) != 0);
}

/* What L1 asks to be flushed, for the shadow table and for the CPU's own TLB (APM2 15.16.1, 15.25.7). True: the shadow
 * has been dropped, since its tables say something else now. */
static ALWAYS_INLINE bool obey_tlb_control(struct nested *n)
{
	const struct vmcb_control *c = &n->snap.control;
	bool outdated = false;

	if (c->tlb_control == TLB_CONTROL_ASID) {
		outdated = npt02_is_outdated(&n->npt02, c->asid);
		if (unlikely(outdated))
			npt02_drop_asid(&n->npt02, c->asid);
		tlb02_flush_asid12(&n->tlb02, c->asid);
	} else if (c->tlb_control == TLB_CONTROL_ASID_NON_GLOBAL) { /* does not suffice for changed nested tables */
		tlb02_flush_asid12(&n->tlb02, c->asid);
	} else { /* ALL; reserved encodings get the most that could be meant */
		outdated = npt02_is_outdated(&n->npt02, NPT02_ALL);
		if (unlikely(outdated))
			npt02_drop_all(&n->npt02);
		tlb02_flush_all(&n->tlb02);
	}
	return outdated;
}

static uint64_t changes(const struct nested *n)
{
	return n->npt02.drops + n->tlb02.flushes;
}

static uint8_t flush_on_entry(const struct nested *n, bool flush)
{
	if (likely(!flush))
		return TLB_CONTROL_NONE;
	return n->caps.hw_flush_by_asid ? TLB_CONTROL_ASID : TLB_CONTROL_ALL;
}

/* Is a #VMEXIT to this L1 unlike others? */
static bool is_exit_rare(const struct nested *n)
{
	const uint32_t exit_info = SVM_FEAT_NRIPS | SVM_FEAT_DECODE_ASSISTS;

	return n->lbr_used || n->caps.eraps || (n->caps.features & exit_info) != exit_info;
}

/* Or does its VMCB02 need more than others? What the answers rest on is fixed, or its writers call
 * nested_choose_anew(). */
static bool needs_rarities(const struct nested *n)
{
	return is_exit_rare(n) || n->tsc_ratio != TSC_RATIO_ONE || (n->caps.features & SVM_FEAT_GMET) ||
	       n->caps.hw_pause_threshold;
}

/* The nested table and the TLB tag that L2 runs with. True: its TLB entries must go. */
static OWN_FRAME bool choose_tables(struct nested *n, const struct vmcb *vmcb01, const struct vmcb02_inputs *in,
				    struct last_tables *last)
{
	const struct vmcb_control *c = &n->snap.control;
	struct npt02_root *root = NULL;
	hpa_t table = in->npt01_root;
	bool fresh = false, flush;
	uint32_t asid;

	if (c->misc & MISC_NP) {
		struct npt12 npt12 = npt12_of(n, vmcb01);

		root = npt02_get(&n->npt02, &npt12, c->asid, &fresh);
		table = root->table;
	}
	asid = tlb02_asid(&n->tlb02, c->asid, table, &flush);
	n->rare = needs_rarities(n);
	*last = (struct last_tables){
		.asid12 = c->asid, .asid = asid, .misc = c->misc, .ncr3 = c->ncr3, .efer01 = vmcb01->save.efer,
		.cr4_01 = vmcb01->save.cr4, .changes = changes(n), .root = root, .table = table,
	};
	return fresh || flush;
}

/* Would choose_tables() choose the same again? */
static ALWAYS_INLINE bool is_last_choice(const struct nested *n, const struct last_tables *last,
					 const struct vmcb *vmcb01)
{
	const struct vmcb_control *c = &n->snap.control;

	return last->asid12 == c->asid && last->ncr3 == c->ncr3 && last->misc == c->misc &&
	       last->efer01 == vmcb01->save.efer && last->cr4_01 == vmcb01->save.cr4 && last->changes == changes(n);
}

/* Mostly L1 runs the L2 of before: no need to look for the place of its ASID. */
static ALWAYS_INLINE struct last_tables *last_of(struct nested *n)
{
	struct last_tables *last = n->last_used;
	uint32_t asid12 = n->snap.control.asid;

	if (unlikely(last->asid12 != asid12))
		n->last_used = last = &n->last[tlb02_place(&n->tlb02, asid12)];
	return last;
}

/* Mostly L1 flushes nothing, or asks for a flush without having changed its tables. */
static ALWAYS_INLINE struct vmcb02_tables tables_of(struct nested *n, const struct vmcb *vmcb01,
						    const struct vmcb02_inputs *in)
{
	struct last_tables *last = last_of(n);
	bool other = !is_last_choice(n, last, vmcb01), flush = false;

	if (n->snap.control.tlb_control != TLB_CONTROL_NONE) {
		other |= obey_tlb_control(n);
		if (likely(!other)) {
			flush = tlb02_renew(&n->tlb02, last->asid);
			last->changes = changes(n);
		}
	}
	if (unlikely(other))
		flush = choose_tables(n, vmcb01, in, last);
	n->root = last->root;
	return (struct vmcb02_tables){last->table.a, last->asid, flush_on_entry(n, flush)};
}

static void merge_msrpm(struct nested *n, struct port *port, const struct vmcb02_inputs *in)
{
	const struct vmcb_control *c = &n->snap.control;
	bool asked = (c->intercept[ICPT_MISC1] & ICPT1_MSR) != 0;

	if (asked || !n->msrpm02_plain) {
		msrpm02_merge(port, l1pa(c->msrpm_base), asked, in->msrpm01, hpa_ptr(in->msrpm02));
		n->msrpm02_plain = !asked;
	}
}

/* What few L2s have. */
static OWN_FRAME void add_rarities(struct nested *n, const struct vmcb *vmcb01, struct vmcb *vmcb02)
{
	n->plain = n->plain && !is_exit_rare(n);
	if (n->lbr_used || (n->snap.control.misc2 & MISC2_LBR))
		lbr02_enter(n, vmcb01, vmcb02);
	if (n->tsc_ratio != TSC_RATIO_ONE)
		nested_tsc02(n, vmcb01, vmcb02);
	if (n->caps.features & SVM_FEAT_GMET)
		vmcb02->control.misc = MISC_NP | (n->root ? n->snap.control.misc & MISC_GMET : 0);
	if (n->caps.eraps) /* L1 and L2 are both guests to the CPU, which keeps apart only host and guest */
		vmcb02->control.erap = n->snap.control.erap | ERAP_CLEAR;
	if (n->caps.hw_pause_threshold)
		vmcb02->control.pause = pause02(n);
}

/* VMCB02 as the snapshot says, whether that is fresh from L1 or from an image. The state is there. */
static ALWAYS_INLINE void make_vmcb02(struct nested *n, const struct vmcb *vmcb01, const struct vmcb02_inputs *in,
				      struct vmcb *vmcb02, bool usual)
{
	const struct vmcb_control *c = &n->snap.control;
	struct vmcb02_tables tables = tables_of(n, vmcb01, in);

	vmcb02_fill(vmcb02, c, vmcb01, in, &tables, usual || (c->misc & MISC_NP));
	if (!usual && (c->eventinj & EVENT_V))
		vmcb02->control.eventinj = c->eventinj;
	n->usual = n->plain = usual;
	if (unlikely(n->rare || (!usual && (c->misc2 & MISC2_LBR))))
		add_rarities(n, vmcb01, vmcb02);
}

/* A page that is to be VMCB02, all of it: the state from the snapshot, the rest is not there yet. */
static void start_page(const struct nested *n, struct vmcb *vmcb02)
{
	vmcb02_blank(vmcb02);
	vmcb_copy_state(&vmcb02->save, &n->snap.save);
}

/* The same for VMCB02 without a VMRUN. The spare page has to wait: the next VMRUN goes by the rules, and sees to it. */
static void start_vmcb02(struct nested *n, struct vmcb *vmcb02)
{
	start_page(n, vmcb02);
	n->vmcb02_built = false;
	check_forget_passed(&n->passed);
}

COLD void vmrun_make_again(struct nested *n, const struct vmcb *vmcb01, const struct vmcb02_inputs *in,
			   struct vmcb *vmcb02)
{
	start_vmcb02(n, vmcb02);
	make_vmcb02(n, vmcb01, in, vmcb02, false);
}

/* Steps 5 and 6, with a snapshot that passed. */
static ALWAYS_INLINE void enter_l2(struct nested *n, struct port *port, l1pa_t vmcb12_pa,
				   const struct vmcb02_inputs *in, struct vmcb *vmcb01, struct vmcb *vmcb02, bool usual)
{
	const struct vmcb_control *c = &n->snap.control;

	merge_msrpm(n, port, in);
	make_vmcb02(n, vmcb01, in, vmcb02, usual);
	n->soft.pending = false;
	n->v_intr12 = c->v_intr;
	if (!usual && (c->eventinj & EVENT_V)) {
		vmcb02_soft_event(vmcb02, &n->snap, &n->caps, &n->soft);
		nested_vnmi_injected(n, c->eventinj);
	}
	n->pause_left = c->pause_count;
	n->vmcb12_pa = vmcb12_pa;
	n->in_l2 = true;
	n->run_pending = true;
	n->gif = true; /* last: from here on L1's events may come (APM2 15.5.1) */
}

/* Rule by rule. Those of the control area look at the state only if there is an event. */
static OWN_FRAME enum vmrun_reason check_each(struct nested *n, struct port *port, const struct vmcb *vmcb01,
					      const struct vmcb_save *s)
{
	enum vmrun_reason reason;

	if (n->snap.control.eventinj & EVENT_V)
		vmcb_copy_state(&n->snap.save, s);
	reason = check_first(n, vmcb01);
	if (reason)
		return reason;
	vmcb_copy_state(&n->snap.save, s);
	reason = check_rest(n, port);
	if (!reason && (n->snap.control.misc & MISC_NP))
		check_note_passed(&n->passed, s);
	return reason;
}

/* Step 3 for what nearly all are; `s` is the state. */
static ALWAYS_INLINE bool is_usual(const struct nested *n, struct port *port, const struct vmcb *vmcb01,
				   const struct vmcb_save *s)
{
	const struct vmcb_control *c = &n->snap.control;

	return check_is_usual(c, s, &n->passed, n->far_bits, &vmcb01->save) &&
	       (!(c->intercept[ICPT_MISC1] & ICPT1_MSR) || port_l1_ptr(port, l1pa(c->msrpm_base), MSRPM_SIZE));
}

/* Steps 5 and 6 for a VMRUN that was not usual. */
static OWN_FRAME void enter_unusual(struct nested *n, struct port *port, l1pa_t vmcb12_pa,
				    const struct vmcb02_inputs *in, struct vmcb *vmcb01,
				    const struct vmcb02_pages *pages)
{
	if (!n->vmcb02_built) { /* neither page has been, or not since a restore or RSM */
		vmcb02_blank(pages->vmcb02);
		start_page(n, pages->spare);
		n->vmcb02_built = true;
	}
	enter_l2(n, port, vmcb12_pa, in, vmcb01, pages->spare, false);
}

enum vmrun_outcome nested_vmrun(struct nested *n, struct port *port, l1pa_t vmcb12_pa,
				const struct vmcb02_inputs *in, struct vmcb *vmcb01, struct vmcb02_pages *pages)
{
	enum vmrun_reason reason = REASON_VMCB_UNBACKED;
	struct vmcb *spare = pages->spare;

	CHECK(!n->in_l2);
	n->vmrun_count++;
	if (likely(vmcb12_snapshot(&n->snap, &spare->save, &n->known, port, vmcb12_pa))) {
		if (likely(is_usual(n, port, vmcb01, &spare->save))) {
			enter_l2(n, port, vmcb12_pa, in, vmcb01, spare, true);
			goto entered;
		}
		reason = check_each(n, port, vmcb01, &spare->save);
	}
	if (reason) {
		nested_exit_invalid(n, port, vmcb12_pa, reason, vmcb01);
		return VMRUN_REFUSED;
	}
	enter_unusual(n, port, vmcb12_pa, in, vmcb01, pages);
entered:
	*pages = (struct vmcb02_pages){.vmcb02 = spare, .spare = pages->vmcb02};
	return VMRUN_ENTERED;
}

COLD bool vmrun_resume(struct nested *n, struct port *port, l1pa_t vmcb12_pa, const struct vmcb02_inputs *in,
		       struct vmcb *vmcb01, struct vmcb *vmcb02)
{
	CHECK(!n->in_l2);
	if (check_first(n, vmcb01) || check_rest(n, port))
		return false;
	start_vmcb02(n, vmcb02);
	enter_l2(n, port, vmcb12_pa, in, vmcb01, vmcb02, false);
	return true;
}
