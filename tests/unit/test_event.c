/* SPDX-License-Identifier: MIT */
/* links: nested/pause.c */
/* links: nested/event.c nested/route.c nested/msrpm12.c nested/iopm12.c tests/unit/fake_l1.c */
/* tests/unit/test_event.c - which event comes next: cases by name from APM2 15.13, 15.17, 15.21, and rules that hold
 * for every combination of what may be pending, masked and intercepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/exitcode.h>

#include "nested/nested.h"
#include "tests/unit/fake_l1.h"

static struct nested n;

/* --- cases by name --- */

/* Pending and masks. */
#define INIT BIT(0)
#define NMI BIT(1)
#define IRQ BIT(2)
#define BLOCKED BIT(3) /* NMIs */
#define IF BIT(4)
#define SHADOW BIT(5)
#define L1_IF BIT(6)
#define INJECTING BIT(7)
#define VIEW_BITS 8
/* VMCB12: intercepts, V_INTR_MASKING. */
#define I_INIT BIT(8)
#define I_NMI BIT(9)
#define I_INTR BIT(10)
#define I_VINTR BIT(11)
#define MASKING BIT(12)
/* L2's virtual events. */
#define VIRQ BIT(13)     /* priority above V_TPR */
#define LOW_VIRQ BIT(14) /* priority not above V_TPR */
#define IGN_TPR BIT(15)
#define VGIF_OFF BIT(16) /* virtual GIF in use, and 0 */
#define VNMI BIT(17)
#define VNMI_MASKED BIT(18)
#define NO_GIF BIT(19)
#define L1_RUNS BIT(20)
#define ALL_BITS 21
/* SMM. */
#define SMI BIT(21)
#define I_SMI BIT(22)
#define LOCKED BIT(23) /* HWCR.SMMLOCK */
#define IN_SMM BIT(24)
#define ENTERED BIT(25) /* by SMM_CTL */

static struct event_view view_of(uint64_t s)
{
	return (struct event_view){
		.init = s & INIT, .smi = s & SMI, .nmi = s & NMI, .irq = s & IRQ, .nmi_blocked = s & BLOCKED, .if_flag = s & IF,
		.shadow = s & SHADOW, .l1_if = s & L1_IF, .injecting = s & INJECTING,
	};
}

static uint64_t v_intr_of(uint64_t s)
{
	uint64_t v = UINT64_C(0x30) << V_INTR_VECTOR_SHIFT | 4 /* V_TPR */;

	if (s & VIRQ)
		v |= V_INTR_IRQ | UINT64_C(5) << V_INTR_PRIO_SHIFT;
	else if (s & LOW_VIRQ)
		v |= V_INTR_IRQ | UINT64_C(4) << V_INTR_PRIO_SHIFT;
	if (s & IGN_TPR)
		v |= V_INTR_IGN_TPR;
	if (s & VGIF_OFF)
		v |= V_INTR_GIF_ENABLE;
	if (s & VNMI)
		v |= V_INTR_NMI_ENABLE | V_INTR_NMI;
	if (s & VNMI_MASKED)
		v |= V_INTR_NMI_ENABLE | V_INTR_NMI_MASK;
	return v;
}

static enum event_action event(uint64_t s)
{
	struct vmcb_control *c = &n.snap.control;
	struct event_view view = view_of(s);

	c->intercept[ICPT_MISC1] = (s & I_INIT ? ICPT1_INIT : 0) | (s & I_NMI ? ICPT1_NMI : 0) |
				   (s & I_INTR ? ICPT1_INTR : 0) | (s & I_VINTR ? ICPT1_VINTR : 0);
	c->v_intr = s & MASKING ? V_INTR_MASKING : 0;
	c->intercept[ICPT_MISC1] |= s & I_SMI ? ICPT1_SMI : 0;
	n.smm.active = s & IN_SMM;
	n.smm.blocked = s & (IN_SMM | ENTERED);
	n.smm.locked = s & LOCKED;
	n.v_intr12 = v_intr_of(s);
	n.gif = !(s & NO_GIF);
	n.in_l2 = !(s & L1_RUNS);
	return nested_event(&n, &view);
}

