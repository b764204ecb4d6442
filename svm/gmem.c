/* SPDX-License-Identifier: MIT */
/* svm/gmem.c - page walks in software, for the level that runs: its registers decide the format, its tables are
 * read through NPT12 when it is L2 with nested paging. Tables outside RAM read as all ones. Accessed and dirty bits
 * are set as the CPU sets them, by compare-exchange, because L1's other CPUs use the same tables meanwhile.
 * Protection keys are not offered to L1.
 * Manual: APM2 5.2-5.6 (paging, protection), 15.25.5 (nested table walk). Nested part: nested/walk12.c. */
#include "svm/gmem.h"

#include <amd/npt.h>

#include "kernel/string.h"
#include "svm/exit.h"

#define LINEAR_32 BITS(31, 0)
#define PAE_CR3 BITS(31, 5)
#define LEGACY_ADDR BITS(31, 12)
#define PAE_MBZ BITS(62, 52) /* PDPTE_MBZ: nested/walk12.h */
#define LARGE_MBZ_FROM 13 /* bit 12 of a large page's entry is its PAT bit */
#define PSE_HIGH_SHIFT 13 /* 4 MiB pages: address bits 39:32 in bits 20:13 */
#define PSE_HIGH_COUNT 8
#define PSE_MBZ BIT(21)
#define STEPS_MAX 16 /* of one walk, with those repeated because an entry changed */

/* What the registers of the level that runs say about paging. */
struct paging {
	uint64_t root;
	uint8_t levels;     /* 0: no paging, 2: legacy, 3: PAE, 4 and 5: long */
	uint8_t index_bits; /* of one level: 10 with 4-byte entries, else 9 */
	bool nxe, wp, smep, smap, large;
	uint64_t phys_mbz;
};

/* How far a walk has come. */
struct walk {
	uint64_t table; /* guest-physical address of the table, at last of the page */
	uint64_t rights; /* PTE_W and PTE_U as far as all entries have them */
	uint64_t nx;     /* PTE_NX if one has it */
	unsigned level;
};

static bool is_long(const struct vmcb_save *save)
{
	return (save->cr0 & CR0_PG) && (save->efer & EFER_LMA);
}

static bool through_npt12(const struct vcpu *v)
{
	return v->nested.in_l2 && (v->nested.snap.control.misc & MISC_NP);
}

static struct paging paging_of(const struct vcpu *v)
{
	const struct vmcb_save *save = &v->vmcb->save;
	struct paging p = {
		.index_bits = 9,
		.nxe = save->efer & EFER_NXE,
		.wp = save->cr0 & CR0_WP,
		.smep = save->cr4 & CR4_SMEP,
		.smap = (save->cr4 & CR4_SMAP) && !(save->rflags & RFLAGS_AC),
		.large = true,
		.phys_mbz = v->nested.caps.phys_mbz & PTE_ADDR,
	};

	if (!(save->cr0 & CR0_PG))
		return p;
	if (is_long(save)) {
		p.levels = save->cr4 & CR4_LA57 ? 5 : 4;
		p.root = save->cr3 & PTE_ADDR;
	} else if (save->cr4 & CR4_PAE) {
		p.levels = 3;
		p.root = save->cr3 & PAE_CR3;
	} else {
		p.levels = 2;
		p.index_bits = 10;
		p.root = save->cr3 & LEGACY_ADDR;
		p.nxe = false;
		p.large = save->cr4 & CR4_PSE;
	}
	return p;
}

static struct gmem_fault page_fault(const struct paging *p, uint64_t gva, uint64_t access, uint64_t error)
{
	error |= access & (PF_W | PF_U);
	if (p->nxe || p->smep)
		error |= access & PF_ID;
	return (struct gmem_fault){ .kind = GMEM_PF, .address = gva, .error = (uint32_t)error };
}

