/* SPDX-License-Identifier: MIT */
/* nested/lbr.c - DEBUGCTL and the records of branches for L2. With LBR_VIRTUALIZATION_ENABLE they are VMCB12's; without,
 * there is one set for L1 and L2, as on hardware. What the level that runs has is in its VMCB, whoever records: the CPU,
 * or svm/lbr.c. Writes VMCB02, and VMCB01 at an exit. VMCB12 is vmcb12.c's.
 * Manual: APM2 13.1.6 (Control-Transfer Breakpoint Features), 15.23. Next: svm/lbr.c. */
#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "merge.h"

static bool is_own(const struct vmcb12 *snap)
{
	return (snap->control.misc2 & MISC2_LBR) != 0;
}

/* Reserved bits of VMCB12's DBGCTL are ignored, not checked: they are in no list of 15.5.1. */
void lbr02_enter(struct nested *n, const struct vmcb *vmcb01, struct vmcb *vmcb02)
{
	vmcb_copy_lbr(&vmcb02->save, is_own(&n->snap) ? &n->snap.save : &vmcb01->save);
	vmcb02->save.dbgctl &= DEBUGCTL_KNOWN;
	if (n->caps.hw_lbr)
		vmcb02->control.misc2 |= MISC2_LBR;
	if (!n->lbr_used)
		nested_choose_anew(n);
	n->lbr_used = true;
}

void lbr02_leave(const struct nested *n, struct vmcb *vmcb01, const struct vmcb *vmcb02)
{
	if (is_own(&n->snap))
		return;
	vmcb_copy_lbr(&vmcb01->save, &vmcb02->save);
	vmcb01->control.misc2 |= vmcb02->control.misc2 & MISC2_LBR;
	vmcb01->control.clean &= ~CLEAN_LBR;
}

void lbr02_save(const struct vmcb *vmcb02, struct vmcb12 *snap, struct vmcb_save *l1)
{
	vmcb_copy_lbr(is_own(snap) ? &snap->save : l1, &vmcb02->save);
}

void lbr01_restore(const struct nested *n, struct vmcb *vmcb01)
{
	vmcb01->save.dbgctl &= DEBUGCTL_KNOWN;
	if (n->lbr_used && n->caps.hw_lbr)
		vmcb01->control.misc2 |= MISC2_LBR;
}