static const struct {
	uint64_t state;
	enum event_action action;
} cases[] = {
	/* L1 runs: what L2 left behind does not count. */
	{L1_RUNS, EVENT_NOTHING},
	{L1_RUNS | IRQ | IF, EVENT_INJECT_IRQ},
	{L1_RUNS | IRQ | IF | I_INTR | MASKING, EVENT_INJECT_IRQ},
	{L1_RUNS | IRQ, EVENT_WINDOW},
	{L1_RUNS | IRQ | IF | SHADOW, EVENT_WINDOW},
	{L1_RUNS | IRQ | IF | INJECTING, EVENT_WINDOW},
	{L1_RUNS | NMI, EVENT_INJECT_NMI},
	{L1_RUNS | NMI | I_NMI, EVENT_INJECT_NMI},
	{L1_RUNS | NMI | SHADOW, EVENT_SOON},
	{L1_RUNS | NMI | INJECTING, EVENT_SOON},
	{L1_RUNS | NMI | BLOCKED, EVENT_NOTHING},
	{L1_RUNS | NMI | BLOCKED | IRQ | IF, EVENT_INJECT_IRQ},
	{L1_RUNS | NMI | IRQ | IF, EVENT_INJECT_NMI},
	{L1_RUNS | INIT | NMI | IRQ | IF, EVENT_TAKE_INIT},
	{L1_RUNS | INIT | I_INIT, EVENT_TAKE_INIT},
	{L1_RUNS | INIT | INJECTING, EVENT_SOON},
	{L1_RUNS | VIRQ | VNMI | IF, EVENT_NOTHING},
	/* GIF=0 holds all of it (15.17), in L2 as well: it may have run CLGI itself. */
	{L1_RUNS | NO_GIF | INIT | NMI | IRQ | IF, EVENT_NOTHING},
	{NO_GIF | INIT | NMI | IRQ | IF | VIRQ | VNMI | I_NMI | I_INTR, EVENT_NOTHING},
	/* SMI: behind INIT, before NMI (8.5); held by GIF=0, in SMM and by SMM_CTL.ENTER; so is INIT in SMM (10.3.3). */
	{L1_RUNS | SMI, EVENT_TAKE_SMI},
	{L1_RUNS | SMI | I_SMI, EVENT_TAKE_SMI},
	{L1_RUNS | SMI | NMI | IRQ | IF, EVENT_TAKE_SMI},
	{L1_RUNS | SMI | INIT, EVENT_TAKE_INIT},
	{L1_RUNS | SMI | SHADOW, EVENT_SOON},
	{L1_RUNS | SMI | INJECTING, EVENT_SOON},
	{L1_RUNS | SMI | NO_GIF, EVENT_NOTHING},
	{L1_RUNS | SMI | IN_SMM, EVENT_NOTHING},
	{L1_RUNS | SMI | ENTERED, EVENT_NOTHING},
	{L1_RUNS | SMI | IN_SMM | INIT, EVENT_NOTHING},
	{L1_RUNS | SMI | IN_SMM | IRQ | IF, EVENT_INJECT_IRQ},
	{SMI, EVENT_TAKE_SMI},
	{SMI | SHADOW, EVENT_SOON},
	{SMI | INJECTING, EVENT_SOON},
	{SMI | NMI | I_NMI, EVENT_TAKE_SMI},
	{SMI | I_SMI, EVENT_EXIT_SMI},
	{SMI | I_SMI | SHADOW | NMI | I_NMI, EVENT_EXIT_SMI},
	{SMI | I_SMI | INJECTING, EVENT_SOON},
	{SMI | I_SMI | LOCKED, EVENT_TAKE_SMI},
	{SMI | I_SMI | INIT | I_INIT, EVENT_EXIT_INIT},
	{SMI | I_SMI | ENTERED, EVENT_NOTHING},
	{SMI | I_SMI | NO_GIF, EVENT_NOTHING},
	/* L2 runs: intercepted events leave it, whatever L2 masks. */
	{INIT | I_INIT | NMI | I_NMI, EVENT_EXIT_INIT},
	{INIT, EVENT_TAKE_INIT},
	{NMI | I_NMI, EVENT_EXIT_NMI},
	{NMI | I_NMI | BLOCKED | SHADOW, EVENT_EXIT_NMI},
	{NMI | I_NMI | INJECTING, EVENT_SOON},
	{NMI, EVENT_INJECT_NMI},
	{NMI | SHADOW, EVENT_SOON},
	{NMI | BLOCKED, EVENT_NOTHING},
	{NMI | I_NMI | IRQ | I_INTR | IF, EVENT_EXIT_NMI},
	/* V_INTR_MASKING=1: L1's IF at VMRUN decides, L2's IF does not (15.21.1); the shadow holds what L2 itself takes. */
	{IRQ | I_INTR | MASKING | L1_IF, EVENT_EXIT_INTR},
	{IRQ | I_INTR | MASKING | L1_IF | SHADOW, EVENT_EXIT_INTR},
	{IRQ | I_INTR | MASKING | IF, EVENT_NOTHING},
	{IRQ | I_INTR | MASKING | L1_IF | INJECTING, EVENT_SOON},
	{IRQ | MASKING | L1_IF, EVENT_INJECT_IRQ},
	{IRQ | MASKING | L1_IF | SHADOW, EVENT_SOON},
	{IRQ | MASKING | L1_IF | SHADOW | VIRQ | IF, EVENT_SOON},
	/* V_INTR_MASKING=0: L2's IF decides. */
	{IRQ | I_INTR | IF, EVENT_EXIT_INTR},
	{IRQ | I_INTR | L1_IF, EVENT_WINDOW},
	{IRQ | I_INTR | IF | SHADOW, EVENT_WINDOW},
	{IRQ | IF, EVENT_INJECT_IRQ},
	/* Virtual interrupts come last, above V_TPR only (15.21.2). */
	{VIRQ | IF, EVENT_INJECT_VIRQ},
	{VIRQ | IF | I_VINTR, EVENT_EXIT_VINTR},
	{VIRQ, EVENT_WINDOW},
	{VIRQ | I_VINTR, EVENT_WINDOW},
	{VIRQ | IF | SHADOW, EVENT_WINDOW},
	{VIRQ | IF | INJECTING, EVENT_WINDOW},
	{LOW_VIRQ | IF, EVENT_NOTHING},
	{LOW_VIRQ | IF | IGN_TPR, EVENT_INJECT_VIRQ},
	{VIRQ | IF | VGIF_OFF, EVENT_NOTHING},
	{VIRQ | IF | IRQ | I_INTR, EVENT_EXIT_INTR},
	{VIRQ | IF | IRQ | I_INTR | MASKING, EVENT_INJECT_VIRQ},
	{VIRQ | IF | NMI, EVENT_INJECT_NMI},
	/* Virtual NMIs (15.21.10). */
	{VNMI, EVENT_INJECT_VNMI},
	{VNMI | SHADOW, EVENT_SOON},
	{VNMI | INJECTING, EVENT_SOON},
	{VNMI | VNMI_MASKED, EVENT_NOTHING},
	{VNMI | VGIF_OFF, EVENT_NOTHING},
	{VNMI | VIRQ | IF, EVENT_INJECT_VNMI},
	{VNMI | VNMI_MASKED | VIRQ | IF, EVENT_INJECT_VIRQ},
	{VNMI | NMI | I_NMI, EVENT_EXIT_NMI},
	{VNMI | IRQ | I_INTR | IF, EVENT_EXIT_INTR},
	{VNMI | IRQ | I_INTR, EVENT_INJECT_VNMI}, /* IF holds the interrupt alone */
	{VNMI | IRQ | SHADOW, EVENT_SOON},
	{VNMI | IRQ | INJECTING, EVENT_SOON},
	{VNMI | VNMI_MASKED | IRQ, EVENT_WINDOW},
};

