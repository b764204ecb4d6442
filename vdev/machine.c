/* SPDX-License-Identifier: MIT */
/* vdev/machine.c - the composition of the devices: how the machine starts, how ISA lines are wired,
 * and what its next deadline is. Where accesses go: bus.c. What a vCPU asks: vcpu.c. */
#include <string.h>

#include <compiler.h>

#include "devices.h"
#include "map.h"

#define NS_PER_MS UINT64_C(1000000)
/* Where the rate is not known, deadlines are those of a 1 GHz TSC. */
#define TSC_KHZ_DEFAULT NS_PER_MS

void machine_init(struct machine *m, const struct machine_config *config, struct vdev_host *host)
{
	memset(m, 0, sizeof(*m));
	m->host = host;
	m->config = *config;
	if (m->config.tsc_khz == 0)
		m->config.tsc_khz = TSC_KHZ_DEFAULT;
	m->ns_per_tsc = (NS_PER_MS << 32) / m->config.tsc_khz;
	for (unsigned i = 0; i < m->config.vcpu_count; i++)
		vlapic_init(m, i);
	vioapic_init(m);
	vpic_init(m);
	vpit_init(m);
	vrtc_init(m);
	vuart_init(m);
	vpm_init(m);
}

static OWN_FRAME void line_changed(struct machine *m, enum isa_irq irq, unsigned pin, bool high)
{
	vpic_set_input(m, irq, high);
	vioapic_set_pin(m, pin, high);
}

/* A line ends at both controllers; the guest masks the one it does not use. Only changes matter to
 * them, and devices report their line after every access. */
void machine_irq_line(struct machine *m, enum isa_irq irq, bool high)
{
	unsigned pin = irq == IRQ_PIT ? VPIT_IOAPIC_PIN : (unsigned)irq;
	bool was_high = (m->ioapic.level & BIT32(pin)) != 0;

	if (high != was_high)
		line_changed(m, irq, pin, high);
}

void machine_deadline_changed(struct machine *m)
{
	vdev_port_kick(m->host, 0);
}

void machine_set_deadline(struct machine *m, uint64_t *deadline_ns, uint64_t at)
{
	*deadline_ns = at;
	m->deadline_ns = min_u64(min_u64(m->pit.deadline_ns, m->rtc.deadline_ns),
				 min_u64(m->pm.deadline_ns, m->uart.deadline_ns));
}

uint64_t machine_next_deadline(const struct machine *m, unsigned vcpu)
{
	uint64_t timer = m->lapic[vcpu].timer.deadline_ns;

	return vcpu == 0 ? min_u64(timer, m->deadline_ns) : timer;
}

void machine_tick(struct machine *m, unsigned vcpu)
{
	vlapic_timer_tick(m, vcpu);
	if (vcpu != 0)
		return;
	vpit_tick(m);
	vrtc_tick(m);
	vuart_tick(m);
	vpm_tick(m);
}
