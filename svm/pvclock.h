/* SPDX-License-Identifier: MIT */
/* svm/pvclock.h - the paravirtual clock: tells an L1 how fast its TSC is, without measuring. */
#ifndef SVM_PVCLOCK_H
#define SVM_PVCLOCK_H

#include "svm/vcpu.h"

/* CPUID range of its own, behind ours; the ABI that Linux, the BSDs and Windows drivers know as KVM's. */
#define CPUID_PVCLOCK 0x40000100u
#define CPUID_PVCLOCK_FEATURES 0x40000101u
#define PVCLOCK_FEATURES 0x0100000Au /* no I/O delay needed, new clock MSRs, clock stable across vCPUs */

#define MSR_PV_WALL_CLOCK 0x4B564D00u
#define MSR_PV_SYSTEM_TIME 0x4B564D01u

/* WRMSR: the address of the guest's time page, bit 0 of MSR_PV_SYSTEM_TIME switching it on. */
void pvclock_write_wall_clock(struct vcpu *v, uint64_t value);
void pvclock_write_system_time(struct vcpu *v, uint64_t value);
/* After the guest's TSC was moved. */
void pvclock_update(struct vcpu *v);

#endif
