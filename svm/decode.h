/* SPDX-License-Identifier: MIT */
/* svm/decode.h - instruction bytes and their decoding (Zydis), for CPUs that give no nRIP or no decode assists.
 * Works on the level that runs now: L2's addresses go through its own tables and L1's nested ones. */
#ifndef SVM_DECODE_H
#define SVM_DECODE_H

#include "svm/gmem.h"
#include "svm/vcpu.h"

#define INSN_MAX 15
#define INSN_OPERANDS 3

/* Segment numbers as instructions and EXITINFO1 have them. */
enum segment { SEGMENT_ES, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS };

enum operand_kind {
	OPERAND_NONE,  /* not there, or implied and without interest (flags) */
	OPERAND_GPR,
	OPERAND_MEM,
	OPERAND_IMM,
	OPERAND_OTHER, /* vector, control, segment register */
};

struct operand {
	enum operand_kind kind;
	uint16_t size;    /* bytes */
	bool reads, writes;
	uint8_t reg;      /* OPERAND_GPR: enum gpr */
	bool high_byte;   /* AH, CH, DH, BH: bits 15:8 of RAX..RBX */
	uint8_t segment;  /* OPERAND_MEM: enum segment */
	uint64_t value;   /* OPERAND_MEM: offset in the segment; OPERAND_IMM: sign-extended */
};

/* What exit handlers and the emulator want to know of the instruction at RIP. */
struct insn {
	uint8_t bytes[INSN_MAX];
	uint8_t fetched;        /* how many of them */
	enum gmem_fault_kind fetch; /* why not more, when that was not enough */
	uint8_t length;
	uint16_t mnemonic;      /* ZydisMnemonic */
	uint8_t address_size;   /* 2, 4, 8 bytes */
	uint8_t operand_size;   /* 1, 2, 4, 8 bytes */
	bool rep, lock;
	bool is_string;         /* MOVS, STOS, LODS, INS, OUTS */
	bool is_mov_cr;         /* MOV to or from CRn, DRn; not LMSW, SMSW, CLTS */
	uint8_t reg;            /* its GPR */
	uint8_t imm8;           /* vector of INTn */
	bool has_mem;
	uint8_t segment;        /* of the memory operand, enum segment */
	uint64_t mem_address;   /* its linear address */
	struct operand op[INSN_OPERANDS];
};

/* Fetches and decodes the instruction at CS:RIP. False when its bytes cannot be read or make no instruction; then
 * nothing is pending: the caller decides (usually run on, the CPU will fault by itself). */
bool insn_decode(struct vcpu *v, struct insn *insn);

/* The length alone. `expect` is the usual encoding without prefixes ("\x0F\xA2"), compared first because that is
 * cheap; 0 when the bytes cannot be read or make no instruction. */
unsigned insn_length(struct vcpu *v, const uint8_t *expect, unsigned expect_len);

/* EXITINFO1 of the exit at hand as a CPU with decode assists would have stored it (APM2 15.8, 15.10.2): MOV CRn
 * and DRn, INVLPG, INTn, IOIO. Other exits: as it is. */
uint64_t insn_exitinfo1(struct vcpu *v);

/* The low bits of a value of this many bytes. */
static inline uint64_t insn_mask(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

/* Linear address of an offset in a segment. */
uint64_t insn_linear(const struct vcpu *v, unsigned segment, uint64_t offset);
/* Do limit and type of the segment allow an access (bases of FS and GS are known, their limits not)? */
bool insn_segment_allows(const struct vcpu *v, unsigned segment, uint64_t offset, unsigned size, bool write);

/* svm/live_segment.c: base of FS or GS, which is in the CPU, not in the VMCB, while L0 handles an exit. */
uint64_t live_segment_base(unsigned segment);

/* MMIO by the instruction at RIP: it touched L1-physical `at`, which is not RAM. Reads and writes go to
 * machine_mmio_read/_write (with the L1's dev_lock held); what no device claims reads as ones. */
enum resume emulate_mmio(struct vcpu *v, l1pa_t at, bool write);

/* INS/OUTS with or without REP, after the IOIO checks; a bounded number of elements per call. */
enum resume emulate_string_io(struct vcpu *v, uint16_t port, unsigned size, bool in);

#endif
