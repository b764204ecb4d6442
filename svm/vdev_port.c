/* SPDX-License-Identifier: MIT */
/* svm/vdev_port.c - vdev/port.h on the machine: time, kicks, console, and the guest's wish to end.
 * Called with the guest's dev_lock held. Opposite: tests/unit/fake_vdev.c, the same for Linux. */
#include "vdev/port.h"

#include "kernel/percpu.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "svm/guest_console.h"
#include "svm/l1.h"

uint64_t vdev_port_now_ns(struct vdev_host *host)
{
	return time_now_ns() - l1_of_host(host)->start_ns;
}

void vdev_port_kick(struct vdev_host *host, unsigned vcpu)
{
	unsigned cpu = l1_of_host(host)->cpus[vcpu];

	if (cpu != this_cpu()->index)
		smp_kick(cpu);
}

void vdev_port_console_out(struct vdev_host *host, uint8_t byte)
{
	guest_console_out(l1_of_host(host), byte);
}

void vdev_port_end(struct vdev_host *host, enum vdev_end why, uint32_t code)
{
	struct l1 *l1 = l1_of_host(host);

	switch (why) {
	case VDEV_END_POWER_OFF:
		l1_stop(l1, L1_STOP_END, "it switched itself off");
		break;
	case VDEV_END_RESET:
		l1_stop(l1, L1_STOP_RESTART, "it reset itself");
		break;
	case VDEV_END_DEBUG_EXIT:
		l1_stop(l1, L1_STOP_END, "debug exit with code %u", code);
		break;
	}
}
