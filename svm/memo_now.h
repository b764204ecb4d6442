/* SPDX-License-Identifier: MIT */
/* svm/memo_now.h - is the instruction that exited a remembered one? The answer that most exits wait for, in their own
 * code. What a memo rests on is explained in memo.c. */
#ifndef SVM_MEMO_NOW_H
#define SVM_MEMO_NOW_H

#include <amd/cpu.h>

#include "svm/vcpu.h"

/* L1 and each L2 have places of their own, since they often run the same addresses in turn. */
static ALWAYS_INLINE struct memo *memo_places(struct vcpu *v)
{
	uint32_t mixed = (uint32_t)(v->vmcb->save.rip + v->tables12) * UINT32_C(0x9E3779B1); /* Fibonacci hashing */

	return v->memos[mixed / (uint32_t)(BIT(32) / MEMO_SETS)];
}

static ALWAYS_INLINE uint64_t memo_load(const void *at)
{
	uint64_t word;

	__builtin_memcpy(&word, at, sizeof(word));
	return word;
}

static ALWAYS_INLINE bool memo_is_same_place(const struct vcpu *v, const struct memo *m)
{
	const struct vmcb_save *s = &v->vmcb->save;

	return m->rip == s->rip && m->cr3 == s->cr3 && m->tables12 == v->tables12 && (s->cs.attr & SEG_L) &&
	       (s->efer & EFER_LMA);
}

/* Walks of fewer levels repeat their last entry, so that this is straight code. */
static ALWAYS_INLINE bool memo_is_same_walk(const struct memo *m)
{
	return __atomic_load_n(m->entry[0], __ATOMIC_RELAXED) == m->value[0] &&
	       __atomic_load_n(m->entry[1], __ATOMIC_RELAXED) == m->value[1] &&
	       __atomic_load_n(m->entry[2], __ATOMIC_RELAXED) == m->value[2] &&
	       __atomic_load_n(m->entry[3], __ATOMIC_RELAXED) == m->value[3];
}

static ALWAYS_INLINE bool memo_is_valid(const struct vcpu *v, const struct memo *m)
{
	return memo_is_same_place(v, m) && memo_is_same_walk(m) && (memo_load(m->host) & m->mask) == m->bytes;
}

static ALWAYS_INLINE const struct memo *memo_now(struct vcpu *v)
{
	const struct memo *m = memo_places(v);

	if (unlikely(m->rip != v->vmcb->save.rip))
		m++;
	return likely(memo_is_valid(v, m)) ? m : NULL;
}

#endif
