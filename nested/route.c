/* SPDX-License-Identifier: MIT */
/* nested/route.c - whose is this exit of L2? L0's when it is about the real machine (interrupts, our page tables) or
 * when L1 did not ask for it; otherwise L1's. Decides only; svm/nested_glue.c carries it out.
 * Manual: APM2 15.9 (Instruction Intercepts), 15.10, 15.11, 15.12, 15.13. Next: exit_full.c or svm/exit_<what>.c. */
#include <amd/exitcode.h>
#include <amd/vmcb_access.h>

#include "nested.h"
#include "permmap12.h"

bool nested_intercepts(const struct nested *n, uint64_t exitcode)
{
	return exitcode < VMEXIT_INTERCEPT_END && vmcb_intercepts(n->snap.control.intercept, exitcode);
}

static enum route to_l1_if(bool wanted)
{
	return wanted ? ROUTE_L1 : ROUTE_L0;
}

static enum route route_ioio(const struct nested *n, struct port *port, uint64_t info1)
{
	unsigned size = info1 & IOIO_SZ32 ? 4 : info1 & IOIO_SZ16 ? 2 : 1;

	return to_l1_if(nested_intercepts(n, VMEXIT_IOIO) &&
			iopm12_intercepts(port, l1pa(n->snap.control.iopm_base),
					  (uint16_t)(info1 >> IOIO_PORT_SHIFT), size));
}

static enum route route_msr(const struct nested *n, struct port *port, uint64_t info1, uint32_t msr)
{
	return to_l1_if(nested_intercepts(n, VMEXIT_MSR) &&
			msrpm12_intercepts(port, l1pa(n->snap.control.msrpm_base), msr, info1 != 0));
}

/* Those that need more than the intercept bit. Their codes lie together. */
static OWN_FRAME enum route route_by_more(const struct nested *n, struct port *port, const struct vmcb_control *c,
					  uint32_t msr)
{
	switch (c->exitcode) {
	case VMEXIT_PAUSE:
		return to_l1_if(nested_intercepts(n, VMEXIT_PAUSE) && !nested_filters_pause(n));
	case VMEXIT_IOIO:
		return route_ioio(n, port, c->exitinfo1);
	case VMEXIT_MSR:
		return route_msr(n, port, c->exitinfo1, msr);
	default:
		return to_l1_if(nested_intercepts(n, c->exitcode));
	}
}

/* Does whose exit it is depend on more? */
static bool is_routed_by_more(uint64_t code)
{
	return code - VMEXIT_PAUSE <= VMEXIT_MSR - VMEXIT_PAUSE;
}

/* The machine's own events: L0 sees to them, then event.c asks what L1 gets. V_IRQ in VMCB02 is only ever L0's window. */
static bool is_of_machine(uint64_t code)
{
	return code - VMEXIT_INTR <= VMEXIT_VINTR - VMEXIT_INTR;
}

bool nested_is_routed_by_bit(uint64_t exitcode)
{
	return exitcode < VMEXIT_INTERCEPT_END && !is_routed_by_more(exitcode) && !is_of_machine(exitcode);
}

/* A nested fault has no intercept bit, which makes it L0's. */
enum route nested_route(const struct nested *n, struct port *port, const struct vmcb *vmcb02, uint32_t msr)
{
	uint64_t code = vmcb02->control.exitcode;

	if (unlikely(is_routed_by_more(code)))
		return route_by_more(n, port, &vmcb02->control, msr);
	return to_l1_if(!is_of_machine(code) && nested_intercepts(n, code));
}
