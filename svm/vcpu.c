/* SPDX-License-Identifier: MIT */
/* svm/vcpu.c - a vCPU's states and the loop it lives in: reset, INIT, start-up, run, halt, end.
 * May touch VMCB01 and the CPU's own registers. Manual: APM2 14.1 (reset state), 15.5. Next: vmrun.asm, exit.c. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <amd/msr.h>
#include <amd/vmcb_access.h>

#include "kernel/cpu_insn.h"
#include "kernel/irq.h"
#include "kernel/percpu.h"
#include "kernel/pmm.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "svm/caps.h"
#include "svm/enable.h"
#include "svm/exit.h"
#include "svm/fpu.h"
#include "svm/gif.h"
#include "svm/inject.h"
#include "svm/lbr.h"
#include "svm/load.h"
#include "svm/quirk.h"
#include "svm/turn.h"
#include "svm/vcpu.h"

#define ASID_L1 1u
#define ASID_L2_FIRST 2u
#define SHADOW_POOL_PAGES 2048u
#define VCPU_BYTES align_up(sizeof(struct vcpu), PAGE_SIZE)

/* In vmrun.asm. */
void svm_loop(struct vcpu *v);

/* What L0 must see, in L1 and in L2: devices and machine state that are not the guest's to touch, events of the real
 * machine, and every SVM instruction, since L1's EFER.SVME and GIF are ours to emulate. */
static const uint32_t l0_intercepts[ICPT_COUNT] = {
	[ICPT_CR] = BIT32(8) | BIT32(16 + 4) | BIT32(16 + 8),
	[ICPT_EXCP] = BIT32(VEC_MC) | BIT32(VEC_AC) | BIT32(VEC_DB) | BIT32(VEC_DB),
	[ICPT_MISC1] = ICPT1_INTR | ICPT1_NMI | ICPT1_INIT | ICPT1_RDPMC | ICPT1_CPUID | ICPT1_INVD | ICPT1_HLT |
		       ICPT1_INVLPGA | ICPT1_IOIO | ICPT1_MSR | ICPT1_SHUTDOWN,
	[ICPT_MISC2] = ICPT2_VMRUN | ICPT2_VMMCALL | ICPT2_VMLOAD | ICPT2_VMSAVE | ICPT2_STGI | ICPT2_CLGI |
		       ICPT2_SKINIT | ICPT2_WBINVD | ICPT2_MONITOR | ICPT2_MWAIT | ICPT2_XSETBV | ICPT2_RDPRU,
	[ICPT_MISC3] = ICPT3_INVLPGB | ICPT3_INVLPGB_ILLEGAL | ICPT3_MCOMMIT | ICPT3_TLBSYNC,
};

/* --- life --- */

static void *page_alloc(uint64_t bytes)
{
	hpa_t at = pmm_alloc(bytes, PAGE_SIZE);

	return at.a ? hpa_ptr(at) : NULL;
}

static bool alloc_parts(struct vcpu *v)
{
	v->vmcb01 = page_alloc(PAGE_SIZE);
	v->vmcb02 = page_alloc(PAGE_SIZE);
	v->spare = page_alloc(PAGE_SIZE);
	v->msrpm02 = page_alloc(MSRPM_SIZE);
	return v->vmcb01 && v->vmcb02 && v->spare && v->msrpm02;
}

static void init_inputs02(struct vcpu *v)
{
	v->inputs02 = (struct vmcb02_inputs){
		.iopm = hpa_of(v->l1->iopm),
		.msrpm01 = v->l1->msrpm,
		.msrpm02 = hpa_of(v->msrpm02),
		.npt01_root = v->l1->npt01.root,
	};
	memcpy(v->inputs02.intercepts, l0_intercepts, sizeof(l0_intercepts));
	quirk_widen_l0(v->inputs02.intercepts);
	memset(v->msrpm02, 0xFF, MSRPM_SIZE);
}

struct vcpu *vcpu_create(struct l1 *l1, unsigned index)
{
	struct vcpu *v = page_alloc(VCPU_BYTES);
	struct nested_caps caps;

	if (!v)
		return NULL;

	void *pool = l1->nested ? page_alloc(SHADOW_POOL_PAGES * PAGE_SIZE) : NULL;

	v->l1 = l1;
	v->index = index;
	v->shadow_pool = pool;
	v->apic_attention = &l1->machine.lapic[index].attention;
	if (!alloc_parts(v) || (l1->nested && !pool)) {
		vcpu_destroy(v);
		return NULL;
	}
	init_inputs02(v);
	exit_init(v);
	memo_forget(v);
	caps_build(&caps, l1);
	nested_init(&v->nested, &caps, pool, pool ? SHADOW_POOL_PAGES : 0, ASID_L2_FIRST,
		    svm_cpu()->asid_count - ASID_L2_FIRST);
	vcpu_reset(v);
	return v;
}

