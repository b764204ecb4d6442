/* SPDX-License-Identifier: MIT */
/* nested/smm.c - system management mode of L1's CPUs: an SMI puts the state of the level that runs into SMRAM, which
 * is ordinary memory of L1, and RSM takes it from there. When L2 ran, VMCB12 is copied and checked again at RSM, as a
 * VMRUN would, since SMM may have changed it, and L2's registers come from SMRAM. What fails makes L1 shut down: no
 * VMRUN is under way that could be refused. L1's registers are kept out of L1's memory meanwhile (struct smm).
 * Writes VMCB01, SMRAM, the level. What lies in no VMCB is svm/smm.c's. Next: vmrun.c, which enters L2 again.
 * Manual: APM2 10 (System-Management Mode), 15.22 (SMM Support), 15.30.3 (SMM_CTL). */
#include <string.h>

#include <amd/cpu.h>
#include <amd/msr.h>
#include <amd/smram.h>
#include <amd/vmcb_access.h>

#include "check_rules.h"
#include "merge.h"

#define ATTR_LOW 0x0FFu       /* type, S, DPL, P: the same bits in both formats */
#define ATTR_HIGH 0xF00u      /* AVL, L, D, G in the VMCB; four bits higher in SMRAM */
#define ATTR_HIGH_SHIFT 4
#define TABLE_LIMIT 0xFFFFu   /* of GDTR and IDTR */
#define LAST_GPR 15
#define GPR_RAX 0
#define GPR_RSP 4
#define V_INTR_LIVE (V_INTR_TPR | V_INTR_IRQ | V_INTR_GIF | V_INTR_NMI | V_INTR_NMI_MASK)

/* --- registers to SMRAM and back --- */

static struct smram_seg seg_out(struct vmcb_seg s)
{
	uint16_t attr = (uint16_t)((s.attr & ATTR_LOW) | (s.attr & ATTR_HIGH) << ATTR_HIGH_SHIFT);

	return (struct smram_seg){.sel = s.sel, .attr = attr, .limit = s.limit, .base = s.base};
}

static struct vmcb_seg seg_in(struct smram_seg s)
{
	uint16_t attr = (uint16_t)((s.attr & ATTR_LOW) | (s.attr >> ATTR_HIGH_SHIFT & ATTR_HIGH));

	return (struct vmcb_seg){.sel = s.sel, .attr = attr, .limit = s.limit, .base = s.base};
}

/* One that VMLOAD is to load: on a CPU with LA57 it would take more than this L1 has (APM2 15.5.2). */
static struct vmcb_seg live_in(struct smram_seg s)
{
	struct vmcb_seg seg = seg_in(s);

	seg.base = vmcb_canonical_48(seg.base);
	return seg;
}

static struct smram_seg table_out(struct vmcb_seg s)
{
	return (struct smram_seg){.limit = s.limit & TABLE_LIMIT, .base = s.base};
}

static struct vmcb_seg table_in(struct smram_seg s)
{
	return (struct vmcb_seg){.limit = s.limit & TABLE_LIMIT, .base = s.base};
}

/* FS, GS, LDTR and TR are with VMCB01, whoever's they are. */
static void segments_out(struct smram_save *m, const struct vmcb_save *s, const struct vmcb_save *live)
{
	m->es = seg_out(s->es);
	m->cs = seg_out(s->cs);
	m->ss = seg_out(s->ss);
	m->ss.attr = (uint16_t)((m->ss.attr & ~SEG_DPL) | s->cpl << SEG_DPL_SHIFT);
	m->ds = seg_out(s->ds);
	m->fs = seg_out(live->fs);
	m->gs = seg_out(live->gs);
	m->gdtr = table_out(s->gdtr);
	m->ldtr = seg_out(live->ldtr);
	m->idtr = table_out(s->idtr);
	m->tr = seg_out(live->tr);
}

