/* SPDX-License-Identifier: MIT */
/* svm/quirk.c - makes up for what the CPU model below does not honour: sets the wider intercept that it does honour,
 * and tells afterwards what the exit really is. Exits that L1 did not ask for never reach it: nested_route() decides
 * after the true code is in the VMCB. Each quirk has its row in docs/engines.md.
 * Manual: APM2 15.8, 15.9, 15.12. Next: quirk_event.c, quirk_xsetbv.c; nested_glue.c. */
#include "svm/quirk.h"

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>
#include <Zydis/Zydis.h>

#include "kernel/cpu_insn.h"
#include "kernel/log.h"
#include "kernel/smp.h"
#include "kernel/trap.h"
#include "kernel/string.h"
#include "svm/caps.h"
#include "svm/decode.h"
#include "svm/exit.h"
#include "svm/once.h"

#define QEMU_TCG                                                                                            \
	(QUIRK_INTERCEPTS | QUIRK_FAULT_ORDER | QUIRK_NO_SHADOW | QUIRK_EVENTINJ | QUIRK_LMA | QUIRK_BREAKPOINTS)
#define BOCHS                                                                                               \
	(QUIRK_LATE_VIRQ | QUIRK_LATE_INTR | QUIRK_INTINFO | QUIRK_LMSW | QUIRK_DB_DR6 | QUIRK_SVM_ADDRESS | \
	 QUIRK_RF | QUIRK_LBR | QUIRK_CR2)
#define BIOS_START 0xE0000
#define BIOS_END 0x100000
#define RSDP_ALIGN 16
#define RSDP_OEM 9
#define CR0_SELECTED (~(CR0_TS | CR0_MP)) /* a change of these is what CR0_SEL_WRITE is about */

uint32_t quirks, unhidden;
bool quirk_codes[VMEXIT_INTERCEPT_END];

/* The exits that quirk_after_exit() looks at for their code. */
static void mark_codes(void)
{
	static const uint8_t others[] = {VMEXIT_EXCP(VEC_DB), VMEXIT_EXCP(VEC_UD), VMEXIT_CR0_SEL_WRITE, VMEXIT_RDTSC,
					 VMEXIT_SWINT, VMEXIT_WBINVD};

	for (unsigned code = VMEXIT_CR_READ(0); code <= VMEXIT_DR_WRITE(15); code++)
		quirk_codes[code] = true;
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++)
		quirk_codes[others[i]] = true;
}

/* "TCGTCGTCGTCG" is the name that the emulator gives itself; later versions than 7.2 have lost some of these quirks,
 * and everything here works on a CPU that has none. */
static bool is_qemu(void)
{
	struct cpuid_regs r = cpuid(CPUID_HYPERVISOR, 0);

	return r.ebx == 0x54474354 && r.ecx == 0x43544743 && r.edx == 0x47435447;
}

/* Another Nestling makes a CPU without quirks, but for what it says that it cannot hide. */
static uint32_t unhidden_by_nestling(void)
{
	struct cpuid_regs r = cpuid(CPUID_HYPERVISOR, 0);

	if (r.eax < CPUID_UNHIDDEN || r.ebx != NESTLING_EBX || r.ecx != NESTLING_ECX || r.edx != NESTLING_EDX)
		return 0;
	return cpuid(CPUID_UNHIDDEN, 0).eax;
}

static void detect_below_hypervisor(void)
{
	if (is_qemu()) {
		quirks = QEMU_TCG;
		unhidden = UNHIDDEN_PDPTE_A;
	} else {
		unhidden = unhidden_by_nestling();
	}
}

/* Bochs passes for the CPU that it models; the maker's name in its ACPI tables is all that gives it away. Other
 * emulators and hypervisors use the same firmware, but set CPUID's hypervisor bit. */
static bool is_bochs(void)
{
	static const char name[] = "BOCHS ", signature[] = "RSD PTR ";

	for (uint64_t at = BIOS_START; at < BIOS_END; at += RSDP_ALIGN) {
		const char *rsdp = hpa_ptr(hpa(at));

		if (!memcmp(rsdp, signature, sizeof(signature) - 1))
			return !memcmp(rsdp + RSDP_OEM, name, sizeof(name) - 1);
	}
	return false;
}

