/* SPDX-License-Identifier: MIT */
/* svm/exit_invalid_hw.c - the CPU says INVALID. Either it refused our own VMCB: a defect of ours, reported, and in L2 a
 * gap in our consistency checks, counted and passed on. Or, on QEMU 7.2, the guest ran and wrote reserved bits of CR3:
 * that emulator then leaves the guest with INVALID instead of raising #GP (docs/engines.md). The two are told apart by
 * RIP: a refused VMRUN saves the host's registers, so RIP is at or behind our VMRUN.
 * Manual: APM2 15.5.1. Next: nowhere, on purpose. */
#include <amd/cpu.h>
#include <amd/exitcode.h>

#include "kernel/log.h"
#include "svm/exit.h"
#include "svm/once.h"
#include "svm/quirk.h"

extern const char svm_vmrun_return[];

#define VMRUN_BYTES 3

static bool guest_was_running(const struct vcpu *v)
{
	uint64_t behind = (uint64_t)(uintptr_t)svm_vmrun_return;

	return has_quirk(QUIRK_FAULT_ORDER) && v->vmcb->save.rip != behind && v->vmcb->save.rip != behind - VMRUN_BYTES;
}

enum resume exit_invalid_hw(struct vcpu *v)
{
	if (guest_was_running(v)) {
		if (v->once.on)
			once_end(v);
		vcpu_raise_error(v, VEC_GP, 0);
		return RESUME_SAME;
	}
	if (!v->nested.in_l2) {
		l1_end(v->l1, "vCPU %u: the CPU refused VMCB01, a defect of Nestling", v->index);
		return RESUME_STOP;
	}
	v->nested.check_gap_count++;
	klog("check gap: the CPU refused a VMCB02 that our checks accepted (%s vCPU %u)", v->l1->name, v->index);
	glue_restore_l2_state(v);
	v->vmcb02->control.tlb_control = TLB_CONTROL_ALL; /* the flush that it was entered with may not have been */
	glue_exit_to_l1(v, VMEXIT_INVALID, 0, 0);
	return RESUME_SAME;
}
