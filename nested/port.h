/* SPDX-License-Identifier: MIT */
/* nested/port.h - all that nested/ asks of its surroundings. Implemented by svm/nested_port.c on the
 * machine and by tests/unit/fake_l1.c on Linux; the linker chooses. */
#ifndef NESTED_PORT_H
#define NESTED_PORT_H

#include <addr.h>
#include <compiler.h>

/* The L1 guest whose memory is meant; nested/ never looks inside. */
struct port;

/* The bytes [at, at + size) of L1 memory, or NULL unless all of them are RAM of that L1.
 * L1's other CPUs may write there at any time: copy once, then look at the copy. */
void *port_l1_ptr(struct port *port, l1pa_t at, uint64_t size);

/* Where the L1 page that holds `at` lies, and how many bytes around it are contiguous and equally aligned:
 * 4 KiB, 2 MiB or 1 GiB. False when L1 has no RAM there (a device, or nothing). */
bool port_l1_hpa(struct port *port, l1pa_t at, hpa_t *hpa, uint64_t *page_size);

#endif
