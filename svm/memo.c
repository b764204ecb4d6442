/* SPDX-License-Identifier: MIT */
/* svm/memo.c - a CPU without nRIP and decode assists makes us fetch and decode at each exit, which costs more than the
 * rest of many exits. Guests exit from the same places again and again, so these are remembered. A memo counts only if
 * everything it rests on still says the same: 64-bit code, CR3, each page table entry of the walk, the bytes themselves.
 * Rights (CPL, NXE, SMEP) do not count: the CPU has just fetched the instruction, so it is only asked what is there.
 * Five-level paging is offered to no guest. What L1's nested tables said for L2 counts as long as the shadow table that
 * L2 runs on rests on it, too.
 * Reads guest memory; changes nothing. Manual: APM2 5.3 (long mode paging). The slow way: gmem.c, decode.c. */
#include "svm/memo_now.h"

#include <amd/cpu.h>

#include "svm/gmem.h"

static struct npt02_root *root_of(const struct vcpu *v)
{
	return v->nested.in_l2 ? v->nested.root : NULL;
}

#define NO_TABLES12 0x80

/* Of no instruction: can be read through like any other, but what it says of the bytes cannot be. */
static const uint64_t no_bytes;
static const struct memo nothing = {
	.entry = {&no_bytes, &no_bytes, &no_bytes, &no_bytes}, .host = &no_bytes, .bytes = 1, .mask = 0};

/* What L2's nested tables are called, or NO_TABLES12: their number, which is unlike after each time that all was
 * forgotten. */
static OWN_FRAME void name_tables(struct vcpu *v)
{
	const struct npt02_root *root = v->nested.root;
	struct level_exits *l2 = &v->exits_of[1];

	v->memo_root = root;
	v->memo_drops = v->nested.npt02.drops;
	l2->tables12 = root ? v->memo_drops << 8 | root->number : NO_TABLES12;
	l2->memo_sets = v->memos + MEMO_SETS + (uint8_t)(l2->tables12 * MEMO_SPREAD);
}

void memo_use_tables(struct vcpu *v, unsigned level)
{
	if (level == 2 && unlikely(v->nested.root != v->memo_root || v->nested.npt02.drops != v->memo_drops))
		name_tables(v);
}

void memo_forget(struct vcpu *v)
{
	struct memo *m = v->memos[0];

	for (size_t i = 0; i < sizeof(v->memos) / sizeof(*m); i++)
		m[i] = nothing;
	v->exits_of[0].memo_sets = v->memos;
	v->exits_of[0].tables12 = NO_TABLES12;
	name_tables(v);
}

const struct memo *memo_find(struct vcpu *v)
{
	return memo_now(v);
}

/* Through L1's nested table. What was read there is from now on part of what the shadow rests on. */
static struct walk12 walk_nested(const struct vcpu *v, struct npt02_root *root, uint64_t gpa, uint64_t access)
{
	struct walk12_entry path[WALK12_LEVELS];
	struct walk12 w;

	if (!root->watched)
		return npt12_walk((struct port *)v->l1, &root->npt12, l2pa(gpa), access);
	w = npt12_walk_path((struct port *)v->l1, &root->npt12, l2pa(gpa), access, path);
	if (w.ok)
		npt02_rest_on(root, path, w.leaf_level);
	return w;
}

/* Host memory of eight bytes at an address that the guest's tables name. */
static const void *host_of(const struct vcpu *v, uint64_t gpa, uint64_t access)
{
	struct npt02_root *root = root_of(v);
	struct walk12 w;

	if (!root)
		return l1_ptr(v->l1, l1pa(gpa), sizeof(uint64_t));
	w = walk_nested(v, root, gpa, access);
	return w.ok ? l1_ptr(v->l1, w.l1pa, sizeof(uint64_t)) : NULL;
}

/* Goes down the tables once more, after the walk of the decoder has found them in order. */
static bool remember_walk(const struct vcpu *v, struct memo *m)
{
	uint64_t table = m->cr3 & PTE_ADDR;

	for (unsigned i = 0, shift = 39; i < MEMO_LEVELS; i++, shift -= 9) {
		const uint64_t *entry = host_of(v, table + ((m->rip >> shift) & 0x1FF) * sizeof(uint64_t), PF_W);

		if (!entry)
			return false;
		for (unsigned rest = i; rest < MEMO_LEVELS; rest++) {
			m->entry[rest] = entry;
			m->value[rest] = __atomic_load_n(entry, __ATOMIC_RELAXED);
		}
		if (i == MEMO_LEVELS - 1)
			m->cr3 |= MEMO_DEEP;
		table = m->value[i] & PTE_ADDR;
		if (shift == 12 || (m->value[i] & PTE_PS)) {
			m->host = host_of(v, (table & ~(BIT(shift) - 1)) | (m->rip & (BIT(shift) - 1)), PF_ID);
			return m->host != NULL;
		}
	}
	return false;
}

struct memo *memo_learn(struct vcpu *v, unsigned length)
{
	const struct vmcb_save *s = &v->vmcb->save;
	struct memo *m = v->exits->memo_sets[(uint8_t)s->rip];
	struct memo new = {.rip = s->rip, .cr3 = s->cr3, .tables12 = v->exits->tables12, .length = (uint8_t)length};

	if (m->rip != s->rip)
		m[1] = m[0];
	*m = nothing;
	if (!memo_is_64_bit(s) || (s->cr4 & CR4_LA57) || length == 0 || length > sizeof(uint64_t) ||
	    (s->rip & PAGE_MASK) > PAGE_SIZE - sizeof(uint64_t) || !remember_walk(v, &new))
		return NULL;
	new.mask = UINT64_MAX >> (64 - 8 * length);
	new.bytes = memo_load(new.host) & new.mask;
	*m = new;
	return m;
}
