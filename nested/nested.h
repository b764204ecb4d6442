/* SPDX-License-Identifier: MIT */
/* nested/nested.h - the only header of nested/ that other folders include. nested/ decides, svm/ acts.
 * Read on: vmrun.c (the story of VMRUN), exit_invalid.c and exit_full.c (the two exits), route.c (whose exit). */
#ifndef NESTED_NESTED_H
#define NESTED_NESTED_H

#include <amd/smram.h>

#include "image.h"
#include "port.h"
#include "state.h"

/* --- life --- */

/* Reset state of a vCPU: GIF=1, SVM off, no L2. `pool` is the memory of the shadow page tables. */
void nested_init(struct nested *n, const struct nested_caps *caps, void *pool, uint32_t pool_pages,
		 uint32_t first_asid, uint32_t asid_count);
/* INIT or RESET of the vCPU: as if no VMRUN had been (VM_CR.LOCK and SVMDIS survive INIT as the manual says). */
void nested_reset(struct nested *n);
/* What L1 is offered: CPUID Fn8000_000A EDX, and what of VMCB12 counts with that. Part of nested_init(). */
void nested_offer(struct nested *n, uint32_t features);

/* --- VMRUN: vmrun.c --- */

/* What VMCB02 needs from L0 besides VMCB01: tables and intercepts that are ours whatever L1 asks for. */
struct vmcb02_inputs {
	uint32_t intercepts[8] ALIGNED(sizeof(struct wide)); /* what L0 must see while L2 runs; two words are reserved */
	hpa_t iopm;                 /* all ones */
	hpa_t msrpm02;              /* behind it, as in a VMCB */
	const uint8_t *msrpm01;
	hpa_t npt01_root;
	uint8_t apic_tpr;           /* CR8 of L1's APIC: what L2 reads when its interrupts are not masked virtually */
};

enum vmrun_outcome {
	VMRUN_UNDECIDED,
	VMRUN_REFUSED, /* the consistency exit has been taken: L1 runs on behind its VMRUN */
	VMRUN_ENTERED, /* VMCB02 is built: run it */
};

/* VMCB02, and the page that the next one is made in: they change places when a VMRUN is accepted. */
struct vmcb02_pages {
	struct vmcb *vmcb02, *spare;
};

/* VMRUN by L1 at CPL 0 with a legal rAX, L1's RIP already past it. */
enum vmrun_outcome nested_vmrun(struct nested *n, struct port *port, l1pa_t vmcb12_pa,
				const struct vmcb02_inputs *in, struct vmcb *vmcb01, struct vmcb02_pages *pages);
/* The state that L2 was entered with, for the CPU has refused to run it; after a usual VMRUN what VMCB12 says now. Only to be
 * written back there. */
void nested_l2_state(const struct nested *n, struct port *port, struct vmcb_save *to);

/* Something has changed besides VMCB12 that VMCB02 is made of: TSC_RATIO, the use of DEBUGCTL. The choices that VMRUN
 * remembers (n->last) are outdated by it as by a shadow that was dropped. */
static inline void nested_choose_anew(struct nested *n)
{
	n->npt02.drops++;
	n->rare = true;
	n->plain = false;
}

/* --- the full exit: exit_full.c --- */

struct nested_exit {
	uint64_t code, info1, info2, intinfo, nrip;
	union vmcb_insn insn;
};

/* L2 ran, L1 gets its turn. False when VMCB12 cannot be written any more: that is a shutdown of L1. */
bool nested_exit_full(struct nested *n, struct port *port, const struct nested_exit *exit, struct vmcb *vmcb01,
		      struct vmcb *vmcb02);

/* --- whose exit is this: route.c --- */

enum route { ROUTE_UNDECIDED, ROUTE_L0, ROUTE_L1 };

/* For an exit of L2 with any 64-bit code. `msr` is ECX, looked at for #VMEXIT(MSR) only. */
enum route nested_route(const struct nested *n, struct port *port, const struct vmcb *vmcb02, uint32_t msr);
/* Is an exit with this code L1's if and only if nested_intercepts() says so? */
bool nested_is_routed_by_bit(uint64_t exitcode);
/* Does L1 intercept this exit code (below VMEXIT_INTERCEPT_END)? */
bool nested_intercepts(const struct nested *n, uint64_t exitcode);

