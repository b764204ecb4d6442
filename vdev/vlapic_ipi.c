/* SPDX-License-Identifier: MIT */
/* vdev/vlapic_ipi.c - interrupt messages: who is meant, and what arriving does to a local APIC.
 * Senders are the ICR (here), the local vector table (here) and the I/O APIC (vioapic.c).
 * Manual: APM2 16.5, Interprocessor Interrupts (IPI), and 16.6, Local APIC Handling of Interrupts. */
#include "vlapic.h"

#define ICR_LOGICAL BIT(11)
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)
#define ICR_SHORTHAND_SHIFT 18
#define ICR_REMOTE_READ_DONE BIT(17)
#define XAPIC_DEST_ALL 0xFFu
#define XAPIC_ICR_DEST_SHIFT 56
#define X2APIC_ICR_DEST_SHIFT 32
#define REMOTE_READ_REG_SHIFT 4

enum shorthand {
	SHORTHAND_NONE,
	SHORTHAND_SELF,
	SHORTHAND_ALL,
	SHORTHAND_OTHERS,
};

/* --- receiving --- */

static void accept_fixed(struct machine *m, unsigned vcpu, uint8_t vector, bool level)
{
	struct vlapic *l = &m->lapic[vcpu];

	if ((l->base & APIC_BASE_ENABLE) == 0 || (l->svr & APIC_SVR_ENABLE) == 0)
		return;
	if (vector < APIC_VECTOR_FIRST) {
		vlapic_error(m, vcpu, APIC_ESR_RECEIVE_VECTOR);
		return;
	}
	if (level)
		vector_add(&l->tmr, vector);
	else
		vector_remove(&l->tmr, vector);
	vector_add(&l->irr, vector);
	vlapic_attention(m, vcpu, ATTENTION_IRQ);
}

/* An INIT makes an application processor wait for a start-up IPI, from the moment it arrives: the
 * sender's start-up IPI may be here before the target has looked. One that waits already is not
 * disturbed. The boot processor restarts. */
static void accept_init(struct machine *m, unsigned vcpu)
{
	struct vlapic *l = &m->lapic[vcpu];

	if (l->wait_sipi)
		return;
	l->wait_sipi = (l->base & APIC_BASE_BSP) == 0;
	l->attention &= ~ATTENTION_SIPI;
	vlapic_attention(m, vcpu, ATTENTION_INIT);
}

/* Only the first start-up IPI after an INIT counts. */
static void accept_sipi(struct machine *m, unsigned vcpu, uint8_t vector)
{
	struct vlapic *l = &m->lapic[vcpu];

	if (!l->wait_sipi)
		return;
	l->wait_sipi = false;
	l->sipi_vector = vector;
	vlapic_attention(m, vcpu, ATTENTION_SIPI);
}

void vlapic_accept(struct machine *m, unsigned vcpu, enum apic_mode mode, uint8_t vector,
		   bool level)
{
	switch (mode) {
	case APIC_MODE_FIXED:
	case APIC_MODE_LOWEST: accept_fixed(m, vcpu, vector, level); return;
	case APIC_MODE_NMI: vlapic_attention(m, vcpu, ATTENTION_NMI); return;
	case APIC_MODE_SMI: vlapic_attention(m, vcpu, ATTENTION_SMI); return;
	case APIC_MODE_INIT: accept_init(m, vcpu); return;
	case APIC_MODE_SIPI: accept_sipi(m, vcpu, vector); return;
	case APIC_MODE_EXTINT: vlapic_attention(m, vcpu, ATTENTION_IRQ); return;
	case APIC_MODE_REMOTE_READ: /* answered by the sender, see remote_read() */
		return;
	}
}

void vlapic_fire_lvt(struct machine *m, unsigned vcpu, enum vlapic_lvt which)
{
	uint32_t entry = m->lapic[vcpu].lvt[which];

	if ((entry & APIC_LVT_MASKED) == 0)
		vlapic_accept(m, vcpu, apic_mode_of(entry), (uint8_t)(entry & APIC_VECTOR), false);
}

/* In ExtINT mode vcpu.c asks the PIC itself; in the other modes LINT0 acts when it rises. */
void vlapic_pic_output(struct machine *m, bool high)
{
	if (!high)
		return;
	if (apic_mode_of(m->lapic[0].lvt[LVT_LINT0]) != APIC_MODE_EXTINT)
		vlapic_fire_lvt(m, 0, LVT_LINT0);
	vlapic_attention(m, 0, ATTENTION_IRQ);
}

/* --- addressing --- */

static bool matches_xapic_logical(const struct vlapic *l, uint32_t dest)
{
	uint32_t ldr = l->ldr >> 24;
	bool flat = (l->dfr >> 28) == 0xF;

	if (dest > XAPIC_DEST_ALL)
		return false;
	if (flat)
		return (ldr & dest) != 0;
	return (ldr >> 4) == (dest >> 4) && (ldr & dest & 0xF) != 0;
}

static bool matches_x2apic_logical(const struct vlapic *l, uint32_t dest)
{
	return (dest >> 16) == (l->id >> 4) && (dest & BIT32(l->id & 0xF)) != 0;
}

