/* SPDX-License-Identifier: MIT */
/* drivers/access.c - accesses to PCI devices.
 * Decides the instruction: configuration space in memory is read and written through EAX only, which AMD's processors
 * ask for (BKDG of family 10h, "MMIO configuration coding requirements"), and all device memory is uncached, so nothing is reordered or joined. Users:
 * pci.c and the network drivers. */
#include "drivers/access.h"

#include "kernel/cpu_insn.h"

#define MMIO_ACCESS(bits)                                                                                              \
	uint##bits##_t mmio_read##bits(hpa_t at)                                                                       \
	{                                                                                                              \
		uint##bits##_t v;                                                                                      \
                                                                                                                       \
		__asm__ volatile("mov %1, %0" : "=a"(v) : "m"(*(volatile uint##bits##_t *)hpa_ptr(at)) : "memory");    \
		return v;                                                                                              \
	}                                                                                                              \
	void mmio_write##bits(hpa_t at, uint##bits##_t v)                                                              \
	{                                                                                                              \
		__asm__ volatile("mov %1, %0" : "=m"(*(volatile uint##bits##_t *)hpa_ptr(at)) : "a"(v) : "memory");    \
	}

MMIO_ACCESS(8)
MMIO_ACCESS(16)
MMIO_ACCESS(32)

uint32_t port_read32(uint16_t port)
{
	return inl(port);
}

void port_write32(uint16_t port, uint32_t v)
{
	outl(port, v);
}
