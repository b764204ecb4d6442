/* SPDX-License-Identifier: MIT */
/* nested/reason.h - why a VMRUN was refused: one name per consistency check (APM2 15.5.1, Canonicalization
 * and Consistency Checks). L1 sees only VMEXIT_INVALID; counters, traces and tests see the name. */
#ifndef NESTED_REASON_H
#define NESTED_REASON_H

#define VMRUN_REASONS(X)                                                                           \
	X(NONE, "accepted")                                                                        \
	X(VMCB_UNBACKED, "VMCB12 lies outside L1's memory")                                        \
	X(EFER_SVME, "EFER.SVME is 0")                                                             \
	X(EFER_MBZ, "EFER has a must-be-zero bit set")                                             \
	X(CR0_NW_CD, "CR0.CD is 0 and CR0.NW is 1")                                                \
	X(CR0_HIGH, "CR0[63:32] is not 0")                                                         \
	X(CR3_MBZ, "CR3 has a bit at or above MAXPHYADDR set")                                     \
	X(CR4_MBZ, "CR4 has a must-be-zero bit set")                                               \
	X(DR6_HIGH, "DR6[63:32] is not 0")                                                         \
	X(DR7_HIGH, "DR7[63:32] is not 0")                                                         \
	X(LONG_NO_PAE, "EFER.LME and CR0.PG are 1, CR4.PAE is 0")                                  \
	X(LONG_NO_PE, "EFER.LME and CR0.PG are 1, CR0.PE is 0")                                    \
	X(LONG_CS_L_D, "EFER.LME, CR0.PG, CR4.PAE, CS.L and CS.D are all 1")                       \
	X(PDPTE_MBZ, "a PDPTE of a PAE guest without nested paging is malformed")                  \
	X(G_PAT, "G_PAT has an undefined type or a reserved bit set")                              \
	X(VMRUN_INTERCEPT, "the VMRUN intercept bit is 0")                                         \
	X(ASID_ZERO, "ASID is 0")                                                                  \
	X(MSRPM_RANGE, "the MSR permission map ends at or above MAXPHYADDR")                       \
	X(MSRPM_UNBACKED, "the MSR permission map lies outside L1's memory")                       \
	X(IOPM_RANGE, "the I/O permission map ends at or above MAXPHYADDR")                        \
	X(EVENTINJ_TYPE, "EVENTINJ has a reserved type")                                           \
	X(EVENTINJ_VECTOR, "EVENTINJ is an exception with a vector that is none")                  \
	X(EVENTINJ_MODE, "EVENTINJ is an event that this mode cannot have")                        \
	X(NP_NO_PAGING, "NP_ENABLE is 1 and L1's CR0.PG is 0")                                     \
	X(NCR3_MBZ, "N_CR3 has a bit at or above MAXPHYADDR set")                                  \
	X(VNMI_NO_INTERCEPT, "V_NMI_ENABLE is 1 and the NMI intercept bit is 0")

#define VMRUN_REASON_ENUM(name, text) REASON_##name,
enum vmrun_reason { VMRUN_REASONS(VMRUN_REASON_ENUM) REASON_COUNT };

const char *vmrun_reason_name(enum vmrun_reason reason); /* "ASID_ZERO" */
const char *vmrun_reason_text(enum vmrun_reason reason); /* one clause for people */

#endif