static void page_free(void *at, uint64_t bytes)
{
	if (at)
		pmm_free(hpa_of(at), bytes);
}

void vcpu_destroy(struct vcpu *v)
{
	page_free(v->vmcb01, PAGE_SIZE);
	page_free(v->vmcb02, PAGE_SIZE);
	page_free(v->spare, PAGE_SIZE);
	page_free(v->msrpm02, MSRPM_SIZE);
	page_free(v->shadow_pool, SHADOW_POOL_PAGES * PAGE_SIZE);
	page_free(v, VCPU_BYTES);
}

/* --- states --- */

void vcpu_scale_tsc(struct vcpu *v)
{
	uint64_t ratio = v->vmcb == v->vmcb02 ? v->nested.tsc_ratio : TSC_RATIO_ONE;

	if (v->nested.caps.hw_tsc_ratio && ratio != v->cpu_tsc_ratio) {
		wrmsr(MSR_TSC_RATIO, ratio);
		v->cpu_tsc_ratio = ratio;
	}
}

static struct vmcb_seg seg(uint16_t sel, uint16_t attr, uint32_t limit, uint64_t base)
{
	return (struct vmcb_seg){.sel = sel, .attr = attr, .limit = limit, .base = base};
}

#define ATTR_CODE16 (SEG_P | SEG_S | 0xB)
#define ATTR_DATA16 (SEG_P | SEG_S | 0x3)
#define ATTR_LDT (SEG_P | 0x2)
#define ATTR_TSS (SEG_P | 0xB)

static void reset_segments(struct vmcb_save *s)
{
	s->cs = seg(0xF000, ATTR_CODE16, 0xFFFF, 0xFFFF0000);
	s->ds = s->es = s->ss = s->fs = s->gs = seg(0, ATTR_DATA16, 0xFFFF, 0);
	s->gdtr = s->idtr = seg(0, 0, 0xFFFF, 0);
	s->ldtr = seg(0, ATTR_LDT, 0xFFFF, 0);
	s->tr = seg(0, ATTR_TSS, 0xFFFF, 0);
}

void vcpu_reset_control(struct vcpu *v)
{
	struct vmcb_control *c = &v->vmcb01->control;

	memset(c, 0, sizeof(*c));
	memcpy(c->intercept, v->inputs02.intercepts, sizeof(c->intercept));
	c->intercept[ICPT_EXCP] |= BIT32(VEC_DB) | BIT32(VEC_GP); /* virtual GIF; virtual SVME, which is 0 now */
	c->iopm_base = hpa_of(v->l1->iopm).a;
	c->msrpm_base = hpa_of(v->l1->msrpm).a;
	c->asid = ASID_L1;
	c->tlb_control = TLB_CONTROL_ALL;
	c->erap = v->nested.caps.eraps ? ERAP_ALLOW_LARGER : 0; /* L1's CPUID has the CPU's size */
	c->v_intr = V_INTR_MASKING;
	c->misc = MISC_NP;
	c->ncr3 = v->l1->npt01.root.a;
}

/* INIT (APM2 table 14-1): L2, if any, is gone; TSC, MTRRs, FPU stay. */
void vcpu_init(struct vcpu *v)
{
	struct vmcb_save *s = &v->vmcb01->save;
	uint64_t pat = s->g_pat, tsc_offset = v->vmcb01->control.tsc_offset;
	uint64_t cr0_kept = s->cr0 & (CR0_CD | CR0_NW);

	nested_reset(&v->nested);
	vcpu_use_level(v, 1);
	vcpu_reset_control(v);
	v->vmcb01->control.tsc_offset = tsc_offset;
	memset(s, 0, sizeof(*s));
	reset_segments(s);
	s->efer = EFER_SVME; /* ours; L1 sees its own (exit_msr.c) */
	s->cr0 = CR0_ET | cr0_kept;
	s->dr6 = DR6_FIXED;
	s->dr7 = DR7_FIXED;
	s->rflags = RFLAGS_FIXED;
	s->rip = 0xFFF0;
	s->g_pat = pat;
	memset(v->regs, 0, sizeof(v->regs));
	v->regs[GPR_RDX] = cpuid(CPUID_FEATURES, 0).eax;
	v->excp.valid = false;
	v->reinject = 0;
	v->once.on = v->once.stepping = false;
	v->held = 0;
	v->event_given = 0;
	v->lbr_event = false;
	v->osxsave_hidden = false;
	v->xsave_user = l1pa(0);
	v->init_pending = v->nmi_pending = v->nmi_blocked = false;
	v->attention = true;
	v->live_msrs_stale = true;
	v->activity = v->index == 0 ? VCPU_RUNNING : VCPU_WAIT_SIPI;
}

