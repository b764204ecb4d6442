/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_vcpu.c - see fake_vcpu.h. */
#include "tests/unit/fake_vcpu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amd/cpu.h>
#include <check.h>

#include "kernel/printf.h"
#include "svm/enable.h"
#include "svm/exit.h"

struct fake fake;

static uint8_t low[FAKE_RAM] ALIGNED(4096), high[FAKE_HIGH] ALIGNED(4096);

void fake_reset(void)
{
	struct vmcb_save *save = &fake.vmcb.save;

	memset(&fake, 0, sizeof(fake));
	svm_this_cpu = (struct svm_cpu){0};
	fake.l1.low = (struct l1_ram){ .size = FAKE_RAM, .host = hpa_of(low) };
	fake.l1.high = (struct l1_ram){ .base = L1_HIGH_BASE, .size = FAKE_HIGH, .host = hpa_of(high) };
	fake.v.l1 = &fake.l1;
	fake.v.vmcb = fake.v.vmcb01 = &fake.vmcb;
	fake.v.nested.caps.phys_mbz = BITS(51, 40);
	fake.v.nested.caps.pdpte_mbz = PDPTE_MBZ | BITS(51, 40);
	fake.v.nested.caps.pages_1g = true;
	fake.npt12_refused = UINT64_MAX;
	fake.v.nested.root = &fake.v.nested.npt02.roots[0];
	fake.v.exits = &fake.v.exits_of[0];
	fake.v.exits->memo_sets = fake.v.memos;
	save->cr0 = CR0_ET;
	save->rflags = RFLAGS_FIXED;
	save->cs.limit = save->ds.limit = save->es.limit = save->ss.limit = UINT16_MAX;
}

void fake_setup(void)
{
	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	fake_reset();
}

void *fake_ram(uint64_t at)
{
	return l1_ptr(&fake.l1, l1pa(at), 1);
}

void fake_long_mode(uint64_t root)
{
	struct vmcb_save *save = &fake.vmcb.save;

	save->cr0 = CR0_PE | CR0_PG | CR0_WP;
	save->cr4 = CR4_PAE;
	save->efer = EFER_LME | EFER_LMA | EFER_NXE;
	save->cr3 = root;
	save->cs.attr = SEG_L | SEG_P | SEG_S | 0xB;
}

void fake_protected_mode(unsigned bits)
{
	struct vmcb_save *save = &fake.vmcb.save;
	struct vmcb_seg data = { .attr = SEG_P | SEG_S | 3, .limit = UINT32_MAX };

	if (bits == 32)
		data.attr |= SEG_D | SEG_G;
	save->cr0 = CR0_PE;
	save->ds = save->es = save->ss = save->cs = data;
	save->cs.attr |= 8;
}

void fake_identity(uint64_t root)
{
	uint64_t *tables = fake_ram(root);

	fake_long_mode(root);
	tables[0] = (root + PAGE_SIZE) | PTE_P | PTE_W | PTE_U;
	for (unsigned i = 0; i < 4; i++)
		tables[512 + i] = GIB(i) | PTE_P | PTE_W | PTE_U | PTE_PS;
}

void fake_code(const void *bytes, unsigned count)
{
	fake.vmcb.save.rip = FAKE_RIP;
	memcpy(fake_ram(FAKE_RIP), bytes, count);
}

/* --- svm/ --- */

void vcpu_raise(struct vcpu *v, uint8_t vector)
{
	(void)v;
	fake.raised = (struct pending_excp){ .valid = true, .vector = vector };
}

void vcpu_raise_error(struct vcpu *v, uint8_t vector, uint32_t error)
{
	(void)v;
	fake.raised = (struct pending_excp){ .valid = true, .has_error = true, .vector = vector, .error = error };
}

void vcpu_raise_pf(struct vcpu *v, uint64_t address, uint32_t error)
{
	vcpu_raise_error(v, VEC_PF, error);
	fake.raised.address = address;
}

