/* SPDX-License-Identifier: MIT */
/* tests/unit/strict_cpu.h - a CPU that forgives nothing, as far as caches go: it keeps whatever the manual lets it keep
 * until software asks otherwise, and says so when software relied on luck. QEMU and Bochs flush and read again at each
 * VMRUN and #VMEXIT, so on them a missing flush or a clean bit too many goes unseen.
 *   - VMCB fields, tagged by the VMCB's address, used when their clean bit is set (APM2 15.15);
 *   - translations, tagged by ASID: final ones, nested ones, and tables of the nested walk (APM2 15.16, 5.5.2).
 * Guests have one level of paging of the model's own: the page at CR3 holds 512 entries. Software never sees it. */
#ifndef STRICT_CPU_H
#define STRICT_CPU_H

#include <addr.h>
#include <amd/vmcb.h>

#define STRICT_TLB 4096
#define STRICT_VMCBS 4

struct strict_entry {
	uint32_t asid;
	unsigned level;   /* 0: a final translation; 1: a nested one; 2..4: the table that such an entry points at */
	uint64_t from;    /* guest-virtual page, or guest-physical address of what the page or table covers */
	uint64_t to;      /* host-physical page or table */
	bool writable, executable, global;
};

struct strict_cpu {
	struct strict_entry tlb[STRICT_TLB];
	unsigned tlb_count;
	struct {
		const struct vmcb *at;
		struct vmcb image;
	} kept[STRICT_VMCBS];
	bool only_flush_all;   /* TLB_CONTROL 3 and 7 do not exist on this CPU */
	struct vmcb live;      /* what the guest really runs with */
	struct vmcb *current;  /* NULL: the host runs */
	char complaint[128];   /* the first reliance on luck; empty: none */
	unsigned hits, flushes; /* so that tests can show that something was kept, or was not */
};

enum strict_outcome { STRICT_DONE, STRICT_NPF, STRICT_PF };

struct strict_access {
	enum strict_outcome outcome;
	uint64_t hpa;                  /* STRICT_DONE: of the byte */
	uint64_t exitinfo1, exitinfo2; /* STRICT_NPF */
};

/* Entries of a guest's page table: PTE_P, PTE_W, PTE_G, PTE_NX and the page's guest-physical address. */
#define STRICT_GUEST_PAGES 512u

void strict_vmrun(struct strict_cpu *cpu, struct vmcb *vmcb);
void strict_vmexit(struct strict_cpu *cpu, uint64_t code, uint64_t info1, uint64_t info2);
/* The guest touches a byte: `access` is 0, PF_W or PF_ID. */
struct strict_access strict_access(struct strict_cpu *cpu, uint64_t gva, uint64_t access);
/* The guest executes MOV CR3, not intercepted. */
void strict_mov_cr3(struct strict_cpu *cpu, uint64_t cr3);

#endif