static void cases_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		if (event(cases[i].state) != cases[i].action)
			fail_msg("case %zu: action %d instead of %d", i, event(cases[i].state), cases[i].action);
}

/* --- rules for every combination --- */

/* Each action only with its cause. */
static bool has_cause(uint64_t s, enum event_action action)
{
	bool l2 = !(s & L1_RUNS);
	bool l2_irq_open = s & MASKING ? s & L1_IF : (s & IF) && !(s & SHADOW);
	bool smi = (s & SMI) && !(s & (IN_SMM | ENTERED));
	bool virq = (s & VIRQ || (s & LOW_VIRQ && s & IGN_TPR)) && !(s & VGIF_OFF);

	switch (action) {
	case EVENT_UNDECIDED: return false;
	case EVENT_NOTHING: return true;
	case EVENT_WINDOW: return ((s & IRQ) || (l2 && virq)) && !(l2 && s & VNMI && !(s & (VNMI_MASKED | VGIF_OFF)));
	case EVENT_SOON: return s & (INJECTING | SHADOW);
	case EVENT_TAKE_INIT: return (s & INIT) && !(l2 && s & I_INIT) && !(s & IN_SMM);
	case EVENT_TAKE_SMI: return smi && !(s & SHADOW) && (!l2 || !(s & I_SMI) || s & LOCKED);
	case EVENT_INJECT_NMI: return (s & NMI) && !(s & (BLOCKED | SHADOW)) && !(l2 && s & I_NMI);
	case EVENT_INJECT_IRQ: return (s & IRQ) && !(s & SHADOW) && (l2 ? l2_irq_open && !(s & I_INTR) : s & IF);
	case EVENT_INJECT_VIRQ: return l2 && virq && (s & IF) && !(s & (SHADOW | I_VINTR));
	case EVENT_INJECT_VNMI: return l2 && (s & VNMI) && !(s & (VNMI_MASKED | VGIF_OFF | SHADOW));
	case EVENT_EXIT_INIT: return l2 && (s & INIT) && (s & I_INIT);
	case EVENT_EXIT_SMI: return l2 && smi && (s & I_SMI) && !(s & LOCKED);
	case EVENT_EXIT_NMI: return l2 && (s & NMI) && (s & I_NMI);
	case EVENT_EXIT_INTR: return l2 && (s & IRQ) && (s & I_INTR) && l2_irq_open;
	case EVENT_EXIT_VINTR: return l2 && virq && (s & IF) && !(s & SHADOW) && (s & I_VINTR);
	}
	return false;
}