enum resume glue_l2_npf(struct vcpu *v, uint64_t exitinfo1, uint64_t exitinfo2)
{
	(void)v;
	fake.to_l1 = (struct fake_npf){ .info1 = exitinfo1, .info2 = exitinfo2, .count = fake.to_l1.count + 1 };
	return RESUME_SAME;
}

void vcpu_raise_db(struct vcpu *v, uint64_t dr6)
{
	(void)dr6;
	vcpu_raise(v, VEC_DB);
}

void vcpu_after_device(struct vcpu *v)
{
	vcpu_rearm(v);
}

void vcpu_rearm(struct vcpu *v)
{
	(void)v;
	fake.rearmed++;
}

void l1_end(struct l1 *l1, const char *fmt, ...)
{
	va_list args;

	(void)l1;
	va_start(args, fmt);
	vsnprintf(fake.ended, sizeof(fake.ended), fmt, args);
	va_end(args);
}

struct svm_cpu svm_this_cpu;

uint64_t live_segment_base(unsigned segment)
{
	return segment == SEGMENT_FS ? fake.fs_base : fake.gs_base;
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
	abort();
}

/* --- nested/ --- */

struct walk12 npt12_walk_path(struct port *port, const struct npt12 *npt12, l2pa_t at, uint64_t access,
			      struct walk12_entry path[WALK12_LEVELS])
{
	memset(path, 0, WALK12_LEVELS * sizeof(*path));
	return npt12_walk(port, npt12, at, access);
}

void npt02_rest_on(struct npt02_root *root, const struct walk12_entry *path, unsigned leaf_level)
{
	(void)root;
	(void)path;
	(void)leaf_level;
	fake.rested_on++;
}

struct walk12 npt12_walk(struct port *port, const struct npt12 *npt12, l2pa_t at, uint64_t access)
{
	(void)port;
	(void)npt12;
	fake.npt12_walks[access & PF_W ? 1 : 0]++;
	if ((at.a ^ fake.npt12_refused) < PAGE_SIZE)
		return (struct walk12){ .error = fake.npt12_error | (access & (PF_W | PF_ID)) | PF_U };
	return (struct walk12){ .ok = true, .l1pa = l1pa(at.a + fake.npt12_offset), .page_size = PAGE_SIZE };
}

/* --- vdev/ --- */

bool machine_mmio_claims(const struct machine *m, uint64_t gpa)
{
	(void)m;
	return gpa - FAKE_DEVICE < FAKE_DEVICE_SIZE;
}

static void mmio_note(uint64_t gpa, unsigned size)
{
	fake.mmio_last_at = gpa;
	fake.mmio_last_size = size;
}

uint64_t machine_mmio_read(struct machine *m, unsigned vcpu, uint64_t gpa, unsigned size)
{
	uint64_t value = 0;

	(void)m;
	(void)vcpu;
	mmio_note(gpa, size);
	fake.mmio_reads++;
	memcpy(&value, fake.device + (gpa - FAKE_DEVICE), size);
	return value;
}

void machine_mmio_write(struct machine *m, unsigned vcpu, uint64_t gpa, uint64_t value, unsigned size)
{
	(void)m;
	(void)vcpu;
	mmio_note(gpa, size);
	fake.mmio_writes++;
	memcpy(fake.device + (gpa - FAKE_DEVICE), &value, size);
}

uint32_t machine_io_read(struct machine *m, unsigned vcpu, uint16_t port, unsigned size)
{
	uint32_t value = 0;

	(void)m;
	(void)vcpu;
	if (port != FAKE_PORT)
		return UINT32_MAX;
	memcpy(&value, fake.port_bytes + fake.port_count, size);
	fake.port_count += size;
	fake.port_size = size;
	return value;
}

void machine_io_write(struct machine *m, unsigned vcpu, uint16_t port, uint32_t value, unsigned size)
{
	(void)m;
	(void)vcpu;
	if (port != FAKE_PORT)
		return;
	memcpy(fake.port_bytes + fake.port_count, &value, size);
	fake.port_count += size;
	fake.port_size = size;
}
