/* SPDX-License-Identifier: MIT */
/* nested/check_state.c - may this state-save area be loaded at all? const in, one name out.
 * Manual: APM2 15.5.1 (Canonicalization and Consistency Checks); sections named below are of APM2 too.
 * Before: vmcb12.c. Opposite: check_control.c. When a rule fires: exit_invalid.c. */
#include <amd/cpu.h>
#include <amd/vmcb.h>
#include <compiler.h>

#include "check_rules.h"

#define HIGH_HALF BITS(63, 32)
#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static COLD enum vmrun_reason name_high(const struct vmcb_save *save)
{
	if (save->cr0 & HIGH_HALF)
		return REASON_CR0_HIGH;
	return save->dr6 & HIGH_HALF ? REASON_DR6_HIGH : REASON_DR7_HIGH;
}

/* 3.1.3, 3.1.7: EFER and CR4 bits that L1 was not offered must be zero, LME and LMA without long mode among them. */
static enum vmrun_reason check_registers(const struct vmcb_save *save, const struct nested_caps *caps)
{
	if (unlikely(!(save->efer & EFER_SVME)))
		return REASON_EFER_SVME;
	if (unlikely(save->efer & caps->efer_mbz))
		return REASON_EFER_MBZ;
	if (unlikely((save->cr0 & (CR0_CD | CR0_NW)) == CR0_NW))
		return REASON_CR0_NW_CD;
	if (unlikely(save->cr3 & caps->phys_mbz))
		return REASON_CR3_MBZ;
	if (unlikely(save->cr4 & caps->cr4_mbz))
		return REASON_CR4_MBZ;
	if (unlikely((save->cr0 | save->dr6 | save->dr7) & HIGH_HALF))
		return name_high(save);
	return REASON_NONE;
}

/* 14.6.1: what activating long mode asks for. */
static enum vmrun_reason check_long_mode(const struct vmcb_save *save)
{
	if (!(save->efer & EFER_LME) || !(save->cr0 & CR0_PG))
		return REASON_NONE;
	if (unlikely(!(save->cr4 & CR4_PAE)))
		return REASON_LONG_NO_PAE;
	if (unlikely(!(save->cr0 & CR0_PE)))
		return REASON_LONG_NO_PE;
	if (unlikely((save->cs.attr & (SEG_L | SEG_D)) == (SEG_L | SEG_D)))
		return REASON_LONG_CS_L_D;
	return REASON_NONE;
}

/* 7.8.1: each byte one of 0, 1, 4, 5, 6, 7. Hence bits 7:3 are 0, and bit 1 only comes with bit 2. */
static bool pat_is_legal(uint64_t pat)
{
	uint64_t lone_bit1 = pat & EACH_BYTE(0x02) & ~(pat >> 1);

	return ((pat & EACH_BYTE(0xF8)) | lone_bit1) == 0;
}

static ALWAYS_INLINE enum vmrun_reason check_area(const struct vmcb_save *save, const struct nested_caps *caps,
						  bool with_pat)
{
	enum vmrun_reason reason = check_registers(save, caps);

	if (reason == REASON_NONE)
		reason = check_long_mode(save);
	if (reason == REASON_NONE && with_pat && !pat_is_legal(save->g_pat))
		reason = REASON_G_PAT;
	return reason;
}

/* 15.25.4: without nested paging G_PAT is not loaded. */
enum vmrun_reason check_state(const struct vmcb12 *snap, const struct nested_caps *caps)
{
	return check_area(&snap->save, caps, (snap->control.misc & MISC_NP) != 0);
}

COLD enum vmrun_reason check_save(const struct vmcb_save *save, const struct nested_caps *caps, bool with_pat)
{
	return check_area(save, caps, with_pat);
}

/* 5.2.3, legacy PAE: a present PDPTE has no bits but P, PWT, PCD, three free ones and the address. */
enum vmrun_reason check_pdptes(const struct vmcb12 *snap, const struct nested_caps *caps,
			       const uint64_t pdpte[PDPTE_COUNT])
{
	if (!check_wants_pdptes(snap))
		return REASON_NONE;
	for (unsigned i = 0; i < PDPTE_COUNT; i++) {
		if ((pdpte[i] & PTE_P) && (pdpte[i] & caps->pdpte_mbz))
			return REASON_PDPTE_MBZ;
	}
	return REASON_NONE;
}
