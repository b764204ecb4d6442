/* SPDX-License-Identifier: MIT */
/* nested/msrpm12.c - L1's MSR permission map: two bits per MSR, the even one for reads, the odd one for writes.
 * Reads L1's memory, writes the map of VMCB02. Manual: APM2 15.11 (MSR Intercepts). Next: route.c, vmrun.c. */
#include <amd/msr.h>
#include <amd/vmcb.h>

#include "permmap12.h"

#define MSRS_PER_BYTE 4
#define MSRS_PER_RANGE 0x2000u

/* Where the three ranges of MSRs begin; each has MSRS_PER_RANGE / MSRS_PER_BYTE bytes of the map, in this order. */
static const uint32_t range_start[] = {0x00000000u, 0xC0000000u, 0xC0010000u};

#define MSRPM_BYTE(range, msr) ((range) * (MSRS_PER_RANGE / MSRS_PER_BYTE) + ((msr) % MSRS_PER_RANGE) / MSRS_PER_BYTE)

/* The bytes that hold every MSR which msrpm01 may leave open to L2 as well: SYSENTER x3; STAR, LSTAR, CSTAR; SFMASK;
 * FS, GS and KernelGS base. All lie in the first page of the map. MSRs that share the byte are merged as well, to no
 * harm. */
static const uint16_t open_bytes[] = {
	MSRPM_BYTE(0, MSR_SYSENTER_CS),
	MSRPM_BYTE(1, MSR_STAR),
	MSRPM_BYTE(1, MSR_SFMASK),
	MSRPM_BYTE(1, MSR_FS_BASE),
};

bool msrpm12_intercepts(struct port *port, l1pa_t base, uint32_t msr, bool write)
{
	uint64_t map = align_down(base.a, PAGE_SIZE);
	unsigned bit = 2 * (msr % MSRS_PER_BYTE) + write;

	for (unsigned range = 0; range < ARRAY_COUNT(range_start); range++) {
		const volatile uint8_t *byte;

		if (msr - range_start[range] >= MSRS_PER_RANGE)
			continue;
		byte = port_l1_ptr(port, l1pa(map + MSRPM_BYTE(range, msr)), 1);
		return !byte || (*byte >> bit & 1);
	}
	return true;
}

bool msrpm02_merge(struct port *port, l1pa_t base12, bool enabled12, const uint8_t *msrpm01, uint8_t *msrpm02)
{
	static const uint8_t none[PAGE_SIZE], all[PAGE_SIZE] = {[0 ... PAGE_SIZE - 1] = 0xFF};
	const volatile uint8_t *map12 = none;

	if (enabled12)
		map12 = port_l1_ptr(port, l1pa(align_down(base12.a, PAGE_SIZE)), PAGE_SIZE);
	if (unlikely(!map12))
		map12 = all;
#pragma GCC unroll 8
	for (unsigned i = 0; i < ARRAY_COUNT(open_bytes); i++)
		msrpm02[open_bytes[i]] = (uint8_t)(msrpm01[open_bytes[i]] | map12[open_bytes[i]]);
	return map12 != all;
}
