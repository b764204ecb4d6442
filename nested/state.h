/* SPDX-License-Identifier: MIT */
/* nested/state.h - everything nested that a vCPU has, as values. One owner per field, named beside it.
 * L1's own registers while L2 runs stay in VMCB01, which nothing but the two exits touches meanwhile; the
 * VMLOAD/VMSAVE registers (FS, GS, TR, LDTR, SYSCALL and SYSENTER MSRs, KernelGSBase) stay in the CPU for L1
 * and L2 alike, as on hardware, and belong to no VMCB. */
#ifndef NESTED_STATE_H
#define NESTED_STATE_H

#include <addr.h>
#include <amd/vmcb.h>
#include <wide.h>

#include "npt02.h"
#include "reason.h"
#include "tlb02.h"

/* What this L1 was offered; set once when its vCPU is made. */
struct nested_caps {
	uint32_t features;               /* CPUID Fn8000_000A EDX as L1 sees it; see nested_offer() */
	uint32_t asid_count;             /* NASID as L1 sees it */
	uint64_t phys_mbz;               /* physical address bits at or above L1's MAXPHYADDR */
	uint64_t pdpte_mbz;              /* bits that a PDPTE of a PAE table must not have */
	uint64_t cr4_mbz;                /* CR4 bits that L1's CPUID does not offer */
	uint64_t efer_mbz;               /* EFER bits likewise */
	uint32_t intercepts[ICPT_COUNT]; /* intercept bits that exist with these features */
	bool pages_1g;                   /* 1 GiB pages offered */
	bool eraps;                      /* offered, hence the CPU's */
	bool hw_flush_by_asid;           /* the CPU knows TLB_CONTROL 3 and 7 */
	bool hw_pause_threshold;         /* and the PAUSE filter with its threshold */
	bool hw_tsc_ratio;               /* and scales TSCs */
	bool hw_lbr;                     /* and switches and writes the records of branches */
};

/* The copy of VMCB12, checked, or of what stands for it (an image, the state save map of SMM). After a VMRUN that was usual
 * `save` means nothing: the state is in VMCB02 alone. */
struct vmcb12 {
	struct vmcb_control control;
	struct vmcb_save save;
};

/* Registers with which a VMRUN has passed its checks. */
struct check_passed {
	uint64_t efer, cr0, cr4, g_pat, cs_attr;
};

/* The nested table and the TLB tag that L2 runs with. */
struct vmcb02_tables {
	uint64_t ncr3;
	uint32_t asid;
	uint8_t tlb_control;
};

/* A soft interrupt or INT3/INTO that L1 injects returns to nRIP, which CPUs without NRIPS do not read: L2 then
 * starts with RIP = nRIP, and gets the old one back if the delivery is interrupted. */
struct soft_event {
	bool pending;
	uint64_t event, old_rip, next_rip;
};

/* What VMRUN chose last time for one of L1's ASIDs, and all that it chose it by. `changes` is how much had been dropped
 * and flushed: while that stands still the choice is good. Zero: nothing chosen yet, since no accepted VMRUN has ASID 0. */
struct last_tables {
	uint32_t asid12, asid;
	uint64_t misc, ncr3;
	uint64_t efer01, cr4_01; /* L1's: they give the format of its tables */
	uint64_t changes;
	struct npt02_root *root;
	hpa_t table;
};

/* System management mode (smm.c). `host` says nothing unless `from_l2` is set. */
struct smm {
	uint32_t base;           /* SMBASE; INIT leaves it alone */
	bool locked;             /* HWCR.SMMLOCK, until reset */
	bool active;             /* an SMI was taken, RSM has not come yet: RSM exists, VMRUN does not */
	bool blocked;            /* SMIs wait: the same, or SMM_CTL.ENTER */
	bool nmi_was_blocked;    /* when NMIs were blocked with them */
	bool from_l2;            /* the SMI that is being served */
	struct vmcb_save host;   /* L1's registers meanwhile, if it was L2 that was interrupted */
};

/* What an L1 vCPU is, as far as SVM goes: a value, that save.c copies as a whole. */
struct nested_value {
	bool svme;                /* L1's EFER.SVME                             svm/exit_msr.c */
	bool gif;                 /* L1's GIF                                   insn.c, vmrun.c, both exits */
	bool in_l2;               /* VMCB02 is the one to run                   vmrun.c, exit_full.c */
	bool run_pending;         /* VMRUN accepted, L2 not entered yet         vmrun.c, svm/nested_glue.c */
	bool lbr_used;            /* DEBUGCTL of some level is or was not 0     lbr.c, svm/lbr.c */
	uint16_t pause_left;      /* the counter of the PAUSE filter            vmrun.c, pause.c */
	uint64_t vm_cr;           /*                                            msr.c */
	uint64_t hsave_pa;        /* validated, never given to the CPU          msr.c */
	uint64_t tsc_ratio;       /* MSR TSC_RATIO, 8.32 fixed point            msr.c */
	l1pa_t vmcb12_pa;         /* whose snapshot this is                     vmrun.c */
	struct vmcb12 snap;       /*                                            vmcb12.c */
	uint64_t v_intr12;        /* L2's live V_TPR, V_IRQ, V_GIF, V_NMI word  vmrun.c, event.c, svm/exit_cr.c */
	struct soft_event soft;   /*                                            merge.c, exit_full.c */
	struct smm smm;           /*                                            smm.c */
};

struct nested {
	struct nested_caps caps;  /*                                            set once */
	struct vmcb_control known ALIGNED(sizeof(struct wide)); /* bits of VMCB12 that mean something, others are dropped
								 * from the copy   offer.c */
	union {
		struct nested_value; /* its fields, as if they were declared here (-fms-extensions) */
		struct nested_value value;
	};
	/* What can be made again from the value, and counters: not saved. save.c asserts how large this is. */
	bool vmcb02_built;        /* what merge.c does not name is zero there    vmrun.c */
	struct npt02_root *root;  /* L1's nested table and its shadow; NULL without nested paging   vmrun.c */
	struct npt02 npt02;       /*                                            npt02.c */
	struct tlb02 tlb02;       /*                                            tlb02.c */
	struct last_tables last[TLB02_TAGS]; /* whoever has the tag of this place   vmrun.c */
	struct last_tables *last_used; /* of these                              vmrun.c */
	uint64_t far_bits;        /* check_far_bits()                            offer.c */
	struct check_passed passed; /*                                          vmrun.c */
	bool usual;               /* the VMRUN of this L2 was: see snap          vmrun.c */
	bool plain;               /* its #VMEXIT needs nothing of exit_rare()    vmrun.c, svm/exit_excp.c */
	bool rare;                /* needs_rarities()                            vmrun.c */
	bool msrpm02_plain;       /* the map of VMCB02 has nothing of L1's      vmrun.c */
	enum vmrun_reason last_refusal; /*                                      exit_invalid.c */
	uint64_t vmrun_count, full_exit_count;
	uint64_t refusals[REASON_COUNT];
	uint64_t check_gap_count; /* the CPU refused a VMCB02 that our checks accepted: always 0, or a defect of ours */
};

#endif