void vcpu_reset(struct vcpu *v)
{
	v->vmcb01->save.g_pat = PAT_RESET;
	v->vmcb01->save.cr0 = CR0_CD | CR0_NW;
	v->vmcb01->control.tsc_offset = 0;
	v->nested.vm_cr = 0;
	v->nested.hsave_pa = 0;
	v->nested.tsc_ratio = TSC_RATIO_ONE;
	nested_smm_power_on(&v->nested);
	memset(&v->msrs, 0, sizeof(v->msrs));
	v->pause_clock = (struct pause_clock){.cost = UINT64_MAX};
	v->fpu_stale = true;
	v->live.saved = false;
	vcpu_init(v);
}

void vcpu_startup(struct vcpu *v, uint8_t vector)
{
	v->vmcb01->save.cs = seg((uint16_t)(vector << 8), ATTR_CODE16, 0xFFFF, (uint64_t)vector << 12);
	v->vmcb01->save.rip = 0;
	v->activity = VCPU_RUNNING;
}

#define ATTR_CODE32 (SEG_P | SEG_S | SEG_D | SEG_G | 0xB)
#define ATTR_CODE64 (SEG_P | SEG_S | SEG_L | SEG_G | 0xB)
#define ATTR_DATA32 (SEG_P | SEG_S | SEG_D | SEG_G | 0x3)

void vcpu_set_entry(struct vcpu *v, const struct l1_entry *e)
{
	struct vmcb_save *s = &v->vmcb01->save;
	uint16_t code = e->mode == ENTRY_LONG64 ? ATTR_CODE64 : ATTR_CODE32;

	s->cs = seg(e->cs_sel, code, UINT32_MAX, 0);
	s->ds = s->es = s->ss = s->fs = s->gs = seg(e->data_sel, ATTR_DATA32, UINT32_MAX, 0);
	s->gdtr = seg(0, 0, e->gdt_limit, e->gdt_base);
	s->cr0 = e->cr0;
	s->cr3 = e->cr3;
	s->cr4 = e->cr4;
	s->efer = e->efer | EFER_SVME;
	s->rip = e->rip;
	s->rsp = e->rsp;
	s->rax = e->rax;
	v->regs[GPR_RBX] = e->rbx;
	v->regs[GPR_RSI] = e->rsi;
}

/* --- time --- */

/* The alarm of CPU 0 serves the host turn, too. */
static uint64_t host_time(const struct vcpu *v, uint64_t guest_ns)
{
	uint64_t turn = v->cpu == 0 ? turn_due() : UINT64_MAX;

	return guest_ns == DEADLINE_NONE ? turn : min_u64(turn, guest_ns + v->l1->start_ns);
}

void vcpu_rearm(struct vcpu *v)
{
	uint64_t deadline = machine_next_deadline(&v->l1->machine, v->index);

	if (deadline == v->deadline)
		return;
	v->deadline = deadline;
	time_arm_ns(host_time(v, deadline));
}

void vcpu_tick(struct vcpu *v)
{
	if (time_now_ns() - v->l1->start_ns < v->deadline)
		return;
	spin_lock(&v->l1->dev_lock);
	machine_tick(&v->l1->machine, v->index);
	v->deadline = 0; /* the timer has fired: arm it again whatever comes */
	vcpu_rearm(v);
	spin_unlock(&v->l1->dev_lock);
	v->attention = true;
}

void vcpu_host_work(struct vcpu *v)
{
	v->turn_waits = v->cpu == 0;
	vcpu_tick(v);
	spin_lock(&v->l1->dev_lock);
	vcpu_rearm(v); /* a kick may mean that another vCPU has set a timer that this one looks after */
	spin_unlock(&v->l1->dev_lock);
}

void vcpu_after_device(struct vcpu *v)
{
	vcpu_sync_tpr(v); /* it may have been the local APIC */
	vcpu_rearm(v);
}

void vcpu_sync_tpr(struct vcpu *v)
{
	uint64_t v_intr = v->vmcb01->control.v_intr;
	uint8_t tpr = machine_tpr_get(&v->l1->machine, v->index);

	v->inputs02.apic_tpr = tpr;
	if ((v_intr & V_INTR_TPR) != tpr)
		vmcb_set_v_intr(v->vmcb01, (v_intr & ~V_INTR_TPR) | tpr);
}

