/* SPDX-License-Identifier: MIT */
/* svm/vcpu.h - one virtual CPU of an L1 guest, and the life it leads (vcpu.c).
 * Level words: `v->vmcb` is the VMCB in use: VMCB01 while L1 runs, VMCB02 while L2 runs. */
#ifndef SVM_VCPU_H
#define SVM_VCPU_H

#include <amd/exitcode.h>
#include <amd/vmcb.h>

#include "nested/nested.h"
#include "svm/l1.h"
#include "svm/live.h"
#include "svm/memo.h"
#include "svm/msr_store.h"
#include "svm/once.h"

/* Order of the register numbers in instructions. RAX and RSP live in the VMCB; their slots here are unused by
 * the world switch, so use vcpu_gpr()/vcpu_set_gpr(). */
enum gpr { GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI, GPR_R8, GPR_R9, GPR_R10,
	   GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15, GPR_COUNT };

/* What an exit handler wants done next by svm_exit(). Zero means that nobody decided. */
enum resume {
	RESUME_UNDECIDED,
	RESUME_NEXT, /* the instruction is done: step over it */
	RESUME_SAME, /* run on at RIP as it is (an exception is pending, or the handler set RIP) */
	RESUME_STOP, /* this vCPU runs no more: l1_end() has been called */
};

/* An exception that an emulated instruction raised in the level that runs now. */
struct pending_excp {
	bool valid, has_error;
	uint8_t vector;
	uint32_t error;
	uint64_t address; /* #PF: goes to CR2 */
};

enum vcpu_activity { VCPU_RUNNING, VCPU_HALTED, VCPU_WAIT_SIPI };

/* Counters of exits by code: codes below VMEXIT_INTERCEPT_END as they are, then these. */
enum { EXIT_COUNT_NPF = 0xC0, EXIT_COUNT_INVALID, EXIT_COUNT_OTHER, EXIT_COUNTERS };

/* Time between PAUSEs of L2, for a filter with a threshold where the CPU has none. Host cycles. */
struct pause_clock {
	uint64_t resumed; /* when L2 went on behind the last one */
	uint64_t cost;    /* of an exit and an entry, the least that was seen */
	unsigned probes;  /* PAUSEs that were executed again only to see it */
};

struct vcpu;
typedef enum resume exit_handler(struct vcpu *v);

/* The exits of one level: how many there were, who handles them (exit.c), which instructions are known (memo.c). */
struct level_exits {
	uint64_t counts[EXIT_COUNTERS];
	exit_handler *handlers[VMEXIT_INTERCEPT_END];
	memo_set *memo_sets;
	uint64_t tables12; /* L2's nested tables by name */
};

struct l1_entry;

/* What the guest is, beside VMCBs and struct nested: a value, that save.c copies as a whole. */
struct vcpu_value {
	uint64_t regs[GPR_COUNT];     /* vmrun.asm knows these offsets through offsets.c */
	bool turn_waits;              /* CPU 0: svm_loop() is to be left for the host turn */
	enum vcpu_activity activity;
	struct pending_excp excp;     /* exception to deliver at the next entry */
	uint64_t reinject;            /* event whose delivery an exit interrupted, EVENTINJ format */
	bool init_pending, nmi_pending;
	bool nmi_blocked;             /* until the level that took the NMI executes IRET */
	bool fpu_stale;               /* extended state and XCR0 still are as somebody else left them */
	bool live_msrs_stale;         /* FS, GS, TR, LDTR, SYSCALL MSRs: VMCB01 has them, the CPU not yet */
	uint64_t held;                /* enum quirk_held: what must last until the instruction at held_rip has run */
	uint64_t held_rip;
	l1pa_t xsave_user;            /* the VMCB12 whose L2 uses extended state, so that nothing is hidden */
	struct msr_store msrs;
	struct live_state live;       /* while it does not run */
};

