/* SPDX-License-Identifier: MIT */
/* nested/event.c - which event comes next: INIT, SMI, NMI, L1's interrupts, and L2's virtual ones; into which level,
 * or as which #VMEXIT. Pure questions; svm/inject.c asks and acts. Exceptions are not here: they belong to an instruction.
 * Manual: APM2 8.5 (Priorities), 15.13 (Interrupt Intercepts), 15.17 (GIF), 15.21 (Interrupt and Local APIC Support),
 * 15.22 (SMM Support). */
#include <amd/exitcode.h>
#include <check.h>

#include "nested.h"

/* An exit that is due now waits until the event chosen for this entry has been delivered. */
static enum event_action exit_or_soon(const struct event_view *view, enum event_action exit)
{
	return view->injecting ? EVENT_SOON : exit;
}

static enum event_action inject_or_soon(const struct event_view *view, enum event_action inject)
{
	return view->injecting ? EVENT_SOON : inject;
}

static bool smi_due(const struct nested *n, const struct event_view *view)
{
	return view->smi && !n->smm.blocked && !n->smm.active;
}

/* L1's intercept does not count once firmware has locked SMM away (APM2 15.13.3). */
static enum event_action smi(const struct nested *n, const struct event_view *view)
{
	if (n->in_l2 && nested_intercepts(n, VMEXIT_SMI) && !n->smm.locked)
		return exit_or_soon(view, EVENT_EXIT_SMI);
	return view->shadow ? EVENT_SOON : exit_or_soon(view, EVENT_TAKE_SMI);
}

static enum event_action l1_event(const struct nested *n, const struct event_view *view)
{
	if (!n->gif)
		return EVENT_NOTHING; /* held until STGI, which exits to us */
	if (view->init && !n->smm.active)
		return exit_or_soon(view, EVENT_TAKE_INIT);
	if (unlikely(smi_due(n, view)))
		return smi(n, view);
	if (view->nmi && !view->nmi_blocked)
		return view->shadow ? EVENT_SOON : inject_or_soon(view, EVENT_INJECT_NMI);
	if (!view->irq)
		return EVENT_NOTHING;
	if (!view->if_flag || view->shadow || view->injecting)
		return EVENT_WINDOW;
	return EVENT_INJECT_IRQ;
}

/* L1's own interrupt while L2 runs (APM2 15.21.1). V_INTR_MASKING is about IF alone: an interrupt that L2 itself takes
 * waits for the end of its shadow (15.21.5). The exit then need not, since L2 goes on in the same shadow. */
static enum event_action l1_irq_in_l2(const struct nested *n, const struct event_view *view)
{
	bool masking = (n->snap.control.v_intr & V_INTR_MASKING) != 0;
	bool open = masking ? view->l1_if : view->if_flag && !view->shadow;

	if (!open)
		return masking ? EVENT_NOTHING : EVENT_WINDOW;
	if (nested_intercepts(n, VMEXIT_INTR))
		return exit_or_soon(view, EVENT_EXIT_INTR);
	return view->shadow ? EVENT_SOON : inject_or_soon(view, EVENT_INJECT_IRQ);
}

static bool virq_unmasked(const struct nested *n)
{
	uint64_t v = n->v_intr12;

	if (!(v & V_INTR_IRQ) || ((v & V_INTR_GIF_ENABLE) && !(v & V_INTR_GIF)))
		return false;
	return (v & V_INTR_IGN_TPR) || bits_get(v, 19, 16) > (v & V_INTR_TPR);
}

static enum event_action virtual_event(const struct nested *n, const struct event_view *view)
{
	if (!virq_unmasked(n))
		return EVENT_NOTHING;
	if (!view->if_flag || view->shadow || view->injecting)
		return EVENT_WINDOW;
	return nested_intercepts(n, VMEXIT_VINTR) ? EVENT_EXIT_VINTR : EVENT_INJECT_VIRQ;
}

static bool vnmi_due(const struct nested *n)
{
	uint64_t v = n->v_intr12;

	return (v & V_INTR_NMI_ENABLE) && (v & V_INTR_NMI) && !(v & V_INTR_NMI_MASK) &&
	       (!(v & V_INTR_GIF_ENABLE) || (v & V_INTR_GIF));
}

static enum event_action l2_event(const struct nested *n, const struct event_view *view)
{
	enum event_action action = EVENT_NOTHING;

	if (!n->gif)
		return EVENT_NOTHING; /* L2 ran CLGI and L1 does not mind */
	if (view->init)
		return exit_or_soon(view, nested_intercepts(n, VMEXIT_INIT) ? EVENT_EXIT_INIT : EVENT_TAKE_INIT);
	if (unlikely(smi_due(n, view)))
		return smi(n, view);
	if (view->nmi && nested_intercepts(n, VMEXIT_NMI))
		return exit_or_soon(view, EVENT_EXIT_NMI);
	if (view->nmi && !view->nmi_blocked)
		return view->shadow ? EVENT_SOON : inject_or_soon(view, EVENT_INJECT_NMI);
	if (view->irq)
		action = l1_irq_in_l2(n, view);
	if (action != EVENT_NOTHING && action != EVENT_WINDOW)
		return action;
	if (vnmi_due(n)) /* not held by IF, which an interrupt may be waiting for */
		return view->shadow ? EVENT_SOON : inject_or_soon(view, EVENT_INJECT_VNMI);
	return action == EVENT_WINDOW ? action : virtual_event(n, view);
}

/* The most urgent thing to do before the vCPU is entered. EVENT_SOON and EVENT_WINDOW: ask again when it has left. */
enum event_action nested_event(const struct nested *n, const struct event_view *view)
{
	return n->in_l2 ? l2_event(n, view) : l1_event(n, view);
}

uint8_t nested_take_virq(struct nested *n)
{
	CHECK(n->in_l2 && (n->v_intr12 & V_INTR_IRQ));
	n->v_intr12 &= ~V_INTR_IRQ;
	return (uint8_t)bits_get(n->v_intr12, 39, 32);
}

void nested_take_vnmi(struct nested *n)
{
	CHECK(n->in_l2 && (n->v_intr12 & V_INTR_NMI));
	n->v_intr12 = (n->v_intr12 & ~V_INTR_NMI) | V_INTR_NMI_MASK;
}

bool nested_end_vnmi(struct nested *n)
{
	if (!(n->v_intr12 & V_INTR_NMI_ENABLE))
		return false;
	n->v_intr12 &= ~V_INTR_NMI_MASK;
	return true;
}

bool nested_wants_iret(const struct nested *n)
{
	const uint64_t masked = V_INTR_NMI_ENABLE | V_INTR_NMI_MASK;

	return nested_intercepts(n, VMEXIT_IRET) || (n->v_intr12 & masked) == masked;
}
