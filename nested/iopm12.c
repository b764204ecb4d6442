/* SPDX-License-Identifier: MIT */
/* nested/iopm12.c - L1's I/O permission map: one bit per port, and a few more because an access at port FFFFh
 * reaches past it. Reads L1's memory, writes nothing.
 * Manual: APM2 15.10.1 (I/O Permissions Map). Next: route.c. */
#include "permmap12.h"

bool iopm12_intercepts(struct port *port, l1pa_t base, uint16_t port_number, unsigned size)
{
	uint64_t map = align_down(base.a, PAGE_SIZE);

	for (unsigned i = 0; i < size; i++) {
		unsigned number = port_number + i; /* does not wrap: ports from 10000h have bits in the third page */
		const volatile uint8_t *byte = port_l1_ptr(port, l1pa(map + number / 8), 1);

		if (!byte || (*byte >> (number % 8) & 1))
			return true;
	}
	return false;
}
