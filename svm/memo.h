/* SPDX-License-Identifier: MIT */
/* svm/memo.h - instructions that exited before: their length, and what they do to a device. */
#ifndef SVM_MEMO_H
#define SVM_MEMO_H

#include <bits.h>
#include <compiler.h>

#define MEMO_SETS (UINT8_MAX + 1) /* found by the low byte of RIP */
#define MEMO_WAYS 2   /* the one learned last comes first */
#define MEMO_SPREAD 0x9D /* so many sets apart L2s with unlike nested tables begin: the same code has other places there */
#define MEMO_LEVELS 4

struct vcpu;
struct npt02_root;

/* A plain MOV between a device register and a general register, or of a constant. */
enum memo_move { MEMO_NO_MOVE, MEMO_LOAD, MEMO_STORE, MEMO_STORE_IMM };

/* A bit that is 0 in all values of CR3: the walk has four levels, one more than most code has. */
#define MEMO_DEEP BIT(63)

struct memo {
	uint64_t rip, cr3;              /* where the walk to its bytes began; MEMO_DEEP */
	uint64_t tables12;              /* L2's nested tables, see memo_use_tables() */
	const uint64_t *entry[MEMO_LEVELS]; /* page table entries of the walk, and what they said */
	uint64_t value[MEMO_LEVELS];
	const void *host;               /* where the bytes lie */
	uint64_t bytes, mask;           /* the instruction; mask covers its length */
	uint64_t imm;
	uint8_t length;
	uint8_t move;                   /* enum memo_move */
	uint8_t reg, size;
} ALIGNED(128);

/* A power of two: found by a shift. */
typedef struct memo memo_set[MEMO_WAYS];
_Static_assert(sizeof(memo_set) == 256, "memo_now() multiplies by it");

/* Makes all memos those of no instruction. Before anything else here, once v->nested is what it is to be. */
void memo_forget(struct vcpu *v);
/* This level runs now, or the shadow of L1's nested tables was dropped: which of them bytes are now found through. */
void memo_use_tables(struct vcpu *v, unsigned level);
/* The instruction at RIP of the level that runs, if it is known and nothing has changed since; memo_now() inline. */
const struct memo *memo_find(struct vcpu *v);
/* Remembers it, having been decoded just now. Null: it is none of those that can be (64-bit code, 8 bytes at most). */
struct memo *memo_learn(struct vcpu *v, unsigned length);

#endif
