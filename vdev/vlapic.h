/* SPDX-License-Identifier: MIT */
/* vdev/vlapic.h - registers of the local APIC, and what its three files share.
 * Offsets are those of the xAPIC page; the x2APIC MSR is 0x800 + offset / 16.
 * Manual: APM2 16, Advanced Programmable Interrupt Controller (APIC). */
#ifndef VDEV_VLAPIC_H
#define VDEV_VLAPIC_H

#include "devices.h"

#define APIC_REG_ID 0x020u
#define APIC_REG_VERSION 0x030u
#define APIC_REG_TPR 0x080u
#define APIC_REG_APR 0x090u
#define APIC_REG_PPR 0x0A0u
#define APIC_REG_EOI 0x0B0u
#define APIC_REG_RRD 0x0C0u
#define APIC_REG_LDR 0x0D0u
#define APIC_REG_DFR 0x0E0u
#define APIC_REG_SVR 0x0F0u
#define APIC_REG_ISR 0x100u /* 8 registers each */
#define APIC_REG_TMR 0x180u
#define APIC_REG_IRR 0x200u
#define APIC_REG_ESR 0x280u
#define APIC_REG_ICR 0x300u
#define APIC_REG_ICR_HIGH 0x310u
#define APIC_REG_LVT 0x320u /* in the order of enum vlapic_lvt */
#define APIC_REG_INITIAL 0x380u
#define APIC_REG_CURRENT 0x390u
#define APIC_REG_DIVIDE 0x3E0u
#define APIC_REG_SELF_IPI 0x3F0u /* x2APIC only */

#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_ADDRESS BITS(51, 12)

#define APIC_SVR_ENABLE BIT32(8)

#define APIC_ESR_SEND_VECTOR BIT32(5)
#define APIC_ESR_RECEIVE_VECTOR BIT32(6)
#define APIC_ESR_REGISTER BIT32(7)

#define APIC_VECTOR 0xFFu
#define APIC_VECTOR_FIRST 16 /* lower ones are illegal in messages */
#define APIC_MODE_SHIFT 8
#define APIC_MODE_MASK (7u << APIC_MODE_SHIFT)
#define APIC_LVT_MASKED BIT32(16)
#define APIC_LVT_TIMER_SHIFT 17
#define APIC_LVT_TIMER_MASK (3u << APIC_LVT_TIMER_SHIFT)

static inline void vector_add(struct vector_set *s, unsigned vector)
{
	s->word[vector >> 5] |= BIT32(vector & 31);
	s->nonzero |= BIT32(vector >> 5);
}

static inline void vector_remove(struct vector_set *s, unsigned vector)
{
	s->word[vector >> 5] &= ~BIT32(vector & 31);
	if (s->word[vector >> 5] == 0)
		s->nonzero &= ~BIT32(vector >> 5);
}

static inline bool vector_has(const struct vector_set *s, unsigned vector)
{
	return (s->word[vector >> 5] & BIT32(vector & 31)) != 0;
}

/* The highest member, or -1. */
static inline int vector_highest(const struct vector_set *s)
{
	int word;

	if (s->nonzero == 0)
		return -1;
	word = 31 - __builtin_clz(s->nonzero);
	return word * 32 + 31 - __builtin_clz(s->word[word]);
}

static inline bool vlapic_is_x2apic(const struct vlapic *l)
{
	return (l->base & APIC_BASE_X2APIC) != 0;
}

static inline enum apic_mode apic_mode_of(uint64_t word)
{
	return (enum apic_mode)((word & APIC_MODE_MASK) >> APIC_MODE_SHIFT);
}

/* vlapic.c */
uint32_t vlapic_ppr(const struct vlapic *l);
uint32_t vlapic_reg_read(struct machine *m, unsigned vcpu, uint32_t reg);
void vlapic_error(struct machine *m, unsigned vcpu, uint32_t esr_bit);
void vlapic_attention(struct machine *m, unsigned vcpu, uint32_t reason);

/* vlapic_ipi.c */
void vlapic_accept(struct machine *m, unsigned vcpu, enum apic_mode mode, uint8_t vector,
		   bool level);
void vlapic_fire_lvt(struct machine *m, unsigned vcpu, enum vlapic_lvt which);
void vlapic_icr_write(struct machine *m, unsigned vcpu, uint64_t icr);
void vlapic_self_ipi(struct machine *m, unsigned vcpu, uint8_t vector);

/* vlapic_timer.c */
void vlapic_timer_reset(struct vlapic_timer *t);
void vlapic_timer_lvt_changed(struct vlapic *l, uint32_t old_lvt);
void vlapic_timer_set_initial(struct machine *m, unsigned vcpu, uint32_t count);
void vlapic_timer_set_divide(struct machine *m, unsigned vcpu, uint32_t divide);
uint32_t vlapic_timer_count(struct machine *m, unsigned vcpu);

#endif
