/* SPDX-License-Identifier: MIT */
/* amd/vmcb.h - the VMCB: control area, state-save area, packed words. Every field's offset is asserted below.
 * Manual: APM2 appendix B (VMCB layout), 15.5 (VMRUN), 15.15.3 (clean bits), 15.20 (event injection). */
#ifndef AMD_VMCB_H
#define AMD_VMCB_H

#include <bits.h>
#include <compiler.h>

/* Indices of the intercept vectors at 000h..014h. */
enum { ICPT_CR, ICPT_DR, ICPT_EXCP, ICPT_MISC1, ICPT_MISC2, ICPT_MISC3, ICPT_COUNT };

/* The instruction that exited, as far as it was fetched (APM2 15.8.4). */
union vmcb_insn {
	struct {
		uint8_t len;
		uint8_t bytes[15];
	};
	uint64_t words[2];
};

struct vmcb_control {
	uint32_t intercept[ICPT_COUNT]; /* 000 */
	uint8_t reserved_018[0x18];
	uint8_t reserved_030[0xC];
	union {
		struct {
			uint16_t pause_threshold; /* 03C */
			uint16_t pause_count;     /* 03E */
		};
		uint32_t pause; /* both */
	};
	uint64_t iopm_base;       /* 040 */
	uint64_t msrpm_base;      /* 048 */
	uint64_t tsc_offset;      /* 050 */
	uint32_t asid;            /* 058 */
	uint8_t tlb_control;      /* 05C */
	uint8_t erap;             /* 05D */
	uint8_t reserved_05e[2];
	uint64_t v_intr;      /* 060 */
	uint64_t int_shadow;  /* 068 */
	uint64_t exitcode;    /* 070 */
	uint64_t exitinfo1;   /* 078 */
	uint64_t exitinfo2;   /* 080 */
	uint64_t exitintinfo; /* 088 */
	uint64_t misc;        /* 090 */
	uint64_t avic_bar;    /* 098 */
	uint64_t ghcb;        /* 0A0 */
	uint64_t eventinj;    /* 0A8 */
	uint64_t ncr3;        /* 0B0 */
	uint64_t misc2;       /* 0B8 */
	uint32_t clean;       /* 0C0 */
	uint32_t reserved_0c4;
	uint64_t nrip;          /* 0C8 */
	union vmcb_insn insn;  /* 0D0 */
	uint64_t avic_backing;  /* 0E0 */
	uint64_t reserved_0e8;
	uint64_t avic_logical;  /* 0F0 */
	uint64_t avic_physical; /* 0F8 */
	uint64_t reserved_100;
	uint64_t vmsa; /* 108 */
	uint8_t reserved_110[0x10];
	uint16_t bus_lock_count; /* 120 */
	uint8_t reserved_122[0x2BE];
	uint8_t software[0x20]; /* 3E0 */
};

struct vmcb_seg {
	uint16_t sel;
	uint16_t attr;
	uint32_t limit;
	uint64_t base;
};

struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; /* 000..09F */
	uint8_t reserved_0a0[0x2B];
	uint8_t cpl; /* 0CB */
	uint8_t reserved_0cc[4];
	uint64_t efer; /* 0D0 */
	uint8_t reserved_0d8[0x70];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 148..17F */
	uint8_t reserved_180[0x58];
	uint64_t rsp, s_cet, ssp, isst_addr, rax; /* 1D8..1FF */
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	uint8_t reserved_248[0x20];
	uint64_t g_pat, dbgctl, br_from, br_to, lastexcp_from, lastexcp_to; /* 268..297 */
	uint8_t reserved_298[0x48];
	uint64_t spec_ctrl; /* 2E0 */
	uint8_t reserved_2e8[0x918];
};

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
} ALIGNED(4096);

#define VMCB_AT(field, offset) _Static_assert(offsetof(struct vmcb, field) == (offset), #field)
#define SAVE_AT(field, offset) VMCB_AT(save.field, 0x400 + (offset))

