/* SPDX-License-Identifier: MIT */
/* tests/unit/strict_l0.h - nested/ on the CPU that forgives nothing: what svm/ does around it, cut down to entries and
 * exits; an L1 that keeps the manual's rules; and a switch that removes one of ours. */
#ifndef STRICT_L0_H
#define STRICT_L0_H

#include "tests/unit/rig.h"
#include "tests/unit/strict_cpu.h"

/* What can be left out: a flush (svm-facts 8.5), a part of a key, clearing a clean bit (3.4). */
enum strict_rule {
	RULE_NONE,
	RULE_ALL_TLB, RULE_ALL_SHADOW,           /* L1's TLB_CONTROL 1: our flush, our drop */
	RULE_ASID_TLB, RULE_ASID_SHADOW,         /* 3 */
	RULE_NON_GLOBAL_TLB,                     /* 7 */
	RULE_OUTDATED, RULE_RENEW,               /* all: changed tables are noticed; the TLB is flushed although none has */
	RULE_TAG_ASID, RULE_TAG_TABLE,           /* what tags are told apart by */
	RULE_TAG_FLUSH,                          /* a tag that changes hands is flushed */
	RULE_KEY_ASID, RULE_KEY_NCR3, RULE_KEY_NXE, RULE_KEY_LEVELS, /* what shadows are told apart by */
	RULE_FRESH,                              /* a shadow that lost entries is flushed before it is used */
	RULE_DROPPED,                            /* so is one that loses entries while in use */
	RULE_INVLPGA, RULE_INVLPGA_L1,           /* INVLPGA of an L2's ASID, of ASID 0 */
	RULE_NPT01_L1, RULE_NPT01_L2, RULE_NPT01_SHADOW, /* L0 takes a page away */
	RULE_EMULATED_CR3,                       /* MOV CR3 of L2 that L0 executes */
	RULE_EXIT_BEFORE_ENTRY,                  /* a flush that was asked for is not forgotten */
	RULE_OTHER_CPU_TLB, RULE_OTHER_CPU_CLEAN, /* the vCPU has run elsewhere */
	RULE_CLEAN_FIRST, RULE_CLEAN_MOVED,      /* first run of VMCB02; another VMCB12 */
	RULE_CLEAN_02,                           /* + number of the clean bit, in VMCB02 */
	RULE_CLEAN_01 = RULE_CLEAN_02 + 16,      /* + number of the clean bit, in VMCB01 */
	RULE_COUNT = RULE_CLEAN_01 + 16,
};

extern enum strict_rule strict_removed;      /* the one that is left out, of the world that exists */
extern struct strict_world *strict_current;

#define STRICT_DATA UINT64_C(0x40000) /* pages that L2s use */
#define STRICT_DATA_PAGES 32u
#define STRICT_ASIDS 8u
#define STRICT_GUEST_TABLE(asid) (UINT64_C(0x30000) + (asid) * PAGE_SIZE)
#define STRICT_L1_TABLE UINT64_C(0x3000)
#define STRICT_FAR_REGIONS 52u /* table C: one page in each of so many 2 MiB regions, more than the pool has tables */

/* Nested tables of L1's: A maps data pages to themselves, B in reverse order, C as A and far regions as well. */
enum strict_table { TABLE_NONE, TABLE_A, TABLE_B, TABLE_C, TABLE_COUNT };

enum strict_result { L2_DONE, L2_REFLECTED, L2_PAGE_FAULT, L2_DEVICE };

struct strict_world {
	struct rig *rig;
	struct strict_cpu cpus[2], *cpu;
	struct fake_npt12 tables[TABLE_COUNT];
	uint32_t asid; /* of VMCB12, and its table */
	enum strict_table table;
	bool pae;             /* L1 is in PAE mode */
	char complaint[160];  /* the first wrong thing that L1 or L2 saw */
	struct nested plain;  /* builds VMCB02 without a history */
	struct rig_pages *plain_pages;
};

struct strict_world *strict_new(enum strict_rule removed);
void strict_free(struct strict_world *w);
/* What went wrong: here or in the CPU. Empty: nothing. */
const char *strict_complaint(const struct strict_world *w);

/* --- L1 acts; it runs whenever L2 does not --- */

struct vmcb *strict_vmcb12(struct strict_world *w);
/* L2's page `page` is mapped to that entry, by the guest table of the ASID. */
void strict_guest_map(struct strict_world *w, uint32_t asid, unsigned page, uint64_t entry);
/* NPT12's leaf for an L2-physical page. */
void strict_npt12_map(struct strict_world *w, enum strict_table table, uint64_t gpa, uint64_t entry);
/* VMRUN with this ASID, its guest table, and that nested table; VMCB12 at `at`. */
void strict_run_at(struct strict_world *w, uint64_t at, uint32_t asid, enum strict_table table, uint8_t tlb_control);
void strict_run(struct strict_world *w, uint32_t asid, enum strict_table table, uint8_t tlb_control);
/* As strict_run(), but an interrupt makes L2 exit before its first instruction. */
void strict_run_interrupted(struct strict_world *w, uint32_t asid, enum strict_table table, uint8_t tlb_control);
/* VMRUN of a VMCB12 that must be refused. */
void strict_refused(struct strict_world *w, uint64_t at);
void strict_invlpga(struct strict_world *w, uint32_t asid);
/* L1 touches its own page. */
void strict_l1_access(struct strict_world *w, uint64_t l1pa, bool is_ram);

/* --- L2 acts --- */

/* Compares with what L1's tables say now. */
enum strict_result strict_l2(struct strict_world *w, unsigned page, uint64_t access);
/* #VMEXIT to L1. */
void strict_leave(struct strict_world *w);
/* L2's MOV CR3, which L0 executes for it: the guest table of another ASID's L2. */
void strict_emulated_cr3(struct strict_world *w, uint32_t asid);

/* --- L0 acts --- */

void strict_take_page(struct strict_world *w, uint64_t l1pa);
void strict_move_to_cpu(struct strict_world *w, unsigned index);

#endif