static void segments_in(const struct smram_save *m, struct vmcb_save *s, struct vmcb_save *live)
{
	s->es = seg_in(m->es);
	s->cs = seg_in(m->cs);
	s->ss = seg_in(m->ss);
	s->ds = seg_in(m->ds);
	s->gdtr = table_in(m->gdtr);
	s->idtr = table_in(m->idtr);
	s->cpl = (uint8_t)((s->ss.attr & SEG_DPL) >> SEG_DPL_SHIFT);
	live->fs = live_in(m->fs);
	live->gs = live_in(m->gs);
	live->ldtr = live_in(m->ldtr);
	live->tr = live_in(m->tr);
}

static void registers_out(struct smram_save *m, const struct vmcb_save *s, const uint64_t *gpr)
{
	m->cr4 = s->cr4;
	m->cr3 = s->cr3;
	m->cr0 = s->cr0;
	m->dr7 = s->dr7;
	m->dr6 = s->dr6;
	m->rflags = s->rflags;
	m->rip = s->rip;
	for (unsigned i = 0; i <= LAST_GPR; i++)
		m->gpr[LAST_GPR - i] = gpr[i];
	m->gpr[LAST_GPR - GPR_RAX] = s->rax;
	m->gpr[LAST_GPR - GPR_RSP] = s->rsp;
}

static void registers_in(const struct smram_save *m, struct vmcb_save *s, uint64_t *gpr)
{
	s->cr4 = m->cr4;
	s->cr3 = m->cr3;
	s->cr0 = m->cr0;
	s->dr7 = m->dr7 | DR7_FIXED;
	s->dr6 = m->dr6 | DR6_FIXED;
	s->rflags = m->rflags | RFLAGS_FIXED;
	s->rip = m->rip;
	s->efer = m->efer & ~EFER_LMA;
	if ((m->efer & EFER_LME) && (m->cr0 & CR0_PG))
		s->efer |= EFER_LMA;
	for (unsigned i = 0; i <= LAST_GPR; i++)
		gpr[i] = m->gpr[LAST_GPR - i];
	s->rax = gpr[GPR_RAX];
	s->rsp = gpr[GPR_RSP];
}

/* --- SMI --- */

static void svm_state_out(const struct nested *n, struct smram_save *m, const struct vmcb_save *l1,
			  const struct vmcb_save *l2)
{
	bool nested_paging = n->snap.control.misc & MISC_NP;

	m->efer = l2->efer;
	m->svm_state = SVM_STATE_GUEST | (nested_paging ? SVM_STATE_NESTED : 0);
	m->svm_state |= l1->rflags & RFLAGS_IF ? SVM_STATE_HOST_IF : 0;
	m->vmcb_pa = n->vmcb12_pa.a;
	m->v_intr = n->v_intr12;
	m->guest_pat = l2->g_pat;
	m->host_efer = l1->efer;
	m->host_cr4 = l1->cr4;
	m->host_cr3 = l1->cr3;
	m->host_cr0 = l1->cr0;
}

static void state_out(const struct nested *n, struct smram_save *m, const struct vmcb_save *l1,
		      const struct vmcb_save *running, const struct smm_cpu *cpu)
{
	*m = (struct smram_save){.revision = SMM_REVISION, .smbase = n->smm.base};
	m->auto_halt = cpu->halted;
	m->nmi_mask = cpu->nmi_blocked;
	segments_out(m, running, l1);
	registers_out(m, running, cpu->gpr);
	if (n->in_l2)
		svm_state_out(n, m, l1, running);
	else
		m->efer = n->svme ? l1->efer : l1->efer & ~EFER_SVME;
}

/* L2 is left as it is: what of it is not in SMRAM is in VMCB12, from where RSM copies it again. Registers that the CPU
 * has once stay as L2 left them. Records of branches that are L2's own are in no map: they are kept. */
static void leave_l2(struct nested *n, struct vmcb *vmcb01, const struct vmcb *vmcb02)
{
	struct vmcb_save *l1 = &vmcb01->save;
	const struct vmcb_save *l2 = &vmcb02->save;

	n->smm.host = *l1;
	if (n->lbr_used) {
		vmcb_copy_lbr(&n->smm.host, l2);
		lbr02_leave(n, vmcb01, vmcb02);
	}
	l1->cr2 = l2->cr2;
	l1->dr6 = l2->dr6;
	if (!(n->snap.control.misc & MISC_NP))
		l1->g_pat = l2->g_pat;
	if (n->caps.eraps) /* as at every exit of L2: exit_full.c */
		vmcb01->control.erap |= ERAP_CLEAR;
	n->in_l2 = false;
	n->run_pending = false;
	n->soft.pending = false;
}

