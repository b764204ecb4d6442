/* SPDX-License-Identifier: MIT */
/* kernel/cmdline.h - the options on the hypervisor's own command line.
 *   console=serial,vga   where the console is: one of the two, or both (default: both)
 *   com1=0x3f8,115200    I/O port and speed of the serial console; the speed may be left out
 *   stay                 do not switch the machine off when the last guest has ended */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
	bool serial, screen;
	uint16_t com1_port;
	uint32_t com1_baud;
	bool stay;
};

struct cmdline_error {
	const char *what; /* a short phrase; null: no error */
	const char *word; /* the option it is about, in the command line; not terminated */
	size_t word_len;
};

/* Pure. Sets the options to their defaults, then to what the line says up to the first error. */
struct cmdline_error cmdline_parse(struct options *options, const char *line);

#endif
