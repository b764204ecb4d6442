/* SPDX-License-Identifier: MIT */
/* vdev/vlapic.c - the local APIC as a set of registers: the xAPIC page, the x2APIC MSRs, the
 * APIC_BASE transitions between them, priorities and end of interrupt.
 * Sending and receiving messages: vlapic_ipi.c. The counter: vlapic_timer.c. What the vCPU loop
 * asks: vcpu.c. Manual: APM2 16. */
#include <string.h>
#include "map.h"
#include "vlapic.h"

#define APIC_VERSION 0x14u
#define APIC_VERSION_VALUE (APIC_VERSION | (uint32_t)(LVT_COUNT - 1) << 16)
#define APIC_DFR_FLAT 0xFFFFFFFFu
#define APIC_DFR_FIXED_ONES 0x0FFFFFFFu
#define APIC_XAPIC_ID_SHIFT 24
#define APIC_XAPIC_ID_MASK 0xFF000000u
#define APIC_SVR_RESET 0xFFu
#define APIC_SVR_WRITABLE 0x3FFu
#define APIC_PRIORITY_CLASS 0xF0u
#define APIC_ICR_WRITABLE_LOW 0x000CCFFFu

#define MSR_APIC_BASE 0x1Bu
#define MSR_X2APIC_FIRST 0x800u

#define LVT_COMMON (APIC_VECTOR | APIC_LVT_MASKED)
#define LVT_POLARITY_TRIGGER (BIT32(13) | BIT32(15))

static const uint32_t lvt_writable[LVT_COUNT] = {
	[LVT_TIMER] = LVT_COMMON | APIC_LVT_TIMER_MASK,
	[LVT_THERMAL] = LVT_COMMON | APIC_MODE_MASK,
	[LVT_PERF] = LVT_COMMON | APIC_MODE_MASK,
	[LVT_LINT0] = LVT_COMMON | APIC_MODE_MASK | LVT_POLARITY_TRIGGER,
	[LVT_LINT1] = LVT_COMMON | APIC_MODE_MASK | LVT_POLARITY_TRIGGER,
	[LVT_ERROR] = LVT_COMMON,
};

void vlapic_attention(struct machine *m, unsigned vcpu, uint32_t reason)
{
	m->lapic[vcpu].attention |= reason;
	vdev_port_kick(m->host, vcpu);
}

/* --- life --- */