void quirk_detect(void)
{
	if (cpuid(CPUID_FEATURES, 0).ecx & CPUID_1_ECX_HYPERVISOR)
		detect_below_hypervisor();
	else
		quirks = is_bochs() ? BOCHS : 0;
	if (!quirks)
		return;
	mark_codes();
	if (quirks & QUIRK_LATE_INTR)
		smp_kick_by_nmi_too();
	klog("svm: this CPU is %s; what it does not honour is made up for (docs/engines.md)",
	     quirks == BOCHS ? "Bochs" : "QEMU's TCG");
}

/* --- wider intercepts --- */

/* Writes of DR0-3, DR5, DR7: see quirk_arm(). */
#define DR_ARMING ((UINT32_C(0xF) | BIT32(5) | BIT32(7)) << 16)

/* #UD: INT1 is one here. CR0: illegal values do not fault, and a change of the upper half or an LMSW that changes
 * nothing is none to the selective intercept. */
void quirk_widen_l0(uint32_t *icpt)
{
	if (!has_quirk(QUIRK_INTERCEPTS))
		return;
	icpt[ICPT_DR] |= DR_ARMING;
	icpt[ICPT_EXCP] |= BIT32(VEC_UD);
	icpt[ICPT_CR] |= BIT32(VMEXIT_CR_WRITE(0) % 32);
}

#define BY_INT (BIT32(VEC_BP) | BIT32(VEC_OF))

/* Does L1 intercept what widen_intercepts() is about? */
static bool is_wider(const uint32_t *icpt12)
{
	return (icpt12[ICPT_MISC2] & ICPT2_RDTSCP) || (icpt12[ICPT_EXCP] & (BY_INT | BIT32(VEC_DF)));
}

static OWN_FRAME void widen_intercepts(uint32_t *icpt, const uint32_t *icpt12)
{
	if (!has_quirk(QUIRK_INTERCEPTS))
		return;
	if (icpt12[ICPT_MISC2] & ICPT2_RDTSCP)
		icpt[ICPT_MISC1] |= ICPT1_RDTSC;
	if (icpt12[ICPT_EXCP] & BY_INT)
		icpt[ICPT_MISC1] |= BIT32(VMEXIT_SWINT % 32);
	if (icpt12[ICPT_EXCP] & BIT32(VEC_DF)) /* merged in software: svm/inject.c */
		icpt[ICPT_EXCP] |= DELIVERY_FAULTS;
}

static void widen_lmsw_rsm(uint32_t *icpt, const uint32_t *icpt12)
{
	if (icpt12[ICPT_MISC1] & ICPT1_CR0_SEL)
		icpt[ICPT_CR] |= BIT32(VMEXIT_CR_WRITE(0) % 32);
	if (icpt12[ICPT_MISC1] & ICPT1_RSM)
		icpt[ICPT_EXCP] |= BIT32(VEC_UD);
}

static bool is_lma_wrong(const struct vmcb_save *s)
{
	bool lma = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);

	return lma != ((s->efer & EFER_LMA) != 0);
}

/* The VMCB was just written: no clean bit is set, and none needs to be cleared. What is rarely so is asked before the
 * quirk that makes it matter. L1 ran until now, or nobody: CR4.OSXSAVE is not hidden. */
void quirk_widen02(struct vcpu *v)
{
	struct vmcb *vmcb02 = v->vmcb02;
	struct vmcb_save *s = &vmcb02->save;

	if (unlikely(is_wider(v->nested.snap.control.intercept)))
		widen_intercepts(vmcb02->control.intercept, v->nested.snap.control.intercept);
	if (has_quirk(QUIRK_LMSW | QUIRK_CR2)) {
		widen_lmsw_rsm(vmcb02->control.intercept, v->nested.snap.control.intercept);
		quirk_load_cr2(v);
	}
	if (unlikely(is_lma_wrong(s)) && has_quirk(QUIRK_LMA))
		s->efer ^= EFER_LMA;
	v->held = 0;
	if (unlikely((s->rflags & RFLAGS_RF) || (vmcb02->control.int_shadow & INT_SHADOW_ACTIVE)))
		quirk_hold(v);
	if (unlikely(vmcb02->control.eventinj & EVENT_V))
		vmcb02->control.eventinj = quirk_event(v, vmcb02->control.eventinj);
	if (s->cr4 & CR4_OSXSAVE)
		quirk_hide_xsave(v);
	quirk_arm_by(v, vmcb02);
}

