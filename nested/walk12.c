/* SPDX-License-Identifier: MIT */
/* nested/walk12.c - what L1's nested page table says about one L2-physical address, exactly as the CPU would find
 * it. Writes nothing but A and D bits in L1's table entries, each by one compare-exchange, because L1's other CPUs
 * work on the same table. An unbacked table page reads as all ones on the bus: a reserved-bit fault.
 * Manual: APM2 5.2-5.4 (formats), 15.25.5 (Nested Table Walk), 15.25.6. Next: npt02.c. */
#include <amd/cpu.h>
#include <amd/npt.h>

#include "walk12.h"

#define LEGACY_LEVELS 2
#define PAE_LEVELS 3
#define LONG_LEVELS 4

#define TRIES 8 /* how often an entry may change between look and compare-exchange before L2 has to come again */

/* Leaf address bits that the page offset covers, so must be zero, in the formats of 8-byte entries. */
#define LEAF_2M_MBZ BITS(20, 13)
#define LEAF_1G_MBZ BITS(29, 13)
#define PML4E_MBZ BITS(8, 7)
#define PAE_HIGH_MBZ BITS(62, 52) /* for software in long mode, reserved in PAE */

/* The 4 MiB leaf of the legacy format keeps address bits 39:32 in bits 20:13 (PSE-36). */
#define LEAF_4M_MBZ BIT(21)
#define LEAF_4M_LOW BITS(31, 22)
#define LEAF_4M_HIGH BITS(20, 13)
#define LEAF_4M_HIGH_SHIFT (32 - 13)

enum step { STEP_REFUSED, STEP_RACED, STEP_TABLE, STEP_LEAF };

/* One walk in progress. */
struct walker {
	const struct npt12 *npt12;
	struct port *port;
	uint64_t at, access;
	unsigned level;  /* of the entry looked at; 1 is the lowest */
	uint64_t table;  /* L1-physical address of the table it is in, then of the next one */
	bool user, writable, executable; /* all levels so far */
	struct walk12 result;
	struct walk12_entry *path; /* null when nobody asks */
};

static ALWAYS_INLINE bool is_legacy(const struct npt12 *npt12)
{
	return npt12->levels == LEGACY_LEVELS;
}

static ALWAYS_INLINE bool is_pdpte(const struct npt12 *npt12, unsigned level)
{
	return npt12->levels == PAE_LEVELS && level == PAE_LEVELS;
}

static ALWAYS_INLINE uint64_t entry_size(const struct npt12 *npt12)
{
	return is_legacy(npt12) ? sizeof(uint32_t) : sizeof(uint64_t);
}

/* The lowest address bit that indexes tables of this level; also log2 of what one entry spans. */
static ALWAYS_INLINE unsigned level_shift(const struct npt12 *npt12, unsigned level)
{
	return 12 + (level - 1) * (is_legacy(npt12) ? 10 : 9);
}

static ALWAYS_INLINE uint64_t entry_address(const struct walker *w)
{
	uint64_t count = is_legacy(w->npt12) ? 1024 : 512;
	uint64_t index = (w->at >> level_shift(w->npt12, w->level)) & (count - 1);

	return w->table + index * entry_size(w->npt12);
}

static ALWAYS_INLINE uint64_t entry_read(const struct npt12 *npt12, const void *entry)
{
	if (is_legacy(npt12))
		return __atomic_load_n((const uint32_t *)entry, __ATOMIC_RELAXED);
	return __atomic_load_n((const uint64_t *)entry, __ATOMIC_RELAXED);
}

