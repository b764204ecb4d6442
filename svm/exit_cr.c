/* SPDX-License-Identifier: MIT */
/* svm/exit_cr.c - control registers that L0 keeps an eye on: CR0 (where the CPU takes what it must not: quirk.c), CR4
 * (features not offered must fault), CR8 (the task priority of the L1's APIC or, for an L2 under virtual interrupt
 * masking, its own), XCR0.
 * Manual: APM2 3.1.3 (CR4), 15.21.2 (V_TPR), 11.5.2 (XCR0). */
#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/vmcb_access.h>
#include <Zydis/Zydis.h>

#include "kernel/cpu_insn.h"
#include "svm/caps.h"
#include "svm/decode.h"
#include "svm/enable.h"
#include "svm/exit.h"
#include "svm/quirk.h"

static bool is_long_mode(const struct vcpu *v)
{
	return (v->vmcb->save.efer & EFER_LMA) != 0;
}

uint64_t cr_width(const struct vcpu *v, uint64_t value)
{
	return is_long_mode(v) ? value : (uint32_t)value;
}

bool cr0_is_legal(const struct vcpu *v, uint64_t value)
{
	const struct vmcb_save *s = &v->vmcb->save;
	bool is_64bit = is_long_mode(v) && (s->cs.attr & SEG_L);

	if (value >> 32 || (value & (CR0_NW | CR0_CD)) == CR0_NW || (value & (CR0_PG | CR0_PE)) == CR0_PG)
		return false;
	if ((value & CR0_PG) && !(s->cr0 & CR0_PG) && (s->efer & EFER_LME))
		return (s->cr4 & CR4_PAE) && !(s->cs.attr & SEG_L);
	return (value & CR0_PG) || !(is_64bit || (s->cr4 & CR4_PCIDE));
}

bool cr4_is_legal(const struct vcpu *v, uint64_t value)
{
	if (value & v->nested.caps.cr4_mbz)
		return false;
	if (is_long_mode(v) && !(value & CR4_PAE))
		return false;
	if ((value & CR4_PCIDE) && !(v->vmcb->save.cr4 & CR4_PCIDE))
		return is_long_mode(v) && !(v->vmcb->save.cr3 & PAGE_MASK);
	return true;
}

/* The operand of MOV to or from CRn; its length goes to exit_step_over(). */
static unsigned mov_cr_gpr(struct vcpu *v)
{
	return (unsigned)(insn_exitinfo1(v) & 0xF);
}

/* The CPU flushes by itself where CR4 is written without an intercept; now it is ours to ask for. */
static void flush_this_asid(struct vmcb *vmcb)
{
	vmcb->control.tlb_control = svm_cpu()->features & SVM_FEAT_FLUSH_BY_ASID ? TLB_CONTROL_ASID : TLB_CONTROL_ALL;
}

/* What MOV, LMSW or CLTS makes of CR0. False: the operand cannot be read, *resume says what that means. */
static bool new_cr0(struct vcpu *v, const struct insn *insn, uint64_t *value, enum resume *resume)
{
	const uint64_t lmsw = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
	uint64_t cr0 = v->vmcb->save.cr0;
	uint16_t word = (uint16_t)vcpu_gpr(v, insn->op[0].reg);
	struct gmem_fault fault;
	unsigned done;

	if (insn->mnemonic == ZYDIS_MNEMONIC_CLTS) {
		*value = cr0 & ~CR0_TS;
		return true;
	}
	if (insn->is_mov_cr) {
		*value = cr_width(v, vcpu_gpr(v, insn->reg));
		return true;
	}
	if (insn->has_mem) {
		fault = gmem_read(v, insn->mem_address, &word, sizeof(word), gmem_user(v), &done);
		if (fault.kind) {
			*resume = gmem_fault_deliver(v, &fault);
			return false;
		}
	}
	*value = (cr0 & ~lmsw) | (word & lmsw) | (cr0 & CR0_PE); /* LMSW does not clear PE */
	return true;
}

