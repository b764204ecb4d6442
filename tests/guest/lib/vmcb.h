/* SPDX-License-Identifier: MIT */
/* lib/vmcb.h - the VMCB as L1 fills it: APM vol. 2 appendix B, with the bits the tests use.
 * Deliberately not the hypervisor's own header: two readings of the manual check each other. */
#ifndef GUEST_VMCB_H
#define GUEST_VMCB_H

#include "x86.h"

struct seg {
	uint16_t sel, attr;
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	uint32_t intercept[6];
	uint8_t pad18[0x3C - 0x18];
	uint16_t pause_threshold, pause_count;
	uint64_t iopm, msrpm, tsc_offset;
	uint32_t asid;
	uint8_t tlb_control, rap;
	uint16_t pad5e;
	uint64_t vintr, int_state, exitcode, info1, info2, exitintinfo, np, avic_bar, ghcb;
	uint64_t eventinj, ncr3, virt_ext, clean, nrip;
	uint8_t insn_count, insn[15];
	uint8_t pade0[0x400 - 0xE0];
	struct seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t pad4a0[0x4CB - 0x4A0];
	uint8_t cpl;
	uint32_t pad4cc;
	uint64_t efer;
	uint8_t pad4d8[0x548 - 0x4D8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t pad580[0x5D8 - 0x580];
	uint64_t rsp, s_cet, ssp, isst, rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs, sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t pad648[0x668 - 0x648];
	uint64_t g_pat, dbgctl, br_from, br_to, exc_from, exc_to;
	uint8_t pad698[0x1000 - 0x698];
} ALIGNED(4096);

#define VMCB_AT(field, off) _Static_assert(offsetof(struct vmcb, field) == (off), #field)
VMCB_AT(pause_threshold, 0x3C);
VMCB_AT(asid, 0x58);
VMCB_AT(vintr, 0x60);
VMCB_AT(exitcode, 0x70);
VMCB_AT(np, 0x90);
VMCB_AT(eventinj, 0xA8);
VMCB_AT(nrip, 0xC8);
VMCB_AT(insn_count, 0xD0);
VMCB_AT(es, 0x400);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4CB);
VMCB_AT(efer, 0x4D0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5D8);
VMCB_AT(rax, 0x5F8);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
VMCB_AT(exc_to, 0x690);
_Static_assert(sizeof(struct vmcb) == 4096, "VMCB size");

/* Exit codes. An instruction intercept is code 32 * vector + bit, so one number names both. */
enum exitcode {
	EXIT_CR0_READ = 0x00,
	EXIT_CR0_WRITE = 0x10,
	EXIT_DR0_READ = 0x20,
	EXIT_DR0_WRITE = 0x30,
	EXIT_EXC = 0x40,
	EXIT_INTR = 0x60, EXIT_NMI, EXIT_SMI, EXIT_INIT, EXIT_VINTR, EXIT_CR0_SEL,
	EXIT_IDTR_READ, EXIT_GDTR_READ, EXIT_LDTR_READ, EXIT_TR_READ,
	EXIT_IDTR_WRITE, EXIT_GDTR_WRITE, EXIT_LDTR_WRITE, EXIT_TR_WRITE,
	EXIT_RDTSC, EXIT_RDPMC, EXIT_PUSHF, EXIT_POPF, EXIT_CPUID, EXIT_RSM, EXIT_IRET, EXIT_SWINT,
	EXIT_INVD, EXIT_PAUSE, EXIT_HLT, EXIT_INVLPG, EXIT_INVLPGA, EXIT_IOIO, EXIT_MSR, EXIT_TASK,
	EXIT_FERR, EXIT_SHUTDOWN,
	EXIT_VMRUN, EXIT_VMMCALL, EXIT_VMLOAD, EXIT_VMSAVE, EXIT_STGI, EXIT_CLGI, EXIT_SKINIT,
	EXIT_RDTSCP, EXIT_ICEBP, EXIT_WBINVD, EXIT_MONITOR, EXIT_MWAIT, EXIT_MWAIT_ARMED,
	EXIT_XSETBV, EXIT_RDPRU, EXIT_EFER_TRAP,
	EXIT_INVPCID = 0xA2,
	EXIT_NPF = 0x400,
};
#define EXIT_INVALID UINT64_MAX

/* V_INTR word, 060h. */
#define V_TPR(n) ((uint64_t)(n))
#define V_IRQ BIT(8)
#define V_GIF BIT(9)
#define V_NMI BIT(11)
#define V_NMI_MASK BIT(12)
#define V_PRIO(n) ((uint64_t)(n) << 16)
#define V_IGN_TPR BIT(20)
#define V_INTR_MASKING BIT(24)
#define V_GIF_ENABLE BIT(25)
#define V_NMI_ENABLE BIT(26)
#define V_VECTOR(n) ((uint64_t)(n) << 32)

#define NP_ENABLE BIT(0)
#define INT_SHADOW BIT(0)
#define TLB_FLUSH_ALL 1
#define TLB_FLUSH_ASID 3
#define TLB_FLUSH_NONGLOBAL 7

/* EVENTINJ and EXITINTINFO. */
#define EV_VALID BIT(31)
#define EV_CODE BIT(11)
#define EV_INTR 0u
#define EV_NMI 2u
#define EV_EXC 3u
#define EV_SOFT 4u
#define EV_TYPE(t) ((uint64_t)(t) << 8)
#define EVENT(type, vector) (EV_VALID | EV_TYPE(type) | (uint64_t)(vector))
#define EVENT_CODE(type, vector, code) (EVENT(type, vector) | EV_CODE | (uint64_t)(code) << 32)

/* EXITINFO1 of a nested page fault. */
#define NPF_FINAL BIT(32)
#define NPF_WALK BIT(33)

/* EXITINFO1 of IOIO. */
#define IO_IN BIT(0)
#define IO_STR BIT(2)
#define IO_REP BIT(3)
#define IO_SIZE(bytes) ((uint64_t)(bytes) << 4)
#define IO_A64 BIT(9)
#define IO_A32 BIT(8)
#define IO_A16 BIT(7)
#define IO_SEG(n) ((uint64_t)(n) << 10)
#define SEG_ES 0
#define SEG_DS 3
#define IO_PORT(p) ((uint64_t)(p) << 16)

/* CPUID Fn8000_000A EDX. */
#define SVM_NP BIT32(0)
#define SVM_LBR BIT32(1)
#define SVM_NRIPS BIT32(3)
#define SVM_TSC_RATE BIT32(4)
#define SVM_CLEAN BIT32(5)
#define SVM_FLUSH_ASID BIT32(6)
#define SVM_DECODE BIT32(7)
#define SVM_PAUSE_FILTER BIT32(10)
#define SVM_PAUSE_THRESHOLD BIT32(12)
#define SVM_VLS BIT32(15)
#define SVM_VGIF BIT32(16)
#define SVM_GMET BIT32(17)
#define SVM_VNMI BIT32(25)

#define ATTR_CODE64 0xA9B
#define ATTR_CODE32 0xC9B
#define ATTR_CODE16 0x09B
#define ATTR_DATA 0xC93
#define ATTR_DATA16 0x093
#define ATTR_DPL3 0x060
#define ATTR_TSS_BUSY 0x08B

#endif
