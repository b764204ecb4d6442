/* SPDX-License-Identifier: MIT */
/* nested/permmap12.h - what L1's MSR and I/O permission maps say. They stay in L1's memory and are looked at when
 * an exit asks, so they are never stale; only the few MSRs that L0 lets L2 touch without an exit are merged. */
#ifndef NESTED_PERMMAP12_H
#define NESTED_PERMMAP12_H

#include <addr.h>

#include "port.h"

/* Each: would L1 see this access of L2, given that it has the intercept bit for the map set? Page offset bits of
 * `base` are ignored. Yes for an MSR that no map covers, and where the map is not in L1's memory. */
bool msrpm12_intercepts(struct port *port, l1pa_t base, uint32_t msr, bool write);
bool iopm12_intercepts(struct port *port, l1pa_t base, uint16_t port_number, unsigned size);

/* The map that L2 runs with: all ones from the start, but for what both levels leave open, written on every VMRUN.
 * `enabled12`: L1 has the MSR intercept bit set; else its map does not count.
 * False when the map is not in L1's memory; L2 is then intercepted on every MSR. */
bool msrpm02_merge(struct port *port, l1pa_t base12, bool enabled12, const uint8_t *msrpm01, uint8_t *msrpm02);

#endif
