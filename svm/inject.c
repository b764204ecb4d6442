/* SPDX-License-Identifier: MIT */
/* svm/inject.c - events on their way into the VMCB that runs; what L1 itself injects into L2 is nested/merge.c's. What
 * comes next is decided by nested/event.c; here it is done: EVENTINJ, a window for later, or a #VMEXIT of L2 to L1.
 * Order: what an exit interrupted; an exception of an emulated instruction; then NMI, INIT and interrupts.
 * Manual: APM2 15.20 (Event Injection), 8.5 (Priorities). Next: nested_glue.c for the exits of L2. */
#include <amd/cpu.h>
#include <check.h>
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>

#include "kernel/smp.h"
#include "svm/exit.h"
#include "svm/gif.h"
#include "svm/inject.h"
#include "svm/lbr.h"
#include "svm/quirk.h"
#include "svm/smm.h"

#define SMI_EXTERNAL 1 /* EXITINFO1: it came from the APIC, not from an I/O instruction */

static void set_event(struct vcpu *v, uint64_t event)
{
	event |= EVENT_V;
	v->vmcb->control.eventinj = unlikely(quirks) ? quirk_event(v, event) : event;
}

static uint64_t event_word(unsigned type, uint8_t vector)
{
	return (uint64_t)type << EVENT_TYPE_SHIFT | vector;
}

static uint64_t excp_word(const struct pending_excp *e)
{
	uint64_t word = event_word(EVENT_EXCP, e->vector);

	return e->has_error ? word | EVENT_EV | (uint64_t)e->error << EVENT_ERROR_SHIFT : word;
}

/* --- exceptions raised by emulation --- */

static bool is_contributory(uint8_t vector)
{
	return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP) || vector == VEC_SX;
}

/* What becomes of a second exception while the first is being delivered (APM2 8.2.9). 0: shutdown. */
static uint8_t merge_vectors(uint8_t first, uint8_t second)
{
	if (first == VEC_DF)
		return 0;
	if ((is_contributory(first) && is_contributory(second)) ||
	    (first == VEC_PF && (is_contributory(second) || second == VEC_PF)))
		return VEC_DF;
	return second;
}

static void raise(struct vcpu *v, struct pending_excp e)
{
	e.valid = true;
	v->excp = e;
	v->attention = true;
}

void vcpu_raise(struct vcpu *v, uint8_t vector)
{
	raise(v, (struct pending_excp){.vector = vector});
}

void vcpu_raise_error(struct vcpu *v, uint8_t vector, uint32_t error)
{
	raise(v, (struct pending_excp){.vector = vector, .has_error = true, .error = error});
}

void vcpu_raise_pf(struct vcpu *v, uint64_t address, uint32_t error)
{
	raise(v, (struct pending_excp){.vector = VEC_PF, .has_error = true, .error = error, .address = address});
}

/* #DB: DR6 tells why, also to whoever intercepts it (APM2 15.12.2). */
void vcpu_raise_db(struct vcpu *v, uint64_t dr6)
{
	vmcb_set_dr6(v->vmcb, v->vmcb->save.dr6 | dr6);
	vcpu_raise(v, VEC_DB);
}

/* An exception of L2 goes to L1 first, as it is, when L1 intercepts it; only then are two merged. */
static bool excp_to_l1(struct vcpu *v, const struct pending_excp *e)
{
	if (!v->nested.in_l2 || !nested_intercepts(&v->nested, VMEXIT_EXCP(e->vector)))
		return false;
	glue_exit_to_l1(v, VMEXIT_EXCP(e->vector), e->has_error ? e->error : 0, e->vector == VEC_PF ? e->address : 0);
	return true;
}

static void shut_down(struct vcpu *v)
{
	if (v->nested.in_l2 && nested_intercepts(&v->nested, VMEXIT_SHUTDOWN))
		glue_exit_to_l1(v, VMEXIT_SHUTDOWN, 0, 0);
	else
		exit_shutdown(v);
}

