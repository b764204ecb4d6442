/* SPDX-License-Identifier: MIT */
/* svm/emulate.c - an instruction that touched a device, executed in software: decode, translate all memory operands,
 * read them, compute, write back. Writes guest registers, memory and devices, never RIP.
 * Next: decode.c, emulate_mem.c, emulate_alu.c, emulate_string.c. */
#include "svm/emulate.h"

#include <Zydis/Zydis.h>

#include "kernel/log.h"

#define BYTES_TEXT_MAX (3 * INSN_MAX + 1)

/* Only general-purpose instructions are emulated. A guest that uses others on a device ends, because neither an
 * exception nor a wrong result would tell its people what happened. */
static enum resume refuse(struct vcpu *v, const struct insn *insn, l1pa_t at, bool write)
{
	char text[BYTES_TEXT_MAX] = "";
	unsigned count = insn->length ? insn->length : insn->fetched;

	for (unsigned i = 0; i < count; i++)
		ksnprintf(text + 3 * i, sizeof(text) - 3 * i, " %02x", insn->bytes[i]);
	l1_end(v->l1, "vCPU %u, RIP %#llx: cannot emulate the instruction%s which %s the device at %#llx", v->index,
	       (unsigned long long)v->vmcb->save.rip, text, write ? "writes to" : "reads from",
	       (unsigned long long)at.a);
	return RESUME_STOP;
}

void gpr_write(struct vcpu *v, unsigned n, unsigned size, uint64_t value)
{
	uint64_t mask = insn_mask(size);

	if (size >= sizeof(uint32_t))
		vcpu_set_gpr(v, n, value & mask);
	else
		vcpu_set_gpr(v, n, (vcpu_gpr(v, n) & ~mask) | (value & mask));
}

static uint64_t operand_load(struct vcpu *v, const struct operand *op, const struct mem_ref *ref)
{
	switch (op->kind) {
	case OPERAND_GPR:
		return (vcpu_gpr(v, op->reg) >> (op->high_byte ? 8 : 0)) & insn_mask(op->size);
	case OPERAND_MEM:
		return op->reads ? mem_load(v, ref) : 0;
	case OPERAND_IMM:
		return op->value;
	case OPERAND_NONE:
	case OPERAND_OTHER:
		break;
	}
	return 0;
}

static void operand_store(struct vcpu *v, const struct operand *op, const struct mem_ref *ref, uint64_t value)
{
	if (op->kind == OPERAND_MEM)
		mem_store(v, ref, value);
	else if (op->high_byte)
		vcpu_set_gpr(v, op->reg, (vcpu_gpr(v, op->reg) & ~BITS(15, 8)) | (value & 0xFF) << 8);
	else
		gpr_write(v, op->reg, op->size, value);
}

static bool is_bit_test(uint16_t mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_BT || mnemonic == ZYDIS_MNEMONIC_BTS || mnemonic == ZYDIS_MNEMONIC_BTR ||
	       mnemonic == ZYDIS_MNEMONIC_BTC;
}

/* BT and its kin with a register: its value may point to a bit far from the operand's address, either way. */
static void move_to_bit(struct vcpu *v, struct insn *insn)
{
	struct operand *op = &insn->op[0];
	unsigned unused = 64 - 8u * op->size;
	int64_t bit = (int64_t)(vcpu_gpr(v, insn->op[1].reg) << unused) >> unused;
	int64_t units = bit >> (op->size == 8 ? 6 : op->size == 4 ? 5 : 4);

	op->value = (op->value + (uint64_t)(units * op->size)) & insn_mask(insn->address_size);
}

/* Has it only general registers, memory of up to 8 bytes and immediates? */
static bool is_simple(const struct insn *insn)
{
	for (unsigned i = 0; i < INSN_OPERANDS; i++) {
		const struct operand *op = &insn->op[i];
		bool has_size = op->kind == OPERAND_GPR || op->kind == OPERAND_MEM;

		if (op->kind == OPERAND_OTHER || (has_size && (op->size < 1 || op->size > sizeof(uint64_t))))
			return false;
	}
	return true;
}

/* --- plain moves, which device drivers use nearly always --- */

static bool is_plain(const struct operand *op)
{
	return op->kind == OPERAND_IMM || (op->kind == OPERAND_GPR && !op->high_byte);
}

