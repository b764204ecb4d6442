/* SPDX-License-Identifier: MIT */
/* svm/quirk_xsetbv.c - XSETBV of L2 exits to L1 on a CPU that ignores its intercept: with CR4.OSXSAVE at 0 it is #UD,
 * which exits. All other users of extended state are #UD then as well. XGETBV is executed here; at the first other one
 * the bit is shown, so that it costs one exit, and from then on this L2's XSETBVs go unseen: an operating system sets
 * XCR0 before it uses what it enables. What L2 and L1 read of CR4 and CPUID is as if nothing were hidden.
 * Manual: APM2 11.5.2 (XCR0), table 15-7; docs/engines.md. Next: quirk.c. */
#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>
#include <Zydis/Zydis.h>

#include "svm/decode.h"
#include "svm/exit.h"
#include "svm/quirk.h"

#define CR4_READ BIT32(VMEXIT_CR_READ(4))
#define XCR_IN_USE 1 /* XGETBV with ECX=1: which components are not in their initial state */

void quirk_hide_xsave(struct vcpu *v)
{
	const struct nested *n = &v->nested;
	struct vmcb *vmcb = v->vmcb02;

	v->osxsave_hidden = false;
	if (!(vmcb->save.cr4 & CR4_OSXSAVE) || !has_quirk(QUIRK_INTERCEPTS) ||
	    !nested_intercepts(n, VMEXIT_XSETBV) || v->xsave_user.a == n->vmcb12_pa.a)
		return;
	v->osxsave_hidden = true;
	vmcb_set_cr4(vmcb, vmcb->save.cr4 & ~CR4_OSXSAVE);
	vmcb_set_intercept(vmcb, ICPT_CR, vmcb->control.intercept[ICPT_CR] | CR4_READ);
}

void quirk_show_xsave(struct vcpu *v)
{
	struct vmcb *vmcb = v->vmcb02;

	if (!v->osxsave_hidden)
		return;
	v->osxsave_hidden = false;
	vmcb_set_cr4(vmcb, vmcb->save.cr4 | CR4_OSXSAVE);
	if (!nested_intercepts(&v->nested, VMEXIT_CR_READ(4)))
		vmcb_set_intercept(vmcb, ICPT_CR, vmcb->control.intercept[ICPT_CR] & ~CR4_READ);
}

/* L2 switches extended state on: it will execute XSETBV next. */
void quirk_cr4_written(struct vcpu *v, uint64_t old)
{
	if (!(old & CR4_OSXSAVE) && !v->osxsave_hidden)
		v->xsave_user = l1pa(0);
	quirk_hide_xsave(v);
}

static void xgetbv(struct vcpu *v)
{
	uint32_t index = (uint32_t)v->regs[GPR_RCX], low, high;

	if (index > XCR_IN_USE) {
		vcpu_raise_error(v, VEC_GP, 0);
		return;
	}
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	v->vmcb->save.rax = low;
	v->regs[GPR_RDX] = high;
	exit_advance_rip(v);
	exit_trap_if_tf(v);
}

bool quirk_hidden_ud(struct vcpu *v)
{
	struct insn insn;

	if (!insn_decode(v, &insn))
		return false;
	switch (insn.mnemonic) {
	case ZYDIS_MNEMONIC_XSETBV:
		v->vmcb->control.exitcode = VMEXIT_XSETBV;
		return false;
	case ZYDIS_MNEMONIC_XGETBV:
		xgetbv(v);
		return true;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_RSM:
		return false;
	default:
		v->xsave_user = v->nested.vmcb12_pa;
		quirk_show_xsave(v);
		return true;
	}
}

enum resume exit_cr4_read(struct vcpu *v)
{
	uint64_t hidden = v->osxsave_hidden ? CR4_OSXSAVE : 0;

	vcpu_set_gpr(v, insn_exitinfo1(v) & 0xF, v->vmcb->save.cr4 | hidden);
	return RESUME_NEXT;
}
