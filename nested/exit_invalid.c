/* SPDX-License-Identifier: MIT */
/* nested/exit_invalid.c - the consistency exit: L1's VMRUN was refused, L2 never ran.
 * Writes the exit fields of VMCB12, L1's GIF and what every #VMEXIT does to L1's own registers. Never sees VMCB02:
 * nothing of L2 has been loaded, so there is nothing to save, to switch or to flush.
 * Manual: APM2 15.5.1, 15.6. Opposite: exit_full.c. Next: resume.c. */
#include "merge.h"

/* Cannot fail. When VMCB12 is outside L1's memory the result is lost, as a write to nowhere is. */
void nested_exit_invalid(struct nested *n, struct port *port, l1pa_t vmcb12_pa, enum vmrun_reason reason,
			 struct vmcb *vmcb01)
{
	CHECK(!n->in_l2);
	vmcb12_write_refused(port, vmcb12_pa);
	n->gif = false; /* a #VMEXIT clears GIF even where VMRUN was entered with GIF=1 */
	n->last_refusal = reason;
	n->refusals[reason]++;
	l1_resume(vmcb01);
}
