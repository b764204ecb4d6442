/* SPDX-License-Identifier: MIT */
/* kernel/console.h - the machine's console: several outputs, one input.
 * kernel/ knows no device: kernel/main.c hands in the functions of drivers/. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes all of it to every output, not mixed with what another CPU writes. "\n" starts a new line. */
void console_write(const char *text, size_t len);

/* The next character typed, or -1. */
int console_read(void);

/* Set-up, before the other CPUs run. */
void console_add_output(void (*write)(const char *text, size_t len));
void console_set_input(int (*read)(void));

/* For a CPU that is about to stop the machine: another one may hold the lock for ever. */
void console_break_lock(void);

#endif