/* --- the PAUSE filter: pause.c --- */

/* Does L1 filter the PAUSEs of L2 that it intercepts? */
bool nested_filters_pause(const struct nested *n);
/* Such a PAUSE, `elapsed` cycles after the last one. True: the filter has run out, L1 gets #VMEXIT(PAUSE). */
bool nested_pause(struct nested *n, uint64_t elapsed);

/* --- L2's TSC: tsc.c --- */

/* What L2 reads when L1's TSC is `tsc1`. */
uint64_t nested_tsc(const struct nested *n, uint64_t tsc1);
/* L2 is about to run, or L1's TSC or its ratio has changed: what VMCB02 must have for that. */
void nested_tsc02(const struct nested *n, const struct vmcb *vmcb01, struct vmcb *vmcb02);

/* --- events: event.c --- */

struct event_view {
	bool init, smi, nmi, irq; /* pending for L1 */
	bool nmi_blocked;
	bool if_flag;        /* RFLAGS.IF of the level that runs */
	bool shadow;         /* interrupt shadow of the level that runs */
	bool l1_if;          /* L1's RFLAGS.IF as it was at VMRUN */
	bool injecting;      /* an event is already chosen for this entry */
};

enum event_action {
	EVENT_UNDECIDED,
	EVENT_NOTHING,
	EVENT_WINDOW,      /* something waits for RFLAGS.IF or the shadow of the level that runs */
	EVENT_SOON,        /* something comes right behind the event that is being injected, or behind the shadow */
	EVENT_TAKE_INIT,
	EVENT_TAKE_SMI,
	EVENT_INJECT_NMI,
	EVENT_INJECT_IRQ,
	EVENT_INJECT_VIRQ, /* V_IRQ of L1's VMCB12 into L2 */
	EVENT_INJECT_VNMI,
	EVENT_EXIT_INIT,   /* #VMEXITs of L2 */
	EVENT_EXIT_SMI,
	EVENT_EXIT_NMI,
	EVENT_EXIT_INTR,
	EVENT_EXIT_VINTR,
};

enum event_action nested_event(const struct nested *n, const struct event_view *view);
/* Takes V_IRQ for delivery: clears it and gives its vector. */
uint8_t nested_take_virq(struct nested *n);
/* Takes V_NMI for delivery: L2's NMIs are masked from now on. */
void nested_take_vnmi(struct nested *n);
/* IRET of L2: unmasks virtual NMIs. False when L2 has none, so that IRET was about real ones. */
bool nested_end_vnmi(struct nested *n);

static inline bool nested_is_vnmi(const struct nested *n, uint64_t event)
{
	return (event & EVENT_V) && bits_get(event, 10, 8) == EVENT_NMI && (n->v_intr12 & V_INTR_NMI_ENABLE);
}

/* EVENTINJ of L2: with virtual NMIs an NMI there masks them, whoever injects it (APM2 15.21.10). */
static inline void nested_vnmi_injected(struct nested *n, uint64_t event)
{
	if (nested_is_vnmi(n, event))
		n->v_intr12 |= V_INTR_NMI_MASK;
}

/* EXITINTINFO of L2: what has not been delivered does not mask any more. */
static inline void nested_vnmi_interrupted(struct nested *n, uint64_t event)
{
	if (nested_is_vnmi(n, event))
		n->v_intr12 &= ~V_INTR_NMI_MASK;
}
/* Must IRET of L2 be seen, for L1 or for virtual NMIs? */
bool nested_wants_iret(const struct nested *n);

/* --- system management mode: smm.c --- */

/* What of a vCPU is in no VMCB. Its FS, GS, LDTR and TR are in VMCB01 for these calls. */
struct smm_cpu {
	uint64_t *gpr;            /* 16, by the numbers of instructions; RAX and RSP are in the VMCB, too */
	bool halted, nmi_blocked;
};