/* Sets `bits` in an entry that was read as `old`. False when it is not `old` any more. */
static ALWAYS_INLINE bool entry_mark(const struct npt12 *npt12, void *entry, uint64_t old, uint64_t bits)
{
	uint32_t old32 = (uint32_t)old;

	if ((old & bits) == bits)
		return true;
	if (is_legacy(npt12))
		return __atomic_compare_exchange_n((uint32_t *)entry, &old32, old32 | (uint32_t)bits, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint64_t *)entry, &old, old | bits, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

static ALWAYS_INLINE bool is_leaf(const struct npt12 *npt12, unsigned level, uint64_t e)
{
	if (level == 1)
		return true;
	if (!(e & PTE_PS) || level == LONG_LEVELS || is_pdpte(npt12, level))
		return false;
	return !is_legacy(npt12) || npt12->pse; /* without CR4.PSE the bit is ignored */
}

/* Where the entry points: at a table or a page. Offset bits of a large leaf are no part of it: one is PAT. */
static ALWAYS_INLINE uint64_t frame(const struct npt12 *npt12, unsigned level, uint64_t e)
{
	if (level == 1 || !is_leaf(npt12, level, e))
		return e & PTE_ADDR;
	if (is_legacy(npt12))
		return (e & LEAF_4M_LOW) | ((e & LEAF_4M_HIGH) << LEAF_4M_HIGH_SHIFT);
	return e & PTE_ADDR & ~(BIT(level_shift(npt12, level)) - 1);
}

static ALWAYS_INLINE bool has_reserved(const struct npt12 *npt12, unsigned level, uint64_t e)
{
	bool large = level > 1 && is_leaf(npt12, level, e);
	uint64_t mbz = 0;

	if (frame(npt12, level, e) & npt12->phys_mbz)
		return true;
	if (is_legacy(npt12))
		return large && (e & LEAF_4M_MBZ);
	if (is_pdpte(npt12, level))
		return (e & PDPTE_MBZ) != 0;
	if (npt12->levels == PAE_LEVELS)
		mbz |= PAE_HIGH_MBZ;
	if (!npt12->nxe)
		mbz |= PTE_NX;
	if (level == 4)
		mbz |= PML4E_MBZ;
	if (level == 3 && large)
		mbz |= npt12->pages_1g ? LEAF_1G_MBZ : PTE_PS;
	if (level == 2 && large)
		mbz |= LEAF_2M_MBZ;
	return (e & mbz) != 0;
}

/* What this entry takes away. PDPTEs of the PAE format have no rights in them. */
static ALWAYS_INLINE void narrow_rights(struct walker *w, uint64_t e)
{
	if (is_pdpte(w->npt12, w->level))
		return;
	w->user &= (e & PTE_U) != 0;
	w->writable &= (e & PTE_W) != 0;
	w->executable &= !(e & PTE_NX);
}

/* Under GMET who fetches is what the fault was about, and U tells; all other accesses are a user's. */
static ALWAYS_INLINE uint64_t fault_user(const struct walker *w)
{
	return w->npt12->gmet && (w->access & WALK12_SUPERVISOR) ? 0 : PF_U;
}

/* APM2 8.4.2: P says that a present entry was the reason, ID is only reported while L1 could tell fetches apart. */
static ALWAYS_INLINE enum step refuse(struct walker *w, uint64_t why)
{
	bool tells_fetch = (w->npt12->nxe && !is_legacy(w->npt12)) || w->npt12->smep;

	w->result.error = why | fault_user(w) | (w->access & (tells_fetch ? PF_W | PF_ID : PF_W));
	return STEP_REFUSED;
}

/* With GMET, what has U at all levels is executable at CPL 3 alone, and the rest is not out of reach. */
static ALWAYS_INLINE bool user_forbids(const struct walker *w)
{
	if (likely(!w->npt12->gmet))
		return !w->user;
	return w->user && (w->access & PF_ID) && (w->access & WALK12_SUPERVISOR);
}

static ALWAYS_INLINE void note(struct walker *w, const void *entry, uint64_t e)
{
	if (w->path)
		w->path[w->level - 1] = (struct walk12_entry){.at = entry, .value = e};
}

/* The leaf is found: are all levels together in favour? CR0.WP of L1 has no say (APM2 15.25.5). */
static ALWAYS_INLINE enum step take_leaf(struct walker *w, void *entry, uint64_t e)
{
	uint64_t marks = PTE_A | (w->access & PF_W ? PTE_D : 0);
	uint64_t size = BIT(level_shift(w->npt12, w->level));
	struct walk12 *r = &w->result;

	r->upper_writable = w->writable;
	r->upper_executable = w->executable;
	narrow_rights(w, e);
	if (user_forbids(w) || ((w->access & PF_W) && !w->writable) || ((w->access & PF_ID) && !w->executable))
		return refuse(w, PF_P);
	if (!entry_mark(w->npt12, entry, e, marks))
		return STEP_RACED;
	r->ok = true;
	r->l1pa = l1pa(frame(w->npt12, w->level, e) | (w->at & (size - 1)));
	r->page_size = size;
	r->writable = w->writable;
	r->executable = w->executable;
	if (unlikely(!w->user))
		r->error = WALK12_SUPERVISOR;
	r->dirty = ((e | marks) & PTE_D) != 0;
	r->leaf = entry;
	r->leaf_level = w->level;
	note(w, entry, e | marks);
	return STEP_LEAF;
}

/* Looks at one entry and moves on to the table below. */
static ALWAYS_INLINE enum step walk_step(struct walker *w)
{
	void *entry = port_l1_ptr(w->port, l1pa(entry_address(w)), entry_size(w->npt12));
	uint64_t e;

	if (!entry)
		return refuse(w, PF_P | PF_RSV);
	e = entry_read(w->npt12, entry);
	if (!(e & PTE_P))
		return refuse(w, 0);
	if (has_reserved(w->npt12, w->level, e))
		return refuse(w, PF_P | PF_RSV);
	if (is_leaf(w->npt12, w->level, e))
		return take_leaf(w, entry, e);
	if (!is_pdpte(w->npt12, w->level) && !entry_mark(w->npt12, entry, e, PTE_A))
		return STEP_RACED;
	note(w, entry, e | PTE_A);
	narrow_rights(w, e);
	w->table = frame(w->npt12, w->level, e);
	w->level--;
	return STEP_TABLE;
}

static ALWAYS_INLINE enum step walk_once(struct walker *w)
{
	const struct npt12 *npt12 = w->npt12;
	enum step step = STEP_TABLE;

	w->level = npt12->levels;
	w->table = npt12->ncr3 & (npt12->levels == PAE_LEVELS ? BITS(51, 5) : BITS(51, 12));
	w->user = w->writable = w->executable = true;
	while (step == STEP_TABLE)
		step = walk_step(w);
	return step;
}

/* All of the above inline: with the levels known to the compiler, nothing remains of the formats that it is not. */
static ALWAYS_INLINE struct walk12 walk(struct port *port, const struct npt12 *key, l2pa_t at, uint64_t access,
					uint8_t levels, struct walk12_entry *path)
{
	struct npt12 npt12 = *key;
	struct walker w = {.npt12 = &npt12, .port = port, .at = at.a, .access = access, .path = path};
	uint64_t reach = levels == LONG_LEVELS ? BIT(48) : BIT(32);
	enum step step = STEP_RACED;

	npt12.levels = levels;
	if (at.a >= reach) /* L2 may form addresses that L1's format has no entry for */
		step = refuse(&w, 0);
	for (unsigned tries = 0; step == STEP_RACED && tries < TRIES; tries++)
		step = walk_once(&w);
	w.result.raced = step == STEP_RACED;
	return w.result;
}

struct walk12 npt12_walk(struct port *port, const struct npt12 *npt12, l2pa_t at, uint64_t access)
{
	if (likely(npt12->levels == LONG_LEVELS))
		return walk(port, npt12, at, access, LONG_LEVELS, NULL);
	return walk(port, npt12, at, access, npt12->levels, NULL);
}

OWN_FRAME struct walk12 npt12_walk_path(struct port *port, const struct npt12 *npt12, l2pa_t at, uint64_t access,
					struct walk12_entry path[WALK12_LEVELS])
{
	return walk(port, npt12, at, access, LONG_LEVELS, path);
}

struct walk12 npt12_neighbour(const struct npt12 *npt12, const struct walk12 *of, int64_t pages)
{
	struct walk12 r = *of;
	uint64_t e;

	if (of->page_size != PAGE_SIZE) {
		r.l1pa = l1pa(of->l1pa.a + (uint64_t)pages * PAGE_SIZE);
		return r;
	}
	e = entry_read(npt12, (const uint8_t *)of->leaf + pages * (int64_t)entry_size(npt12));
	r.ok = (e & NPT12_USED) == NPT12_USED && !has_reserved(npt12, 1, e);
	r.l1pa = l1pa(frame(npt12, 1, e) | (of->l1pa.a & PAGE_MASK));
	r.writable = of->upper_writable && (e & PTE_W);
	r.executable = of->upper_executable && !(e & PTE_NX);
	r.dirty = (e & PTE_D) != 0;
	return r;
}
