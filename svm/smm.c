/* SPDX-License-Identifier: MIT */
/* svm/smm.c - SMI, RSM and the MSRs of system management mode, carried out: nested/smm.c decides what is saved and
 * whether RSM may go back; here the registers that live in the CPU are moved, and VMCBs and intercepts are changed. RSM
 * is intercepted in SMM only; elsewhere the CPU itself knows that it is #UD. SMRAM is memory as any other of the guest.
 * Manual: APM2 10 (System-Management Mode), 15.22, 15.30.3. Next: nested/smm.c. */
#include "svm/smm.h"

#include <amd/cpu.h>
#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "svm/exit.h"
#include "svm/inject.h"
#include "svm/msr.h"
#include "svm/quirk.h"

static struct smm_cpu cpu_of(struct vcpu *v)
{
	return (struct smm_cpu){
		.gpr = v->regs,
		.halted = v->activity == VCPU_HALTED,
		.nmi_blocked = v->nmi_blocked,
	};
}

/* The level that is in use is the new one already. */
static void cpu_becomes(struct vcpu *v, const struct smm_cpu *cpu)
{
	vcpu_scale_tsc(v); /* SMM is no guest of L1: its TSC runs by 1 (APM2 15.30.5) */
	v->activity = cpu->halted ? VCPU_HALTED : VCPU_RUNNING;
	v->nmi_blocked = cpu->nmi_blocked;
	v->attention = true;
}

/* What holds for the instruction at RIP alone is over: nothing is being injected, or the SMI would wait. */
static void end_oddities(struct vcpu *v)
{
	if (v->once.on)
		once_end(v);
	quirk_show_xsave(v);
	v->held = 0;
}

/* Where the CPU says #UD before it looks at the intercept, #UD is what exits (docs/engines.md). */
void smm_watch_rsm(struct vcpu *v)
{
	uint32_t *icpt = v->vmcb01->control.intercept;

	icpt[ICPT_MISC1] &= ~ICPT1_RSM;
	if (v->nested.smm.active)
		icpt[ICPT_MISC1] |= ICPT1_RSM;
	if (!has_quirk(QUIRK_LMSW))
		return;
	icpt[ICPT_EXCP] &= ~BIT32(VEC_UD);
	if (v->nested.smm.active)
		icpt[ICPT_EXCP] |= BIT32(VEC_UD);
}

/* Taken or dismissed; one that comes from now on is another. */
static void drop_smi(struct vcpu *v)
{
	spin_lock(&v->l1->dev_lock);
	machine_smi_drop(&v->l1->machine, v->index);
	spin_unlock(&v->l1->dev_lock);
}

void smm_enter(struct vcpu *v)
{
	struct smm_cpu cpu = cpu_of(v);

	drop_smi(v);
	end_oddities(v);
	if (!v->live_msrs_stale)
		svm_vmsave(hpa_of(v->vmcb01));
	if (!nested_smi(&v->nested, (struct port *)v->l1, v->vmcb01, v->vmcb02, &cpu)) {
		l1_end(v->l1, "vCPU %u: SMI with SMBASE %x, where there is no memory", v->index, v->nested.smm.base);
		return;
	}
	if (!v->live_msrs_stale)
		svm_vmload(hpa_of(v->vmcb01));
	vcpu_use_level(v, 1);
	msr_svme_changed(v);
	smm_watch_rsm(v);
	quirk_arm(v);
	cpu_becomes(v, &cpu);
}

enum resume exit_rsm(struct vcpu *v)
{
	struct smm_cpu cpu = cpu_of(v);
	enum rsm_outcome outcome;

	if (v->nested.in_l2 || !v->nested.smm.active)
		return exit_ud(v);
	svm_vmsave(hpa_of(v->vmcb01));
	outcome = nested_rsm(&v->nested, (struct port *)v->l1, &v->inputs02, v->vmcb01, v->vmcb02, &cpu);
	if (outcome == RSM_FAILED) {
		l1_end(v->l1, "vCPU %u shut down: RSM to a state that cannot be", v->index);
		return RESUME_STOP;
	}
	svm_vmload(hpa_of(v->vmcb01));
	msr_svme_changed(v);
	smm_watch_rsm(v);
	if (outcome == RSM_TO_L2) {
		vcpu_use_level(v, 2);
		if (quirks)
			quirk_widen02(v);
	}
	quirk_arm(v);
	cpu_becomes(v, &cpu);
	return RESUME_SAME;
}

/* --- MSRs --- */

uint64_t smm_hwcr(const struct vcpu *v)
{
	return (v->msrs.hwcr & ~HWCR_SMMLOCK) | (v->nested.smm.locked ? HWCR_SMMLOCK : 0);
}

/* SMMLOCK stays until reset, since SMM_KEY is not offered. */
void smm_hwcr_write(struct vcpu *v, uint64_t value)
{
	v->msrs.hwcr = value;
	if (value & HWCR_SMMLOCK)
		v->nested.smm.locked = true;
}

bool smm_base_write(struct vcpu *v, uint64_t value)
{
	if (v->nested.smm.locked || value >> 32)
		return false;
	v->nested.smm.base = (uint32_t)value;
	return true;
}

bool smm_ctl_write(struct vcpu *v, uint64_t value)
{
	bool dismiss;

	if (!nested_smm_ctl(&v->nested, value, &v->nmi_blocked, &dismiss))
		return false;
	if (dismiss)
		drop_smi(v);
	v->attention = true;
	return true;
}
