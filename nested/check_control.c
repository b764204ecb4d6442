/* SPDX-License-Identifier: MIT */
/* nested/check_control.c - may this control area be run at all? const in, one name out.
 * Manual: APM2 15.5.1 (Canonicalization and Consistency Checks); sections named below are of APM2 too.
 * Before: vmcb12.c. Opposite: check_state.c. When a rule fires: exit_invalid.c. */
#include <amd/cpu.h>
#include <amd/vmcb.h>
#include <compiler.h>

#include "check_rules.h"

#define MSRPM_LAST_BYTE (MSRPM_SIZE - 1)

/* Table 8-1. Not #NMI (2), which has a type of its own, nor what these L1s lack: #CP, #HV, #VC. */
#define EXCEPTION_VECTORS                                                                          \
	(BIT32(VEC_DE) | BIT32(VEC_DB) | BIT32(VEC_BP) | BIT32(VEC_OF) | BIT32(VEC_BR) | BIT32(VEC_UD) |   \
	 BIT32(VEC_NM) | BIT32(VEC_DF) | BIT32(VEC_TS) | BIT32(VEC_NP) | BIT32(VEC_SS) | BIT32(VEC_GP) |   \
	 BIT32(VEC_PF) | BIT32(VEC_MF) | BIT32(VEC_AC) | BIT32(VEC_MC) | BIT32(VEC_XF) | BIT32(VEC_SX))
#define EXCEPTION_VECTOR_END 32

/* BOUND and INTO do not exist in 64-bit mode (APM3, both instructions), so their exceptions cannot happen there. */
#define NOT_IN_64BIT_MODE (BIT32(VEC_BR) | BIT32(VEC_OF))

static bool is_64bit_mode(const struct vmcb_save *save)
{
	return (save->efer & EFER_LME) && (save->cr0 & CR0_PG) && (save->cs.attr & SEG_L);
}

/* 15.20 (Event Injection). A missing or superfluous error code is no reason: L2 gets what EVENTINJ says. */
static enum vmrun_reason check_eventinj(const struct vmcb12 *snap)
{
	uint64_t event = snap->control.eventinj;
	unsigned type = (unsigned)((event & EVENT_TYPE) >> EVENT_TYPE_SHIFT);
	unsigned vector = (unsigned)(event & EVENT_VECTOR);

	if (!(event & EVENT_V))
		return REASON_NONE;
	if (type == EVENT_INTR || type == EVENT_NMI || type == EVENT_SOFT)
		return REASON_NONE;
	if (type != EVENT_EXCP)
		return REASON_EVENTINJ_TYPE;
	if (vector >= EXCEPTION_VECTOR_END || !(EXCEPTION_VECTORS & BIT32(vector)))
		return REASON_EVENTINJ_VECTOR;
	if ((NOT_IN_64BIT_MODE & BIT32(vector)) && is_64bit_mode(&snap->save))
		return REASON_EVENTINJ_MODE;
	return REASON_NONE;
}

/* 15.10.1, 15.11: the last byte of a permission map must have an address. Page offset bits of a base count as 0. */
static bool map_exceeds(uint64_t base, uint64_t last_byte, uint64_t phys_mbz)
{
	base &= ~PAGE_MASK;
	return ((base | (base + last_byte)) & phys_mbz) != 0; /* `base |`: the sum may wrap to a small address */
}

/* 15.25.3, 15.25.4. */
static enum vmrun_reason check_nested_paging(const struct vmcb_control *control, const struct nested_caps *caps,
					     bool l1_paging)
{
	if (!(control->misc & MISC_NP))
		return REASON_NONE;
	if (unlikely(!l1_paging))
		return REASON_NP_NO_PAGING;
	if (unlikely(control->ncr3 & caps->phys_mbz))
		return REASON_NCR3_MBZ;
	return REASON_NONE;
}

enum vmrun_reason check_control(const struct vmcb12 *snap, const struct nested_caps *caps, bool l1_paging)
{
	const struct vmcb_control *control = &snap->control;
	enum vmrun_reason reason;

	if (unlikely(!(control->intercept[ICPT_MISC2] & ICPT2_VMRUN)))
		return REASON_VMRUN_INTERCEPT;
	if (unlikely(control->asid == 0))
		return REASON_ASID_ZERO;
	if (unlikely(map_exceeds(control->msrpm_base, MSRPM_LAST_BYTE, caps->phys_mbz)))
		return REASON_MSRPM_RANGE;
	if (unlikely(map_exceeds(control->iopm_base, IOPM_LAST_BYTE, caps->phys_mbz)))
		return REASON_IOPM_RANGE;
	/* 15.21.10: virtual NMIs need the NMI intercept. */
	if (unlikely((control->v_intr & V_INTR_NMI_ENABLE) && !(control->intercept[ICPT_MISC1] & ICPT1_NMI)))
		return REASON_VNMI_NO_INTERCEPT;
	reason = check_eventinj(snap);
	if (reason == REASON_NONE)
		reason = check_nested_paging(control, caps, l1_paging);
	return reason;
}
