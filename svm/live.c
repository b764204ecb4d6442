/* SPDX-License-Identifier: MIT */
/* svm/live.c - the guest's registers that no VMCB has: extended state, DR0 to DR3, TSC_AUX; and those of VMSAVE. They stay
 * in the CPU from exit to entry. When a vCPU stops they are put away, so that it may go on later, elsewhere, or as it was
 * some time ago. May touch the CPU's registers and VMCB01. Manual: APM2 15.5.2 (VMSAVE). Before: vcpu.c. Next: fpu.c. */
#include "svm/live.h"

#include <amd/msr.h>

#include "kernel/cpu_insn.h"
#include "svm/enable.h"
#include "svm/vcpu.h"

/* VMCB02 has zeros where VMLOAD reads: neither L1 nor merge.c has these registers there. The barrier is for the next
 * guest: no indirect branch of its is to go where this one's went (APM2 3.2.9 Speculation Control MSRs; untested on
 * hardware). */
static void forget(struct vcpu *v)
{
	fpu_reset();
	for (unsigned n = 0; n < ARRAY_COUNT(v->live.dr); n++)
		write_dr(n, 0);
	wrmsr(MSR_TSC_AUX, 0);
	svm_vmload(hpa_of(v->vmcb02));
	if (svm_cpu()->has_ibpb)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

void live_put_away(struct vcpu *v)
{
	struct live_state *l = &v->live;

	fpu_save(&l->fpu);
	for (unsigned n = 0; n < ARRAY_COUNT(l->dr); n++)
		l->dr[n] = read_dr(n);
	l->tsc_aux = rdmsr(MSR_TSC_AUX);
	if (!v->live_msrs_stale) /* else VMCB01 has the ones that count */
		svm_vmsave(hpa_of(v->vmcb01));
	l->saved = true;
	forget(v);
}

void live_bring_back(struct vcpu *v)
{
	const struct live_state *l = &v->live;

	if (!l->saved) {
		wrmsr(MSR_TSC_AUX, 0);
		return;
	}
	fpu_load(&l->fpu);
	for (unsigned n = 0; n < ARRAY_COUNT(l->dr); n++)
		write_dr(n, l->dr[n]);
	wrmsr(MSR_TSC_AUX, l->tsc_aux);
	svm_vmload(hpa_of(v->vmcb01));
}
