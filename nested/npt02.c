/* SPDX-License-Identifier: MIT */
/* nested/npt02.c - fills and drops the shadow nested page table. Writes its pool, and through walk12.c the A and D
 * bits of NPT12. Three rules keep it no more permissive than a TLB that L1 may expect:
 *   - an entry is made from a walk that allowed an access, with the rights of that walk; W only when D12 is set,
 *     so that the first write comes back here and sets D12;
 *   - who is filled in ahead has A12 set already (and D12, for W): as if the CPU had walked there earlier;
 *   - a table in the shadow is never replaced by a leaf, only everything is dropped at once (svm-facts 10.1,
 *     CVE-2026-53359); a leaf may give way to a table, and the caller is told to flush.
 * Memory types of NPT12 do not count: it maps RAM or devices of L0's making, and both are coherent.
 * Manual: APM2 15.25 (Nested Paging). Before: walk12.c. Next: svm/nested_glue.c, which acts on the verdict. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/npt.h>
#include <check.h>

#include "npt02.h"

#define TOP_LEVEL 4
#define ENTRIES 512
#define WINDOW 16 /* 4 KiB entries filled at one fault: an aligned group, two cache lines */

/* Tables allow all, leaves decide. A and D are set beforehand: nobody reads them, so the CPU need not write them. */
#define TABLE_BITS (PTE_P | PTE_W | PTE_U | PTE_A)
#define LEAF_BITS (PTE_P | PTE_U | PTE_A | PTE_D)

static unsigned level_shift(unsigned level)
{
	return 12 + (level - 1) * 9;
}

static bool is_table(uint64_t e, unsigned level)
{
	return level > 1 && (e & PTE_P) && !(e & PTE_PS);
}

/* --- the pool and the roots --- */

void npt02_init(struct npt02 *npt02, void *pool, uint32_t pool_pages)
{
	CHECK(pool_pages >= NPT02_POOL_MIN && ((uintptr_t)pool & PAGE_MASK) == 0);
	*npt02 = (struct npt02){.pool = pool, .pool_pages = pool_pages, .next_free = NPT02_ROOTS};
	for (unsigned i = 0; i < NPT02_ROOTS; i++) {
		npt02->roots[i].number = (uint8_t)(i + 1);
		npt02->roots[i].table = hpa_of(npt02->pool + i * PAGE_SIZE);
	}
}

/* A zeroed page for a table, or NULL. */
static uint64_t *pool_take(struct npt02 *npt02)
{
	void *page;

	if (npt02->next_free == npt02->pool_pages)
		return NULL;
	page = npt02->pool + npt02->next_free++ * PAGE_SIZE;
	return memset(page, 0, PAGE_SIZE);
}

static void root_clear(struct npt02_root *root)
{
	if (root->empty)
		return;
	memset(hpa_ptr(root->table), 0, PAGE_SIZE);
	root->empty = true;
	root->flush_due = true;
	root->watched = root->fill_count <= NPT02_FEW && root->npt12.levels == WALK12_LEVELS;
	root->fill_count = root->seen_count = 0;
}

static bool is_current(const struct npt02_root *root)
{
	const struct walk12_entry *end = root->seen + root->seen_count;
	uint64_t changed = 0;

	if (!root->watched)
		return root->empty;
	for (const struct walk12_entry *e = root->seen; e < end; e += NPT02_SEEN_STEP)
#pragma GCC unroll 4
		for (unsigned i = 0; i < NPT02_SEEN_STEP; i++)
			changed |= __atomic_load_n(e[i].at, __ATOMIC_RELAXED) ^ e[i].value;
	return changed == 0;
}

bool npt02_is_outdated(const struct npt02 *npt02, uint32_t asid12)
{
	const struct npt02_root *root = npt02->roots;

	for (; root < npt02->roots + npt02->used; root++)
		if ((asid12 == NPT02_ALL || root->asid12 == asid12) && !is_current(root))
			return true;
	return false;
}

void npt02_drop_all(struct npt02 *npt02)
{
	for (unsigned i = 0; i < npt02->used; i++)
		root_clear(&npt02->roots[i]);
	npt02->next_free = NPT02_ROOTS;
	npt02->drops++;
}

void npt02_drop_asid(struct npt02 *npt02, uint32_t asid12)
{
	bool all_empty = true;

	for (unsigned i = 0; i < npt02->used; i++) {
		struct npt02_root *root = &npt02->roots[i];

		if (root->asid12 == asid12)
			root_clear(root);
		all_empty &= root->empty;
	}
	if (all_empty)
		npt02->next_free = NPT02_ROOTS;
	npt02->drops++;
}

/* N_CR3[11:5] only count for the PAE format, [4:0] never. */
static uint64_t significant_ncr3(const struct npt12 *npt12)
{
	return npt12->ncr3 & (npt12->levels == 3 ? BITS(51, 5) : BITS(51, 12));
}

