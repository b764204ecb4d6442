/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_l1.c - see fake_l1.h. Host-physical addresses are host pointers here, as in the kernel. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <amd/cpu.h>
#include <check.h>

#include "tests/unit/fake_l1.h"

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, what);
	abort();
}

/* --- nested/port.h --- */

static bool is_ram(const struct port *port, uint64_t at, uint64_t size)
{
	if (at + size < at || at + size > port->ram_size)
		return false;
	for (unsigned i = 0; i < port->hole_count; i++)
		if (at < port->holes[i].end && at + size > port->holes[i].start)
			return false;
	return true;
}

void *port_l1_ptr(struct port *port, l1pa_t at, uint64_t size)
{
	return is_ram(port, at.a, size) ? port->ram + at.a : NULL;
}

bool port_l1_hpa(struct port *port, l1pa_t at, hpa_t *hpa, uint64_t *page_size)
{
	uint64_t size = port->page_size;

	while (size > PAGE_SIZE && !is_ram(port, align_down(at.a, size), size))
		size = size == SIZE_1G ? SIZE_2M : PAGE_SIZE;
	if (!is_ram(port, align_down(at.a, size), size))
		return false;
	*hpa = hpa_of(port->ram + align_down(at.a, size));
	*page_size = size;
	return true;
}

/* --- memory --- */

/* An aligned piece cut out of a larger reservation; the rest is given back. */
static uint8_t *map_aligned(uint64_t size, uint64_t align)
{
	uint8_t *all = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *piece;

	if (all == MAP_FAILED)
		abort();
	piece = (uint8_t *)align_up((uintptr_t)all, align);
	if (piece > all)
		munmap(all, (size_t)(piece - all));
	if (piece < all + align)
		munmap(piece + size, (size_t)(all + align - piece));
	return piece;
}

struct port *fake_l1_new(uint64_t ram_size)
{
	struct port *port = calloc(1, sizeof(*port));

	port->ram = map_aligned(ram_size, SIZE_1G);
	port->ram_size = ram_size;
	port->page_size = PAGE_SIZE;
	return port;
}

void fake_l1_free(struct port *port)
{
	munmap(port->ram, port->ram_size);
	free(port);
}

void fake_l1_hole(struct port *port, uint64_t start, uint64_t size)
{
	CHECK(port->hole_count < FAKE_L1_HOLES);
	port->holes[port->hole_count].start = start;
	port->holes[port->hole_count].end = start + size;
	port->hole_count++;
}

uint64_t *fake_l1_u64(struct port *port, uint64_t at)
{
	CHECK(at + sizeof(uint64_t) <= port->ram_size);
	return (uint64_t *)(port->ram + at);
}

uint32_t *fake_l1_u32(struct port *port, uint64_t at)
{
	CHECK(at + sizeof(uint32_t) <= port->ram_size);
	return (uint32_t *)(port->ram + at);
}

/* --- nested page tables --- */

struct fake_npt12 fake_npt12_new(struct port *port, unsigned levels, uint64_t at)
{
	return (struct fake_npt12){
		.port = port,
		.npt12 = {.ncr3 = at, .phys_mbz = BITS(63, 40), .levels = (uint8_t)levels, .nxe = true, .pse = true,
			  .pages_1g = true},
		.next_table = at + PAGE_SIZE,
	};
}

uint64_t fake_npt12_read(const struct fake_npt12 *table, uint64_t entry)
{
	return table->npt12.levels == 2 ? *fake_l1_u32(table->port, entry) : *fake_l1_u64(table->port, entry);
}

void fake_npt12_write(const struct fake_npt12 *table, uint64_t entry, uint64_t value)
{
	if (table->npt12.levels == 2)
		*fake_l1_u32(table->port, entry) = (uint32_t)value;
	else
		*fake_l1_u64(table->port, entry) = value;
}

uint64_t fake_npt12_entry(struct fake_npt12 *table, uint64_t l2, unsigned level)
{
	unsigned bits = table->npt12.levels == 2 ? 10 : 9;
	uint64_t size = table->npt12.levels == 2 ? 4 : 8;
	uint64_t at = align_down(table->npt12.ncr3, 32);

	for (unsigned here = table->npt12.levels;; here--) {
		uint64_t entry = at + (l2 >> (12 + (here - 1) * bits) & ((1u << bits) - 1)) * size;

		if (here == level)
			return entry;
		if (!(fake_npt12_read(table, entry) & PTE_P)) {
			bool is_pdpte = table->npt12.levels == 3 && here == 3;

			fake_npt12_write(table, entry,
					 table->next_table | PTE_P | (is_pdpte ? 0 : PTE_W | PTE_U));
			table->next_table += PAGE_SIZE;
		}
		at = fake_npt12_read(table, entry) & PTE_ADDR;
	}
}

uint64_t fake_npt12_map(struct fake_npt12 *table, uint64_t l2, unsigned level, uint64_t value)
{
	uint64_t entry = fake_npt12_entry(table, l2, level);

	fake_npt12_write(table, entry, value);
	return entry;
}
