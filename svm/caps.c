/* SPDX-License-Identifier: MIT */
/* svm/caps.c - what an L1 is offered. CPUID by allow-list: a feature reaches L1 only when it is named here and the
 * CPU has it, or when software makes it (x2APIC, TSC deadline, parts of SVM). Every bit named here has its row in
 * docs/features.md. Manual: APM3 appendix E (CPUID); APM2 15.30. */
#include <amd/cpu.h>
#include <amd/cpuid.h>

#include "kernel/cpu_insn.h"
#include "svm/caps.h"
#include "svm/config.h"
#include "svm/exit.h"
#include "svm/enable.h"
#include "svm/features.h"
#include "svm/pvclock.h"
#include "svm/quirk.h"

/* SSE3 PCLMUL SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define ALLOW_1_ECX 0x76DA3203u
/* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 HTT */
#define ALLOW_1_EDX 0x178BFBFFu
/* FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID RDSEED ADX SMAP CLFLUSHOPT CLWB SHA */
#define ALLOW_7_EBX 0x219C07A9u
/* UMIP VAES VPCLMULQDQ RDPID; no PKU: the emulator of device accesses knows no protection keys */
#define ALLOW_7_ECX 0x00400604u
#define ALLOW_7_EDX 0x00000010u /* FSRM */
/* XSAVEOPT XSAVEC XGETBV1; XSAVES would need a managed IA32_XSS */
#define ALLOW_D1_EAX 0x00000007u
/* LAHF CMPLEGACY SVM CR8 ABM SSE4A MISALIGNSSE PREFETCH TBM */
#define ALLOW_81_ECX 0x002001F7u
/* as leaf 1, and SYSCALL NX MMXEXT FFXSR 1GB RDTSCP LM */
#define ALLOW_81_EDX 0x2FD3FBFFu
#define ALLOW_87_EDX 0x00000100u /* invariant TSC */
/* CLZERO XSAVEERPTR WBNOINVD */
#define ALLOW_88_EBX 0x00000205u

#define CPUID_MAX CPUID_XSTATE
#define CPUID_MAX_EXT CPUID_EXT2
#define LINEAR_BITS 48u /* LA57 is not offered */

uint64_t caps_svm_features(const struct l1 *l1)
{
	return l1->nested ? svm_features_offered(l1->config->svm_off, svm_hw_features()) : 0;
}

uint64_t caps_xcr0(void)
{
	struct cpuid_regs r = cpuid(CPUID_XSTATE, 0);
	uint64_t hw = (uint64_t)r.edx << 32 | r.eax;

	return hw & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
}

static struct cpuid_regs leaf_1(const struct vcpu *v)
{
	struct cpuid_regs r = cpuid(CPUID_FEATURES, 0);

	r.ebx = (r.ebx & 0xFF00) | v->l1->vcpu_count << 16 | v->index << 24;
	r.ecx = (r.ecx & ALLOW_1_ECX) | CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE | CPUID_1_ECX_HYPERVISOR;
	if ((v->vmcb->save.cr4 & CR4_OSXSAVE) || v->osxsave_hidden)
		r.ecx |= CPUID_1_ECX_OSXSAVE;
	else
		r.ecx &= ~CPUID_1_ECX_OSXSAVE;
	r.edx &= ALLOW_1_EDX;
	if (!machine_apic_enabled(&v->l1->machine, v->index))
		r.edx &= ~CPUID_1_EDX_APIC;
	return r;
}

static struct cpuid_regs leaf_7(uint32_t subleaf)
{
	struct cpuid_regs r = cpuid(CPUID_STRUCTURED, 0);

	if (subleaf)
		return (struct cpuid_regs){0};
	r.eax = 0;
	r.ebx &= ALLOW_7_EBX;
	r.ecx &= ALLOW_7_ECX;
	r.edx &= ALLOW_7_EDX;
	return r;
}

/* Sizes come from the CPU, which has the guest's XCR0 loaded. */
static struct cpuid_regs leaf_d(uint32_t subleaf)
{
	struct cpuid_regs r = cpuid(CPUID_XSTATE, subleaf);