static bool key_matches(const struct npt02_root *root, const struct npt12 *npt12, uint32_t asid12)
{
	const struct npt12 *key = &root->npt12;

	return key->ncr3 == significant_ncr3(npt12) && root->asid12 == asid12 &&
	       key->levels == npt12->levels && key->nxe == npt12->nxe && key->pse == npt12->pse &&
	       key->smep == npt12->smep && key->gmet == npt12->gmet && key->pages_1g == npt12->pages_1g && key->phys_mbz == npt12->phys_mbz;
}

/* The slot that has this key, else the one to give to it. */
static struct npt02_root *root_find(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12)
{
	struct npt02_root *oldest = &npt02->roots[0];

	for (unsigned i = 0; i < npt02->used; i++) {
		struct npt02_root *root = &npt02->roots[i];

		if (key_matches(root, npt12, asid12))
			return root;
		if (root->last_use < oldest->last_use)
			oldest = root;
	}
	return npt02->used < NPT02_ROOTS ? &npt02->roots[npt02->used] : oldest;
}

static void root_assign(struct npt02 *npt02, struct npt02_root *root, const struct npt12 *npt12, uint32_t asid12)
{
	if (root == &npt02->roots[npt02->used]) {
		npt02->used++;
		memset(hpa_ptr(root->table), 0, PAGE_SIZE);
	} else {
		root_clear(root);
	}
	root->npt12 = *npt12;
	root->npt12.ncr3 = significant_ncr3(npt12);
	root->asid12 = asid12;
	root->empty = true;
	root->flush_due = true;
	root->watched = false;
	root->fill_count = root->seen_count = 0;
}

static COLD struct npt02_root *root_change(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12)
{
	struct npt02_root *root = root_find(npt02, npt12, asid12);

	if (!key_matches(root, npt12, asid12)) {
		root_assign(npt02, root, npt12, asid12);
		npt02->drops++; /* what others remember of this slot is another table's */
	}
	root->last_use = ++npt02->use_clock;
	npt02->last = root;
	return root;
}

struct npt02_root *npt02_get(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12, bool *fresh)
{
	struct npt02_root *root = npt02->last;

	if (unlikely(!root || !key_matches(root, npt12, asid12)))
		root = root_change(npt02, npt12, asid12);
	*fresh = root->flush_due;
	root->flush_due = false;
	return root;
}

/* --- filling --- */

/* An entry about to be written. */
struct slot {
	uint64_t *entry;
	unsigned level;
};

/* The largest page that both NPT12 and NPT01 have here. Both are aligned to their size, so the shadow's is too.
 * 1 GiB only comes from an L1 that was offered such pages, hence on a CPU that has them. */
static unsigned leaf_level(uint64_t size12, uint64_t size01)
{
	uint64_t size = min_u64(size12, size01);

	return size >= SIZE_1G ? 3 : size >= SIZE_2M ? 2 : 1;
}

/* Finds the entry for a leaf of `level` at `at`, with tables made on the way; of a lower level when there is a table
 * already. False: the pool has run out. */
static bool slot_find(struct npt02 *npt02, struct npt02_root *root, l2pa_t at, unsigned level, struct slot *slot,
		      uint32_t *dropped)
{
	uint64_t *table = hpa_ptr(root->table);

	for (unsigned here = TOP_LEVEL;; here--) {
		uint64_t *entry = &table[(at.a >> level_shift(here)) % ENTRIES];

		if (here <= level && !is_table(*entry, here)) {
			*slot = (struct slot){.entry = entry, .level = here};
			return true;
		}
		if (is_table(*entry, here)) {
			table = hpa_ptr(hpa(*entry & PTE_ADDR));
			continue;
		}
		table = pool_take(npt02);
		if (!table)
			return false;
		*dropped += (*entry & PTE_P) != 0;
		*entry = hpa_of(table).a | TABLE_BITS;
		root->empty = false;
	}
}

/* As slot_find(), making room if need be. With everything dropped there is room for one path. */
static struct slot slot_make(struct npt02 *npt02, struct npt02_root *root, l2pa_t at, unsigned level,
			     uint32_t *dropped)
{
	struct slot slot;
	bool found = slot_find(npt02, root, at, level, &slot, dropped);

	if (!found) {
		npt02_drop_all(npt02);
		npt02->exhausted++;
		*dropped += 1;
		found = slot_find(npt02, root, at, level, &slot, dropped);
	}
	CHECK(found);
	return slot;
}

/* The rights in a leaf for what a walk found. */
static uint64_t leaf_bits(const struct walk12 *walk)
{
	return LEAF_BITS | (walk->writable && walk->dirty ? PTE_W : 0) | (walk->executable ? 0 : PTE_NX);
}

/* The leaf; `page` is where L0 has the page that holds it, `size01` the size of that. */
static uint64_t leaf_of(const struct walk12 *walk, hpa_t page, uint64_t size01, unsigned level)
{
	uint64_t base = align_down(page.a, size01) | (walk->l1pa.a & (size01 - 1));

	return align_down(base, BIT(level_shift(level))) | leaf_bits(walk) | (level > 1 ? PTE_PS : 0);
}

