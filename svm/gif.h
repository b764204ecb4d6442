/* SPDX-License-Identifier: MIT */
/* svm/gif.h - L1's GIF where the CPU keeps it. With virtual GIF, STGI and CLGI of L1 change V_GIF of VMCB01 and do not
 * exit. They do exit while L1's EFER.SVME is 0, because they are #UD then and the CPU's SVME is 1, and STGI does while
 * something waits for it (inject.c). nested.gif is what L0 last knew: gif_fetch() before it is asked, gif_store() when
 * L0 has set it. On a CPU without virtual GIF both do nothing, since nested.gif is all there is.
 * Manual: APM2 15.33.2 (Virtual GIF), 15.17 (GIF). Next: inject.c, nested_glue.c. */
#ifndef SVM_GIF_H
#define SVM_GIF_H

#include <amd/cpuid.h>
#include <amd/vmcb_access.h>

#include "svm/enable.h"
#include "svm/vcpu.h"

/* L1's GIF as it is now; while L2 runs V_GIF of VMCB01 means nothing. */
static inline bool gif_now(const struct vcpu *v)
{
	uint64_t v_intr = v->vmcb01->control.v_intr;

	if (!(v_intr & V_INTR_GIF_ENABLE) || v->nested.in_l2)
		return v->nested.gif;
	return (v_intr & V_INTR_GIF) != 0;
}

static inline void gif_fetch(struct vcpu *v)
{
	v->nested.gif = gif_now(v);
}

static inline void gif_store(struct vcpu *v)
{
	uint64_t v_intr = v->vmcb01->control.v_intr;

	if (v_intr & V_INTR_GIF_ENABLE)
		vmcb_set_v_intr(v->vmcb01, v->nested.gif ? v_intr | V_INTR_GIF : v_intr & ~V_INTR_GIF);
}

/* After nested.svme was set, nested.gif being right. */
static inline void gif_virtualize(struct vcpu *v)
{
	const uint32_t both = ICPT2_STGI | ICPT2_CLGI;
	uint32_t icpt = v->vmcb01->control.intercept[ICPT_MISC2];
	bool on = v->nested.svme && (svm_cpu()->features & SVM_FEAT_VGIF);
	uint64_t v_intr = v->vmcb01->control.v_intr & ~V_INTR_GIF_ENABLE;

	vmcb_set_intercept(v->vmcb01, ICPT_MISC2, on ? icpt & ~both : icpt | both);
	vmcb_set_v_intr(v->vmcb01, on ? v_intr | V_INTR_GIF_ENABLE : v_intr);
	gif_store(v);
}

/* Must the next STGI of L1 be seen? */
static inline void gif_watch(struct vcpu *v, bool watch)
{
	const struct vmcb_control *c = &v->vmcb01->control;
	uint32_t icpt = c->intercept[ICPT_MISC2];

	if ((c->v_intr & V_INTR_GIF_ENABLE) && ((icpt & ICPT2_STGI) != 0) != watch)
		vmcb_set_intercept(v->vmcb01, ICPT_MISC2, icpt ^ ICPT2_STGI);
}

#endif
