/* SPDX-License-Identifier: MIT */
/* nested/tlb02.c - physical ASIDs for L2s. L1's ASIDs are names that mean nothing to the CPU: each has its place among
 * a small set of physical ones, by its number, so that the cost does not grow with how many there are. Several may
 * have the same place: a tag is flushed when it changes hands. Epoch 0 is never current, so a new tag is flushed.
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
	struct tlb02_tag *tag = &tlb02->tags[tlb02_place(tlb02, asid12)];

	tlb02->flushes++;
	if (tag->asid12 == asid12)
		tag->epoch = 0;
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
	uint32_t place = tlb02_place(tlb02, asid12), asid = tlb02->first_asid + place;
	struct tlb02_tag *tag = &tlb02->tags[place];

	if (tag->asid12 != asid12 || tag->table.a != table.a)
		*tag = (struct tlb02_tag){.asid12 = asid12, .table = table};
	*flush = tlb02_renew(tlb02, asid);
	return asid;
}
