/* SPDX-License-Identifier: MIT */
/* kernel/console.c - hands console text to every output and takes input from one source.
 * Decides nothing about devices. Lock: console_lock, a leaf: nothing is locked inside but the
 * drivers' own. Next: drivers/uart.c, drivers/vga.c, drivers/fb.c. */
#include "kernel/console.h"

#include "kernel/spinlock.h"

#include <check.h>

enum { OUTPUTS_MAX = 2 };

static struct spinlock console_lock;
static void (*outputs[OUTPUTS_MAX])(const char *, size_t); /* [I] */
static unsigned output_count;				   /* [I] */
static int (*input)(void);				   /* [I] */
static bool lock_broken;				   /* [a] */

void console_add_output(void (*write)(const char *text, size_t len))
{
	CHECK(output_count < OUTPUTS_MAX);
	outputs[output_count++] = write;
}

void console_set_input(int (*read)(void))
{
	input = read;
}

void console_write(const char *text, size_t len)
{
	bool locked = !__atomic_load_n(&lock_broken, __ATOMIC_RELAXED);

	if (locked)
		spin_lock(&console_lock);
	for (unsigned i = 0; i < output_count; i++)
		outputs[i](text, len);
	if (locked)
		spin_unlock(&console_lock);
}

int console_read(void)
{
	return input ? input() : -1;
}

void console_break_lock(void)
{
	__atomic_store_n(&lock_broken, true, __ATOMIC_RELAXED);
}
