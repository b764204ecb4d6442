/* SPDX-License-Identifier: MIT */
/* svm/emulate_alu.c - arithmetic of emulated instructions: values in, values and flags out. Pure.
 * Manual: APM3 chapter 3. Undefined flags are left as they are. */
#include "svm/emulate.h"

#include <Zydis/Zydis.h>

#define FLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define WRITE_0 BIT32(0)
#define WRITE_1 BIT32(1)
#define WRITE_2 BIT32(2)

static uint64_t sign_bit(unsigned size)
{
	return BIT(8 * size - 1);
}

static uint64_t sign_extend(uint64_t value, unsigned size)
{
	unsigned unused = 64 - 8 * size;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}

static void flag_set(uint64_t *rflags, uint64_t flag, bool on)
{
	*rflags = on ? *rflags | flag : *rflags & ~flag;
}

static void flags_of_result(uint64_t *rflags, uint64_t result, unsigned size)
{
	flag_set(rflags, RFLAGS_ZF, (result & insn_mask(size)) == 0);
	flag_set(rflags, RFLAGS_SF, result & sign_bit(size));
	flag_set(rflags, RFLAGS_PF, !__builtin_parityll(result & 0xFF));
}

static uint64_t alu_add(uint64_t a, uint64_t b, uint64_t carry, unsigned size, uint64_t *rflags)
{
	uint64_t result = a + b + carry;
	uint64_t carries = (a & b) | ((a | b) & ~result);

	flag_set(rflags, RFLAGS_CF, carries & sign_bit(size));
	flag_set(rflags, RFLAGS_AF, (a ^ b ^ result) & BIT(4));
	flag_set(rflags, RFLAGS_OF, (a ^ result) & (b ^ result) & sign_bit(size));
	flags_of_result(rflags, result, size);
	return result;
}

static uint64_t alu_sub(uint64_t a, uint64_t b, uint64_t borrow, unsigned size, uint64_t *rflags)
{
	uint64_t result = a - b - borrow;
	uint64_t borrows = (~a & b) | (~(a ^ b) & result);

	flag_set(rflags, RFLAGS_CF, borrows & sign_bit(size));
	flag_set(rflags, RFLAGS_AF, (a ^ b ^ result) & BIT(4));
	flag_set(rflags, RFLAGS_OF, (a ^ b) & (a ^ result) & sign_bit(size));
	flags_of_result(rflags, result, size);
	return result;
}

static uint64_t alu_logic(uint64_t result, unsigned size, uint64_t *rflags)
{
	*rflags &= ~(RFLAGS_CF | RFLAGS_OF);
	flags_of_result(rflags, result, size);
	return result;
}

/* INC and DEC leave CF alone. */
static uint64_t alu_step(uint64_t a, bool up, unsigned size, uint64_t *rflags)
{
	uint64_t carry = *rflags & RFLAGS_CF;
	uint64_t result = up ? alu_add(a, 1, 0, size, rflags) : alu_sub(a, 1, 0, size, rflags);

	flag_set(rflags, RFLAGS_CF, carry);
	return result;
}

/* The bit's number counts from the operand's address, which emulate.c has moved to where the bit is. */
static unsigned alu_bit(uint16_t mnemonic, uint64_t value[], unsigned size, uint64_t *rflags)
{
	uint64_t bit = BIT(value[1] % (8 * size));

	flag_set(rflags, RFLAGS_CF, value[0] & bit);
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_BTS:
		value[0] |= bit;
		return WRITE_0;
	case ZYDIS_MNEMONIC_BTR:
		value[0] &= ~bit;
		return WRITE_0;
	case ZYDIS_MNEMONIC_BTC:
		value[0] ^= bit;
		return WRITE_0;
	default:
		return 0;
	}
}

/* Operands: memory, register, rAX. Memory is written in any case. */
static unsigned alu_cmpxchg(uint64_t value[], unsigned size, uint64_t *rflags)
{
	alu_sub(value[2], value[0], 0, size, rflags);
	if (*rflags & RFLAGS_ZF) {
		value[0] = value[1];
		return WRITE_0;
	}
	value[2] = value[0];
	return WRITE_0 | WRITE_2;
}

static unsigned alu_exchange(uint16_t mnemonic, uint64_t value[], unsigned size, uint64_t *rflags)
{
	uint64_t old = value[0];

	value[0] = mnemonic == ZYDIS_MNEMONIC_XADD ? alu_add(old, value[1], 0, size, rflags) : value[1];
	value[1] = old;
	return WRITE_0 | WRITE_1;
}

/* Instructions that compute value[0] from value[0] and value[1]. */
static unsigned alu_arith(uint16_t mnemonic, uint64_t value[], unsigned size, uint64_t *rflags)
{
	uint64_t a = value[0], b = value[1], carry = *rflags & RFLAGS_CF ? 1 : 0;

	switch (mnemonic) {
	case ZYDIS_MNEMONIC_AND: value[0] = alu_logic(a & b, size, rflags); break;
	case ZYDIS_MNEMONIC_OR: value[0] = alu_logic(a | b, size, rflags); break;
	case ZYDIS_MNEMONIC_XOR: value[0] = alu_logic(a ^ b, size, rflags); break;
	case ZYDIS_MNEMONIC_ADD: value[0] = alu_add(a, b, 0, size, rflags); break;
	case ZYDIS_MNEMONIC_ADC: value[0] = alu_add(a, b, carry, size, rflags); break;
	case ZYDIS_MNEMONIC_SUB: value[0] = alu_sub(a, b, 0, size, rflags); break;
	case ZYDIS_MNEMONIC_SBB: value[0] = alu_sub(a, b, carry, size, rflags); break;
	case ZYDIS_MNEMONIC_INC: value[0] = alu_step(a, true, size, rflags); break;
	case ZYDIS_MNEMONIC_DEC: value[0] = alu_step(a, false, size, rflags); break;
	case ZYDIS_MNEMONIC_NEG: value[0] = alu_sub(0, a, 0, size, rflags); break;
	case ZYDIS_MNEMONIC_NOT: value[0] = ~a; break;
	case ZYDIS_MNEMONIC_CMP: alu_sub(a, b, 0, size, rflags); return 0;
	case ZYDIS_MNEMONIC_TEST: alu_logic(a & b, size, rflags); return 0;
	default: return ALU_UNKNOWN;
	}
	return WRITE_0;
}

unsigned alu_execute(const struct insn *insn, uint64_t value[INSN_OPERANDS], uint64_t *rflags)
{
	unsigned size = insn->op[0].size;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_MOVZX:
		value[0] = value[1];
		return WRITE_0;
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		value[0] = sign_extend(value[1], insn->op[1].size);
		return WRITE_0;
	case ZYDIS_MNEMONIC_XCHG:
	case ZYDIS_MNEMONIC_XADD:
		return alu_exchange(insn->mnemonic, value, size, rflags);
	case ZYDIS_MNEMONIC_CMPXCHG:
		return alu_cmpxchg(value, size, rflags);
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return alu_bit(insn->mnemonic, value, size, rflags);
	default:
		return alu_arith(insn->mnemonic, value, size, rflags);
	}
}
