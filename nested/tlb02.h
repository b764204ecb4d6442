/* SPDX-License-Identifier: MIT */
/* nested/tlb02.h - which physical ASID L2 runs with, and when its TLB entries must go. */
#ifndef NESTED_TLB02_H
#define NESTED_TLB02_H

#include <addr.h>

#define TLB02_TAGS 64

/* One physical ASID, in use for L2s of one ASID of L1's on one nested table. */
struct tlb02_tag {
	uint32_t asid12;
	hpa_t table;     /* NPT02 root, or NPT01's when L1 gave no nested paging */
	uint64_t epoch;  /* of the last flush of this tag */
};

struct tlb02 {
	uint32_t first_asid; /* physical ASIDs first_asid .. first_asid + tag_count - 1 are ours */
	uint32_t tag_count;
	uint64_t epoch;      /* tags with an older epoch hold stale entries */
	uint64_t flushes;    /* that were asked for */
	struct tlb02_tag tags[TLB02_TAGS];
};

/* Of an ASID of L1's among the tags. */
static inline uint32_t tlb02_place(const struct tlb02 *tlb02, uint32_t asid12)
{
	return asid12 % tlb02->tag_count;
}

void tlb02_init(struct tlb02 *tlb02, uint32_t first_asid, uint32_t tag_count);
/* From now on no entry of any tag may be used again. */
void tlb02_flush_all(struct tlb02 *tlb02);
void tlb02_flush_asid12(struct tlb02 *tlb02, uint32_t asid12);
/* The tag for this pair; *flush says that the CPU must flush it on the way in. */
uint32_t tlb02_asid(struct tlb02 *tlb02, uint32_t asid12, hpa_t table, bool *flush);
/* The same for a tag that tlb02_asid() gave, if nobody has taken it since. True: the CPU must flush it on the way in. */
bool tlb02_renew(struct tlb02 *tlb02, uint32_t asid);

#endif