/* Nothing is forgotten: to do nothing, everything pending must be held by something that exits to us when it ends. */
static bool may_sleep(uint64_t s)
{
	bool l2 = !(s & L1_RUNS);
	bool smi_held = !(s & SMI) || s & (IN_SMM | ENTERED), init_held = !(s & INIT) || s & IN_SMM;
	bool nmi_held = !(s & NMI) || ((s & BLOCKED) && !(l2 && s & I_NMI));
	bool irq_held = !(s & IRQ) || (l2 && s & MASKING && !(s & L1_IF)); /* L1's IF cannot change meanwhile */
	bool virq_held = !l2 || !(s & (VIRQ | LOW_VIRQ)) || s & VGIF_OFF || (!(s & VIRQ) && !(s & IGN_TPR));
	bool vnmi_held = !l2 || !(s & VNMI) || s & (VNMI_MASKED | VGIF_OFF);

	return s & NO_GIF || (init_held && smi_held && nmi_held && irq_held && virq_held && vnmi_held);
}

/* There is no L2 in SMM. */
static void check_rules(uint64_t smm)
{
	for (uint64_t rest = 0; rest < BIT(ALL_BITS); rest++) {
		uint64_t s = smm | rest | (smm & IN_SMM ? L1_RUNS : 0);
		enum event_action action = event(s);
		bool is_act = action >= EVENT_TAKE_INIT;

		if (!has_cause(s, action))
			fail_msg("state %llx: action %d without cause", (unsigned long long)s, action);
		if ((action == EVENT_NOTHING) != may_sleep(s))
			fail_msg("state %llx: action %d, may sleep: %d", (unsigned long long)s, action, may_sleep(s));
		if (is_act && (s & (INJECTING | NO_GIF)))
			fail_msg("state %llx: action %d over an injection or with GIF=0", (unsigned long long)s,
				 action);
	}
}

