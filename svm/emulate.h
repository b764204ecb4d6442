/* SPDX-License-Identifier: MIT */
/* svm/emulate.h - what the emulate*.c share. Others include decode.h. */
#ifndef SVM_EMULATE_H
#define SVM_EMULATE_H

#include "svm/decode.h"

/* A memory operand after translation: nothing can fail any more. At most two pages. */
struct mem_part {
	uint8_t *ram; /* NULL: a device */
	l1pa_t at;
	unsigned bytes;
};

struct mem_ref {
	struct mem_part part[2];
	unsigned count;
};

/* --- emulate_mem.c --- */

/* Translates `size` (at most 8) bytes of an operand with all checks. On false an exception or an exit to L1 has
 * been made of the fault and *resume says how to go on. */
bool mem_resolve(struct vcpu *v, const struct operand *op, bool write, struct mem_ref *ref, enum resume *resume);
/* With dev_lock held. */
uint64_t mem_load(struct vcpu *v, const struct mem_ref *ref);
void mem_store(struct vcpu *v, const struct mem_ref *ref, uint64_t value);

/* --- emulate_alu.c --- */

/* Executes an instruction on the values of its operands; `rflags` changes with it. Returns the operands that are to
 * be written back, bit n for value[n]; ALU_UNKNOWN: not this one. */
#define ALU_UNKNOWN BIT32(31)
unsigned alu_execute(const struct insn *insn, uint64_t value[INSN_OPERANDS], uint64_t *rflags);

/* --- emulate_string.c --- */

/* Register of an operand or counter, of 1, 2, 4 or 8 bytes; 4-byte writes clear the upper half. */
void gpr_write(struct vcpu *v, unsigned n, unsigned size, uint64_t value);
/* MOVS, STOS, LODS. */
enum resume emulate_string(struct vcpu *v, const struct insn *insn);

#endif