/* From the address space that the guest's tables name to L1's. */
static struct gmem_fault to_l1(const struct vcpu *v, uint64_t gpa, uint64_t access, uint64_t stage, l1pa_t *l1)
{
	uint64_t kind = access & (PF_W | PF_ID);

	*l1 = l1pa(gpa);
	if (!through_npt12(v))
		return (struct gmem_fault){ .kind = GMEM_OK };

	struct walk12 w = npt12_walk((struct port *)v->l1, &v->nested.root->npt12, l2pa(gpa),
				     access & PF_U ? kind : kind | WALK12_SUPERVISOR);

	if (w.raced)
		return (struct gmem_fault){ .kind = GMEM_RACED };
	if (!w.ok)
		return (struct gmem_fault){ .kind = GMEM_NPF, .exitinfo1 = w.error | stage, .exitinfo2 = gpa };
	*l1 = w.l1pa;
	return (struct gmem_fault){ .kind = GMEM_OK };
}

static bool is_pdpte(const struct paging *p, unsigned level)
{
	return p->levels == 3 && level == 3;
}

static bool is_leaf(const struct paging *p, unsigned level, uint64_t entry)
{
	return level == 1 || ((entry & PTE_PS) && p->large && !is_pdpte(p, level));
}

static unsigned level_shift(const struct paging *p, unsigned level)
{
	return 12 + (level - 1) * p->index_bits;
}

/* Bits of a present entry that must be zero. */
static uint64_t entry_mbz(const struct vcpu *v, const struct paging *p, unsigned level, uint64_t entry)
{
	uint64_t mbz = p->phys_mbz | (p->nxe ? 0 : PTE_NX) | (p->levels == 3 ? PAE_MBZ : 0);

	if (p->levels == 2)
		return is_leaf(p, level, entry) && level == 2 ? PSE_MBZ : 0;
	if (is_pdpte(p, level))
		return v->nested.caps.pdpte_mbz;
	if (level >= 4 || (level == 3 && !v->nested.caps.pages_1g))
		return mbz | PTE_PS;
	if (level > 1 && (entry & PTE_PS))
		return mbz | BITS(level_shift(p, level) - 1, LARGE_MBZ_FROM);
	return mbz;
}

static bool is_allowed(const struct paging *p, const struct walk *w, uint64_t access)
{
	if (access & PF_U) {
		if (!(w->rights & PTE_U) || ((access & PF_W) && !(w->rights & PTE_W)))
			return false;
	} else {
		if ((access & PF_W) && !(w->rights & PTE_W) && p->wp)
			return false;
		if ((w->rights & PTE_U) && (access & PF_ID ? p->smep : p->smap))
			return false;
	}
	return !((access & PF_ID) && w->nx);
}

