/* SPDX-License-Identifier: MIT */
/* vdev/vcpu.c - what the vCPU loop asks between two runs of a guest: interrupt, NMI, SMI, INIT, SIPI.
 * Two controllers may answer: the local APIC, and on vCPU 0 the PIC where LINT0 or the I/O APIC
 * lets it through, or where there is no APIC at all. */
#include "vlapic.h"

static bool pic_is_wired(const struct machine *m)
{
	const struct vlapic *l = &m->lapic[0];
	const uint32_t extint = (uint32_t)APIC_MODE_EXTINT << APIC_MODE_SHIFT;

	if ((l->base & APIC_BASE_ENABLE) == 0)
		return true;
	if ((l->lvt[LVT_LINT0] & (APIC_LVT_MASKED | APIC_MODE_MASK)) == extint)
		return true;
	return vioapic_passes_pic(m);
}

static bool pic_interrupts(const struct machine *m, unsigned vcpu)
{
	return vcpu == 0 && m->pic.intr && pic_is_wired(m);
}

static int vlapic_deliverable(const struct vlapic *l)
{
	int vector = vector_highest(&l->irr);

	if (vector < 0 || (l->base & APIC_BASE_ENABLE) == 0)
		return -1;
	return ((uint32_t)vector >> 4) > (vlapic_ppr(l) >> 4) ? vector : -1;
}

int machine_irq_pending(struct machine *m, unsigned vcpu)
{
	struct vlapic *l = &m->lapic[vcpu];
	int vector;

	if (pic_interrupts(m, vcpu))
		return vpic_peek(m);
	vector = vlapic_deliverable(l);
	if (vector < 0)
		l->attention &= ~ATTENTION_IRQ;
	return vector;
}

uint8_t machine_irq_ack(struct machine *m, unsigned vcpu)
{
	struct vlapic *l = &m->lapic[vcpu];
	int vector;

	if (pic_interrupts(m, vcpu))
		return vpic_acknowledge(m);
	vector = vlapic_deliverable(l);
	if (vector < 0)
		return (uint8_t)(l->svr & APIC_VECTOR); /* as hardware answers for one that went away */
	vector_remove(&l->irr, (unsigned)vector);
	vector_add(&l->isr, (unsigned)vector);
	return (uint8_t)vector;
}

bool machine_nmi_take(struct machine *m, unsigned vcpu)
{
	struct vlapic *l = &m->lapic[vcpu];
	bool pending = (l->attention & ATTENTION_NMI) != 0;

	l->attention &= ~ATTENTION_NMI;
	return pending;
}

bool machine_smi_pending(const struct machine *m, unsigned vcpu)
{
	return (m->lapic[vcpu].attention & ATTENTION_SMI) != 0;
}

void machine_smi_drop(struct machine *m, unsigned vcpu)
{
	m->lapic[vcpu].attention &= ~ATTENTION_SMI;
}

enum vcpu_signal machine_signal_take(struct machine *m, unsigned vcpu, uint8_t *sipi_vector)
{
	struct vlapic *l = &m->lapic[vcpu];

	if ((l->attention & ATTENTION_INIT) != 0) {
		l->attention &= ~ATTENTION_INIT;
		return VCPU_SIGNAL_INIT;
	}
	if ((l->attention & ATTENTION_SIPI) != 0) {
		l->attention &= ~ATTENTION_SIPI;
		*sipi_vector = l->sipi_vector;
		return VCPU_SIGNAL_SIPI;
	}
	return VCPU_SIGNAL_NONE;
}

void machine_vcpu_reset(struct machine *m, unsigned vcpu)
{
	vlapic_reset(m, vcpu);
}
