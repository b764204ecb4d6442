/* SPDX-License-Identifier: MIT */
/* vdev/vpci.c - PCI configuration mechanism 1 with nothing behind it: the address register keeps
 * what is written, every configuration word reads as all ones, and so a guest finds no bus. */
#include "devices.h"

#define PORT_ADDRESS 0xCF8

/* Only a whole doubleword reaches the address register; bus.c routes 0xCF9 to vreset.c. */
uint32_t vpci_read(struct machine *m, uint16_t port, unsigned size)
{
	return port == PORT_ADDRESS && size == 4 ? m->pci.address : UINT32_MAX;
}

void vpci_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	if (port == PORT_ADDRESS && size == 4)
		m->pci.address = value;
}