static void rules_for_every_combination(void **state)
{
	static const uint64_t smm[] = {0, SMI, SMI | I_SMI, SMI | I_SMI | LOCKED, SMI | I_SMI | ENTERED, IN_SMM | SMI};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(smm); i++)
		check_rules(smm[i]);
}

/* --- taking virtual events --- */

static void taking_virq_clears_it_and_nothing_else(void **state)
{
	(void)state;
	n.in_l2 = true;
	n.v_intr12 = UINT64_MAX & ~(UINT64_C(0x5A) << V_INTR_VECTOR_SHIFT);
	assert_int_equal(nested_take_virq(&n), 0xA5);
	assert_int_equal(n.v_intr12, UINT64_MAX & ~(UINT64_C(0x5A) << V_INTR_VECTOR_SHIFT) & ~V_INTR_IRQ);
}

static void virtual_nmi_masks_until_iret(void **state)
{
	(void)state;
	n.in_l2 = true;
	n.snap.control.intercept[ICPT_MISC1] = 0;
	n.v_intr12 = V_INTR_NMI_ENABLE | V_INTR_NMI;
	assert_false(nested_wants_iret(&n));
	nested_take_vnmi(&n);
	assert_int_equal(n.v_intr12, V_INTR_NMI_ENABLE | V_INTR_NMI_MASK);
	assert_true(nested_wants_iret(&n));
	assert_true(nested_end_vnmi(&n));
	assert_int_equal(n.v_intr12, V_INTR_NMI_ENABLE);
	n.v_intr12 = V_INTR_NMI_MASK; /* not enabled: real NMIs */
	assert_false(nested_end_vnmi(&n));
	assert_int_equal(n.v_intr12, V_INTR_NMI_MASK);
	assert_false(nested_wants_iret(&n));
	n.snap.control.intercept[ICPT_MISC1] = ICPT1_IRET;
	assert_true(nested_wants_iret(&n));
}

/* Injected by L1, it masks as well; interrupted on its way, it does not (15.21.10). Other events do nothing. */
static void virtual_nmi_by_eventinj(void **state)
{
	const uint64_t nmi = EVENT_V | (uint64_t)EVENT_NMI << EVENT_TYPE_SHIFT | 2;
	const uint64_t others[] = {EVENT_V | 0x80, EVENT_V | (uint64_t)EVENT_EXCP << EVENT_TYPE_SHIFT | 2, nmi & ~EVENT_V};

	(void)state;
	n.v_intr12 = V_INTR_NMI_ENABLE;
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++)
		nested_vnmi_injected(&n, others[i]);
	assert_int_equal(n.v_intr12, V_INTR_NMI_ENABLE);
	nested_vnmi_injected(&n, nmi);
	assert_int_equal(n.v_intr12, V_INTR_NMI_ENABLE | V_INTR_NMI_MASK);
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++)
		nested_vnmi_interrupted(&n, others[i]);
	assert_int_equal(n.v_intr12, V_INTR_NMI_ENABLE | V_INTR_NMI_MASK);
	nested_vnmi_interrupted(&n, nmi);
	assert_int_equal(n.v_intr12, V_INTR_NMI_ENABLE);
	n.v_intr12 = 0;
	nested_vnmi_injected(&n, nmi);
	assert_int_equal(n.v_intr12, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases_by_name),
		cmocka_unit_test(rules_for_every_combination),
		cmocka_unit_test(taking_virq_clears_it_and_nothing_else),
		cmocka_unit_test(virtual_nmi_masks_until_iret),
		cmocka_unit_test(virtual_nmi_by_eventinj),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