/* Sets the bits unless the entry has changed since it was read. */
static bool entry_set(void *at, unsigned size, uint64_t entry, uint64_t bits)
{
	if ((entry & bits) == bits || !at)
		return true;
	if (size == sizeof(uint64_t))
		return __atomic_compare_exchange_n((uint64_t *)at, &entry, entry | bits, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);

	uint32_t entry32 = (uint32_t)entry;

	return __atomic_compare_exchange_n((uint32_t *)at, &entry32, entry32 | (uint32_t)bits, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static uint64_t entry_get(const void *at, unsigned size)
{
	if (!at)
		return UINT64_MAX;
	if (size == sizeof(uint64_t))
		return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
	return __atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED);
}

static uint64_t page_base(const struct paging *p, unsigned level, uint64_t entry)
{
	uint64_t base = entry & PTE_ADDR & ~(BIT(level_shift(p, level)) - 1);

	if (p->levels == 2 && level == 2)
		base |= bits_get(entry, PSE_HIGH_SHIFT + PSE_HIGH_COUNT - 1, PSE_HIGH_SHIFT) << 32;
	return base;
}

/* One level down; none when another CPU changed the entry meanwhile. */
static struct gmem_fault walk_step(struct vcpu *v, const struct paging *p, struct walk *w, uint64_t gva,
				   uint64_t access)
{
	unsigned size = p->index_bits == 10 ? sizeof(uint32_t) : sizeof(uint64_t);
	unsigned shift = level_shift(p, w->level);
	uint64_t index = (gva >> shift) & (BIT(p->index_bits) - 1);
	l1pa_t at;
	struct gmem_fault fault = to_l1(v, w->table + index * size, PF_W, NPF_WALK, &at);

	if (fault.kind)
		return fault;

	void *slot = l1_ptr(v->l1, at, size);
	uint64_t entry = entry_get(slot, size);
	struct walk next = *w;

	if (!(entry & PTE_P))
		return page_fault(p, gva, access, 0);
	if (entry & entry_mbz(v, p, w->level, entry))
		return page_fault(p, gva, access, PF_P | PF_RSV);
	if (!is_pdpte(p, w->level)) {
		next.rights &= entry;
		next.nx |= entry & PTE_NX;
	}
	if (is_leaf(p, w->level, entry)) {
		if (!is_allowed(p, &next, access))
			return page_fault(p, gva, access, PF_P);
		if (!entry_set(slot, size, entry, PTE_A | (access & PF_W ? PTE_D : 0)))
			return fault;
		next.table = page_base(p, w->level, entry) | (gva & (BIT(shift) - 1));
		next.level = 0;
	} else {
		if (!is_pdpte(p, w->level) && !entry_set(slot, size, entry, PTE_A))
			return fault;
		next.table = entry & PTE_ADDR;
		next.level--;
	}
	*w = next;
	return fault;
}

/* The common case in few instructions, because CPUs without nRIP need it at each exit: 4 levels, no NPT12, tables in
 * low RAM, all bits set that the CPU would set. False means only that the full walk must decide. */
static inline bool walk_fast(const struct vcpu *v, uint64_t gva, uint64_t access, uint64_t *gpa)
{
	const struct vmcb_save *save = &v->vmcb->save;
	const struct l1_ram *ram = &v->l1->low;
	uint64_t need = PTE_P | PTE_A | (access & (PF_U | PF_W));
	uint64_t bad = (v->nested.caps.phys_mbz & PTE_ADDR) |
		       ((access & PF_ID) || !(save->efer & EFER_NXE) ? PTE_NX : 0);
	uint64_t table = save->cr3 & PTE_ADDR, all = UINT64_MAX, entry = 0;
	unsigned shift = 39;

#pragma GCC unroll 4
	for (; shift >= 12; shift -= 9) {
		if (unlikely(table >= ram->size))
			return false;

		const uint64_t *page = hpa_ptr(hpa(ram->host.a + table));

		entry = __atomic_load_n(page + ((gva >> shift) & 0x1FF), __ATOMIC_RELAXED);
		if (unlikely((entry & need) != need || (entry & bad)))
			return false;
		all &= entry;
		if (shift == 12 || (entry & PTE_PS))
			break;
		table = entry & PTE_ADDR;
	}
	if (shift > 12 && (shift == 39 || (shift == 30 && !v->nested.caps.pages_1g) ||
			   (entry & BITS(shift - 1, LARGE_MBZ_FROM))))
		return false;
	if ((access & PF_W) && !(entry & PTE_D))
		return false;
	if (!(access & PF_U) && (all & PTE_U) && (save->cr4 & (CR4_SMEP | CR4_SMAP)))
		return false;
	*gpa = (entry & PTE_ADDR & ~(BIT(shift) - 1)) | (gva & (BIT(shift) - 1));
	return true;
}

_Static_assert(PF_U == PTE_U && PF_W == PTE_W, "walk_fast() takes the access for entry bits");

static bool is_canonical(uint64_t gva, unsigned levels)
{
	unsigned unused = 64 - (12 + 9 * levels);

	return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

static COLD struct gmem_fault walk_full(struct vcpu *v, uint64_t gva, uint64_t access, l1pa_t *l1)
{
	struct paging p = paging_of(v);

	if (p.levels < 4)
		gva &= LINEAR_32;
	else if (!is_canonical(gva, p.levels))
		return (struct gmem_fault){ .kind = GMEM_GP, .address = gva };

	struct walk w = { .table = p.levels ? p.root : gva, .rights = PTE_W | PTE_U, .level = p.levels };

	for (unsigned steps = 0; w.level; steps++) {
		struct gmem_fault fault = walk_step(v, &p, &w, gva, access);

		if (fault.kind)
			return fault;
		if (steps == STEPS_MAX)
			return (struct gmem_fault){ .kind = GMEM_RACED };
	}
	return to_l1(v, w.table, access, NPF_FINAL, l1);
}

struct gmem_fault gmem_translate(struct vcpu *v, uint64_t gva, uint64_t access, l1pa_t *l1)
{
	const struct vmcb_save *save = &v->vmcb->save;
	bool is_4_level = is_long(save) && !(save->cr4 & CR4_LA57);

	if (likely(is_4_level && !through_npt12(v) && is_canonical(gva, 4) && walk_fast(v, gva, access, &l1->a)))
		return (struct gmem_fault){ .kind = GMEM_OK };
	return walk_full(v, gva, access, l1);
}

/* The bytes from gva to the end of its page, at most *bytes, as host memory. */
static struct gmem_fault map_chunk(struct vcpu *v, uint64_t gva, uint64_t access, unsigned *bytes, void **at)
{
	unsigned in_page = (unsigned)min_u64(*bytes, PAGE_SIZE - (gva & PAGE_MASK));
	l1pa_t l1;
	struct gmem_fault fault = gmem_translate(v, gva, access, &l1);

	if (fault.kind)
		return fault;
	*bytes = in_page;
	*at = l1_ptr(v->l1, l1, in_page);
	if (!*at)
		return (struct gmem_fault){ .kind = GMEM_DEVICE, .address = l1.a };
	return fault;
}

struct gmem_fault gmem_read(struct vcpu *v, uint64_t gva, void *to, unsigned bytes, uint64_t access, unsigned *done)
{
	struct gmem_fault fault = { .kind = GMEM_OK };
	void *from;

	for (*done = 0; *done < bytes;) {
		unsigned chunk = bytes - *done;

		fault = map_chunk(v, gva + *done, access, &chunk, &from);
		if (fault.kind)
			break;
		memcpy((uint8_t *)to + *done, from, chunk);
		*done += chunk;
	}
	return fault;
}

struct gmem_fault gmem_write(struct vcpu *v, uint64_t gva, const void *from, unsigned bytes, uint64_t access,
			     unsigned *done)
{
	struct gmem_fault fault = { .kind = GMEM_OK };
	void *to;

	for (*done = 0; *done < bytes;) {
		unsigned chunk = bytes - *done;

		fault = map_chunk(v, gva + *done, access | PF_W, &chunk, &to);
		if (fault.kind)
			break;
		memcpy(to, (const uint8_t *)from + *done, chunk);
		*done += chunk;
	}
	return fault;
}

enum resume gmem_fault_deliver(struct vcpu *v, const struct gmem_fault *fault)
{
	switch (fault->kind) {
	case GMEM_OK:
	case GMEM_RACED:
		break;
	case GMEM_PF:
		vcpu_raise_pf(v, fault->address, fault->error);
		break;
	case GMEM_GP:
		vcpu_raise_error(v, VEC_GP, 0);
		break;
	case GMEM_NPF:
		return glue_l2_npf(v, fault->exitinfo1, fault->exitinfo2);
	case GMEM_DEVICE:
		l1_end(v->l1, "vCPU %u: an operand that must be in RAM lies at %#llx", v->index,
		       (unsigned long long)fault->address);
		return RESUME_STOP;
	}
	return RESUME_SAME;
}