VMCB_AT(control.intercept, 0x000);
VMCB_AT(control.pause_threshold, 0x03C);
VMCB_AT(control.pause_count, 0x03E);
VMCB_AT(control.iopm_base, 0x040);
VMCB_AT(control.msrpm_base, 0x048);
VMCB_AT(control.tsc_offset, 0x050);
VMCB_AT(control.asid, 0x058);
VMCB_AT(control.tlb_control, 0x05C);
VMCB_AT(control.erap, 0x05D);
VMCB_AT(control.v_intr, 0x060);
VMCB_AT(control.int_shadow, 0x068);
VMCB_AT(control.exitcode, 0x070);
VMCB_AT(control.exitinfo1, 0x078);
VMCB_AT(control.exitinfo2, 0x080);
VMCB_AT(control.exitintinfo, 0x088);
VMCB_AT(control.misc, 0x090);
VMCB_AT(control.avic_bar, 0x098);
VMCB_AT(control.ghcb, 0x0A0);
VMCB_AT(control.eventinj, 0x0A8);
VMCB_AT(control.ncr3, 0x0B0);
VMCB_AT(control.misc2, 0x0B8);
VMCB_AT(control.clean, 0x0C0);
VMCB_AT(control.nrip, 0x0C8);
VMCB_AT(control.insn.len, 0x0D0);
VMCB_AT(control.insn.bytes, 0x0D1);
VMCB_AT(control.avic_backing, 0x0E0);
VMCB_AT(control.avic_logical, 0x0F0);
VMCB_AT(control.avic_physical, 0x0F8);
VMCB_AT(control.vmsa, 0x108);
VMCB_AT(control.bus_lock_count, 0x120);
VMCB_AT(control.software, 0x3E0);
SAVE_AT(es, 0x000);
SAVE_AT(cs, 0x010);
SAVE_AT(ss, 0x020);
SAVE_AT(ds, 0x030);
SAVE_AT(fs, 0x040);
SAVE_AT(gs, 0x050);
SAVE_AT(gdtr, 0x060);
SAVE_AT(ldtr, 0x070);
SAVE_AT(idtr, 0x080);
SAVE_AT(tr, 0x090);
SAVE_AT(cpl, 0x0CB);
SAVE_AT(efer, 0x0D0);
SAVE_AT(cr4, 0x148);
SAVE_AT(cr3, 0x150);
SAVE_AT(cr0, 0x158);
SAVE_AT(dr7, 0x160);
SAVE_AT(dr6, 0x168);
SAVE_AT(rflags, 0x170);
SAVE_AT(rip, 0x178);
SAVE_AT(rsp, 0x1D8);
SAVE_AT(s_cet, 0x1E0);
SAVE_AT(ssp, 0x1E8);
SAVE_AT(isst_addr, 0x1F0);
SAVE_AT(rax, 0x1F8);
SAVE_AT(star, 0x200);
SAVE_AT(lstar, 0x208);
SAVE_AT(cstar, 0x210);
SAVE_AT(sfmask, 0x218);
SAVE_AT(kernel_gs_base, 0x220);
SAVE_AT(sysenter_cs, 0x228);
SAVE_AT(sysenter_esp, 0x230);
SAVE_AT(sysenter_eip, 0x238);
SAVE_AT(cr2, 0x240);
SAVE_AT(g_pat, 0x268);
SAVE_AT(dbgctl, 0x270);
SAVE_AT(br_from, 0x278);
SAVE_AT(br_to, 0x280);
SAVE_AT(lastexcp_from, 0x288);
SAVE_AT(lastexcp_to, 0x290);
SAVE_AT(spec_ctrl, 0x2E0);
_Static_assert(sizeof(struct vmcb) == 4096, "the VMCB is one page");

/* Intercept words 00Ch (MISC1), 010h (MISC2), 014h (MISC3): bit = exit code % 32. */
#define ICPT1_INTR BIT32(0)
#define ICPT1_NMI BIT32(1)
#define ICPT1_SMI BIT32(2)
#define ICPT1_INIT BIT32(3)
#define ICPT1_VINTR BIT32(4)
#define ICPT1_CR0_SEL BIT32(5)
#define ICPT1_RDTSC BIT32(14)
#define ICPT1_RDPMC BIT32(15)
#define ICPT1_CPUID BIT32(18)
#define ICPT1_RSM BIT32(19)
#define ICPT1_IRET BIT32(20)
#define ICPT1_INVD BIT32(22)
#define ICPT1_PAUSE BIT32(23)
#define ICPT1_HLT BIT32(24)
#define ICPT1_INVLPGA BIT32(26)
#define ICPT1_IOIO BIT32(27)
#define ICPT1_MSR BIT32(28)
#define ICPT1_TASK_SWITCH BIT32(29)
#define ICPT1_FERR_FREEZE BIT32(30)
#define ICPT1_SHUTDOWN BIT32(31)
#define ICPT2_VMRUN BIT32(0)
#define ICPT2_VMMCALL BIT32(1)
#define ICPT2_VMLOAD BIT32(2)
#define ICPT2_VMSAVE BIT32(3)
#define ICPT2_STGI BIT32(4)
#define ICPT2_CLGI BIT32(5)
#define ICPT2_SKINIT BIT32(6)
#define ICPT2_RDTSCP BIT32(7)
#define ICPT2_ICEBP BIT32(8)
#define ICPT2_WBINVD BIT32(9)
#define ICPT2_MONITOR BIT32(10)
#define ICPT2_MWAIT BIT32(11)
#define ICPT2_MWAIT_COND BIT32(12)
#define ICPT2_XSETBV BIT32(13)
#define ICPT2_RDPRU BIT32(14)
#define ICPT2_EFER_TRAP BIT32(15)
#define ICPT2_CR_TRAPS UINT32_C(0xFFFF0000)
#define ICPT3_INVLPGB BIT32(0)
#define ICPT3_INVLPGB_ILLEGAL BIT32(1)
#define ICPT3_INVPCID BIT32(2)
#define ICPT3_MCOMMIT BIT32(3)
#define ICPT3_TLBSYNC BIT32(4)
#define ICPT3_BUSLOCK BIT32(5)
#define ICPT3_IDLE_HLT BIT32(6)