	if (subleaf == 0) {
		r.eax = (uint32_t)caps_xcr0();
		r.edx = 0;
	} else if (subleaf == 1) {
		r = (struct cpuid_regs){.eax = r.eax & ALLOW_D1_EAX, .ebx = r.ebx};
	} else if (subleaf > 63 || !(caps_xcr0() & BIT(subleaf))) {
		r = (struct cpuid_regs){0};
	}
	return r;
}

static struct cpuid_regs leaf_ext_features(const struct vcpu *v)
{
	struct cpuid_regs r = cpuid(CPUID_EXT_FEATURES, 0);

	r.ecx &= ALLOW_81_ECX;
	if (!v->l1->nested)
		r.ecx &= ~CPUID_81_ECX_SVM;
	if (v->l1->vcpu_count == 1)
		r.ecx &= ~BIT32(1); /* CmpLegacy: more than one core */
	r.edx &= ALLOW_81_EDX;
	return r;
}

static struct cpuid_regs leaf_sizes(const struct vcpu *v)
{
	struct cpuid_regs r = cpuid(CPUID_EXT_SIZES, 0);

	r.eax = (r.eax & 0xFF) | LINEAR_BITS << 8;
	r.ebx &= ALLOW_88_EBX;
	r.ecx = v->l1->vcpu_count - 1;
	r.edx = 0;
	return r;
}

static struct cpuid_regs leaf_svm(const struct vcpu *v)
{
	if (!v->l1->nested)
		return (struct cpuid_regs){0};
	return (struct cpuid_regs){.eax = 1, .ebx = L1_ASID_COUNT, .edx = v->nested.caps.features};
}

static struct cpuid_regs leaf_ext2(const struct vcpu *v)
{
	struct cpuid_regs r = cpuid(CPUID_EXT2, 0);

	if (!v->nested.caps.eraps)
		return (struct cpuid_regs){0};
	return (struct cpuid_regs){.eax = r.eax & CPUID_21_EAX_ERAPS, .ebx = r.ebx & CPUID_21_EBX_RAP_SIZE};
}

static struct cpuid_regs leaf_max(uint32_t leaf, uint32_t limit)
{
	struct cpuid_regs r = cpuid(leaf, 0);

	if (r.eax > limit)
		r.eax = limit;
	return r;
}

static struct cpuid_regs cpuid_of(const struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
	switch (leaf) {
	case CPUID_VENDOR:
		return leaf_max(leaf, CPUID_MAX);
	case CPUID_FEATURES:
		return leaf_1(v);
	case CPUID_STRUCTURED:
		return leaf_7(subleaf);
	case CPUID_XSTATE:
		return leaf_d(subleaf);
	case CPUID_HYPERVISOR:
		return (struct cpuid_regs){
			.eax = CPUID_UNHIDDEN, .ebx = NESTLING_EBX, .ecx = NESTLING_ECX, .edx = NESTLING_EDX};
	case CPUID_UNHIDDEN:
		return (struct cpuid_regs){.eax = unhidden};
	case CPUID_PVCLOCK: /* "KVMKVMKVM": whose clock ABI it is */
		return (struct cpuid_regs){
			.eax = CPUID_PVCLOCK_FEATURES, .ebx = 0x4B4D564B, .ecx = 0x564B4D56, .edx = 0x4D};
	case CPUID_PVCLOCK_FEATURES:
		return (struct cpuid_regs){.eax = PVCLOCK_FEATURES};
	case CPUID_EXT_MAX:
		return leaf_max(leaf, CPUID_MAX_EXT);
	case CPUID_EXT_FEATURES:
		return leaf_ext_features(v);
	case CPUID_EXT_APM:
		return (struct cpuid_regs){.edx = cpuid(leaf, 0).edx & ALLOW_87_EDX};
	case CPUID_EXT_SIZES:
		return leaf_sizes(v);
	case CPUID_SVM:
		return leaf_svm(v);
	case CPUID_EXT2:
		return leaf_ext2(v);
	case 0x80000002: /* name, caches, TLBs: descriptions without a feature in them */
	case 0x80000003:
	case 0x80000004:
	case 0x80000005:
	case 0x80000006:
	case 0x80000019:
		return cpuid(leaf, 0);
	default:
		return (struct cpuid_regs){0};
	}
}

/* CPUID of L1, and of L2 where L1 does not intercept it. */
enum resume exit_cpuid(struct vcpu *v)
{
	struct vmcb_save *s = &v->vmcb->save;
	struct cpuid_regs r = cpuid_of(v, (uint32_t)s->rax, (uint32_t)v->regs[GPR_RCX]);