/* All fields belong to the CPU that runs the vCPU; other CPUs reach it through the L1's devices and a kick. */
struct vcpu {
	union {
		struct vcpu_value; /* its fields, as if they were declared here (-fms-extensions) */
		struct vcpu_value value;
	};
	/* What follows is made anew at a restore, or says nothing about the guest: not saved. image.c asserts how large
	 * it is. */
	memo_set memos[3 * MEMO_SETS]; /* L1's; then those of L2s: each has MEMO_SETS from where its tables' name says */
	struct vmcb *vmcb;            /* the one to run; L0's memory is mapped one to one, so it is a physical address, too */
	void *stack;                  /* of svm_loop(), in vmrun.asm */
	struct vmcb *vmcb01;
	union {
		struct vmcb02_pages; /* vmcb02, spare */
		struct vmcb02_pages pages02;
	};
	struct l1 *l1;
	unsigned index;               /* within the L1 */
	unsigned cpu;                 /* physical CPU that runs it */
	uint32_t attention;           /* not 0: vcpu_ready() has something to look at: events, a halt, a reset, the end */
	uint32_t odd_entry;           /* 1, else 0: `once` is on, held, or event_given, and the next exit has to see to it */
	struct once once;             /* what the next exit takes back */
	uint64_t event_asked, event_given; /* QUIRK_EVENTINJ: what this entry injects, and how it was told */
	uint64_t event_rip;           /* where */
	bool lbr_event;               /* lbr.c: this entry injects an event, at lbr_from, that is to be recorded */
	uint64_t lbr_from;
	bool osxsave_hidden;          /* quirk_xsetbv.c: VMCB02 has CR4.OSXSAVE at 0, L2 sees 1 */
	unsigned insn_len;            /* of the instruction that exited; 0: not known (yet), and between exits */
	const struct npt02_root *memo_root; /* memo_use_tables(): what tables12 of L2 is made of */
	uint64_t memo_drops;
	uint8_t *msrpm02;
	void *shadow_pool;            /* memory of nested.npt02; null when SVM is not offered */
	uint64_t deadline;            /* guest time at which machine_tick() is due, as the timer is armed */
	struct level_exits exits_of[2]; /* [level - 1] */
	struct level_exits *exits;    /* those of the level that runs */
	const uint32_t *apic_attention; /* of this vCPU's APIC: not 0 when machine_wants_attention() */
	struct vmcb02_inputs inputs02; /* what L0 adds to every VMCB02; the intercepts are VMCB01's, too */
	struct pause_clock pause_clock;
	uint64_t cpu_tsc_ratio;       /* in the CPU, if it scales TSCs: that of L2 while L2 runs, else 1.0 */
	struct nested nested;
};

/* The level that runs: 1 or 2. */
static inline unsigned vcpu_level(const struct vcpu *v)
{
	return v->nested.in_l2 ? 2 : 1;
}

static inline uint64_t vcpu_gpr(const struct vcpu *v, unsigned n)
{
	if (n == GPR_RAX)
		return v->vmcb->save.rax;
	return n == GPR_RSP ? v->vmcb->save.rsp : v->regs[n];
}

static inline void vcpu_set_gpr(struct vcpu *v, unsigned n, uint64_t value)
{
	if (n == GPR_RAX)
		v->vmcb->save.rax = value;
	else if (n == GPR_RSP)
		v->vmcb->save.rsp = value;
	else
		v->regs[n] = value;
}

/* What RDTSC shows to the level that runs (exit_msr.c). */
uint64_t vcpu_tsc(const struct vcpu *v);

/* Makes an exception pending in the level that runs; a second one merges to #DF or shutdown (APM2 8.2.9). */
void vcpu_raise(struct vcpu *v, uint8_t vector);
void vcpu_raise_error(struct vcpu *v, uint8_t vector, uint32_t error);
void vcpu_raise_pf(struct vcpu *v, uint64_t address, uint32_t error);
/* #DB with these DR6 bits. */
void vcpu_raise_db(struct vcpu *v, uint64_t dr6);

/* Makes vCPU `index` of an L1, in reset state. Null when memory is short. */
struct vcpu *vcpu_create(struct l1 *l1, unsigned index);
void vcpu_destroy(struct vcpu *v);
/* Where the first vCPU begins, instead of the reset vector. */
void vcpu_set_entry(struct vcpu *v, const struct l1_entry *entry);
/* Runs it on this CPU until its L1 ends or pauses. */
void vcpu_run(struct vcpu *v);

/* Power-on state, all of it; INIT leaves FPU, MTRRs and the like alone. Both leave an L2 behind. */
void vcpu_reset(struct vcpu *v);
void vcpu_init(struct vcpu *v);
/* VMCB01's control area as after a reset, with a flush. Its TSC offset is 0. */
void vcpu_reset_control(struct vcpu *v);
/* Begins at vector << 12 in real mode. */
void vcpu_startup(struct vcpu *v, uint8_t vector);
/* Between an exit and the next entry: events, halts. False: the L1 has ended or pauses, or the host turn is first. */
OWN_FRAME bool vcpu_ready(struct vcpu *v);
/* May vcpu_ready() have anything to do? */
static inline bool vcpu_has_work(const struct vcpu *v)
{
	return (v->attention | __atomic_load_n(v->apic_attention, __ATOMIC_RELAXED)) != 0;
}
/* L1 runs next, or L2. */
static inline void vcpu_use_level(struct vcpu *v, unsigned level)
{
	v->vmcb = level == 2 ? v->vmcb02 : v->vmcb01;
	v->exits = &v->exits_of[level - 1];
	memo_use_tables(v, level);
}
/* After that, and when L1 changes its TSC_RATIO while L2 runs: the ratio goes to a CPU that scales. */
void vcpu_scale_tsc(struct vcpu *v);
/* After a device access: the next deadline may have moved. */
void vcpu_rearm(struct vcpu *v);
/* Fires what is due in the devices of this vCPU. */
void vcpu_tick(struct vcpu *v);
/* After host interrupts: what is due; on CPU 0 the host turn waits from then on. */
void vcpu_host_work(struct vcpu *v);
/* Both, after any access that may have reached the local APIC. */
void vcpu_after_device(struct vcpu *v);
/* V_TPR of the VMCB in use follows the APIC's task priority. */
void vcpu_sync_tpr(struct vcpu *v);

#endif