#define TLB_CONTROL_NONE 0
#define TLB_CONTROL_ALL 1
#define TLB_CONTROL_ASID 3
#define TLB_CONTROL_ASID_NON_GLOBAL 7
#define TLB_CONTROL_MASK 7

/* 060h, the virtual interrupt word. */
#define V_INTR_TPR BITS(3, 0)
#define V_INTR_IRQ BIT(8)
#define V_INTR_GIF BIT(9)
#define V_INTR_NMI BIT(11)
#define V_INTR_NMI_MASK BIT(12)
#define V_INTR_PRIO BITS(19, 16)
#define V_INTR_PRIO_SHIFT 16
#define V_INTR_IGN_TPR BIT(20)
#define V_INTR_MASKING BIT(24)
#define V_INTR_GIF_ENABLE BIT(25)
#define V_INTR_NMI_ENABLE BIT(26)
#define V_INTR_X2AVIC BIT(30)
#define V_INTR_AVIC BIT(31)
#define V_INTR_VECTOR BITS(39, 32)
#define V_INTR_VECTOR_SHIFT 32

#define INT_SHADOW_ACTIVE BIT(0)

/* 090h and 0B8h. */
#define MISC_NP BIT(0)
#define MISC_SEV BIT(1)
#define MISC_SEV_ES BIT(2)
#define MISC_GMET BIT(3)
/* 05Dh. */
#define ERAP_ALLOW_LARGER 1u
#define ERAP_CLEAR 2u
#define MISC2_LBR BIT(0)
#define MISC2_VLS BIT(1)

/* EVENTINJ and EXITINTINFO. */
#define EVENT_VECTOR BITS(7, 0)
#define EVENT_TYPE BITS(10, 8)
#define EVENT_TYPE_SHIFT 8
#define EVENT_EV BIT(11)
#define EVENT_RESERVED BITS(30, 12)
#define EVENT_V BIT(31)
#define EVENT_ERROR_SHIFT 32
enum { EVENT_INTR = 0, EVENT_NMI = 2, EVENT_EXCP = 3, EVENT_SOFT = 4 };

/* Clean bits at 0C0h. */
#define CLEAN_I BIT32(0)
#define CLEAN_IOPM BIT32(1)
#define CLEAN_ASID BIT32(2)
#define CLEAN_TPR BIT32(3)
#define CLEAN_NP BIT32(4)
#define CLEAN_CRX BIT32(5)
#define CLEAN_DRX BIT32(6)
#define CLEAN_DT BIT32(7)
#define CLEAN_SEG BIT32(8)
#define CLEAN_CR2 BIT32(9)
#define CLEAN_LBR BIT32(10)
#define CLEAN_AVIC BIT32(11)
#define CLEAN_CET BIT32(12)
#define CLEAN_ALL UINT32_C(0x1FFF)

/* Permission map sizes (APM2 15.10, 15.11). The last port that an access can touch is FFFFh+3. */
#define IOPM_SIZE KIB(12)
#define IOPM_LAST_BYTE UINT64_C(0x2000)
#define MSRPM_SIZE KIB(8)
#define BITMAP_BASE_MASK BITS(51, 12)

/* EXITINFO1 of #VMEXIT(IOIO) (APM2 15.10.2). */
#define IOIO_IN BIT(0)
#define IOIO_STR BIT(2)
#define IOIO_REP BIT(3)
#define IOIO_SZ8 BIT(4)
#define IOIO_SZ16 BIT(5)
#define IOIO_SZ32 BIT(6)
#define IOIO_A16 BIT(7)
#define IOIO_A32 BIT(8)
#define IOIO_A64 BIT(9)
#define IOIO_SEG_SHIFT 10
#define IOIO_PORT_SHIFT 16

#endif