/* --- breakpoints --- */

/* The emulator arms breakpoints when DR7 is written by an instruction, and disarms them by what DR7 was before. So the
 * host's DR7 always is that of the VMCB in use, but for GD. L0 takes the #DBs that this costs (kernel/trap.c); only where
 * taking one would raise the next, a breakpoint is left out. */
void quirk_rearm(struct vcpu *v)
{
	uint64_t dr7 = v->vmcb->save.dr7 & ~DR7_GD;

	for (unsigned n = 0; n < 4 && (dr7 & DR7_ENABLES); n++)
		if (trap_touches(read_dr(n), sizeof(uint64_t)))
			dr7 &= ~DR7_ENABLE(n);
	if (read_dr7() != dr7)
		write_dr7(dr7);
}

enum resume quirk_address_write(struct vcpu *v, unsigned n)
{
	struct insn insn;

	if (!insn_decode(v, &insn))
		return RESUME_SAME;
	write_dr7(DR7_FIXED); /* nothing is armed until quirk_arm() has seen the new address */
	write_dr(n, vcpu_gpr(v, insn.reg));
	quirk_arm(v);
	return RESUME_NEXT;
}

enum resume quirk_dr7_write(struct vcpu *v)
{
	struct insn insn;

	if (!insn_decode(v, &insn))
		return RESUME_SAME;
	vmcb_set_dr7(v->vmcb, (vcpu_gpr(v, insn.reg) & ~DR7_ZERO & UINT32_MAX) | DR7_FIXED);
	quirk_arm(v);
	return RESUME_NEXT;
}

/* --- what the exit really is --- */

static uint16_t mnemonic_at_rip(struct vcpu *v)
{
	struct insn insn;

	return insn_decode(v, &insn) ? insn.mnemonic : ZYDIS_MNEMONIC_INVALID;
}

/* CLTS never is a selective write, LMSW always, MOV when it changes a bit that counts. */
static bool is_selective_write(struct vcpu *v)
{
	struct insn insn;

	if (!insn_decode(v, &insn) || insn.mnemonic == ZYDIS_MNEMONIC_CLTS)
		return false;
	return !insn.is_mov_cr || ((vcpu_gpr(v, insn.reg) ^ v->vmcb->save.cr0) & CR0_SELECTED);
}

static bool l1_wants(const struct vcpu *v, uint64_t code)
{
	return v->nested.in_l2 && nested_intercepts(&v->nested, code);
}

static uint64_t true_code(struct vcpu *v, uint64_t code)
{
	switch (code) {
	case VMEXIT_RDTSC:
		return mnemonic_at_rip(v) == ZYDIS_MNEMONIC_RDTSCP ? VMEXIT_RDTSCP : code;
	case VMEXIT_WBINVD:
		return mnemonic_at_rip(v) == ZYDIS_MNEMONIC_INVD ? VMEXIT_INVD : code;
	case VMEXIT_EXCP(VEC_UD): {
		uint16_t mnemonic = mnemonic_at_rip(v);

		if (mnemonic == ZYDIS_MNEMONIC_RSM && (l1_wants(v, VMEXIT_RSM) || v->nested.smm.active))
			return VMEXIT_RSM;
		return mnemonic == ZYDIS_MNEMONIC_INT1 ? VMEXIT_ICEBP : code;
	}
	case VMEXIT_SWINT: {
		uint16_t mnemonic = mnemonic_at_rip(v);

		if (mnemonic == ZYDIS_MNEMONIC_INT3)
			return VMEXIT_EXCP(VEC_BP);
		return mnemonic == ZYDIS_MNEMONIC_INTO ? VMEXIT_EXCP(VEC_OF) : code;
	}
	case VMEXIT_CR0_SEL_WRITE:
	case VMEXIT_CR_WRITE(0):
		if (l1_wants(v, VMEXIT_CR_WRITE(0)) || !is_selective_write(v))
			return VMEXIT_CR_WRITE(0);
		return VMEXIT_CR0_SEL_WRITE;
	default:
		return code;
	}
}

