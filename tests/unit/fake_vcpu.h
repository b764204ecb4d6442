/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_vcpu.h - a vCPU whose L1 has memory and one device, and records of what was done to it.
 * Stands in for svm/inject.c, svm/l1.c, svm/nested_glue.c, svm/vcpu.c, svm/enable.c,
 * svm/live_segment.c and vdev/. */
#ifndef FAKE_VCPU_H
#define FAKE_VCPU_H

#include "svm/decode.h"

#define FAKE_RAM MIB(4)
#define FAKE_HIGH MIB(1)          /* at 4 GiB */
#define FAKE_DEVICE UINT64_C(0xFEE00000)
#define FAKE_DEVICE_SIZE PAGE_SIZE
#define FAKE_PORT 0x1F0

/* #VMEXIT(NPF) to L1. */
struct fake_npf {
	uint64_t info1, info2;
	unsigned count;
};

struct fake {
	struct vcpu v;
	struct l1 l1;
	struct vmcb vmcb;
	struct pending_excp raised;
	struct fake_npf to_l1;
	char ended[L1_REASON_MAX]; /* empty: goes on */
	uint8_t device[FAKE_DEVICE_SIZE];
	unsigned mmio_reads, mmio_writes, mmio_last_size;
	uint64_t mmio_last_at;
	uint8_t port_bytes[256];    /* written to, or read from, FAKE_PORT */
	unsigned port_count, port_size;
	unsigned rearmed;
	uint64_t fs_base, gs_base;
	/* NPT12: L2-physical + npt12_offset is L1-physical; accesses to npt12_refused's page fail with npt12_error. */
	uint64_t npt12_offset, npt12_refused, npt12_error;
	unsigned rested_on; /* walks that npt02.c was told of */
	unsigned npt12_walks[2]; /* reads, writes */
};

extern struct fake fake;

/* Everything as after reset: real mode, RAM zero. */
void fake_setup(void);
/* The same, but RAM keeps what it has. */
void fake_reset(void);
/* RAM at an L1-physical address. */
void *fake_ram(uint64_t at);
/* 64-bit code at CPL 0 with paging on, CR3 = root. */
void fake_long_mode(uint64_t root);
/* 16 or 32-bit protected mode without paging, flat segments. */
void fake_protected_mode(unsigned bits);
/* 64-bit code on tables at `root` that map the first 4 GiB one to one, with 1 GiB pages. */
void fake_identity(uint64_t root);
/* Puts an instruction at RIP = FAKE_RIP. */
#define FAKE_RIP UINT64_C(0x10000)
void fake_code(const void *bytes, unsigned count);

#endif
