/* SPDX-License-Identifier: MIT */
/* svm/memo_now.h - is the instruction that exited a remembered one? The answer that most exits wait for, in their own
 * code. What a memo rests on is explained in memo.c. */
#ifndef SVM_MEMO_NOW_H
#define SVM_MEMO_NOW_H

#include <amd/cpu.h>

#include "svm/vcpu.h"

static ALWAYS_INLINE uint64_t memo_load(const void *at)
{
	uint64_t word;

	__builtin_memcpy(&word, at, sizeof(word));
	return word;
}

static ALWAYS_INLINE bool memo_is_64_bit(const struct vmcb_save *s)
{
	return (s->cs.attr & SEG_L) && (s->efer & EFER_LMA);
}

/* 0: the page table entry says what it said. */
static ALWAYS_INLINE uint64_t memo_entry_differs(const struct memo *m, unsigned n)
{
	return __atomic_load_n(m->entry[n], __ATOMIC_RELAXED) ^ m->value[n];
}

/* 0: nothing that it rests on has changed, but for CR3 and the last entry of a deep walk. Walks of fewer levels repeat
 * their last entry, so that this is straight code. */
static ALWAYS_INLINE uint64_t memo_differs(const struct vcpu *v, const struct memo *m)
{
	return (m->tables12 ^ v->exits->tables12) | memo_entry_differs(m, 0) | memo_entry_differs(m, 1) |
	       memo_entry_differs(m, 2) | ((memo_load(m->host) & m->mask) ^ m->bytes);
}

static ALWAYS_INLINE bool memo_is_valid(const struct vcpu *v, const struct memo *m)
{
	const struct vmcb_save *s = &v->vmcb->save;
	uint64_t differs;

	if (unlikely(!memo_is_64_bit(s)))
		return false;
	differs = memo_differs(v, m);
	if (likely(!((m->cr3 ^ s->cr3) | differs)))
		return true;
	/* Loads that the compiler does not join with those above, which would cost the walks that are not deep. */
	return !differs && !memo_entry_differs(m, MEMO_LEVELS - 1) &&
	       __atomic_load_n(&m->cr3, __ATOMIC_RELAXED) == (__atomic_load_n(&s->cr3, __ATOMIC_RELAXED) | MEMO_DEEP);
}

static ALWAYS_INLINE const struct memo *memo_now(struct vcpu *v)
{
	uint64_t rip = v->vmcb->save.rip;
	const struct memo *m = v->exits->memo_sets[(uint8_t)rip];

	if (unlikely(m->rip != rip) && (++m)->rip != rip)
		return NULL;
	return likely(memo_is_valid(v, m)) ? m : NULL;
}

#endif
