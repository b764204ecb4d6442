/* SPDX-License-Identifier: MIT */
/* svm/decode.h - instruction bytes and their decoding (Zydis), for CPUs that give no nRIP or no decode assists.
 * Works on the level that runs now: L2's addresses go through its own tables and L1's nested ones. */
#ifndef SVM_DECODE_H
#define SVM_DECODE_H

#include "svm/vcpu.h"

#define INSN_MAX 15

/* What exit handlers want to know of the instruction at RIP. */
struct insn {
	uint8_t length;
	uint8_t bytes[INSN_MAX];
	uint8_t opcode_map, opcode;  /* as ZydisOpcodeMap / byte, after prefixes */
	uint16_t mnemonic;           /* ZydisMnemonic */
	uint8_t address_size;        /* 2, 4, 8 bytes */
	uint8_t operand_size;        /* 1, 2, 4, 8 bytes */
	uint8_t segment;             /* 0..5 ES CS SS DS FS GS: effective segment of the memory operand */
	uint8_t reg;                 /* GPR of MOV CR/DR, INVLPG: see decode.c */
	uint8_t modrm;
	bool has_modrm, rep, lock, is_mov_cr, is_string;
	uint8_t imm8;
	uint64_t mem_address;        /* linear address of the memory operand, when there is one */
	bool has_mem;
};

/* Fetches and decodes the instruction at CS:RIP. False when its bytes cannot be read or make no instruction;
 * then nothing is pending: the caller decides (usually run on, the CPU will fault by itself). */
bool insn_decode(struct vcpu *v, struct insn *insn);

/* The length alone. `expect` is the usual encoding without prefixes ("\x0F\xA2"), compared first because that is
 * cheap; 0 when the bytes cannot be read. */
unsigned insn_length(struct vcpu *v, const uint8_t *expect, unsigned expect_len);

/* MMIO by the instruction at RIP: it touched L1-physical `at`, which is not RAM. Reads and writes go to
 * machine_mmio_read/_write (with the L1's dev_lock held), to nowhere when no device claims them. */
enum resume emulate_mmio(struct vcpu *v, l1pa_t at, bool write);

/* INS/OUTS with or without REP, after the IOIO checks; one or a bounded number of elements per call. */
enum resume emulate_string_io(struct vcpu *v, uint16_t port, unsigned size, bool in);

#endif