/* --- the loop --- */

/* Nothing is under way but what struct vcpu_value, VMCBs and struct nested tell. */
static bool may_pause(const struct vcpu *v)
{
	return !v->once.on && !v->event_given && !(v->vmcb->control.eventinj & EVENT_V);
}

/* A pause waits for the next exit, which is made to come at once, if it must; any other stop does not. */
static bool must_stop(struct vcpu *v)
{
	int stop = v->l1->stop;

	if (likely(stop == L1_GO))
		return false;
	if (stop != L1_STOP_PAUSE || may_pause(v))
		return true;
	v->attention = true;
	smp_kick(v->cpu);
	return false;
}

/* Halted, or waiting for a start-up IPI: host interrupts and kicks end the wait, events end the halt. */
static void vcpu_wait(struct vcpu *v)
{
	while (!v->turn_waits && !must_stop(v)) {
		if (inject_prepare(v) && v->activity == VCPU_HALTED)
			v->activity = VCPU_RUNNING;
		if (v->activity == VCPU_RUNNING)
			return;
		irq_wait();
		vcpu_host_work(v);
	}
}

bool vcpu_ready(struct vcpu *v)
{
	bool look = v->attention || machine_wants_attention(&v->l1->machine, v->index);

	/* Before an event is chosen, which would have to be delivered first. */
	if (unlikely(v->turn_waits || must_stop(v)))
		return false;
	/* A halted vCPU asks in vcpu_wait() alone: an event that is injected before that would not wake it. */
	if (look && v->activity == VCPU_RUNNING)
		inject_prepare(v);
	if (unlikely(v->activity != VCPU_RUNNING)) {
		vcpu_wait(v);
		if (v->turn_waits || must_stop(v))
			return false;
	}
	if (unlikely(v->live_msrs_stale)) {
		v->live_msrs_stale = false;
		if (v->fpu_stale)
			fpu_reset();
		v->fpu_stale = false;
		svm_vmload(hpa_of(v->vmcb01)); /* FS, GS, TR, LDTR and SYSCALL MSRs as reset left them */
		for (unsigned n = 0; n < 4; n++)
			write_dr(n, 0);
		vcpu_scale_tsc(v);
		quirk_load_cr2(v);
		quirk_arm(v);
	}
	if (unlikely(v->vmcb->save.dbgctl))
		lbr_prepare(v);
	sti(); /* for svm_loop(); nothing comes while GIF is 0 */
	return true; /* whoever stops the guest from now on kicks this CPU */
}

/* The vCPU ran before: the CPU has nothing of it. */
static void arrive(struct vcpu *v)
{
	live_bring_back(v);
	v->cpu_tsc_ratio = 0; /* not known */
	vcpu_scale_tsc(v);
	v->vmcb->control.clean = 0;
	quirk_load_cr2(v);
	if (svm_cpu()->eraps) /* return addresses of whoever ran here: the CPU tells no guest from another */
		v->vmcb->control.erap |= ERAP_CLEAR;
	if (unlikely(quirks) && v->nested.in_l2)
		quirk_widen02(v);
	else if (unlikely(quirks))
		quirk_arm(v);
}

static void leave(struct vcpu *v)
{
	gif_fetch(v);
	quirk_show_xsave(v);
	write_dr7(DR7_FIXED);
	live_put_away(v);
}

/* Outside of svm_loop(), so that what the turn does never runs within an exit. */
static void take_turn(struct vcpu *v)
{
	v->turn_waits = false;
	if (!turn_take())
		return;
	v->deadline = 0; /* the alarm is not as it should be: arm it again whatever comes */
	spin_lock(&v->l1->dev_lock);
	vcpu_rearm(v);
	spin_unlock(&v->l1->dev_lock);
}

void vcpu_run(struct vcpu *v)
{
	v->cpu = this_cpu()->index;
	this_cpu()->current_vcpu = v;
	clgi();
	arrive(v);
	v->deadline = 0;
	spin_lock(&v->l1->dev_lock);
	vcpu_rearm(v);
	vcpu_sync_tpr(v);
	spin_unlock(&v->l1->dev_lock);
	for (v->turn_waits = false;; take_turn(v)) {
		if (vcpu_ready(v))
			svm_loop(v);
		if (!v->turn_waits)
			break;
	}
	leave(v);
	time_arm_ns(UINT64_MAX);
	this_cpu()->current_vcpu = NULL;
	stgi();
}
