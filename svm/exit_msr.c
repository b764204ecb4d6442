/* SPDX-License-Identifier: MIT */
/* svm/exit_msr.c - RDMSR and WRMSR by allow-list: what is not named here is #GP, and logged once. MSRs that need no
 * decision (FS, GS, SYSCALL, SYSENTER) do not come here: msrpm01_init() lets them through.
 * Manual: APM2 appendix A, 15.11 (MSR Intercepts). Next: nested/msr.c for the SVM MSRs, vdev for the APIC. */
#include <amd/cpu.h>
#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "kernel/cpu_insn.h"
#include "kernel/log.h"
#include "svm/enable.h"
#include "svm/exit.h"
#include "svm/gif.h"
#include "svm/lbr.h"
#include "svm/msr.h"
#include "svm/pvclock.h"
#include "svm/smm.h"

#define MTRR_CAP (MTRR_VARIABLE_COUNT | BIT(8) | BIT(10)) /* fixed ranges, write combining */
#define MTRR_DEF_TYPE_KNOWN (BITS(7, 0) | BIT(10) | BIT(11))
#define LOGGED_ONCE 32 /* unknown MSRs that are worth a line each */

/* --- EFER --- */

/* L1's EFER.SVME is virtual: the CPU's must stay set while it runs (APM2 15.5.1). L2's is the CPU's. */
static uint64_t efer_read(const struct vcpu *v)
{
	uint64_t efer = v->vmcb->save.efer;

	return v->nested.in_l2 || v->nested.svme ? efer : efer & ~EFER_SVME;
}

/* While it is 0, #GP exits, since an SVM instruction at CPL 3 is #UD then (exit_excp.c). */
void msr_svme_changed(struct vcpu *v)
{
	uint32_t excp = v->vmcb01->control.intercept[ICPT_EXCP] & ~BIT32(VEC_GP);

	gif_virtualize(v);
	vmcb_set_intercept(v->vmcb01, ICPT_EXCP, v->nested.svme ? excp : excp | BIT32(VEC_GP));
}

static void svme_write(struct vcpu *v, bool svme)
{
	if (svme == v->nested.svme)
		return;
	gif_fetch(v);
	v->nested.svme = svme;
	msr_svme_changed(v);
}

static bool efer_write(struct vcpu *v, uint64_t value)
{
	uint64_t old = v->vmcb->save.efer;

	if (value & v->nested.caps.efer_mbz)
		return false;
	if (((value ^ old) & EFER_LME) && (v->vmcb->save.cr0 & CR0_PG))
		return false;
	if ((value & EFER_SVME) && (v->nested.vm_cr & VM_CR_SVMDIS))
		return false;
	if (v->nested.in_l2 && !(value & EFER_SVME)) { /* undefined by APM2 3.1.7: the host of L2 would go down */
		l1_end(v->l1, "vCPU %u: L2 cleared EFER.SVME", v->index);
		return true;
	}
	if (!v->nested.in_l2)
		svme_write(v, (value & EFER_SVME) != 0);
	vmcb_set_efer(v->vmcb, (value & ~EFER_LMA) | (old & EFER_LMA) | EFER_SVME);
	return true;
}

/* --- PAT, MTRRs, TSC --- */