/* The other absent entries of the aligned window around a 4 KiB entry, where NPT12 promises that no walk of the CPU
 * would change anything. Without them sequential use of 4 KiB pages would exit for each. */
static void fill_neighbours(struct npt02 *npt02, const struct npt02_root *root, struct port *port,
			    const struct walk12 *walk, l2pa_t at, uint64_t *entry)
{
	int64_t self = (int64_t)(at.a / PAGE_SIZE % WINDOW);

	for (int64_t i = 0; i < WINDOW; i++) {
		struct walk12 near;
		void *page;

		if ((entry[i - self] & PTE_P) || !npt12_may_be_neighbour(&root->npt12, walk, i - self))
			continue;
		near = npt12_neighbour(&root->npt12, walk, i - self);
		page = port_l1_ptr(port, l1pa(align_down(near.l1pa.a, PAGE_SIZE)), PAGE_SIZE);
		if (!near.ok || !page)
			continue;
		entry[i - self] = hpa_of(page).a | leaf_bits(&near);
		npt02->neighbours++;
	}
}

static void see(struct npt02_root *root, struct walk12_entry entry)
{
	for (uint32_t i = 0; i < root->seen_count; i++)
		if (root->seen[i].at == entry.at && root->seen[i].value == entry.value)
			return;
	if (root->seen_count == NPT02_SEEN) {
		root->watched = false;
		return;
	}
	for (uint32_t i = root->seen_count; i < align_up(root->seen_count + 1, NPT02_SEEN_STEP); i++)
		root->seen[i] = entry;
	root->seen_count++;
}

void npt02_rest_on(struct npt02_root *root, const struct walk12_entry *path, unsigned leaf_level)
{
	for (unsigned level = leaf_level; level <= WALK12_LEVELS; level++)
		see(root, path[level - 1]);
}

/* A shadow that has grown is watched no more: it is not dropped so often that it would pay. Nor is one that was dropped
 * for lack of room since the walk. */
static OWN_FRAME void watch(struct npt02_root *root, const struct walk12_entry *path, unsigned leaf_level)
{
	if (!path) {
		root->watched = false;
		return;
	}
	npt02_rest_on(root, path, leaf_level);
	if (root->fill_count > NPT02_FEW)
		root->watched = false;
}

/* Makes the shadow say what the walk found. Returns what of the TLB is obsolete now, see npt02_result.dropped. */
static uint32_t fill(struct npt02 *npt02, struct npt02_root *root, struct port *port, const struct walk12 *walk,
		     const struct walk12_entry *path, l2pa_t at, hpa_t page, uint64_t size01)
{
	uint32_t dropped = 0;
	struct slot slot = slot_make(npt02, root, at, leaf_level(walk->page_size, size01), &dropped);
	uint64_t leaf = leaf_of(walk, page, size01, slot.level);

	if (unlikely(walk->error)) /* under GMET; what is around it waits for faults of its own */
		leaf &= ~PTE_U;

	/* Rights may grow without a flush, since the fault has taken the entry out of the TLB (APM2 5.5.2). */
	if ((*slot.entry & PTE_P) && ((*slot.entry ^ leaf) & ~(PTE_W | PTE_NX)))
		dropped++;
	*slot.entry = leaf;
	npt02->fills++;
	root->fill_count++;
	if (unlikely(root->watched))
		watch(root, path, walk->leaf_level);
	else if (slot.level == 1 && likely(!walk->error))
		fill_neighbours(npt02, root, port, walk, at, slot.entry);
	return dropped;
}

struct npt02_result npt02_fault(struct npt02 *npt02, struct npt02_root *root, struct port *port, l2pa_t at,
				uint64_t exitinfo1)
{
	uint64_t stage = exitinfo1 & NPF_WALK ? NPF_WALK : NPF_FINAL;
	/* The CPU walks L2's page tables with writes, whatever L2 was doing (APM2 15.25.5). */
	uint64_t access = stage == NPF_WALK ? PF_W : exitinfo1 & (PF_W | PF_ID | WALK12_SUPERVISOR);
	struct walk12_entry entries[WALK12_LEVELS], *path = root->watched ? entries : NULL;
	struct walk12 walk = unlikely(path) ? npt12_walk_path(port, &root->npt12, at, access, path) :
					      npt12_walk(port, &root->npt12, at, access);
	struct npt02_result result = {.verdict = NPT02_FILLED, .l1pa = walk.l1pa};
	uint64_t size01;
	hpa_t page;

	if (walk.raced)
		return result;
	if (!walk.ok) {
		result.verdict = NPT02_REFLECT;
		result.exitinfo1 = walk.error | stage;
	} else if (!port_l1_hpa(port, walk.l1pa, &page, &size01)) {
		result.verdict = NPT02_DEVICE;
	} else {
		result.dropped = fill(npt02, root, port, &walk, path, at, page, size01);
		npt02->drops += result.dropped != 0; /* what others remember of this table may be of another page */
	}
	return result;
}
