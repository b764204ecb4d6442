/* SPDX-License-Identifier: MIT */
/* svm/enable.c - finds out whether this CPU can run guests, says in one line what to do when it cannot, and switches
 * SVM on, per CPU. Manual: APM2 15.4 (Enabling SVM), 15.30 (SVM Related MSRs). Next: vcpu.c. */
#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/msr.h>

#include "kernel/cpu_insn.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/pmm.h"
#include "svm/enable.h"
#include "svm/features.h"
#include "svm/quirk.h"

struct svm_cpu svm_this_cpu;

/* What firmware may have left in it is nobody's; a CPU that has it not refuses. */
static bool debugctl_clear(void)
{
	uint64_t value;

	return wrmsr_safe(MSR_DEBUGCTL, 0) && rdmsr_safe(MSR_DEBUGCTL, &value) && value == 0;
}

static bool vendor_has_svm(void)
{
	struct cpuid_regs r = cpuid(CPUID_VENDOR, 0);

	return (r.ebx == 0x68747541 && r.edx == 0x69746E65 && r.ecx == 0x444D4163) || /* AuthenticAMD */
	       (r.ebx == 0x6F677948 && r.edx == 0x6E65476E && r.ecx == 0x656E6975);   /* HygonGenuine */
}

void svm_check_cpu(void)
{
	const char *refusal;
	char names[200];
	struct cpuid_regs r;
	uint64_t vm_cr = 0;

	if (!vendor_has_svm())
		fatal("this CPU is not from AMD (or Hygon); Nestling runs on AMD CPUs only");
	if (cpuid(CPUID_EXT_MAX, 0).eax < CPUID_SVM || !(cpuid(CPUID_EXT_FEATURES, 0).ecx & CPUID_81_ECX_SVM))
		fatal("this CPU has no SVM; use a CPU with AMD-V (in QEMU: -cpu max or -cpu EPYC,+svm)");
	r = cpuid(CPUID_SVM, 0);
	svm_this_cpu.features = r.edx;
	if (cpuid(CPUID_EXT_MAX, 0).eax >= CPUID_EXT2)
		svm_this_cpu.eraps = (cpuid(CPUID_EXT2, 0).eax & CPUID_21_EAX_ERAPS) != 0;
	svm_this_cpu.asid_count = r.ebx;
	svm_this_cpu.phys_bits = (uint8_t)cpuid(CPUID_EXT_SIZES, 0).eax;
	svm_this_cpu.has_ibpb = (cpuid(CPUID_EXT_SIZES, 0).ebx & CPUID_88_EBX_IBPB) != 0;
	svm_this_cpu.has_la57 = (cpuid(CPUID_STRUCTURED, 0).ecx & CPUID_7_ECX_LA57) != 0;
	svm_this_cpu.debugctl_is_0 = debugctl_clear();
	rdmsr_safe(MSR_VM_CR, &vm_cr); /* no such register: nothing is disabled */
	refusal = svm_refusal(&svm_this_cpu, vm_cr);
	if (refusal)
		fatal("%s", refusal);
	svm_features_list(names, sizeof(names), svm_hw_features());
	klog("svm: revision %u, %u ASIDs, features %08x%s", r.eax & 0xFF, svm_this_cpu.asid_count, r.edx, names);
	quirk_detect();
}

void svm_enable_this_cpu(void)
{
	hpa_t save_area = pmm_alloc(PAGE_SIZE, PAGE_SIZE);

	if (!save_area.a)
		fatal("no memory for a host save area; give the machine more memory");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME | EFER_NXE);
	wrmsr(MSR_VM_HSAVE_PA, save_area.a);
	debugctl_clear();
}