bool pat_is_legal(uint64_t pat)
{
	for (unsigned i = 0; i < 64; i += 8) {
		uint64_t type = (pat >> i) & 0xFF;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

static bool pat_write(struct vcpu *v, uint64_t value)
{
	if (!pat_is_legal(value))
		return false;
	vmcb_set_g_pat(v->vmcb, value);
	return true;
}

static uint64_t *mtrr_slot(struct msr_store *m, uint32_t msr)
{
	if (msr >= MSR_MTRR_PHYS_FIRST && msr <= MSR_MTRR_PHYS_LAST)
		return &m->mtrr_variable[msr - MSR_MTRR_PHYS_FIRST];
	if (msr == MSR_MTRR_FIX64K)
		return &m->mtrr_fixed[0];
	if (msr >= MSR_MTRR_FIX16K_FIRST && msr <= MSR_MTRR_FIX16K_LAST)
		return &m->mtrr_fixed[1 + msr - MSR_MTRR_FIX16K_FIRST];
	if (msr >= MSR_MTRR_FIX4K_FIRST && msr <= MSR_MTRR_FIX4K_LAST)
		return &m->mtrr_fixed[3 + msr - MSR_MTRR_FIX4K_FIRST];
	return msr == MSR_MTRR_DEF_TYPE ? &m->mtrr_def_type : NULL;
}

static uint64_t tsc1_read(const struct vcpu *v)
{
	return rdtsc() + v->vmcb01->control.tsc_offset;
}

uint64_t vcpu_tsc(const struct vcpu *v)
{
	uint64_t tsc1 = tsc1_read(v);

	return v->nested.in_l2 ? nested_tsc(&v->nested, tsc1) : tsc1;
}

/* There is one TSC: what L2 writes becomes L1's, and is read back scaled and with the offset (APM2 15.30.5). */
static bool tsc_write(struct vcpu *v, uint64_t value)
{
	vmcb_set_tsc_offset(v->vmcb01, v->vmcb01->control.tsc_offset + value - tsc1_read(v));
	if (v->nested.in_l2)
		nested_tsc02(&v->nested, v->vmcb01, v->vmcb02);
	pvclock_update(v);
	return true;
}

static bool tsc_aux_write(uint64_t value)
{
	if (value >> 32)
		return false;
	wrmsr(MSR_TSC_AUX, value);
	return true;
}

static bool is_apic_msr(uint32_t msr)
{
	return msr == MSR_APIC_BASE || (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

static bool apic_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	bool ok;

	spin_lock(&v->l1->dev_lock);
	ok = machine_apic_msr_read(&v->l1->machine, v->index, msr, value);
	spin_unlock(&v->l1->dev_lock);
	return ok;
}

static bool apic_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	bool ok;

	spin_lock(&v->l1->dev_lock);
	ok = machine_apic_msr_write(&v->l1->machine, v->index, msr, value);
	vcpu_sync_tpr(v);
	vcpu_rearm(v);
	spin_unlock(&v->l1->dev_lock);
	return ok;
}

static bool deadline_write(struct vcpu *v, uint64_t value)
{
	spin_lock(&v->l1->dev_lock);
	machine_tsc_deadline_write(&v->l1->machine, v->index, value, tsc1_read(v));
	vcpu_rearm(v);
	spin_unlock(&v->l1->dev_lock);
	return true;
}

/* --- the lists --- */

/* One line for each of the first unknown MSRs, so that a guest cannot fill the log. */
static bool is_news(uint32_t msr)
{
	static struct spinlock lock;
	static uint32_t seen[LOGGED_ONCE];
	static unsigned count;
	bool news = true;

	spin_lock(&lock);
	for (unsigned i = 0; i < count; i++)
		news = news && seen[i] != msr;
	news = news && count < LOGGED_ONCE;
	if (news)
		seen[count++] = msr;
	spin_unlock(&lock);
	return news;
}

static bool unknown_msr(const struct vcpu *v, uint32_t msr, const char *what)
{
	if (is_news(msr))
		klog_quiet("%s: %s of unknown MSR %08x gives #GP", v->l1->name, what, msr);
	return false;
}

static bool machine_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	const uint64_t *slot = mtrr_slot(&v->msrs, msr);

	*value = 0;
	if (slot) {
		*value = *slot;
		return true;
	}
	switch (msr) {
	case MSR_EFER: *value = efer_read(v); return true;
	case MSR_PAT: *value = v->vmcb->save.g_pat; return true;
	case MSR_TSC: *value = vcpu_tsc(v); return true;
	case MSR_TSC_AUX: *value = rdmsr(MSR_TSC_AUX); return true;
	case MSR_TSC_DEADLINE: *value = machine_tsc_deadline_read(&v->l1->machine, v->index); return true;
	case MSR_MTRRCAP: *value = MTRR_CAP; return true;
	case MSR_HWCR: *value = smm_hwcr(v) | HWCR_TSC_FREQ_SEL; return true;
	case MSR_SMM_BASE: *value = v->nested.smm.base; return true;
	case MSR_DE_CFG: *value = v->msrs.de_cfg; return true;
	case MSR_LS_CFG: *value = v->msrs.ls_cfg; return true;
	case MSR_DEBUGCTL: *value = v->vmcb->save.dbgctl; return true;
	case MSR_LAST_BRANCH_FROM: *value = v->vmcb->save.br_from; return true;
	case MSR_LAST_BRANCH_TO: *value = v->vmcb->save.br_to; return true;
	case MSR_LAST_INT_FROM: *value = v->vmcb->save.lastexcp_from; return true;
	case MSR_LAST_INT_TO: *value = v->vmcb->save.lastexcp_to; return true;
	case MSR_PV_WALL_CLOCK: *value = v->msrs.pv_wall_clock; return true;
	case MSR_PV_SYSTEM_TIME: *value = v->msrs.pv_system_time; return true;
	case MSR_PERF_FIRST ... MSR_PERF_LAST: /* counters that stand still */
	case MSR_BIOS_SIGN_ID: /* no microcode, no machine check banks, no DRAM map: all zero */
	case MSR_MCG_CAP:
	case MSR_MCG_STATUS:
	case MSR_SYSCFG:
	case MSR_TOP_MEM:
	case MSR_TOP_MEM2:
	case MSR_NB_CFG: /* Linux widens PCI configuration accesses by it; there is no PCI device */
	case MSR_INT_PENDING:
	case MSR_SMM_ADDR: /* no memory is set apart for SMM, nor can be */
	case MSR_SMM_MASK:
		return true;
	default:
		return unknown_msr(v, msr, "read");
	}
}

static bool debugctl_write(struct vcpu *v, uint64_t value)
{
	if (value & ~DEBUGCTL_KNOWN)
		return false;
	lbr_set(v, value);
	return true;
}

static bool mtrr_write(uint64_t *slot, uint32_t msr, uint64_t value)
{
	if (msr == MSR_MTRR_DEF_TYPE && (value & ~MTRR_DEF_TYPE_KNOWN))
		return false;
	*slot = value;
	return true;
}

static bool machine_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t *slot = mtrr_slot(&v->msrs, msr);

	if (slot)
		return mtrr_write(slot, msr, value);
	switch (msr) {
	case MSR_EFER: return efer_write(v, value);
	case MSR_PAT: return pat_write(v, value);
	case MSR_TSC: return tsc_write(v, value);
	case MSR_TSC_AUX: return tsc_aux_write(value);
	case MSR_TSC_DEADLINE: return deadline_write(v, value);
	case MSR_HWCR: smm_hwcr_write(v, value); return true;
	case MSR_SMM_BASE: return smm_base_write(v, value);
	case MSR_SMM_CTL: return smm_ctl_write(v, value);
	case MSR_PV_WALL_CLOCK: pvclock_write_wall_clock(v, value); return true;
	case MSR_PV_SYSTEM_TIME: pvclock_write_system_time(v, value); return true;
	case MSR_DE_CFG: v->msrs.de_cfg = value; return true;
	case MSR_LS_CFG: v->msrs.ls_cfg = value; return true;
	case MSR_DEBUGCTL: return debugctl_write(v, value);
	case MSR_PERF_FIRST ... MSR_PERF_LAST:
	case MSR_BIOS_SIGN_ID:
	case MSR_MCG_STATUS:
	case MSR_SYSCFG:
	case MSR_NB_CFG:
	case MSR_PATCH_LOADER:
	case MSR_INT_PENDING: return true;
	default: return unknown_msr(v, msr, "write");
	}
}

