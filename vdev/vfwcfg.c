/* SPDX-License-Identifier: MIT */
/* vdev/vfwcfg.c - the few keys of QEMU's configuration device (0x510 selects, 0x511 reads) from
 * which test kernels learn how many CPUs and how much memory there is. No DMA, no files. */
#include "devices.h"

#define PORT_SELECT 0x510

enum key {
	KEY_SIGNATURE = 0x00,
	KEY_ID = 0x01,
	KEY_RAM_SIZE = 0x03,
	KEY_CPU_COUNT = 0x05,
	KEY_CPU_MAX = 0x0F,
};

#define SIGNATURE 0x554D4551u /* "QEMU", the first letter in the lowest byte */
#define ID_TRADITIONAL 1

/* No value has more than 8 bytes, little-endian; what lies beyond reads as 0. */
static uint64_t value_of(const struct machine *m)
{
	switch ((enum key)m->fwcfg.key) {
	case KEY_SIGNATURE: return SIGNATURE;
	case KEY_ID: return ID_TRADITIONAL;
	case KEY_RAM_SIZE: return m->config.memory_below_4g + m->config.memory_above_4g;
	case KEY_CPU_COUNT:
	case KEY_CPU_MAX: return m->config.vcpu_count;
	}
	return 0;
}

uint32_t vfwcfg_read(struct machine *m, uint16_t port, unsigned size)
{
	uint32_t offset = m->fwcfg.offset;

	(void)size;
	if (port == PORT_SELECT)
		return 0;
	if (offset >= sizeof(uint64_t))
		return 0;
	m->fwcfg.offset++;
	return (uint8_t)(value_of(m) >> (8 * offset));
}

void vfwcfg_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	if (port != PORT_SELECT || size != 2)
		return;
	m->fwcfg.key = (uint16_t)value;
	m->fwcfg.offset = 0;
}
