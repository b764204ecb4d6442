/* SPDX-License-Identifier: MIT */
/* nested/offer.c - what of VMCB12 means something to an L1 that was offered these features. Decided once, so that the
 * copy at each VMRUN only has to mask. Manual: APM2 15.30 (features), appendix B (fields). Next: vmcb12.c. */
#include <string.h>

#include <amd/cpuid.h>

#include "check_usual.h"
#include "nested.h"

#define V_INTR_BASIC                                                                               \
	(V_INTR_TPR | V_INTR_IRQ | V_INTR_PRIO | V_INTR_IGN_TPR | V_INTR_MASKING | V_INTR_VECTOR)

#define PAUSE_THRESHOLD BITS(15, 0)
#define PAUSE_COUNT BITS(31, 16)

/* What SVM has whatever the features. */
static void know_basics(struct vmcb_control *known, const uint32_t *intercepts)
{
	*known = (struct vmcb_control){
		.iopm_base = ~PAGE_MASK, .msrpm_base = ~PAGE_MASK, .tsc_offset = UINT64_MAX, .asid = UINT32_MAX,
		.tlb_control = TLB_CONTROL_MASK, .v_intr = V_INTR_BASIC, .int_shadow = INT_SHADOW_ACTIVE,
		.eventinj = ~EVENT_RESERVED, .ncr3 = UINT64_MAX, .nrip = UINT64_MAX,
	};
	memcpy(known->intercept, intercepts, sizeof(known->intercept));
}

void nested_offer(struct nested *n, uint32_t features)
{
	struct vmcb_control *known = &n->known;

	n->caps.features = features;
	n->far_bits = check_far_bits(&n->caps);
	check_forget_passed(&n->passed);
	know_basics(known, n->caps.intercepts);
	if (n->caps.eraps)
		known->erap = ERAP_ALLOW_LARGER | ERAP_CLEAR;
	if (features & SVM_FEAT_VGIF)
		known->v_intr |= V_INTR_GIF | V_INTR_GIF_ENABLE;
	if (features & SVM_FEAT_VNMI)
		known->v_intr |= V_INTR_NMI | V_INTR_NMI_MASK | V_INTR_NMI_ENABLE;
	if (features & SVM_FEAT_NP)
		known->misc |= MISC_NP;
	if (features & SVM_FEAT_GMET)
		known->misc |= MISC_GMET;
	if (features & SVM_FEAT_VLS)
		known->misc2 |= MISC2_VLS;
	if (features & SVM_FEAT_LBR_VIRT)
		known->misc2 |= MISC2_LBR;
	if (features & SVM_FEAT_PAUSE_FILTER)
		known->pause |= (uint32_t)PAUSE_COUNT;
	if (features & SVM_FEAT_PAUSE_THRESHOLD)
		known->pause |= (uint32_t)PAUSE_THRESHOLD;
}
