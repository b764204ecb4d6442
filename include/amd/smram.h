/* SPDX-License-Identifier: MIT */
/* amd/smram.h - the state-save area that a system-management interrupt fills and RSM reads: 512 bytes at
 * SMBASE + FE00h, offsets named as the manual's, from SMBASE. Fields not named are reserved.
 * Manual: APM2 10.2.3 (SMRAM State-Save Area), table 10-1, AMD64 format. */
#ifndef AMD_SMRAM_H
#define AMD_SMRAM_H

#include <bits.h>

#define SMBASE_RESET 0x30000u
#define SMM_ENTRY_RIP UINT64_C(0x8000)   /* offset in the code segment, whose base is SMBASE */
#define SMRAM_SAVE_OFFSET UINT64_C(0xFE00)

/* AMD64 format; I/O restart and relocation of SMBASE exist (10.2.4). */
#define SMM_REVISION 0x00030064u

/* Descriptor bits 55:40 with the limit's four left out, where the VMCB closes the gap. */
struct smram_seg {
	uint16_t sel;
	uint16_t attr;
	uint32_t limit;
	uint64_t base;
};

struct smram_save {
	struct smram_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; /* FE00..FE9F */
	uint64_t io_restart_rip, io_restart_rcx, io_restart_rsi, io_restart_rdi;
	uint32_t io_restart_word; /* FEC0 */
	uint32_t reserved_fec4;
	uint8_t io_restart;       /* FEC8 */
	uint8_t auto_halt;        /* FEC9: RSM goes back to the halt */
	uint8_t nmi_mask;         /* FECA */
	uint8_t reserved_fecb[5];
	uint64_t efer;            /* FED0 */
	uint64_t svm_state;       /* FED8: SVM_STATE_* */
	uint64_t vmcb_pa;         /* FEE0: of the VMCB that was running */
	uint64_t v_intr;          /* FEE8: its virtual interrupt control */
	uint8_t reserved_fef0[12];
	uint32_t revision;        /* FEFC */
	uint32_t smbase;          /* FF00 */
	uint8_t reserved_ff04[28];
	uint64_t guest_pat;       /* FF20 */
	uint64_t host_efer, host_cr4, host_cr3, host_cr0; /* FF28..FF47 */
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;    /* FF48..FF7F */
	uint64_t gpr[16];         /* FF80: R15 first, RAX last */
};

#define SVM_STATE_GUEST BIT(1)   /* entered from a guest; other values than these two alone or both are reserved */
#define SVM_STATE_NESTED BIT(2)  /* which has nested paging */
#define SVM_STATE_HOST_IF BIT(3) /* the host's RFLAGS.IF */

#define SMRAM_AT(field, offset)                                                                    \
	_Static_assert(offsetof(struct smram_save, field) + SMRAM_SAVE_OFFSET == (offset), #field)
SMRAM_AT(cs, 0xFE10);
SMRAM_AT(ss, 0xFE20);
SMRAM_AT(ds, 0xFE30);
SMRAM_AT(fs, 0xFE40);
SMRAM_AT(gs, 0xFE50);
SMRAM_AT(gdtr, 0xFE60);
SMRAM_AT(ldtr, 0xFE70);
SMRAM_AT(idtr, 0xFE80);
SMRAM_AT(tr, 0xFE90);
SMRAM_AT(io_restart_rip, 0xFEA0);
SMRAM_AT(io_restart_word, 0xFEC0);
SMRAM_AT(io_restart, 0xFEC8);
SMRAM_AT(auto_halt, 0xFEC9);
SMRAM_AT(nmi_mask, 0xFECA);
SMRAM_AT(efer, 0xFED0);
SMRAM_AT(svm_state, 0xFED8);
SMRAM_AT(vmcb_pa, 0xFEE0);
SMRAM_AT(v_intr, 0xFEE8);
SMRAM_AT(revision, 0xFEFC);
SMRAM_AT(smbase, 0xFF00);
SMRAM_AT(guest_pat, 0xFF20);
SMRAM_AT(host_efer, 0xFF28);
SMRAM_AT(host_cr0, 0xFF40);
SMRAM_AT(cr4, 0xFF48);
SMRAM_AT(cr0, 0xFF58);
SMRAM_AT(dr6, 0xFF68);
SMRAM_AT(rip, 0xFF78);
SMRAM_AT(gpr, 0xFF80);
_Static_assert(sizeof(struct smram_save) == 0x200, "the state-save area");
#undef SMRAM_AT

#endif