/* Table 10-2: real mode with segments of 4 GiB. What is not named keeps its value. */
static void smm_registers(struct vmcb_save *s, uint32_t smbase)
{
	const struct vmcb_seg data = {.attr = SEG_P | SEG_S | SEG_G | 0x3, .limit = UINT32_MAX};

	s->cs = (struct vmcb_seg){.sel = (uint16_t)(smbase >> 4), .attr = SEG_P | SEG_S | SEG_G | 0xB,
				  .limit = UINT32_MAX, .base = smbase};
	s->ds = s->es = s->ss = s->fs = s->gs = data;
	s->cpl = 0;
	s->cr0 &= ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
	s->cr4 = 0;
	s->efer = EFER_SVME; /* the CPU's own; L1 sees 0 */
	s->dr7 = DR7_FIXED;
	s->rflags = RFLAGS_FIXED;
	s->rip = SMM_ENTRY_RIP;
}

/* VMCB01 is another's now: nothing that the CPU may have kept of it counts (APM2 15.22: SMI and RSM flush all). */
static void state_replaced(struct nested *n, struct vmcb *vmcb01)
{
	vmcb01->control.clean = 0;
	vmcb01->control.int_shadow = 0;
	vmcb01->control.tlb_control = n->caps.hw_flush_by_asid ? TLB_CONTROL_ASID : TLB_CONTROL_ALL;
	n->gif = true; /* or no SMI would have been taken */
}

bool nested_smi(struct nested *n, struct port *port, struct vmcb *vmcb01, const struct vmcb *vmcb02,
		struct smm_cpu *cpu)
{
	void *at = port_l1_ptr(port, l1pa(n->smm.base + SMRAM_SAVE_OFFSET), sizeof(struct smram_save));
	struct vmcb_save *l1 = &vmcb01->save;
	struct smram_save map;

	CHECK(n->gif && !n->smm.active);
	if (!at)
		return false;
	state_out(n, &map, l1, n->in_l2 ? &vmcb02->save : l1, cpu);
	memcpy(at, &map, sizeof(map));
	n->smm.active = n->smm.blocked = true;
	n->smm.nmi_was_blocked = cpu->nmi_blocked;
	n->smm.from_l2 = n->in_l2;
	if (n->in_l2)
		leave_l2(n, vmcb01, vmcb02);
	n->svme = false;
	smm_registers(l1, n->smm.base);
	state_replaced(n, vmcb01);
	cpu->halted = false;
	cpu->nmi_blocked = true;
	return true;
}

/* --- RSM --- */

/* What VMRUN lets pass and RSM does not: paging without protection; SVM where it is not offered or locked away. */
static bool state_is_legal(const struct nested *n)
{
	const struct vmcb_save *s = &n->snap.save;

	if ((s->cr0 & (CR0_PG | CR0_PE)) == CR0_PG)
		return false;
	return !(s->efer & EFER_SVME) || !((n->caps.efer_mbz & EFER_SVME) || (n->vm_cr & VM_CR_SVMDIS));
}

/* What the map says must be what the SMI put there: L1's side of an L2 is kept for that one only. */
static bool svm_state_is_legal(const struct nested *n, const struct smram_save *m)
{
	const uint64_t known = SVM_STATE_GUEST | SVM_STATE_NESTED | SVM_STATE_HOST_IF;

	if (!n->smm.from_l2)
		return m->svm_state == 0;
	return (m->svm_state & SVM_STATE_GUEST) && !(m->svm_state & ~known) &&
	       !(m->vmcb_pa & (PAGE_MASK | n->caps.phys_mbz));
}