/* --- faults that come before the exit --- */

/* Only where L1 gets the exit: L0's own handlers check the value anyway. */
static bool cr_write_faults(struct vcpu *v, uint64_t code, unsigned cr)
{
	struct insn insn;
	uint64_t value;

	if (!l1_wants(v, code) || !insn_decode(v, &insn) || !insn.is_mov_cr)
		return false;
	value = vcpu_gpr(v, insn.reg);
	switch (cr) {
	case 0: return !cr0_is_legal(v, cr_width(v, value));
	case 3: return (cr_width(v, value) & v->nested.caps.phys_mbz) != 0;
	case 4: return !cr4_is_legal(v, cr_width(v, value));
	case 8: return (value & ~V_INTR_TPR) != 0;
	default: return false;
	}
}

static bool dr_write_faults(struct vcpu *v, unsigned dr)
{
	struct insn insn;

	return dr >= 4 && insn_decode(v, &insn) && (cr_width(v, vcpu_gpr(v, insn.reg)) >> 32);
}

/* Access to DR4 and DR5 with CR4.DE, to any with DR7.GD; reserved bits of control registers (APM2 table 15-7). */
static bool fault_comes_first(struct vcpu *v, uint64_t code)
{
	const struct vmcb_save *s = &v->vmcb->save;
	unsigned n = code & 0xF;

	if (code < VMEXIT_CR_WRITE(0))
		return false;
	if (code >= VMEXIT_EXCP(0)) {
		if (code != VMEXIT_CR0_SEL_WRITE || !cr_write_faults(v, code, 0))
			return false;
		vcpu_raise_error(v, VEC_GP, 0);
	} else if (code >= VMEXIT_DR_READ(0) && (n == 4 || n == 5) && (s->cr4 & CR4_DE)) {
		vcpu_raise(v, VEC_UD);
	} else if (code >= VMEXIT_DR_READ(0) && (s->dr7 & DR7_GD)) {
		vmcb_set_dr7(v->vmcb, s->dr7 & ~DR7_GD);
		vcpu_raise_db(v, DR6_BD);
	} else if (code >= VMEXIT_DR_WRITE(0) ? dr_write_faults(v, n) :
		   code < VMEXIT_DR_READ(0) && cr_write_faults(v, code, n)) {
		vcpu_raise_error(v, VEC_GP, 0);
	} else {
		return false;
	}
	return true;
}

/* What has made the #DB: the step, or breakpoints that RIP or, for lack of a better witness, their being armed for data
 * name. DR0 to DR3 are still the guest's. */
static void complete_dr6(struct vcpu *v)
{
	const struct vmcb_save *s = &v->vmcb->save;
	uint64_t address[4] = {read_dr0(), read_dr1(), read_dr2(), read_dr3()}, dr6 = 0;
	uint64_t rip = insn_linear(v, SEGMENT_CS, s->rip);

	if (s->rflags & RFLAGS_TF)
		dr6 |= DR6_BS;
	for (unsigned n = 0; n < ARRAY_COUNT(address) && !dr6; n++)
		if ((s->dr7 & DR7_ENABLE(n)) && (DR7_TYPE(s->dr7, n) != DR7_TYPE_EXEC || address[n] == rip))
			dr6 |= BIT(n);
	vmcb_set_dr6(v->vmcb, s->dr6 | dr6);
}

enum resume quirk_after_exit(struct vcpu *v)
{
	struct vmcb_control *c = &v->vmcb->control;

	quirk_keep_held(v);
	v->event_given = 0;
	if (has_quirk(QUIRK_DB_DR6) && c->exitcode == VMEXIT_EXCP(VEC_DB))
		complete_dr6(v);
	if (v->osxsave_hidden && c->exitcode == VMEXIT_EXCP(VEC_UD) && quirk_hidden_ud(v))
		return RESUME_SAME;
	if (has_quirk(QUIRK_INTERCEPTS | QUIRK_LMSW))
		c->exitcode = true_code(v, c->exitcode);
	if (has_quirk(QUIRK_FAULT_ORDER) && fault_comes_first(v, c->exitcode))
		return RESUME_SAME;
	return RESUME_UNDECIDED;
}
