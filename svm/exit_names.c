/* SPDX-License-Identifier: MIT */
/* svm/exit_names.c - the names of the #VMEXIT codes, as the manual spells them. Pure.
 * Manual: APM2 appendix C (SVM Intercept Exit Codes). Users: report.c, command.c. */
#include "svm/exit_names.h"

#include <amd/exitcode.h>
#include <bits.h>

#include "svm/vcpu.h"

/* Sixteen registers of one kind. */
#define SIXTEEN(first, reg, what)                                                                  \
	[first] = reg "0" what, [first + 1] = reg "1" what, [first + 2] = reg "2" what,            \
	[first + 3] = reg "3" what, [first + 4] = reg "4" what, [first + 5] = reg "5" what,        \
	[first + 6] = reg "6" what, [first + 7] = reg "7" what, [first + 8] = reg "8" what,        \
	[first + 9] = reg "9" what, [first + 10] = reg "10" what, [first + 11] = reg "11" what,    \
	[first + 12] = reg "12" what, [first + 13] = reg "13" what, [first + 14] = reg "14" what,  \
	[first + 15] = reg "15" what

static const char *const names[VMEXIT_INTERCEPT_END] = {
	SIXTEEN(0x00, "CR", "_READ"),
	SIXTEEN(0x10, "CR", "_WRITE"),
	SIXTEEN(0x20, "DR", "_READ"),
	SIXTEEN(0x30, "DR", "_WRITE"),
	[VMEXIT_EXCP(0)] = "EXCP_DE", [VMEXIT_EXCP(1)] = "EXCP_DB", [VMEXIT_EXCP(2)] = "EXCP_NMI",
	[VMEXIT_EXCP(3)] = "EXCP_BP", [VMEXIT_EXCP(4)] = "EXCP_OF", [VMEXIT_EXCP(5)] = "EXCP_BR",
	[VMEXIT_EXCP(6)] = "EXCP_UD", [VMEXIT_EXCP(7)] = "EXCP_NM", [VMEXIT_EXCP(8)] = "EXCP_DF",
	[VMEXIT_EXCP(10)] = "EXCP_TS", [VMEXIT_EXCP(11)] = "EXCP_NP", [VMEXIT_EXCP(12)] = "EXCP_SS",
	[VMEXIT_EXCP(13)] = "EXCP_GP", [VMEXIT_EXCP(14)] = "EXCP_PF", [VMEXIT_EXCP(16)] = "EXCP_MF",
	[VMEXIT_EXCP(17)] = "EXCP_AC", [VMEXIT_EXCP(18)] = "EXCP_MC", [VMEXIT_EXCP(19)] = "EXCP_XF",
	[VMEXIT_EXCP(21)] = "EXCP_CP", [VMEXIT_EXCP(28)] = "EXCP_HV", [VMEXIT_EXCP(29)] = "EXCP_VC",
	[VMEXIT_EXCP(30)] = "EXCP_SX",
	[VMEXIT_INTR] = "INTR", [VMEXIT_NMI] = "NMI", [VMEXIT_SMI] = "SMI", [VMEXIT_INIT] = "INIT",
	[VMEXIT_VINTR] = "VINTR", [VMEXIT_CR0_SEL_WRITE] = "CR0_SEL_WRITE",
	[VMEXIT_IDTR_READ] = "IDTR_READ", [VMEXIT_GDTR_READ] = "GDTR_READ",
	[VMEXIT_LDTR_READ] = "LDTR_READ", [VMEXIT_TR_READ] = "TR_READ",
	[VMEXIT_IDTR_WRITE] = "IDTR_WRITE", [VMEXIT_GDTR_WRITE] = "GDTR_WRITE",
	[VMEXIT_LDTR_WRITE] = "LDTR_WRITE", [VMEXIT_TR_WRITE] = "TR_WRITE",
	[VMEXIT_RDTSC] = "RDTSC", [VMEXIT_RDPMC] = "RDPMC", [VMEXIT_PUSHF] = "PUSHF",
	[VMEXIT_POPF] = "POPF", [VMEXIT_CPUID] = "CPUID", [VMEXIT_RSM] = "RSM", [VMEXIT_IRET] = "IRET",
	[VMEXIT_SWINT] = "SWINT", [VMEXIT_INVD] = "INVD", [VMEXIT_PAUSE] = "PAUSE", [VMEXIT_HLT] = "HLT",
	[VMEXIT_INVLPG] = "INVLPG", [VMEXIT_INVLPGA] = "INVLPGA", [VMEXIT_IOIO] = "IOIO",
	[VMEXIT_MSR] = "MSR", [VMEXIT_TASK_SWITCH] = "TASK_SWITCH", [VMEXIT_FERR_FREEZE] = "FERR_FREEZE",
	[VMEXIT_SHUTDOWN] = "SHUTDOWN", [VMEXIT_VMRUN] = "VMRUN", [VMEXIT_VMMCALL] = "VMMCALL",
	[VMEXIT_VMLOAD] = "VMLOAD", [VMEXIT_VMSAVE] = "VMSAVE", [VMEXIT_STGI] = "STGI",
	[VMEXIT_CLGI] = "CLGI", [VMEXIT_SKINIT] = "SKINIT", [VMEXIT_RDTSCP] = "RDTSCP",
	[VMEXIT_ICEBP] = "ICEBP", [VMEXIT_WBINVD] = "WBINVD", [VMEXIT_MONITOR] = "MONITOR",
	[VMEXIT_MWAIT] = "MWAIT", [VMEXIT_MWAIT_COND] = "MWAIT_COND", [VMEXIT_XSETBV] = "XSETBV",
	[VMEXIT_RDPRU] = "RDPRU", [VMEXIT_EFER_TRAP] = "EFER_WRITE_TRAP",
	SIXTEEN(0x90, "CR", "_WRITE_TRAP"),
	[VMEXIT_INVLPGB] = "INVLPGB", [VMEXIT_INVLPGB_ILLEGAL] = "INVLPGB_ILLEGAL",
	[VMEXIT_INVPCID] = "INVPCID", [VMEXIT_MCOMMIT] = "MCOMMIT", [VMEXIT_TLBSYNC] = "TLBSYNC",
	[VMEXIT_BUSLOCK] = "BUSLOCK", [VMEXIT_IDLE_HLT] = "IDLE_HLT",
};

const char *exit_name(uint64_t code)
{
	if (code == VMEXIT_NPF)
		return "NPF";
	if (code == VMEXIT_INVALID)
		return "INVALID";
	return code < VMEXIT_INTERCEPT_END && names[code] ? names[code] : "unknown";
}

unsigned exit_counter(uint64_t code)
{
	if (code < VMEXIT_INTERCEPT_END)
		return (unsigned)code;
	if (code == VMEXIT_NPF)
		return EXIT_COUNT_NPF;
	return code == VMEXIT_INVALID ? EXIT_COUNT_INVALID : EXIT_COUNT_OTHER;
}

const char *exit_counter_name(unsigned counter)
{
	if (counter == EXIT_COUNT_NPF)
		return exit_name(VMEXIT_NPF);
	if (counter == EXIT_COUNT_INVALID)
		return exit_name(VMEXIT_INVALID);
	return counter == EXIT_COUNT_OTHER ? "other" : exit_name(counter);
}