/* The snapshot is not in use while L1 runs, so that the state can be put together there and checked as VMRUN does. */
static bool resume_l1(struct nested *n, const struct smram_save *m, struct vmcb_save *l1, struct smm_cpu *cpu)
{
	struct nested_caps caps = n->caps;
	struct vmcb_save *s = &n->snap.save;

	segments_in(m, s, l1);
	registers_in(m, s, cpu->gpr);
	s->cr2 = l1->cr2;
	s->g_pat = l1->g_pat;
	if (!state_is_legal(n))
		return false;
	n->svme = (s->efer & EFER_SVME) != 0;
	s->efer |= EFER_SVME; /* the CPU's, whatever L1 was offered */
	caps.efer_mbz &= ~EFER_SVME;
	if (check_save(s, &caps, false))
		return false;
	vmcb_copy_state(l1, s);
	return true;
}

/* The events of the VMRUN are long over, and RSM comes with a flush of everything. */
static bool resume_l2(struct nested *n, struct port *port, const struct smram_save *m, const struct vmcb02_inputs *in,
		      struct vmcb *vmcb01, struct vmcb *vmcb02, struct smm_cpu *cpu)
{
	struct vmcb_control *c = &n->snap.control;
	struct vmcb_save *l1 = &vmcb01->save;
	uint64_t cr2 = l1->cr2, pat = l1->g_pat;

	vmcb_copy_state(l1, &n->smm.host);
	l1->g_pat = pat;
	if (!vmcb12_snapshot(&n->snap, &n->snap.save, &n->known, port, l1pa(m->vmcb_pa)))
		return false;
	segments_in(m, &n->snap.save, l1);
	registers_in(m, &n->snap.save, cpu->gpr);
	n->snap.save.cr2 = cr2;
	n->snap.save.g_pat = m->guest_pat;
	if (c->misc2 & MISC2_LBR)
		vmcb_copy_lbr(&n->snap.save, &n->smm.host);
	c->v_intr = (c->v_intr & ~V_INTR_LIVE) | (m->v_intr & V_INTR_LIVE & n->known.v_intr);
	c->eventinj = 0;
	c->int_shadow = 0;
	c->tlb_control = TLB_CONTROL_ALL;
	if (!state_is_legal(n) || !vmrun_resume(n, port, l1pa(m->vmcb_pa), in, vmcb01, vmcb02))
		return false;
	n->svme = true;
	return true;
}

enum rsm_outcome nested_rsm(struct nested *n, struct port *port, const struct vmcb02_inputs *in, struct vmcb *vmcb01,
			    struct vmcb *vmcb02, struct smm_cpu *cpu)
{
	const void *at = port_l1_ptr(port, l1pa(n->smm.base + SMRAM_SAVE_OFFSET), sizeof(struct smram_save));
	struct smram_save map;

	CHECK(n->smm.active && !n->in_l2);
	if (!at)
		return RSM_FAILED;
	memcpy(&map, at, sizeof(map));
	barrier();
	if (!svm_state_is_legal(n, &map))
		return RSM_FAILED;
	state_replaced(n, vmcb01);
	if (n->smm.from_l2 ? !resume_l2(n, port, &map, in, vmcb01, vmcb02, cpu) :
			     !resume_l1(n, &map, &vmcb01->save, cpu))
		return RSM_FAILED;
	n->smm.active = n->smm.blocked = n->smm.from_l2 = false;
	n->smm.base = map.smbase;
	cpu->nmi_blocked = n->smm.nmi_was_blocked;
	cpu->halted = map.auto_halt & 1;
	return n->in_l2 ? RSM_TO_L2 : RSM_TO_L1;
}

/* --- MSRs --- */

/* In this order whatever is written (15.30.3). Inside SMM proper, EXIT ends the blocking of NMIs alone. */
bool nested_smm_ctl(struct nested *n, uint64_t value, bool *nmi_blocked, bool *dismiss)
{
	*dismiss = false;
	if (n->smm.locked || (value & ~SMM_CTL_KNOWN))
		return false;
	if ((value & SMM_CTL_ENTER) && !n->smm.blocked) {
		n->smm.nmi_was_blocked = *nmi_blocked;
		*nmi_blocked = n->smm.blocked = true;
	}
	*dismiss = value & SMM_CTL_DISMISS;
	if ((value & SMM_CTL_EXIT) && n->smm.blocked) {
		*nmi_blocked = n->smm.nmi_was_blocked;
		n->smm.blocked = false;
	}
	return true;
}