enum rsm_outcome {
	RSM_UNDECIDED,
	RSM_FAILED, /* L1 shuts down */
	RSM_TO_L1,
	RSM_TO_L2,  /* VMCB02 is built: run it */
};

/* An SMI that is neither held nor intercepted is taken, with GIF=1: VMCB01 is the CPU in SMM. False: there is no memory
 * at SMBASE, and nothing has changed. APM2 10.3, 15.22.2. */
bool nested_smi(struct nested *n, struct port *port, struct vmcb *vmcb01, const struct vmcb *vmcb02,
		struct smm_cpu *cpu);
/* RSM in SMM (n->smm.active). What is in VMCB01 and `cpu` after RSM_FAILED does not matter. APM2 10.4 (Leaving SMM). */
enum rsm_outcome nested_rsm(struct nested *n, struct port *port, const struct vmcb02_inputs *in, struct vmcb *vmcb01,
			    struct vmcb *vmcb02, struct smm_cpu *cpu);
/* A write of SMM_CTL; false is #GP. *dismiss: a pending SMI is forgotten. APM2 15.30.3. */
bool nested_smm_ctl(struct nested *n, uint64_t value, bool *nmi_blocked, bool *dismiss);
static inline void nested_smm_power_on(struct nested *n)
{
	n->smm = (struct smm){.base = SMBASE_RESET};
}

/* --- SVM instructions and MSRs: insn.c, msr.c --- */

enum nested_fault { NESTED_FAULT_NONE, NESTED_FAULT_UD, NESTED_FAULT_GP };

/* VMRUN, VMLOAD and VMSAVE take a page address in rAX; the others none. Order of APM2 15.5 (VMRUN), 15.5.2.
The CPU has already seen to protected mode; CPL and address are asked again because not every engine does so
 * before the intercept (docs/engines.md). */
static inline enum nested_fault nested_insn_fault(const struct nested *n, bool takes_address, uint64_t rax,
						  uint8_t cpl)
{
	if (!n->svme && !n->in_l2)
		return NESTED_FAULT_UD;
	if (cpl != 0 || (takes_address && (rax & (n->caps.phys_mbz | PAGE_MASK))))
		return NESTED_FAULT_GP;
	return NESTED_FAULT_NONE;
}
/* STGI and CLGI by L1, or by L2 for L1. With virtual GIF in use L2 has one of its own (APM2 15.33.2). */
static inline void nested_set_gif(struct nested *n, bool gif)
{
	if (n->in_l2 && (n->snap.control.v_intr & V_INTR_GIF_ENABLE))
		n->v_intr12 = gif ? n->v_intr12 | V_INTR_GIF : n->v_intr12 & ~V_INTR_GIF;
	else
		n->gif = gif;
}
/* INVLPGA by L1: translations of one of its ASIDs. */
void nested_invlpga(struct nested *n, uint32_t asid12);

/* The MSRs of SVM as L1 sees them. False: not one of them. *fault is set when the access is a #GP. */
bool nested_msr_read(const struct nested *n, uint32_t msr, uint64_t *value, bool *fault);
bool nested_msr_write(struct nested *n, uint32_t msr, uint64_t value, bool *fault);

/* --- save and restore: save.c --- */

/* Between two runs of the vCPU. Two images of the same state are the same bytes. */
void nested_save(const struct nested *n, const struct vmcb *vmcb01, const struct vmcb *vmcb02,
		 struct nested_image *image);
/* Would nested_restore() take it? Any bytes may be asked about. */
struct restore_verdict nested_restore_check(const struct nested *n, const struct nested_image *image);
/* Makes `n`, VMCB01's save area and VMCB02 what they were; refused, it has changed nothing. `n` has been through
 * nested_init(). The TLB entries of L1 itself are the caller's to flush. in->apic_tpr is that of the image's moment.
 * L1's memory may still be elsewhere; before L2 runs, it must be back, and nested_restore_memory() has been called. */
struct restore_verdict nested_restore(struct nested *n, const struct nested_image *image,
				      const struct vmcb02_inputs *in, struct vmcb *vmcb01, struct vmcb *vmcb02);
void nested_restore_memory(struct nested *n, struct port *port, const struct vmcb02_inputs *in);

#endif