	s->rax = r.eax;
	v->regs[GPR_RBX] = r.ebx;
	v->regs[GPR_RCX] = r.ecx;
	v->regs[GPR_RDX] = r.edx;
	return exit_done_first(v);
}

/* --- reserved bits that follow --- */

static uint64_t cr4_offered(void)
{
	struct cpuid_regs one = cpuid(CPUID_FEATURES, 0), seven = cpuid(CPUID_STRUCTURED, 0);
	uint64_t cr4 = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
		       CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (one.ecx & CPUID_1_ECX_XSAVE)
		cr4 |= CR4_OSXSAVE;
	if (one.ecx & CPUID_1_ECX_PCID)
		cr4 |= CR4_PCIDE;
	if (seven.ebx & CPUID_7_EBX_FSGSBASE)
		cr4 |= CR4_FSGSBASE;
	if (seven.ebx & CPUID_7_EBX_SMEP)
		cr4 |= CR4_SMEP;
	if (seven.ebx & CPUID_7_EBX_SMAP)
		cr4 |= CR4_SMAP;
	if (seven.ecx & CPUID_7_ECX_UMIP)
		cr4 |= CR4_UMIP;
	return cr4;
}

static uint64_t efer_offered(const struct l1 *l1)
{
	uint32_t edx = cpuid(CPUID_EXT_FEATURES, 0).edx;
	uint64_t efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

	if (edx & CPUID_81_EDX_FFXSR)
		efer |= EFER_FFXSR;
	if (l1->nested)
		efer |= EFER_SVME;
	return efer;
}

/* Intercept bits that mean something with what this L1 is offered; others are ignored (svm-facts R8). */
static void known_intercepts(uint32_t *icpt)
{
	struct cpuid_regs seven = cpuid(CPUID_STRUCTURED, 0);

	icpt[ICPT_CR] = UINT32_MAX;
	icpt[ICPT_DR] = UINT32_MAX;
	icpt[ICPT_EXCP] = UINT32_MAX;
	icpt[ICPT_MISC1] = UINT32_MAX;
	icpt[ICPT_MISC2] = ICPT2_VMRUN | ICPT2_VMMCALL | ICPT2_VMLOAD | ICPT2_VMSAVE | ICPT2_STGI | ICPT2_CLGI |
			   ICPT2_RDTSCP | ICPT2_ICEBP | ICPT2_WBINVD | ICPT2_XSETBV;
	icpt[ICPT_MISC3] = seven.ebx & CPUID_7_EBX_INVPCID ? ICPT3_INVPCID : 0;
}

/* A CPU that marks PDPTEs accessed leaves a bit in L1's tables that the manual reserves. */
static uint64_t pdpte_mbz(uint64_t phys_mbz)
{
	return (PDPTE_MBZ | phys_mbz) & ~(unhidden & UNHIDDEN_PDPTE_A ? PTE_A : 0);
}

void caps_build(struct nested_caps *caps, const struct l1 *l1)
{
	uint64_t phys_mbz = ~(BIT(svm_cpu()->phys_bits) - 1);

	*caps = (struct nested_caps){
		.features = (uint32_t)caps_svm_features(l1),
		.asid_count = L1_ASID_COUNT,
		.phys_mbz = phys_mbz,
		.pdpte_mbz = pdpte_mbz(phys_mbz),
		.cr4_mbz = ~cr4_offered(),
		.efer_mbz = ~efer_offered(l1),
		.pages_1g = (cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID_81_EDX_PAGE1GB) != 0,
		.hw_flush_by_asid = (svm_cpu()->features & SVM_FEAT_FLUSH_BY_ASID) != 0,
		.eraps = (caps_svm_features(l1) & SVM_FEAT_ERAPS) != 0,
		.hw_lbr = (svm_cpu()->features & SVM_FEAT_LBR_VIRT) && !has_quirk(QUIRK_LBR),
		.hw_tsc_ratio = (svm_cpu()->features & SVM_FEAT_TSC_RATIO) != 0,
		.hw_pause_threshold = (svm_cpu()->features & SVM_FEAT_PAUSE_THRESHOLD) != 0,
	};
	known_intercepts(caps->intercepts);
}
