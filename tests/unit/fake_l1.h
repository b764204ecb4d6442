/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_l1.h - an L1 made of malloc'ed memory: nested/port.h for host tests, and a way to write nested page
 * tables into that memory. L1 address 0 is RAM; beyond its end and in holes there is nothing. */
#ifndef FAKE_L1_H
#define FAKE_L1_H

#include "nested/port.h"
#include "nested/walk12.h"

#define FAKE_L1_HOLES 4

struct port {
	uint8_t *ram; /* L1-physical 0; 1 GiB aligned */
	uint64_t ram_size;
	uint64_t page_size; /* what port_l1_hpa() reports where it can; 4 KiB unless a test says otherwise */
	unsigned hole_count;
	struct {
		uint64_t start, end;
	} holes[FAKE_L1_HOLES];
};

/* Zeroed memory, only taken from the host where it is touched. */
struct port *fake_l1_new(uint64_t ram_size);
void fake_l1_free(struct port *port);
/* From now on no RAM of L1, as a device is. Whole pages. */
void fake_l1_hole(struct port *port, uint64_t start, uint64_t size);

uint64_t *fake_l1_u64(struct port *port, uint64_t at);
uint32_t *fake_l1_u32(struct port *port, uint64_t at);

/* L1's nested page table under construction. */
struct fake_npt12 {
	struct port *port;
	struct npt12 npt12;
	uint64_t next_table; /* L1-physical; tables are taken upwards from here */
};

/* A table of 4, 3 or 2 levels, empty, growing upwards from `at`; 40 physical address bits, NXE, PSE, 1 GiB pages. */
struct fake_npt12 fake_npt12_new(struct port *port, unsigned levels, uint64_t at);
/* Where the entry of that level for `l2` is, with tables made on the way. Entries of a table allow everything. */
uint64_t fake_npt12_entry(struct fake_npt12 *table, uint64_t l2, unsigned level);
uint64_t fake_npt12_read(const struct fake_npt12 *table, uint64_t entry);
void fake_npt12_write(const struct fake_npt12 *table, uint64_t entry, uint64_t value);
/* Makes that entry `value`; returns where it is. */
uint64_t fake_npt12_map(struct fake_npt12 *table, uint64_t l2, unsigned level, uint64_t value);

#endif