static void set_registers_to_reset(struct vlapic *l)
{
	memset(&l->irr, 0, sizeof(l->irr));
	memset(&l->isr, 0, sizeof(l->isr));
	memset(&l->tmr, 0, sizeof(l->tmr));
	l->tpr = 0;
	l->rrd = 0;
	l->esr = 0;
	l->esr_pending = 0;
	l->icr = 0;
	l->ldr = 0;
	l->dfr = APIC_DFR_FLAT;
	l->svr = APIC_SVR_RESET;
	for (unsigned i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = APIC_LVT_MASKED;
	vlapic_timer_reset(&l->timer);
}

/* The vCPU took its INIT: what came for it before is gone, a start-up IPI after the INIT is not. */
void vlapic_reset(struct machine *m, unsigned vcpu)
{
	struct vlapic *l = &m->lapic[vcpu];

	set_registers_to_reset(l);
	l->attention &= ATTENTION_INIT | ATTENTION_SIPI | ATTENTION_SMI;
	if (vcpu == 0)
		l->attention |= ATTENTION_IRQ; /* the PIC does not see an INIT */
}

/* Firmware leaves the first CPU in virtual wire mode: the PIC reaches it through LINT0. */
void vlapic_init(struct machine *m, unsigned vcpu)
{
	struct vlapic *l = &m->lapic[vcpu];

	l->id = vcpu;
	l->base = VLAPIC_GPA | APIC_BASE_ENABLE | (vcpu == 0 ? APIC_BASE_BSP : 0);
	l->wait_sipi = vcpu != 0;
	set_registers_to_reset(l);
	if (vcpu == 0) {
		l->svr |= APIC_SVR_ENABLE;
		l->lvt[LVT_LINT0] = (uint32_t)APIC_MODE_EXTINT << APIC_MODE_SHIFT;
		l->lvt[LVT_LINT1] = (uint32_t)APIC_MODE_NMI << APIC_MODE_SHIFT;
	}
}

/* --- priorities --- */

static uint32_t priority_class(uint32_t priority)
{
	return priority & APIC_PRIORITY_CLASS;
}

/* A set without members counts as vector 0, which has the lowest class. */
static uint32_t highest_or_zero(const struct vector_set *s)
{
	int vector = vector_highest(s);

	return vector < 0 ? 0 : (uint32_t)vector;
}

uint32_t vlapic_ppr(const struct vlapic *l)
{
	uint32_t in_service = highest_or_zero(&l->isr);

	if (priority_class(l->tpr) >= priority_class(in_service))
		return l->tpr;
	return priority_class(in_service);
}

static uint32_t vlapic_apr(const struct vlapic *l)
{
	uint32_t ppr = vlapic_ppr(l);
	uint32_t requested = highest_or_zero(&l->irr);

	return priority_class(ppr) >= priority_class(requested) ? ppr : priority_class(requested);
}

/* After the threshold fell, what waited may be deliverable. The vCPU itself did it: no kick. */
static void threshold_changed(struct vlapic *l)
{
	if (l->irr.nonzero != 0)
		l->attention |= ATTENTION_IRQ;
}

static void set_tpr(struct vlapic *l, uint32_t tpr)
{
	l->tpr = tpr;
	threshold_changed(l);
}

uint8_t machine_tpr_get(const struct machine *m, unsigned vcpu)
{
	return (uint8_t)(m->lapic[vcpu].tpr >> 4);
}

void machine_tpr_set(struct machine *m, unsigned vcpu, uint8_t cr8)
{
	uint32_t tpr = (uint32_t)(cr8 & 0xF) << 4;

	if (m->lapic[vcpu].tpr != tpr)
		set_tpr(&m->lapic[vcpu], tpr);
}

static void end_of_interrupt(struct machine *m, struct vlapic *l)
{
	int vector = vector_highest(&l->isr);

	if (vector < 0)
		return;
	vector_remove(&l->isr, (unsigned)vector);
	threshold_changed(l);
	if (vector_has(&l->tmr, (unsigned)vector))
		vioapic_eoi(m, (uint8_t)vector);
}

/* --- registers --- */

void vlapic_error(struct machine *m, unsigned vcpu, uint32_t esr_bit)
{
	struct vlapic *l = &m->lapic[vcpu];

	if ((l->esr_pending & esr_bit) != 0)
		return;
	l->esr_pending |= esr_bit;
	vlapic_fire_lvt(m, vcpu, LVT_ERROR);
}

static void write_svr(struct vlapic *l, uint32_t value)
{
	l->svr = value & APIC_SVR_WRITABLE;
	if ((l->svr & APIC_SVR_ENABLE) != 0)
		return;
	for (unsigned i = 0; i < LVT_COUNT; i++)
		l->lvt[i] |= APIC_LVT_MASKED;
}

static void write_lvt(struct machine *m, unsigned vcpu, unsigned which, uint32_t value)
{
	struct vlapic *l = &m->lapic[vcpu];
	uint32_t old = l->lvt[which];

	value &= lvt_writable[which];
	if ((l->svr & APIC_SVR_ENABLE) == 0)
		value |= APIC_LVT_MASKED;
	l->lvt[which] = value;
	if (which == LVT_TIMER)
		vlapic_timer_lvt_changed(l, old);
	if (which == LVT_LINT0)
		l->attention |= ATTENTION_IRQ; /* the PIC may have been waiting behind the mask */
}

static uint32_t read_id(const struct vlapic *l)
{
	return vlapic_is_x2apic(l) ? l->id : l->id << APIC_XAPIC_ID_SHIFT;
}

/* In x2APIC mode the logical ID follows from the APIC ID: a cluster of 16, one bit in it. */
static uint32_t read_ldr(const struct vlapic *l)
{
	return vlapic_is_x2apic(l) ? (l->id >> 4) << 16 | BIT32(l->id & 0xF) : l->ldr;
}

static const struct vector_set *vector_set_at(const struct vlapic *l, uint32_t reg)
{
	if (reg < APIC_REG_TMR)
		return &l->isr;
	return reg < APIC_REG_IRR ? &l->tmr : &l->irr;
}

/* A register offset of which register block? The blocks are the arrays among the registers. */
static bool is_vector_register(uint32_t reg)
{
	return reg >= APIC_REG_ISR && reg < APIC_REG_IRR + VECTOR_WORDS * 16;
}

static bool is_lvt_register(uint32_t reg)
{
	return reg >= APIC_REG_LVT && reg < APIC_REG_LVT + LVT_COUNT * 16;
}

uint32_t vlapic_reg_read(struct machine *m, unsigned vcpu, uint32_t reg)
{
	struct vlapic *l = &m->lapic[vcpu];

	if (is_vector_register(reg))
		return vector_set_at(l, reg)->word[(reg >> 4) & (VECTOR_WORDS - 1)];
	if (is_lvt_register(reg))
		return l->lvt[(reg - APIC_REG_LVT) >> 4];

	switch (reg) {
	case APIC_REG_ID: return read_id(l);
	case APIC_REG_VERSION: return APIC_VERSION_VALUE;
	case APIC_REG_TPR: return l->tpr;
	case APIC_REG_APR: return vlapic_apr(l);
	case APIC_REG_PPR: return vlapic_ppr(l);
	case APIC_REG_EOI: return 0;
	case APIC_REG_RRD: return l->rrd;
	case APIC_REG_LDR: return read_ldr(l);
	case APIC_REG_DFR: return l->dfr;
	case APIC_REG_SVR: return l->svr;
	case APIC_REG_ESR: return l->esr;
	case APIC_REG_ICR: return (uint32_t)l->icr;
	case APIC_REG_ICR_HIGH: return (uint32_t)(l->icr >> 32);
	case APIC_REG_INITIAL: return l->timer.initial;
	case APIC_REG_CURRENT: return vlapic_timer_count(m, vcpu);
	case APIC_REG_DIVIDE: return l->timer.divide;
	default:
		vlapic_error(m, vcpu, APIC_ESR_REGISTER);
		return 0;
	}
}

/* The registers that both modes write alike. False: there is no such register to write. */
static bool write_common(struct machine *m, unsigned vcpu, uint32_t reg, uint32_t value)
{
	struct vlapic *l = &m->lapic[vcpu];

	if (is_lvt_register(reg)) {
		write_lvt(m, vcpu, (reg - APIC_REG_LVT) >> 4, value);
		return true;
	}

	switch (reg) {
	case APIC_REG_EOI: end_of_interrupt(m, l); return true;
	case APIC_REG_TPR: set_tpr(l, value & APIC_VECTOR); return true;
	case APIC_REG_SVR: write_svr(l, value); return true;
	case APIC_REG_ESR:
		l->esr = l->esr_pending;
		l->esr_pending = 0;
		return true;
	case APIC_REG_INITIAL: vlapic_timer_set_initial(m, vcpu, value); return true;
	case APIC_REG_DIVIDE: vlapic_timer_set_divide(m, vcpu, value); return true;
	default: return false;
	}
}

static void write_xapic(struct machine *m, unsigned vcpu, uint32_t reg, uint32_t value)
{
	struct vlapic *l = &m->lapic[vcpu];

	switch (reg) {
	case APIC_REG_ICR:
		vlapic_icr_write(m, vcpu, (l->icr & BITS(63, 32)) | (value & APIC_ICR_WRITABLE_LOW));
		return;
	case APIC_REG_ICR_HIGH:
		l->icr = (uint32_t)l->icr | (uint64_t)(value & APIC_XAPIC_ID_MASK) << 32;
		return;
	case APIC_REG_LDR: l->ldr = value & APIC_XAPIC_ID_MASK; return;
	case APIC_REG_DFR: l->dfr = value | APIC_DFR_FIXED_ONES; return;
	case APIC_REG_ID: return; /* fixed, as the manual allows */
	default:
		if (!write_common(m, vcpu, reg, value))
			vlapic_error(m, vcpu, APIC_ESR_REGISTER);
	}
}

/* --- the xAPIC page --- */

static bool is_xapic(const struct vlapic *l)
{
	return (l->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

/* offset is that of an aligned doubleword; bus.c cuts narrower accesses. */
uint32_t vlapic_mmio_read(struct machine *m, unsigned vcpu, uint32_t offset)
{
	if (!is_xapic(&m->lapic[vcpu]))
		return UINT32_MAX;
	return (offset & 0xF) == 0 ? vlapic_reg_read(m, vcpu, offset) : 0;
}

void vlapic_mmio_write(struct machine *m, unsigned vcpu, uint32_t offset, uint32_t value)
{
	if (is_xapic(&m->lapic[vcpu]) && (offset & 0xF) == 0)
		write_xapic(m, vcpu, offset, value);
}

/* --- the MSRs --- */

static bool x2apic_has_readable(uint32_t reg)
{
	if (is_vector_register(reg) || is_lvt_register(reg))
		return true;
	switch (reg) {
	case APIC_REG_ID:
	case APIC_REG_VERSION:
	case APIC_REG_TPR:
	case APIC_REG_APR:
	case APIC_REG_PPR:
	case APIC_REG_RRD:
	case APIC_REG_LDR:
	case APIC_REG_SVR:
	case APIC_REG_ESR:
	case APIC_REG_ICR:
	case APIC_REG_INITIAL:
	case APIC_REG_CURRENT:
	case APIC_REG_DIVIDE: return true;
	default: return false;
	}
}

static bool x2apic_read(struct machine *m, unsigned vcpu, uint32_t reg, uint64_t *value)
{
	if (!vlapic_is_x2apic(&m->lapic[vcpu]) || !x2apic_has_readable(reg))
		return false;
	*value = reg == APIC_REG_ICR ? m->lapic[vcpu].icr : vlapic_reg_read(m, vcpu, reg);
	return true;
}

static bool x2apic_write(struct machine *m, unsigned vcpu, uint32_t reg, uint64_t value)
{
	if (!vlapic_is_x2apic(&m->lapic[vcpu]))
		return false;
	if (reg == APIC_REG_ICR) {
		vlapic_icr_write(m, vcpu, value & (BITS(63, 32) | APIC_ICR_WRITABLE_LOW));
		return true;
	}
	if (value > UINT32_MAX)
		return false;
	if ((reg == APIC_REG_EOI || reg == APIC_REG_ESR) && value != 0)
		return false;
	if ((reg == APIC_REG_TPR || reg == APIC_REG_SELF_IPI) && value > APIC_VECTOR)
		return false;
	if (reg == APIC_REG_SELF_IPI) {
		vlapic_self_ipi(m, vcpu, (uint8_t)value);
		return true;
	}
	return write_common(m, vcpu, reg, (uint32_t)value);
}

/* APM2 16.9, x2APIC Mode: x2APIC is entered from xAPIC and left to disabled, nothing else. */
static bool base_transition_legal(uint64_t old, uint64_t new)
{
	const uint64_t mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;

	if ((new & mode) == APIC_BASE_X2APIC)
		return false;
	if ((old & mode) == mode && (new & mode) == APIC_BASE_ENABLE)
		return false;
	return (old & mode) != 0 || (new & mode) != mode;
}

static bool write_apic_base(struct machine *m, unsigned vcpu, uint64_t value)
{
	struct vlapic *l = &m->lapic[vcpu];
	const uint64_t known =
		APIC_BASE_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP;

	if ((value & ~known) != 0 || !base_transition_legal(l->base, value))
		return false;
	if ((value & APIC_BASE_ENABLE) == 0)
		set_registers_to_reset(l);
	l->base = value;
	l->attention |= ATTENTION_IRQ; /* without an APIC the PIC reaches the CPU directly */
	return true;
}

bool machine_apic_msr_read(struct machine *m, unsigned vcpu, uint32_t msr, uint64_t *value)
{
	if (msr == MSR_APIC_BASE) {
		*value = m->lapic[vcpu].base;
		return true;
	}
	return x2apic_read(m, vcpu, (msr - MSR_X2APIC_FIRST) << 4, value);
}

bool machine_apic_msr_write(struct machine *m, unsigned vcpu, uint32_t msr, uint64_t value)
{
	if (msr == MSR_APIC_BASE)
		return write_apic_base(m, vcpu, value);
	return x2apic_write(m, vcpu, (msr - MSR_X2APIC_FIRST) << 4, value);
}