enum resume exit_cr0_write(struct vcpu *v)
{
	struct vmcb *vmcb = v->vmcb;
	enum resume resume = RESUME_SAME;
	uint64_t value, efer = vmcb->save.efer;
	struct insn insn;

	if (!insn_decode(v, &insn) || !new_cr0(v, &insn, &value, &resume))
		return resume;
	if (!cr0_is_legal(v, value))
		return exit_gp(v);
	if ((value ^ vmcb->save.cr0) & (CR0_PG | CR0_PE | CR0_WP))
		flush_this_asid(vmcb);
	if (efer & EFER_LME)
		vmcb_set_efer(vmcb, value & CR0_PG ? efer | EFER_LMA : efer & ~EFER_LMA);
	vmcb_set_cr0(vmcb, value | CR0_ET);
	return RESUME_NEXT;
}

enum resume exit_cr4_write(struct vcpu *v)
{
	uint64_t value = cr_width(v, vcpu_gpr(v, mov_cr_gpr(v))), old;

	if (!cr4_is_legal(v, value))
		return exit_gp(v);
	if ((value ^ v->vmcb->save.cr4) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP))
		flush_this_asid(v->vmcb);
	old = v->vmcb->save.cr4;
	vmcb_set_cr4(v->vmcb, value);
	if (unlikely(quirks) && v->nested.in_l2)
		quirk_cr4_written(v, old);
	return RESUME_NEXT;
}

/* Does CR8 mean V_TPR of L2 here? */
static bool has_own_tpr(const struct vcpu *v)
{
	return v->nested.in_l2 && (v->nested.snap.control.v_intr & V_INTR_MASKING);
}

static void write_own_tpr(struct vcpu *v, uint64_t value)
{
	v->nested.v_intr12 = (v->nested.v_intr12 & ~V_INTR_TPR) | value;
	vmcb_set_v_intr(v->vmcb, (v->vmcb->control.v_intr & ~V_INTR_TPR) | value);
}

/* Without virtual masking a CR8 write of L2 reaches both the APIC and V_TPR (APM2 table 15-12). */
static void write_apic_tpr(struct vcpu *v, uint64_t value)
{
	spin_lock(&v->l1->dev_lock);
	machine_tpr_set(&v->l1->machine, v->index, (uint8_t)value);
	vcpu_sync_tpr(v);
	spin_unlock(&v->l1->dev_lock);
	if (v->nested.in_l2)
		v->nested.v_intr12 = (v->nested.v_intr12 & ~V_INTR_TPR) | value;
}

enum resume exit_cr8(struct vcpu *v, bool write)
{
	unsigned gpr = mov_cr_gpr(v);
	uint64_t value = vcpu_gpr(v, gpr);

	if (!write) {
		vcpu_set_gpr(v, gpr, has_own_tpr(v) ? v->nested.v_intr12 & V_INTR_TPR :
						      machine_tpr_get(&v->l1->machine, v->index));
		return RESUME_NEXT;
	}
	if (value & ~V_INTR_TPR)
		return exit_gp(v);
	if (has_own_tpr(v))
		write_own_tpr(v, value);
	else
		write_apic_tpr(v, value);
	v->attention = true;
	return RESUME_NEXT;
}

/* XCR0 is the guest's while L0 runs, since L0 uses no extended state. */
enum resume exit_xsetbv(struct vcpu *v)
{
	const struct vmcb_save *s = &v->vmcb->save;
	uint64_t value = v->regs[GPR_RDX] << 32 | (uint32_t)s->rax;

	if (!(s->cr4 & CR4_OSXSAVE))
		return exit_ud(v);
	if (s->cpl != 0 || (uint32_t)v->regs[GPR_RCX] != 0 || !(value & XCR0_X87) || (value & ~caps_xcr0()) ||
	    ((value & XCR0_AVX) && !(value & XCR0_SSE)))
		return exit_gp(v);
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
	return RESUME_NEXT;
}
