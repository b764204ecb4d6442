/* SPDX-License-Identifier: MIT */
/* svm/nested_info.c - completes an exit on its way from L2 to L1: nRIP, decode assists and instruction bytes are
 * offered whatever the CPU below has, so what it does not store is found by decoding.
 * Manual: APM2 15.7.1 (State Saved on Exit), 15.8 (Decode Assists), 15.12 (nRIP of INT3, INTO, BOUND). */
#include <string.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/exitcode.h>

#include "svm/decode.h"
#include "svm/enable.h"
#include "svm/exit.h"
#include "svm/nested_info.h"

/* Does the manual give this exit an nRIP? All instruction intercepts, and the exceptions of INT3, INTO, BOUND. */
static bool has_nrip(uint64_t code)
{
	if (code == VMEXIT_TASK_SWITCH || code == VMEXIT_FERR_FREEZE || code == VMEXIT_SHUTDOWN ||
	    code == VMEXIT_BUSLOCK)
		return false;
	if (code < VMEXIT_EXCP(0))
		return true;
	if (code < VMEXIT_INTR)
		return code >= VMEXIT_EXCP(VEC_BP) && code <= VMEXIT_EXCP(VEC_BR);
	return code >= VMEXIT_CR0_SEL_WRITE && code < VMEXIT_INTERCEPT_END;
}

static bool has_decode_info(uint64_t code)
{
	return code < VMEXIT_EXCP(0) || code == VMEXIT_CR0_SEL_WRITE || code == VMEXIT_SWINT || code == VMEXIT_INVLPG;
}

void info_insn_bytes(struct vcpu *v, struct nested_exit *exit)
{
	const struct vmcb_control *c = &v->vmcb->control;
	struct insn insn;

	if ((svm_cpu()->features & SVM_FEAT_DECODE_ASSISTS) && c->insn_len) {
		exit->insn_len = c->insn_len & 0xF;
		memcpy(exit->insn_bytes, c->insn_bytes, sizeof(exit->insn_bytes));
		return;
	}
	insn_decode(v, &insn);
	exit->insn_len = insn.fetched;
	memcpy(exit->insn_bytes, insn.bytes, sizeof(exit->insn_bytes));
}

void info_complete(struct vcpu *v, struct nested_exit *exit)
{
	uint32_t offered = v->nested.caps.features;

	if ((offered & SVM_FEAT_NRIPS) && has_nrip(exit->code))
		exit->nrip = v->vmcb->save.rip + exit_insn_length(v);
	if (exit->code == VMEXIT_IOIO)
		exit->info1 = insn_exitinfo1(v);
	if (!(offered & SVM_FEAT_DECODE_ASSISTS))
		return;
	if (has_decode_info(exit->code))
		exit->info1 = insn_exitinfo1(v);
	if (exit->code == VMEXIT_EXCP(VEC_PF) && !(exit->info1 & PF_ID))
		info_insn_bytes(v, exit);
}
