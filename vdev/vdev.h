/* SPDX-License-Identifier: MIT */
/* vdev/vdev.h - the devices of one L1 guest, as the rest of Nestling sees them.
 * The caller serializes all calls for one machine (one lock in svm/); machine_wants_attention()
 * alone may be asked without it. What the devices need in turn is in port.h. */
#ifndef VDEV_H
#define VDEV_H

#include "state.h"

enum vcpu_signal {
	VCPU_SIGNAL_NONE = 1,
	VCPU_SIGNAL_INIT,
	VCPU_SIGNAL_SIPI,
};

/* --- life --- */

/* As firmware would hand it over: vCPU 0 runs, the others wait for a start-up IPI. */
void machine_init(struct machine *m, const struct machine_config *config, struct vdev_host *host);

/* INIT: local APIC registers back to reset values; APIC_BASE and a pending SIPI stay. */
void machine_vcpu_reset(struct machine *m, unsigned vcpu);

/* --- time --- */

/* Guest time in ns at which machine_tick() has something to do; DEADLINE_NONE if nothing will come.
 * vCPU 0 also answers for the devices that belong to no vCPU. */
uint64_t machine_next_deadline(const struct machine *m, unsigned vcpu);
void machine_tick(struct machine *m, unsigned vcpu);

/* --- accesses of the guest --- */

/* size is 1, 2 or 4; what no device claims reads as all ones and is not written. */
uint32_t machine_io_read(struct machine *m, unsigned vcpu, uint16_t port, unsigned size);
void machine_io_write(struct machine *m, unsigned vcpu, uint16_t port, uint32_t value, unsigned size);

/* size is 1, 2, 4 or 8. */
bool machine_mmio_claims(const struct machine *m, uint64_t gpa);
uint64_t machine_mmio_read(struct machine *m, unsigned vcpu, uint64_t gpa, unsigned size);
void machine_mmio_write(struct machine *m, unsigned vcpu, uint64_t gpa, uint64_t value, unsigned size);

/* APIC_BASE (0x1B) and the x2APIC registers (0x800-0x8FF); false: #GP. */
bool machine_apic_msr_read(struct machine *m, unsigned vcpu, uint32_t msr, uint64_t *value);
bool machine_apic_msr_write(struct machine *m, unsigned vcpu, uint32_t msr, uint64_t value);

/* IA32_TSC_DEADLINE (0x6E0). guest_tsc is what RDTSC would tell this vCPU now. */
uint64_t machine_tsc_deadline_read(const struct machine *m, unsigned vcpu);
void machine_tsc_deadline_write(struct machine *m, unsigned vcpu, uint64_t value,
				uint64_t guest_tsc);

/* CR8: the upper four bits of the task priority. */
uint8_t machine_tpr_get(const struct machine *m, unsigned vcpu);
void machine_tpr_set(struct machine *m, unsigned vcpu, uint8_t cr8);

/* --- events for a vCPU --- */

/* May one of the questions below have a new answer? Never falsely no. */
static inline bool machine_wants_attention(const struct machine *m, unsigned vcpu)
{
	return __atomic_load_n(&m->lapic[vcpu].attention, __ATOMIC_RELAXED) != 0;
}

/* Does CPUID show an APIC (Fn0000_0001 EDX.9)? It goes away while APIC_BASE disables it. */
static inline bool machine_apic_enabled(const struct machine *m, unsigned vcpu)
{
	return (m->lapic[vcpu].base & (UINT64_C(1) << 11)) != 0;
}

/* Vector that would be taken now if the vCPU had interrupts enabled; -1: none. */
int machine_irq_pending(struct machine *m, unsigned vcpu);
/* Takes it. Only after machine_irq_pending() said so, under the same hold of the lock. */
uint8_t machine_irq_ack(struct machine *m, unsigned vcpu);

bool machine_nmi_take(struct machine *m, unsigned vcpu);
/* An SMI stays pending until it is taken or dismissed. */
bool machine_smi_pending(const struct machine *m, unsigned vcpu);
void machine_smi_drop(struct machine *m, unsigned vcpu);
/* INIT comes before a SIPI. On INIT the caller resets the vCPU and calls machine_vcpu_reset(). */
enum vcpu_signal machine_signal_take(struct machine *m, unsigned vcpu, uint8_t *sipi_vector);

/* --- console --- */

/* A byte typed at the guest's COM1. */
void machine_console_in(struct machine *m, uint8_t byte);
/* How many bytes can be typed before one is lost. */
uint32_t machine_console_room(const struct machine *m);

/* --- ACPI tables (vacpi.c) --- */

#define VACPI_ROM_GPA UINT64_C(0xE0000)
#define VACPI_ROM_SIZE UINT64_C(0x20000)

/* Fills rom, which the guest will see at gpa, and returns the bytes used; the RSDP comes first.
 * gpa is 64-byte aligned and below 4 GiB. 0: the buffer is smaller than 4 KiB. */
size_t vacpi_build(uint8_t *rom, size_t size, uint64_t gpa, const struct machine_config *config);

#endif
