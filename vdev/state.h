/* SPDX-License-Identifier: MIT */
/* vdev/state.h - the state of every device, as plain values. A struct machine can be copied as a
 * whole: it holds no pointer but the host handle. Only the file named above a struct touches its
 * fields; others go through vdev.h (outside) or devices.h (inside). */
#ifndef VDEV_STATE_H
#define VDEV_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_MAX_VCPUS 16
#define DEADLINE_NONE UINT64_MAX

struct vdev_host;

struct machine_config {
	uint32_t vcpu_count;	  /* 1 .. MACHINE_MAX_VCPUS */
	uint64_t memory_below_4g; /* bytes of RAM that begin at 0 */
	uint64_t memory_above_4g; /* bytes of RAM that begin at 4 GiB */
	uint64_t tsc_khz;	  /* rate of the TSC the guest reads */
	uint64_t boot_seconds;	  /* Unix time when guest time is 0 */
};

/* A set of the 256 vectors; bit n of nonzero says that word[n] has a bit (vlapic.c). */
#define VECTOR_WORDS 8
struct vector_set {
	uint32_t word[VECTOR_WORDS];
	uint32_t nonzero;
};

enum vlapic_lvt {
	LVT_TIMER,
	LVT_THERMAL,
	LVT_PERF,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT,
};

/* Reasons why a vCPU has to look before it runs on. */
#define ATTENTION_IRQ 1u  /* an interrupt may have become deliverable */
#define ATTENTION_NMI 2u  /* an NMI is pending */
#define ATTENTION_INIT 4u /* an INIT is pending */
#define ATTENTION_SMI 16u /* an SMI is pending */
#define ATTENTION_SIPI 8u /* a start-up IPI is pending, to be taken after the INIT */

/* Counter of the local APIC (vlapic_timer.c). */
struct vlapic_timer {
	uint32_t initial;	/* last value written to the initial count register */
	uint32_t divide;	/* divide configuration register */
	uint64_t deadline_ns;	/* when the count reaches zero; DEADLINE_NONE: not counting */
	uint64_t period_ns;	/* of the periodic mode */
	uint64_t tsc_deadline;	/* IA32_TSC_DEADLINE; 0: not armed */
};

/* Local APIC of one vCPU (vlapic.c, vlapic_ipi.c). */
struct vlapic {
	uint32_t attention; /* ATTENTION_* */
	uint32_t id;	    /* APIC ID, equal to the vCPU's number */
	uint64_t base;	    /* APIC_BASE MSR */
	struct vector_set irr, isr, tmr;
	uint32_t tpr, ldr, dfr, svr, rrd;
	uint32_t esr;	      /* as the guest reads it */
	uint32_t esr_pending; /* collected since the last write to ESR */
	uint64_t icr;
	uint32_t lvt[LVT_COUNT];
	struct vlapic_timer timer;
	bool wait_sipi; /* after INIT: the next start-up IPI is accepted */
	uint8_t sipi_vector;
};

#define VIOAPIC_PINS 24
/* I/O APIC (vioapic.c). */
struct vioapic {
	uint32_t id;
	uint32_t select; /* index register */
	uint32_t level;	 /* input pins that are high */
	uint64_t redirect[VIOAPIC_PINS];
};

/* One 8259A (vpic.c). */
struct vpic_chip {
	uint8_t irr, isr, imr;
	uint8_t level;	     /* inputs that are high */
	uint8_t elcr;	     /* level-triggered inputs */
	uint8_t base;	     /* vector of input 0 */
	uint8_t lowest;	     /* input of lowest priority, moved by rotation */
	uint8_t init_step;   /* initialization word expected next; 0: none */
	uint8_t icw1;	     /* tells which initialization words come */
	bool auto_eoi, rotate_auto_eoi, special_mask, special_nested;
	bool read_isr, poll; /* what the next read of the command port answers */
};

struct vpic {
	struct vpic_chip chip[2]; /* master, slave at the master's input 2 */
	bool intr;		  /* output of the master */
};

#define VPIT_CHANNELS 3
/* One counter of the 8254 (vpit.c). PIT ticks are counted from guest time 0. */
struct vpit_channel {
	uint8_t control;	 /* mode and access bits of the last control word */
	bool gate, counting;
	bool write_high, read_high; /* the high byte comes next */
	bool count_latched, status_latched;
	bool null_count;	 /* a control word was written, a count not yet */
	uint8_t write_low, status_latch;
	uint16_t count_latch;
	uint32_t reload;	 /* 1 .. 65536 */
	uint64_t start;		 /* tick at which counting began */
	uint64_t elapsed;	 /* ticks counted when the gate stopped it */
};

struct vpit {
	struct vpit_channel channel[VPIT_CHANNELS];
	uint64_t next_tick;   /* next interrupt of channel 0 */
	uint64_t deadline_ns; /* the same in guest time */
	bool speaker;	      /* data bit of port 0x61 */
	bool refresh;	      /* toggles at each read of port 0x61 */
};

#define CMOS_BYTES 128
/* MC146818 clock and CMOS memory (vrtc.c). */
struct vrtc {
	uint8_t index;
	uint8_t cmos[CMOS_BYTES]; /* the time registers are valid only while register B says SET */
	int64_t offset_seconds;	  /* Unix time shown, minus guest time */
	uint64_t seen_second;	  /* guest second up to which updates are accounted for */
	uint64_t seen_period;	  /* the same for the periodic interrupt */
	uint64_t deadline_ns;
};

#define VUART_RING 4096
/* 16550A at COM1 (vuart.c). */
struct vuart {
	uint8_t ier, fcr, lcr, mcr, scratch;
	uint8_t dll, dlm;
	uint8_t errors;	      /* LSR error bits, cleared by reading LSR */
	bool thre_pending;    /* transmitter-empty interrupt */
	uint64_t sent_ns;     /* when the last byte would have left the line: until then it waits */
	uint64_t deadline_ns;
	uint32_t rx_first, rx_count;
	uint8_t rx[VUART_RING]; /* what fits the FIFO is in it, the rest waits on the line */
};

/* ACPI fixed hardware: PM1 event and control block, PM timer (vpm.c). */
struct vpm {
	uint16_t status, enable, control;
	uint64_t seen_half; /* half turns of the timer accounted for */
	uint64_t deadline_ns;
};

/* PCI configuration mechanism 1 with no device behind it (vpci.c). */
struct vpci {
	uint32_t address;
};

/* Reset control register 0xCF9 (vreset.c). */
struct vreset {
	uint8_t control;
};

/* QEMU's configuration device, the few keys that test kernels read (vfwcfg.c). */
struct vfwcfg {
	uint16_t key;
	uint32_t offset;
};

struct machine {
	struct vdev_host *host;
	struct machine_config config;
	uint64_t ns_per_tsc; /* fixed point, 32 fractional bits */
	uint64_t deadline_ns; /* the earliest of the devices that belong to no vCPU */
	struct vlapic lapic[MACHINE_MAX_VCPUS];
	struct vioapic ioapic;
	struct vpic pic;
	struct vpit pit;
	struct vrtc rtc;
	struct vuart uart;
	struct vpm pm;
	struct vpci pci;
	struct vreset reset;
	struct vfwcfg fwcfg;
};

#endif