/* Remembers MOV between a register or constant and memory. */
static void learn_move(struct vcpu *v, const struct insn *insn)
{
	const struct operand *to = &insn->op[0], *from = &insn->op[1];
	struct memo *memo;

	if (insn->mnemonic != ZYDIS_MNEMONIC_MOV ||
	    !((to->kind == OPERAND_MEM && is_plain(from)) || (is_plain(to) && from->kind == OPERAND_MEM)))
		return;
	memo = memo_learn(v, insn->length);
	if (!memo)
		return;
	memo->size = (uint8_t)to->size;
	if (from->kind == OPERAND_MEM) {
		memo->move = MEMO_LOAD;
		memo->reg = to->reg;
	} else {
		memo->move = from->kind == OPERAND_IMM ? MEMO_STORE_IMM : MEMO_STORE;
		memo->reg = from->reg;
		memo->imm = from->value;
	}
}

/* The same move again. The CPU has translated the address and found the access allowed, and an aligned one has no
 * second part, so `at` is all of it. */
static bool move_again(struct vcpu *v, l1pa_t at, bool write)
{
	const struct memo *memo = memo_find(v);
	struct machine *m = &v->l1->machine;

	if (!memo || memo->move == MEMO_NO_MOVE || (at.a & (memo->size - 1u)) || write == (memo->move == MEMO_LOAD))
		return false;
	spin_lock(&v->l1->dev_lock);
	if (!write)
		gpr_write(v, memo->reg, memo->size, machine_mmio_read(m, v->index, at.a, memo->size));
	else
		machine_mmio_write(m, v->index, at.a,
				   (memo->move == MEMO_STORE ? vcpu_gpr(v, memo->reg) : memo->imm) &
					   insn_mask(memo->size),
				   memo->size);
	vcpu_after_device(v);
	spin_unlock(&v->l1->dev_lock);
	v->insn_len = memo->length;
	return true;
}

static enum resume string_mmio(struct vcpu *v, const struct insn *insn)
{
	enum resume resume = emulate_string(v, insn);

	spin_lock(&v->l1->dev_lock);
	vcpu_after_device(v);
	spin_unlock(&v->l1->dev_lock);
	return resume;
}

enum resume emulate_mmio(struct vcpu *v, l1pa_t at, bool write)
{
	struct insn insn;
	struct mem_ref ref[INSN_OPERANDS];
	uint64_t value[INSN_OPERANDS];
	enum resume resume;
	unsigned written;

	if (likely(move_again(v, at, write)))
		return RESUME_NEXT;
	if (!insn_decode(v, &insn)) {
		bool is_readable = insn.fetch == GMEM_OK || insn.fetch == GMEM_DEVICE;

		return is_readable ? refuse(v, &insn, at, write) : RESUME_SAME;
	}
	if (insn.is_string)
		return string_mmio(v, &insn);
	if (insn.is_mov_cr) /* touches no memory: the code has changed since, and may have its own intercept */
		return RESUME_SAME;
	if (!is_simple(&insn))
		return refuse(v, &insn, at, write);
	if (is_bit_test(insn.mnemonic) && insn.op[1].kind == OPERAND_GPR)
		move_to_bit(v, &insn);
	for (unsigned i = 0; i < INSN_OPERANDS; i++)
		if (insn.op[i].kind == OPERAND_MEM &&
		    !mem_resolve(v, &insn.op[i], insn.op[i].writes, &ref[i], &resume))
			return resume;

	spin_lock(&v->l1->dev_lock);
	for (unsigned i = 0; i < INSN_OPERANDS; i++)
		value[i] = operand_load(v, &insn.op[i], &ref[i]);
	written = alu_execute(&insn, value, &v->vmcb->save.rflags);
	for (unsigned i = 0; i < INSN_OPERANDS && written != ALU_UNKNOWN; i++)
		if (written & BIT32(i))
			operand_store(v, &insn.op[i], &ref[i], value[i]);
	vcpu_after_device(v);
	spin_unlock(&v->l1->dev_lock);

	if (written == ALU_UNKNOWN)
		return refuse(v, &insn, at, write);
	learn_move(v, &insn);
	v->insn_len = insn.length;
	return RESUME_NEXT;
}
