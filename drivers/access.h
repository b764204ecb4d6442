/* SPDX-License-Identifier: MIT */
/* drivers/access.h - accesses to PCI devices, one function each, so that a test can stand in for the device. They are
 * done in the order of the program, after all memory writes before them. */
#ifndef DRIVERS_ACCESS_H
#define DRIVERS_ACCESS_H

#include <addr.h>

uint8_t mmio_read8(hpa_t at);
uint16_t mmio_read16(hpa_t at);
uint32_t mmio_read32(hpa_t at);
void mmio_write8(hpa_t at, uint8_t v);
void mmio_write16(hpa_t at, uint16_t v);
void mmio_write32(hpa_t at, uint32_t v);

uint32_t port_read32(uint16_t port);
void port_write32(uint16_t port, uint32_t v);

#endif
