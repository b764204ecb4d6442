/* SPDX-License-Identifier: MIT */
/* kernel/cmdline.h - the options on the hypervisor's own command line.
 *   console=serial,vga   where the console is: one of the two, or both (default: both)
 *   com1=0x3f8,115200    I/O port and speed of the serial console; the speed may be left out
 *   stay                 do not switch the machine off when the last guest has ended
 *   net=auto             the network plane, on this card: e1000, e1000e, virtio, auto (the first of these), or a PCI
 *                        address bb:dd.f; without it there is none
 *   ip=dhcp              its address, by DHCP (as if absent); or ip=10.0.2.15/24,10.0.2.2: address and gateway; or
 *                        ip=dhcp,10.0.2.15/24,10.0.2.2: these if no DHCP server answers. The gateway may be left out
 *   token=...            what state-changing calls need: 8 to 64 letters, digits, '-', '_', '.'; made if absent */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_CARD_MAX 16
#define NET_TOKEN_MIN 8
#define NET_TOKEN_MAX 64

struct net_options {
	char card[NET_CARD_MAX];     /* "": no network plane */
	bool dhcp, has_address;      /* both: the address is for want of a DHCP server */
	uint32_t address, gateway;   /* 10.0.2.15 is 0x0A00020F; no gateway: 0 */
	unsigned prefix;             /* 1 to 30 */
	char token[NET_TOKEN_MAX + 1]; /* "": make one */
};

struct options {
	bool serial, screen;
	uint16_t com1_port;
	uint32_t com1_baud;
	bool stay;
	struct net_options net;
};

struct cmdline_error {
	const char *what; /* a short phrase; null: no error */
	const char *word; /* the option it is about, in the command line; not terminated */
	size_t word_len;
};

/* Pure. Sets the options to their defaults, then to what the line says up to the first error. */
struct cmdline_error cmdline_parse(struct options *options, const char *line);

#endif
