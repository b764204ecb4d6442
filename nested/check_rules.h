/* SPDX-License-Identifier: MIT */
/* nested/check_rules.h - the consistency checks of an emulated VMRUN, on the sanitised snapshot and nothing else.
 * They change nothing and answer with the name of the first broken rule. Bits of features that L1 was not offered
 * are already gone (vmcb12.c), so no rule asks for a feature.
 * Legal although odd, hence in no rule (APM2 15.5.1 does not list them): reserved VMCB bits, any TLB_CONTROL, low
 * CR3 bits, low DR6, DR7 and map base bits, reserved RFLAGS, segment attributes, limits and bases, RIP and RSP that
 * are not canonical or beyond a limit, EFER.LMA unlike LME & PG, CR0.PE 0 with PG 1 outside long mode. */
#ifndef NESTED_CHECK_RULES_H
#define NESTED_CHECK_RULES_H

#include <amd/cpu.h>

#include "state.h"

#define PDPTE_COUNT 4

/* The control area. `l1_paging`: L1's CR0.PG when it executed VMRUN. */
enum vmrun_reason check_control(const struct vmcb12 *snap, const struct nested_caps *caps, bool l1_paging);

/* The state-save area. */
enum vmrun_reason check_state(const struct vmcb12 *snap, const struct nested_caps *caps);
/* The same of registers that are in no VMCB12. `with_pat`: G_PAT is loaded, too. */
enum vmrun_reason check_save(const struct vmcb_save *save, const struct nested_caps *caps, bool with_pat);

/* Whether VMRUN itself reads four PDPTEs at L2's CR3: PAE paging outside long mode, nested paging off.
 * 15.25.4: with nested paging the PDPTEs are read during walks instead, and a bad one is a #PF of L2. */
static inline bool check_wants_pdptes(const struct vmcb12 *snap)
{
	const struct vmcb_save *save = &snap->save;

	return !(snap->control.misc & MISC_NP) && (save->cr0 & CR0_PG) && (save->cr4 & CR4_PAE) &&
	       !(save->efer & EFER_LME);
}

/* These PDPTEs. Always accepted when check_wants_pdptes() is false. */
enum vmrun_reason check_pdptes(const struct vmcb12 *snap, const struct nested_caps *caps,
			       const uint64_t pdpte[PDPTE_COUNT]);

#endif
