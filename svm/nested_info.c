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

/* What the manual gives L1 besides EXITINFO as the CPU stored it. */
enum {
	INFO_NRIP = 1,   /* all instruction intercepts, and the exceptions of INT3, INTO, BOUND */
	INFO_IOIO = 2,   /* EXITINFO1, of which the CPU may leave parts out; EXITINFO2 is the nRIP */
	INFO_DECODE = 4, /* EXITINFO1 of decode assists */
	INFO_FETCH = 8,  /* the instruction bytes, for #PF of a data access */
};

static const uint8_t info_of[VMEXIT_INTERCEPT_END] = {
	[VMEXIT_CR_READ(0) ... VMEXIT_DR_WRITE(15)] = INFO_NRIP | INFO_DECODE,
	[VMEXIT_EXCP(VEC_BP) ... VMEXIT_EXCP(VEC_BR)] = INFO_NRIP,
	[VMEXIT_EXCP(VEC_PF)] = INFO_FETCH,
	[VMEXIT_CR0_SEL_WRITE] = INFO_NRIP | INFO_DECODE,
	[VMEXIT_CR0_SEL_WRITE + 1 ... VMEXIT_SWINT - 1] = INFO_NRIP,
	[VMEXIT_SWINT] = INFO_NRIP | INFO_DECODE,
	[VMEXIT_SWINT + 1 ... VMEXIT_INVLPG - 1] = INFO_NRIP,
	[VMEXIT_INVLPG] = INFO_NRIP | INFO_DECODE,
	[VMEXIT_INVLPG + 1 ... VMEXIT_IOIO - 1] = INFO_NRIP,
	[VMEXIT_IOIO] = INFO_IOIO,
	[VMEXIT_MSR] = INFO_NRIP, /* then task switch, FERR_FREEZE, shutdown, which have none */
	[VMEXIT_SHUTDOWN + 1 ... VMEXIT_BUSLOCK - 1] = INFO_NRIP,
	[VMEXIT_BUSLOCK + 1 ... VMEXIT_INTERCEPT_END - 1] = INFO_NRIP,
};

bool info_is_nrip(uint64_t exitcode)
{
	return exitcode < VMEXIT_INTERCEPT_END && info_of[exitcode] == INFO_NRIP;
}

void info_insn_bytes(struct vcpu *v, struct nested_exit *exit)
{
	const struct vmcb_control *c = &v->vmcb->control;
	struct insn insn;

	if ((svm_cpu()->features & SVM_FEAT_DECODE_ASSISTS) && c->insn.len) {
		exit->insn = c->insn;
		exit->insn.len &= 0xF;
		return;
	}
	insn_decode(v, &insn);
	exit->insn.len = insn.fetched;
	memcpy(exit->insn.bytes, insn.bytes, sizeof(exit->insn.bytes));
}

/* By value, so that the usual exit need not be in memory. */
static OWN_FRAME struct nested_exit complete_rest(struct vcpu *v, struct nested_exit exit, unsigned info)
{
	bool assists = (v->nested.caps.features & SVM_FEAT_DECODE_ASSISTS) != 0;

	if ((info & INFO_IOIO) && (v->nested.caps.features & SVM_FEAT_NRIPS))
		exit.nrip = exit.info2;
	if ((info & INFO_IOIO) || ((info & INFO_DECODE) && assists))
		exit.info1 = insn_exitinfo1(v);
	if ((info & INFO_FETCH) && assists && !(exit.info1 & PF_ID))
		info_insn_bytes(v, &exit);
	return exit;
}

void info_complete(struct vcpu *v, struct nested_exit *exit)
{
	unsigned info = exit->code < VMEXIT_INTERCEPT_END ? info_of[exit->code] : 0;

	if ((info & INFO_NRIP) && (v->nested.caps.features & SVM_FEAT_NRIPS))
		exit->nrip = v->vmcb->save.rip + exit_first_step(v).length;
	if (unlikely(info > INFO_NRIP))
		*exit = complete_rest(v, *exit, info);
}