/* Mostly L1 has written it, for its next VMRUN. */
static void vcpu_ratio_changed(struct vcpu *v)
{
	if (!v->nested.in_l2)
		return;
	nested_tsc02(&v->nested, v->vmcb01, v->vmcb02);
	vcpu_scale_tsc(v);
}

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	bool fault;

	if (is_apic_msr(msr))
		return apic_read(v, msr, value);
	if (v->l1->nested && nested_msr_read(&v->nested, msr, value, &fault))
		return !fault;
	return machine_msr_read(v, msr, value);
}

bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	bool fault;

	if (is_apic_msr(msr))
		return apic_write(v, msr, value);
	if (v->l1->nested && nested_msr_write(&v->nested, msr, value, &fault)) {
		if (msr == MSR_TSC_RATIO)
			vcpu_ratio_changed(v);
		return !fault;
	}
	return machine_msr_write(v, msr, value);
}

enum resume exit_msr(struct vcpu *v)
{
	struct vmcb_save *s = &v->vmcb->save;
	uint32_t msr = (uint32_t)v->regs[GPR_RCX];
	uint64_t value = v->regs[GPR_RDX] << 32 | (uint32_t)s->rax;

	if (v->vmcb->control.exitinfo1)
		return msr_write(v, msr, value) ? RESUME_NEXT : exit_gp(v);
	if (!msr_read(v, msr, &value))
		return exit_gp(v);
	s->rax = (uint32_t)value;
	v->regs[GPR_RDX] = value >> 32;
	return RESUME_NEXT;
}

/* --- our own map --- */

#define MSRPM_READ 1u
#define MSRPM_WRITE 2u

/* Two bits for each MSR, 2 KiB for each range (APM2 15.11). */
static uint8_t *msrpm_byte(uint8_t *map, uint32_t msr)
{
	return &map[(msr >= 0xC0010000 ? 0x1000 : msr >= 0xC0000000 ? 0x800 : 0) + (msr & 0x1FFF) / 4];
}

static void msrpm_open(uint8_t *map, uint32_t msr, unsigned accesses)
{
	*msrpm_byte(map, msr) &= (uint8_t) ~(accesses << (2 * (msr & 3)));
}

/* The map is that of all vCPUs: those whose DEBUGCTL is 0 exit without need from now on. It stays so. */
void msr_watch_debugctl(struct vcpu *v)
{
	__atomic_fetch_or(msrpm_byte(v->l1->msrpm, MSR_DEBUGCTL), (uint8_t)(MSRPM_READ << (2 * (MSR_DEBUGCTL & 3))),
			  __ATOMIC_RELAXED);
	v->vmcb01->control.clean &= ~CLEAN_IOPM;
}

void msrpm01_init(uint8_t *map)
{
	static const uint32_t open[] = {
		MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,    MSR_LSTAR,
		MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,      MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	};

	for (unsigned i = 0; i < ARRAY_COUNT(open); i++)
		msrpm_open(map, open[i], MSRPM_READ | MSRPM_WRITE);
	if (svm_cpu()->debugctl_is_0)
		msrpm_open(map, MSR_DEBUGCTL, MSRPM_READ);
}
