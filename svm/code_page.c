/* SPDX-License-Identifier: MIT */
/* svm/code_page.c - a CPU without nRIP makes us look at the instruction at each exit, and a page walk for that costs
 * more than the rest of many exits. Guests run the same code again and again, so the last walks are remembered. A walk
 * is used again only if every entry it went through still says the same; what L1's nested tables said for L2 is used
 * as long as the shadow table uses it, too.
 * Reads guest memory; changes nothing. Manual: APM2 5.3 (long mode paging). Before: gmem.c, for the first time. */
#include "svm/code_page.h"

#include <amd/cpu.h>

#include "svm/gmem.h"

static bool is_4_level(const struct vmcb_save *s)
{
	return (s->efer & EFER_LMA) && !(s->cr4 & CR4_LA57);
}

static uint64_t mode_of(const struct vmcb_save *s)
{
	return s->cr4 << 32 | (s->cpl == 3 ? BIT(31) : 0) | (s->efer & BITS(30, 0));
}

static const struct npt02_root *root_of(const struct vcpu *v)
{
	return v->nested.in_l2 ? v->nested.root : NULL;
}

static bool still_true(const struct vcpu *v, const struct code_page *p, uint64_t linear)
{
	const struct vmcb_save *s = &v->vmcb->save;

	if (p->page != linear >> 12 || p->cr3 != s->cr3 || p->mode != mode_of(s) || p->root != root_of(v) ||
	    p->drops != v->nested.npt02.drops || !p->host)
		return false;
	for (unsigned i = 0; i < p->levels; i++)
		if (__atomic_load_n(p->entry[i], __ATOMIC_RELAXED) != p->value[i])
			return false;
	return true;
}

/* Host memory of an address that the guest's tables name. */
static const uint8_t *host_of(const struct vcpu *v, uint64_t gpa, uint64_t access)
{
	struct walk12 w;

	if (!root_of(v))
		return l1_ptr(v->l1, l1pa(gpa), sizeof(uint64_t));
	w = npt12_walk((struct port *)v->l1, &v->nested.npt12, l2pa(gpa), access);
	return w.ok ? l1_ptr(v->l1, w.l1pa, sizeof(uint64_t)) : NULL;
}

/* Goes down the tables once more, after gmem_translate() has found them in order. */
static bool remember_entries(const struct vcpu *v, struct code_page *p, uint64_t linear)
{
	uint64_t table = v->vmcb->save.cr3 & PTE_ADDR;

	for (unsigned shift = 39; shift >= 12; shift -= 9) {
		uint64_t slot = table + ((linear >> shift) & 0x1FF) * sizeof(uint64_t);
		const uint64_t *entry = (const void *)host_of(v, slot, PF_W);

		if (!entry)
			return false;
		p->entry[p->levels] = entry;
		p->value[p->levels] = __atomic_load_n(entry, __ATOMIC_RELAXED);
		table = p->value[p->levels++] & PTE_ADDR;
		if (shift == 12 || (p->value[p->levels - 1] & PTE_PS)) {
			uint64_t page = (table & ~(BIT(shift) - 1)) | (linear & (BIT(shift) - 1) & ~PAGE_MASK);

			p->host = host_of(v, page, PF_ID);
			return p->host != NULL;
		}
	}
	return false;
}

static COLD bool remember(struct vcpu *v, struct code_page *p, uint64_t linear)
{
	const struct vmcb_save *s = &v->vmcb->save;
	l1pa_t at;

	*p = (struct code_page){.page = linear >> 12,
				.cr3 = s->cr3,
				.mode = mode_of(s),
				.root = root_of(v),
				.drops = v->nested.npt02.drops};
	if (!is_4_level(s) || gmem_translate(v, linear, PF_ID | gmem_user(v), &at).kind)
		return false;
	return remember_entries(v, p, linear) && still_true(v, p, linear);
}

/* L1 and each L2 have places of their own, since they often run the same addresses in turn. */
static struct code_page *place_of(struct vcpu *v, uint64_t linear)
{
	uint64_t place = linear >> 12;

	if (root_of(v))
		place += 7 + 5 * (uint64_t)(root_of(v) - v->nested.npt02.roots);
	return &v->code_pages[place % CODE_PAGES];
}

const uint8_t *code_bytes(struct vcpu *v, uint64_t linear)
{
	struct code_page *p = place_of(v, linear);

	if (!still_true(v, p, linear) && !remember(v, p, linear))
		return NULL;
	return p->host + (linear & PAGE_MASK);
}