static bool is_destination(const struct vlapic *l, const struct apic_message *msg)
{
	if (msg->dest == APIC_DEST_ALL)
		return true;
	if (!msg->logical)
		return l->id == msg->dest;
	return vlapic_is_x2apic(l) ? matches_x2apic_logical(l, msg->dest) :
				     matches_xapic_logical(l, msg->dest);
}

static bool can_take_interrupts(const struct vlapic *l)
{
	return (l->base & APIC_BASE_ENABLE) != 0 && (l->svr & APIC_SVR_ENABLE) != 0;
}

/* Of those meant, the one with the lowest processor priority; -1 if nobody can take it. */
static int find_lowest_priority(const struct machine *m, const struct apic_message *msg)
{
	uint32_t best_ppr = UINT32_MAX;
	int best = -1;

	for (unsigned i = 0; i < m->config.vcpu_count; i++) {
		const struct vlapic *l = &m->lapic[i];

		if (is_destination(l, msg) && can_take_interrupts(l) && vlapic_ppr(l) < best_ppr) {
			best = (int)i;
			best_ppr = vlapic_ppr(l);
		}
	}
	return best;
}

/* --- sending --- */

void vlapic_send(struct machine *m, const struct apic_message *msg)
{
	if (msg->mode == APIC_MODE_LOWEST) {
		int lowest = find_lowest_priority(m, msg);

		if (lowest >= 0)
			vlapic_accept(m, (unsigned)lowest, msg->mode, msg->vector, msg->level);
		return;
	}
	for (unsigned i = 0; i < m->config.vcpu_count; i++)
		if (is_destination(&m->lapic[i], msg))
			vlapic_accept(m, i, msg->mode, msg->vector, msg->level);
}

static void send_shorthand(struct machine *m, unsigned sender, bool with_sender,
			   const struct apic_message *msg)
{
	for (unsigned i = 0; i < m->config.vcpu_count; i++)
		if (with_sender || i != sender)
			vlapic_accept(m, i, msg->mode, msg->vector, msg->level);
}

/* The vector field names the register. Status 10b in the ICR: the answer is in the register RRD;
 * 00b: nobody answered. */
static void remote_read(struct machine *m, unsigned vcpu, const struct apic_message *msg)
{
	struct vlapic *l = &m->lapic[vcpu];

	if (msg->logical || msg->dest >= m->config.vcpu_count)
		return;
	l->rrd = vlapic_reg_read(m, msg->dest, (uint32_t)msg->vector << REMOTE_READ_REG_SHIFT);
	l->icr |= ICR_REMOTE_READ_DONE;
}

static uint32_t icr_destination(const struct vlapic *l, uint64_t icr)
{
	uint32_t dest;

	if (vlapic_is_x2apic(l))
		return (uint32_t)(icr >> X2APIC_ICR_DEST_SHIFT);
	dest = (uint32_t)(icr >> XAPIC_ICR_DEST_SHIFT);
	return dest == XAPIC_DEST_ALL ? APIC_DEST_ALL : dest;
}

void vlapic_self_ipi(struct machine *m, unsigned vcpu, uint8_t vector)
{
	if (vector < APIC_VECTOR_FIRST)
		vlapic_error(m, vcpu, APIC_ESR_SEND_VECTOR);
	else
		accept_fixed(m, vcpu, vector, false);
}

static void send_icr(struct machine *m, unsigned vcpu, enum shorthand shorthand,
		     const struct apic_message *msg)
{
	switch (shorthand) {
	case SHORTHAND_NONE:
		if (msg->mode == APIC_MODE_REMOTE_READ)
			remote_read(m, vcpu, msg);
		else
			vlapic_send(m, msg);
		return;
	case SHORTHAND_SELF:
		vlapic_accept(m, vcpu, msg->mode, msg->vector, false);
		return;
	case SHORTHAND_ALL: send_shorthand(m, vcpu, true, msg); return;
	case SHORTHAND_OTHERS: send_shorthand(m, vcpu, false, msg); return;
	}
}

/* Interprocessor interrupts are edge-triggered whatever the trigger bit says; the bit matters for
 * INIT alone, whose level de-assert is a relic that changes nothing. */
void vlapic_icr_write(struct machine *m, unsigned vcpu, uint64_t icr)
{
	struct vlapic *l = &m->lapic[vcpu];
	const struct apic_message msg = {
		.dest = icr_destination(l, icr),
		.vector = (uint8_t)(icr & APIC_VECTOR),
		.mode = apic_mode_of(icr),
		.logical = (icr & ICR_LOGICAL) != 0,
	};

	l->icr = icr;
	if (msg.mode == APIC_MODE_INIT && (icr & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
		return;
	if ((msg.mode == APIC_MODE_FIXED || msg.mode == APIC_MODE_LOWEST) &&
	    msg.vector < APIC_VECTOR_FIRST) {
		vlapic_error(m, vcpu, APIC_ESR_SEND_VECTOR);
		return;
	}
	send_icr(m, vcpu, (enum shorthand)((icr >> ICR_SHORTHAND_SHIFT) & 3), &msg);
}
