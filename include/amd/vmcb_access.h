/* SPDX-License-Identifier: MIT */
/* amd/vmcb_access.h - setters of the VMCB fields that the CPU may cache: each also clears the clean bit that
 * covers its field, so that no writer can forget it. Exits leave all clean bits set (svm/exit.c).
 * Manual: APM2 15.15 (VMCB State Caching). Fields that are never cached are written directly. */
#ifndef AMD_VMCB_ACCESS_H
#define AMD_VMCB_ACCESS_H

#include <amd/vmcb.h>

#define VMCB_SETTER(name, field, type, bit)                                                        \
	static inline void vmcb_set_##name(struct vmcb *vmcb, type value)                          \
	{                                                                                          \
		vmcb->field = value;                                                               \
		vmcb->control.clean &= ~(bit);                                                     \
	}

VMCB_SETTER(tsc_offset, control.tsc_offset, uint64_t, CLEAN_I)
VMCB_SETTER(iopm, control.iopm_base, uint64_t, CLEAN_IOPM)
VMCB_SETTER(msrpm, control.msrpm_base, uint64_t, CLEAN_IOPM)
VMCB_SETTER(asid, control.asid, uint32_t, CLEAN_ASID)
VMCB_SETTER(v_intr, control.v_intr, uint64_t, CLEAN_TPR)
VMCB_SETTER(misc, control.misc, uint64_t, CLEAN_NP)
VMCB_SETTER(ncr3, control.ncr3, uint64_t, CLEAN_NP)
VMCB_SETTER(g_pat, save.g_pat, uint64_t, CLEAN_NP)
VMCB_SETTER(efer, save.efer, uint64_t, CLEAN_CRX)
VMCB_SETTER(cr0, save.cr0, uint64_t, CLEAN_CRX)
VMCB_SETTER(cr3, save.cr3, uint64_t, CLEAN_CRX)
VMCB_SETTER(cr4, save.cr4, uint64_t, CLEAN_CRX)
VMCB_SETTER(dr6, save.dr6, uint64_t, CLEAN_DRX)
VMCB_SETTER(dr7, save.dr7, uint64_t, CLEAN_DRX)
VMCB_SETTER(gdtr, save.gdtr, struct vmcb_seg, CLEAN_DT)
VMCB_SETTER(idtr, save.idtr, struct vmcb_seg, CLEAN_DT)
VMCB_SETTER(cs, save.cs, struct vmcb_seg, CLEAN_SEG)
VMCB_SETTER(ds, save.ds, struct vmcb_seg, CLEAN_SEG)
VMCB_SETTER(es, save.es, struct vmcb_seg, CLEAN_SEG)
VMCB_SETTER(ss, save.ss, struct vmcb_seg, CLEAN_SEG)
VMCB_SETTER(cpl, save.cpl, uint8_t, CLEAN_SEG)
VMCB_SETTER(cr2, save.cr2, uint64_t, CLEAN_CR2)

#undef VMCB_SETTER

static inline void vmcb_set_intercept(struct vmcb *vmcb, unsigned word, uint32_t value)
{
	vmcb->control.intercept[word] = value;
	vmcb->control.clean &= ~CLEAN_I;
}

/* DEBUGCTL and the records of branches. */
static inline void vmcb_copy_lbr(struct vmcb_save *to, const struct vmcb_save *from)
{
	to->dbgctl = from->dbgctl;
	to->br_from = from->br_from;
	to->br_to = from->br_to;
	to->lastexcp_from = from->lastexcp_from;
	to->lastexcp_to = from->lastexcp_to;
}

/* What a CPU without LA57 makes of the base of FS, GS, LDTR or TR, or KernelGSBase, when it loads one (APM2 15.5.2). */
static inline uint64_t vmcb_canonical_48(uint64_t base)
{
	return (uint64_t)((int64_t)(base << 16) >> 16);
}

/* The registers that VMLOAD loads, made canonical. */
static inline void vmcb_copy_loaded(struct vmcb_save *to, const struct vmcb_save *from)
{
	to->fs = from->fs;
	to->gs = from->gs;
	to->ldtr = from->ldtr;
	to->tr = from->tr;
	to->star = from->star;
	to->lstar = from->lstar;
	to->cstar = from->cstar;
	to->sfmask = from->sfmask;
	to->sysenter_cs = from->sysenter_cs;
	to->sysenter_esp = from->sysenter_esp;
	to->sysenter_eip = from->sysenter_eip;
	to->fs.base = vmcb_canonical_48(from->fs.base);
	to->gs.base = vmcb_canonical_48(from->gs.base);
	to->ldtr.base = vmcb_canonical_48(from->ldtr.base);
	to->tr.base = vmcb_canonical_48(from->tr.base);
	to->kernel_gs_base = vmcb_canonical_48(from->kernel_gs_base);
}

/* Is the intercept of this exit code's bit set? Codes from VMEXIT_INTERCEPT_END on have none. */
static inline bool vmcb_intercepts(const uint32_t *intercept, uint64_t exitcode)
{
	return (intercept[exitcode / 32] >> (exitcode % 32)) & 1;
}

#endif