static void deliver_excp(struct vcpu *v)
{
	struct pending_excp e = v->excp;

	v->excp.valid = false;
	if (excp_to_l1(v, &e))
		return;
	if (v->reinject && bits_get(v->reinject, 10, 8) == EVENT_EXCP) {
		uint8_t merged = merge_vectors((uint8_t)v->reinject, e.vector);

		v->reinject = 0;
		if (!merged) {
			shut_down(v);
			return;
		}
		if (merged == VEC_DF)
			e = (struct pending_excp){.valid = true, .vector = VEC_DF, .has_error = true};
		if (merged == VEC_DF && excp_to_l1(v, &e))
			return;
	}
	if (!(v->vmcb->save.cr0 & CR0_PE))
		e.has_error = false; /* real mode pushes none (APM2 8.2) */
	if (e.vector == VEC_PF) {
		vmcb_set_cr2(v->vmcb, e.address);
		quirk_load_cr2(v);
	}
	if (e.vector == VEC_DB) /* ends recording, so that the handler can look (APM2 13.1.6) */
		lbr_set(v, v->vmcb->save.dbgctl & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
	set_event(v, excp_word(&e));
}

/* --- what an exit interrupted --- */

void inject_collect(struct vcpu *v)
{
	if (unlikely(quirks))
		quirk_restore_intinfo(v);
	v->reinject = v->vmcb->control.exitintinfo & ~EVENT_RESERVED;
	v->attention = true;
	if (v->nested.in_l2)
		nested_vnmi_interrupted(&v->nested, v->reinject);
}

/* An INT n, INT3 or INTO of the guest itself is simply executed again, since RIP is still at it. One that L1 injected
 * is not at RIP and must be injected again. */
static bool executes_again(struct vcpu *v, uint64_t event)
{
	const uint64_t int1 = EVENT_V | (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT | VEC_DB;
	uint64_t type = bits_get(event, 10, 8), vector = event & EVENT_VECTOR;
	bool soft = type == EVENT_SOFT || (type == EVENT_EXCP && (vector == VEC_BP || vector == VEC_OF));

	if (unlikely(quirks) && event == int1 && quirk_is_int1(v))
		return true;
	return soft && !(v->nested.in_l2 && v->nested.soft.pending);
}

static void deliver_again(struct vcpu *v)
{
	uint64_t event = v->reinject;

	v->reinject = 0;
	if (executes_again(v, event))
		return;
	if (v->nested.in_l2)
		nested_vnmi_injected(&v->nested, event);
	if (v->nested.in_l2 && v->nested.soft.pending) /* a CPU with NRIPS pushes it, and the exit has overwritten it */
		v->vmcb->control.nrip = v->nested.soft.next_rip;
	set_event(v, event);
}

/* --- NMI, INIT, interrupts --- */

/* V_IRQ in our VMCBs is never an interrupt, only an alarm for the moment when one could be taken. */
static void window_set(struct vcpu *v, bool open)
{
	const uint64_t alarm = V_INTR_IRQ | V_INTR_IGN_TPR | V_INTR_PRIO;
	struct vmcb_control *c = &v->vmcb->control;
	uint32_t icpt = c->intercept[ICPT_MISC1];

	if (((c->v_intr & V_INTR_IRQ) != 0) == open)
		return;
	vmcb_set_v_intr(v->vmcb, open ? c->v_intr | alarm : c->v_intr & ~alarm);
	vmcb_set_intercept(v->vmcb, ICPT_MISC1, open ? icpt | ICPT1_VINTR : icpt & ~ICPT1_VINTR);
}

/* IRET ends the blocking of NMIs, so we must see it while they are blocked. */
static void iret_watch(struct vcpu *v)
{
	uint32_t icpt = v->vmcb->control.intercept[ICPT_MISC1];
	bool watch = v->nmi_blocked && !v->once.iret;

	if (v->nested.in_l2)
		watch = watch || (nested_wants_iret(&v->nested) && !v->once.iret);
	if (((icpt & ICPT1_IRET) != 0) != watch)
		vmcb_set_intercept(v->vmcb, ICPT_MISC1, icpt ^ ICPT1_IRET);
}

void inject_nmi_over(struct vcpu *v)
{
	if (!v->nested.in_l2 || !nested_end_vnmi(&v->nested))
		v->nmi_blocked = false;
}

static void inject_nmi(struct vcpu *v)
{
	v->nmi_pending = false;
	v->nmi_blocked = true;
	set_event(v, event_word(EVENT_NMI, VEC_NMI));
}

static void inject_irq(struct vcpu *v)
{
	spin_lock(&v->l1->dev_lock);
	if (machine_irq_pending(&v->l1->machine, v->index) >= 0)
		set_event(v, event_word(EVENT_INTR, machine_irq_ack(&v->l1->machine, v->index)));
	spin_unlock(&v->l1->dev_lock);
}

/* INIT takes the APIC with it. */
static void take_init(struct vcpu *v)
{
	vcpu_init(v);
	spin_lock(&v->l1->dev_lock);
	machine_vcpu_reset(&v->l1->machine, v->index);
	vcpu_sync_tpr(v);
	vcpu_rearm(v);
	spin_unlock(&v->l1->dev_lock);
}

/* Asks the APIC what has come; under dev_lock. A start-up IPI is for a vCPU that waits for one, else lost. */
static void collect_signals(struct vcpu *v)
{
	struct machine *m = &v->l1->machine;
	uint8_t vector = 0;

	if (likely(!(*v->apic_attention & (ATTENTION_NMI | ATTENTION_INIT | ATTENTION_SIPI))))
		return;
	v->nmi_pending = machine_nmi_take(m, v->index) || v->nmi_pending;
	if (v->init_pending) /* held by GIF=0; a start-up IPI belongs behind it */
		return;
	switch (machine_signal_take(m, v->index, &vector)) {
	case VCPU_SIGNAL_INIT:
		v->init_pending = true;
		break;
	case VCPU_SIGNAL_SIPI:
		if (v->activity == VCPU_WAIT_SIPI)
			vcpu_startup(v, vector);
		break;
	case VCPU_SIGNAL_NONE:
		break;
	}
}

static struct event_view look(struct vcpu *v)
{
	const struct vmcb *vmcb = v->vmcb;
	struct event_view view = {
		.nmi_blocked = v->nmi_blocked,
		.if_flag = (vmcb->save.rflags & RFLAGS_IF) != 0,
		.shadow = (vmcb->control.int_shadow & INT_SHADOW_ACTIVE) != 0,
		.l1_if = (v->vmcb01->save.rflags & RFLAGS_IF) != 0,
		.injecting = (vmcb->control.eventinj & EVENT_V) != 0,
	};

	spin_lock(&v->l1->dev_lock);
	collect_signals(v);
	view.init = v->init_pending;
	view.smi = machine_smi_pending(&v->l1->machine, v->index);
	view.irq = machine_irq_pending(&v->l1->machine, v->index) >= 0;
	spin_unlock(&v->l1->dev_lock);
	view.nmi = v->nmi_pending;
	return view;
}

/* The CPU says by V_IRQ when an interrupt can be taken, unless it forgets the shadow that it has to wait for. */
static void open_window(struct vcpu *v)
{
	if (has_quirk(QUIRK_NO_SHADOW) && once_pass_shadow(v))
		return;
	if (!quirk_open_window(v))
		window_set(v, true);
}

/* No window tells of the end of a shadow where IF does not matter: the instruction is stepped. A kick might end each run
 * before it. After that, and right behind an event that is injected, a kick ends the run: an interrupt that is pending
 * at VMRUN (APM2 15.20). */
static void leave_soon(struct vcpu *v)
{
	if (!once_pass_shadow(v))
		smp_kick(v->cpu);
	v->attention = true; /* the instruction may exit by itself */
}

/* Carries out one decision. True: something was delivered, and there may be more to ask. */
static bool act(struct vcpu *v, enum event_action action)
{
	switch (action) {
	case EVENT_NOTHING:
		return false;
	case EVENT_WINDOW:
		open_window(v);
		return false;
	case EVENT_SOON:
		leave_soon(v);
		return false;
	case EVENT_TAKE_INIT:
		take_init(v);
		return true;
	case EVENT_TAKE_SMI:
		smm_enter(v);
		return true;
	case EVENT_INJECT_NMI:
		inject_nmi(v);
		return true;
	case EVENT_INJECT_IRQ:
		inject_irq(v);
		return true;
	case EVENT_INJECT_VIRQ:
		set_event(v, event_word(EVENT_INTR, nested_take_virq(&v->nested)));
		return true;
	case EVENT_INJECT_VNMI:
		nested_take_vnmi(&v->nested);
		set_event(v, event_word(EVENT_NMI, VEC_NMI));
		return true;
	case EVENT_EXIT_INIT:
		glue_exit_to_l1(v, VMEXIT_INIT, 0, 0);
		return true;
	case EVENT_EXIT_SMI:
		glue_exit_to_l1(v, VMEXIT_SMI, SMI_EXTERNAL, 0);
		return true;
	case EVENT_EXIT_NMI:
		glue_exit_to_l1(v, VMEXIT_NMI, 0, 0);
		return true;
	case EVENT_EXIT_INTR:
		glue_exit_to_l1(v, VMEXIT_INTR, 0, 0);
		return true;
	case EVENT_EXIT_VINTR:
		glue_exit_to_l1(v, VMEXIT_VINTR, 0, 0);
		return true;
	case EVENT_UNDECIDED:
		break;
	}
	CHECK(!"nested_event did not decide");
	return false;
}

bool inject_prepare(struct vcpu *v)
{
	bool delivered = false;
	struct event_view view;

	v->attention = false;
	gif_fetch(v);
	if (unlikely(v->once.stepping)) {
		iret_watch(v);
		v->attention = true; /* an exit that is not its end leaves all to be done */
		return false;
	}
	if (v->excp.valid) {
		deliver_excp(v);
		delivered = true;
	}
	if (v->reinject && !(v->vmcb->control.eventinj & EVENT_V)) {
		deliver_again(v);
		delivered = true;
	}
	window_set(v, false);
	do {
		view = look(v);
	} while (v->activity != VCPU_WAIT_SIPI && act(v, nested_event(&v->nested, &view)) && (delivered = true));
	iret_watch(v);
	gif_watch(v, !v->nested.gif && (view.init || view.smi || view.nmi || view.irq));
	return delivered;
}
