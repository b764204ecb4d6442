/* SPDX-License-Identifier: MIT */
/* nested/tlb02.c - physical ASIDs for L2s. L1's ASIDs are names that mean nothing to the CPU: each pair of such a
 * name and a nested table gets a physical ASID from a small set, least recently used goes first, flushed when it
 * changes hands. Epoch 0 is never current, so a new tag is always flushed.
 * Manual: APM2 15.16 (TLB Control). Next: vmrun.c, which asks on every VMRUN. */
#include <check.h>

#include "tlb02.h"

void tlb02_init(struct tlb02 *tlb02, uint32_t first_asid, uint32_t tag_count)
{
	CHECK(tag_count >= 1);
	*tlb02 = (struct tlb02){
		.first_asid = first_asid,
		.tag_count = tag_count < TLB02_TAGS ? tag_count : TLB02_TAGS,
		.epoch = 1,
	};
}

void tlb02_flush_all(struct tlb02 *tlb02)
{
	tlb02->epoch++;
	tlb02->flushes++;
}

void tlb02_flush_asid12(struct tlb02 *tlb02, uint32_t asid12)
{
	tlb02->flushes++;
	for (uint32_t i = 0; i < tlb02->tag_count; i++)
		if (tlb02->tags[i].asid12 == asid12)
			tlb02->tags[i].epoch = 0;
}

static struct tlb02_tag *tag_find(struct tlb02 *tlb02, uint32_t asid12, hpa_t table)
{
	struct tlb02_tag *oldest = &tlb02->tags[0];

	for (uint32_t i = 0; i < tlb02->tag_count; i++) {
		struct tlb02_tag *tag = &tlb02->tags[i];

		if (tag->asid12 == asid12 && tag->table.a == table.a)
			return tag;
		if (tag->last_use < oldest->last_use)
			oldest = tag;
	}
	tlb02->flushes++;
	*oldest = (struct tlb02_tag){.asid12 = asid12, .table = table};
	return oldest;
}

bool tlb02_renew(struct tlb02 *tlb02, uint32_t asid)
{
	struct tlb02_tag *tag = &tlb02->tags[asid - tlb02->first_asid];
	bool flush = tag->epoch != tlb02->epoch;

	tag->epoch = tlb02->epoch;
	return flush;
}

uint32_t tlb02_asid(struct tlb02 *tlb02, uint32_t asid12, hpa_t table, bool *flush)
{
	struct tlb02_tag *tag = tag_find(tlb02, asid12, table);

	uint32_t asid = tlb02->first_asid + (uint32_t)(tag - tlb02->tags);

	tag->last_use = ++tlb02->clock;
	*flush = tlb02_renew(tlb02, asid);
	return asid;
}
