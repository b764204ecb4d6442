/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_restore.c - any bytes as an image of nested state: it is refused and not one byte of the vCPU changes,
 * or the vCPU is one that VMRUN could have made: VMCB02 fit to run, a second image of it accepted and the same, and L1
 * can go on from it. */
#include <string.h>

#include <amd/exitcode.h>

#include "tests/fuzz/fuzz.h"

static struct nested_image image, first, second;
static struct {
	struct nested n;
	struct rig_pages pages;
} before;
static ALIGNED(4096) uint8_t ram[RIG_RAM];

/* Where words of an image matter; the whole of it last. */
static const struct {
	size_t start, size;
} places[] = {
	{offsetof(struct nested_image, value), offsetof(struct nested_value, snap)},
	{offsetof(struct nested_image, value.v_intr12), 40},
	{offsetof(struct nested_image, value.snap.control), 0xD0},
	{offsetof(struct nested_image, value.snap.save), 0x2A0},
	{offsetof(struct nested_image, l1), 0x2A0},
	{offsetof(struct nested_image, caps), sizeof(struct nested_caps)},
	{0, sizeof(struct nested_image)},
};

static void patch(struct input *in)
{
	while (!input_ended(in)) {
		uint8_t kind = (uint8_t)input_bytes(in, 1);
		unsigned place = (kind & 7) % ARRAY_COUNT(places), bytes = 1u << (kind >> 4 & 3);
		size_t at = input_bytes(in, 2) % places[place].size;
		uint64_t value = input_bytes(in, bytes);
		uint8_t *to = (uint8_t *)&image + places[place].start + at;
		uint8_t *end = (uint8_t *)(&image + 1);

		if (kind & 0x40)
			*to ^= (uint8_t)value;
		else
			memcpy(to, &value, min_u64(bytes, (uint64_t)(end - to)));
	}
}

/* An L1, perhaps with an L2 that has run, or is about to. */
static void make_image(struct rig *rig, uint8_t kind)
{
	if ((kind & 1) && rig_vmrun(rig, RIG_VMCB12 + (kind >> 4 & 1) * PAGE_SIZE) == VMRUN_ENTERED && (kind & 2)) {
		rig->n.run_pending = false;
		rig->vmcb02->control.eventinj = 0;
		rig->vmcb02->control.clean = CLEAN_ALL;
	}
	nested_save(&rig->n, rig->vmcb01, rig->vmcb02, &image);
	if ((kind & 4) && rig->n.in_l2)
		rig_exit(rig, VMEXIT_VMMCALL);
}

static void check_untouched(const struct rig *rig)
{
	CHECK(memcmp(&before.n, &rig->n, sizeof(before.n)) == 0);
	CHECK(memcmp(&before.pages, rig->pages, sizeof(before.pages)) == 0);
}

static void check_restored(struct rig *rig)
{
	nested_save(&rig->n, rig->vmcb01, rig->vmcb02, &first);
	CHECK(nested_restore(&rig->n, &first, &rig->in, rig->vmcb01, rig->vmcb02).refusal == RESTORE_NONE);
	nested_save(&rig->n, rig->vmcb01, rig->vmcb02, &second);
	CHECK(memcmp(&first, &second, sizeof(first)) == 0);
	fuzz_check_shadow(rig);
	if (!rig->n.in_l2)
		return;
	nested_restore_memory(&rig->n, rig->l1, &rig->in);
	fuzz_check_vmcb02(rig);
	CHECK(rig->vmcb02->control.clean == 0 && rig->vmcb02->control.tlb_control != TLB_CONTROL_NONE);
	rig_exit(rig, VMEXIT_VMMCALL);
	CHECK(!rig->n.in_l2 && !rig->n.gif);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct rig *rig = fuzz_rig(&in, 0xA5);
	uint8_t kind = (uint8_t)input_bytes(&in, 1);
	struct restore_verdict verdict;

	make_image(rig, kind);
	patch(&in);
	memcpy(&before.n, &rig->n, sizeof(before.n));
	memcpy(&before.pages, rig->pages, sizeof(before.pages));
	memcpy(ram, rig->l1->ram, RIG_RAM);
	verdict = nested_restore(&rig->n, &image, &rig->in, rig->vmcb01, rig->vmcb02);
	CHECK(verdict.refusal < RESTORE_COUNT && verdict.reason < REASON_COUNT);
	CHECK(verdict.refusal || !verdict.reason);
	fuzz_check_ram(rig, ram, 0, 0);
	if (verdict.refusal)
		check_untouched(rig);
	else
		check_restored(rig);
	return 0;
}
