/* SPDX-License-Identifier: MIT */
/* amd/cpu.h - control, flag and debug register bits, exception vectors, segment attributes.
 * Manual: APM2 chapters 3 (System Resources), 8 (Exceptions), 4.7 (descriptors). */
#ifndef AMD_CPU_H
#define AMD_CPU_H

#include <bits.h>

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)
#define CR4_CET BIT(23)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_SVME BIT(12)
#define EFER_LMSLE BIT(13)
#define EFER_FFXSR BIT(14)
#define EFER_TCE BIT(15)
#define EFER_MCOMMIT BIT(17)
#define EFER_INTWB BIT(18)
#define EFER_UAIE BIT(20)
#define EFER_AIBRSE BIT(21)

#define RFLAGS_CF BIT(0)
#define RFLAGS_FIXED BIT(1)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_DF BIT(10)
#define RFLAGS_OF BIT(11)
#define RFLAGS_IOPL BITS(13, 12)
#define RFLAGS_NT BIT(14)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)
#define RFLAGS_VIF BIT(19)
#define RFLAGS_VIP BIT(20)
#define RFLAGS_ID BIT(21)

#define DR6_BREAKPOINTS BITS(3, 0)
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR6_FIXED UINT64_C(0xFFFF0FF0)
#define DR7_FIXED BIT(10)
#define DR7_ENABLE(n) (UINT64_C(3) << (2 * (n)))
#define DR7_TYPE(dr7, n) ((dr7) >> (16 + 4 * (n)) & 3)
#define DR7_TYPE_EXEC 0
#define DR7_ZERO (BITS(15, 14) | BITS(12, 11))
#define DR7_GD BIT(13)
#define DR7_ENABLES BITS(7, 0)
#define DR7_ENABLE(n) (UINT64_C(3) << (2 * (n)))

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

/* VMCB segment attribute word: descriptor bits 55:52 in 11:8, 47:40 in 7:0. */
#define SEG_TYPE 0x00Fu
#define SEG_S 0x010u
#define SEG_DPL 0x060u
#define SEG_DPL_SHIFT 5
#define SEG_P 0x080u
#define SEG_AVL 0x100u
#define SEG_L 0x200u
#define SEG_D 0x400u
#define SEG_G 0x800u

/* Exception vectors. */
enum {
	VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6,
	VEC_NM = 7, VEC_DF = 8, VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14,
	VEC_MF = 16, VEC_AC = 17, VEC_MC = 18, VEC_XF = 19, VEC_CP = 21, VEC_HV = 28, VEC_VC = 29,
	VEC_SX = 30,
};

/* Does the CPU push an error code with it, in protected mode? Not #SX, #CP, #VC, which our guests do not get so. */
static inline bool vector_has_error(uint64_t vector)
{
	return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

/* #PF and #NPF error code, low word. */
#define PF_P BIT(0)
#define PF_W BIT(1)
#define PF_U BIT(2)
#define PF_RSV BIT(3)
#define PF_ID BIT(4)

/* Page table entry bits, all levels (APM2 5.4). */
#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_AVL BIT(9)
#define PTE_NX BIT(63)
#define PTE_ADDR BITS(51, 12)
#define PDPT_ADDR BITS(31, 5) /* CR3 of PAE mode: the table of four entries is 32-byte aligned */

#endif
