/* SPDX-License-Identifier: MIT */
/* vdev/devices.h - what the devices of one machine ask of each other, and what bus.c, vcpu.c and
 * machine.c ask of them. Not for other folders: those include vdev.h. */
#ifndef VDEV_DEVICES_H
#define VDEV_DEVICES_H

#include <bits.h>
#include "port.h"
#include "vdev.h"

/* ISA interrupt lines. */
enum isa_irq {
	IRQ_PIT = 0,
	IRQ_COM1 = 4,
	IRQ_RTC = 8,
	IRQ_SCI = 9,
};

/* Interrupt messages between APICs; the numbers are those of the ICR and of LVT entries. */
enum apic_mode {
	APIC_MODE_FIXED = 0,
	APIC_MODE_LOWEST = 1,
	APIC_MODE_SMI = 2,
	APIC_MODE_REMOTE_READ = 3,
	APIC_MODE_NMI = 4,
	APIC_MODE_INIT = 5,
	APIC_MODE_SIPI = 6,
	APIC_MODE_EXTINT = 7,
};

#define APIC_DEST_ALL UINT32_MAX

struct apic_message {
	uint32_t dest; /* APIC ID, logical set, or APIC_DEST_ALL */
	uint8_t vector;
	enum apic_mode mode;
	bool logical, level;
};

/* Guest time as ticks of another clock; rate is Hz * 2^64 / 10^9, rounded down. */
static inline uint64_t clock_ticks(uint64_t ns, uint64_t rate)
{
	return (uint64_t)((unsigned __int128)ns * rate >> 64);
}

/* A time at which clock_ticks() certainly says at least ticks, by rounding up: ns_per_tick is
 * 10^9 * 2^32 / Hz, plus one where that is a whole number. Late by less than 2 us in a month. */
static inline uint64_t clock_to_ns(uint64_t ticks, uint64_t ns_per_tick)
{
	return (uint64_t)((unsigned __int128)ticks * ns_per_tick >> 32) + 1;
}

static inline uint64_t machine_now_ns(const struct machine *m)
{
	return vdev_port_now_ns(m->host);
}

/* machine.c: drives an ISA line, which ends at both interrupt controllers. */
void machine_irq_line(struct machine *m, enum isa_irq irq, bool high);
/* Sets the deadline of a device that belongs to no vCPU: deadline_ns points at it. */
void machine_set_deadline(struct machine *m, uint64_t *deadline_ns, uint64_t at);
/* vCPU 0 serves the deadlines of the devices; it must hear of a new one. */
void machine_deadline_changed(struct machine *m);

/* vlapic.c */
void vlapic_init(struct machine *m, unsigned vcpu);
void vlapic_reset(struct machine *m, unsigned vcpu);
uint32_t vlapic_mmio_read(struct machine *m, unsigned vcpu, uint32_t offset);
void vlapic_mmio_write(struct machine *m, unsigned vcpu, uint32_t offset, uint32_t value);
/* The PIC's output, which is wired to LINT0 of vCPU 0, changed. */
void vlapic_pic_output(struct machine *m, bool high);

/* vlapic_ipi.c */
void vlapic_send(struct machine *m, const struct apic_message *msg);

/* vlapic_timer.c */
void vlapic_timer_tick(struct machine *m, unsigned vcpu);

/* vioapic.c */
void vioapic_init(struct machine *m);
void vioapic_set_pin(struct machine *m, unsigned pin, bool high);
void vioapic_eoi(struct machine *m, uint8_t vector);
bool vioapic_passes_pic(const struct machine *m);
uint32_t vioapic_mmio_read(struct machine *m, uint32_t offset);
void vioapic_mmio_write(struct machine *m, uint32_t offset, uint32_t value);

/* vpic.c */
void vpic_init(struct machine *m);
void vpic_set_input(struct machine *m, unsigned input, bool high);
uint8_t vpic_peek(const struct machine *m);
uint8_t vpic_acknowledge(struct machine *m);

/* Port handlers. bus.c calls them with accesses no wider than its table says. */
#define PORT_DEVICE(name)                                                                          \
	uint32_t name##_read(struct machine *m, uint16_t port, unsigned size);                     \
	void name##_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)

PORT_DEVICE(vpic);
PORT_DEVICE(vpic_elcr);
PORT_DEVICE(vpit);
PORT_DEVICE(vpit_control_b);
PORT_DEVICE(vrtc);
PORT_DEVICE(vuart);
PORT_DEVICE(vpm_event);
PORT_DEVICE(vpm_control);
PORT_DEVICE(vpm_timer);
PORT_DEVICE(vpci);
PORT_DEVICE(vfwcfg);
PORT_DEVICE(vreset_control);
PORT_DEVICE(vreset_keyboard);
PORT_DEVICE(vreset_fast);
PORT_DEVICE(vreset_debug_exit);

void vpit_init(struct machine *m);
void vpit_tick(struct machine *m);
void vrtc_init(struct machine *m);
void vrtc_tick(struct machine *m);
void vuart_init(struct machine *m);
void vuart_tick(struct machine *m);
void vpm_init(struct machine *m);
void vpm_tick(struct machine *m);

#endif
