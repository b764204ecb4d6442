/* SPDX-License-Identifier: MIT */
/* kernel/irq.c - hands interrupts to their handlers, and opens the windows in which they come.
 * Decides the order: handler first, then end-of-interrupt. Touches GIF and IF; nobody else does.
 * Numbers and rules: irq.h. Where they come from: kernel/lapic.c, drivers/ioapic.c. */
#include "kernel/irq.h"

#include "kernel/cpu_insn.h"
#include "kernel/lapic.h"
#include "kernel/percpu.h"

#include <check.h>

enum {
	VECTORS = 256,
	EXCEPTIONS = 32,
	PIC_VECTORS = 16,
	PIC1_COMMAND = 0x20,
	PIC1_DATA = 0x21,
	PIC2_COMMAND = 0xA0,
	PIC2_DATA = 0xA1,
	PIC_ICW1 = 0x11,      /* edge, cascaded, ICW4 follows */
	PIC1_CASCADE = 1 << 2, /* the second PIC hangs on line 2 */
	PIC2_CASCADE = 2,
	PIC_ICW4 = 0x01, /* 8086 mode */
	PIC_MASK_ALL = 0xFF,
};

static void (*handlers[VECTORS])(void); /* [I] */

void irq_handle(uint8_t vector, void (*fn)(void))
{
	CHECK(vector >= EXCEPTIONS);
	handlers[vector] = fn;
}

static bool is_pic_vector(uint8_t vector)
{
	return vector >= IRQ_PIC_FIRST && vector < IRQ_PIC_FIRST + PIC_VECTORS;
}

/* Spurious interrupts, of the LAPIC or of a masked PIC, want no end-of-interrupt. */
void irq_dispatch(uint8_t vector)
{
	if (vector == IRQ_SPURIOUS || is_pic_vector(vector))
		return;
	if (handlers[vector])
		handlers[vector]();
	lapic_eoi();
}

static void open_gif(void)
{
	if (this_cpu()->has_gif)
		stgi();
}

static void close_gif(void)
{
	if (this_cpu()->has_gif)
		clgi();
}

void irq_window(void)
{
	CHECK(percpu_is_intact());
	cli();
	open_gif();
	sti();
	nop(); /* STI lets the next instruction pass; this is the one that can be interrupted */
	cli();
	close_gif();
}

void irq_wait(void)
{
	CHECK(percpu_is_intact());
	cli(); /* with IF=1 what comes would be taken behind STGI, before HLT, which would sleep on */
	open_gif();
	sti_hlt();
	cli();
	close_gif();
}

void irq_init(void)
{
	outb(PIC1_COMMAND, PIC_ICW1);
	outb(PIC2_COMMAND, PIC_ICW1);
	outb(PIC1_DATA, IRQ_PIC_FIRST);
	outb(PIC2_DATA, IRQ_PIC_FIRST + PIC_VECTORS / 2);
	outb(PIC1_DATA, PIC1_CASCADE);
	outb(PIC2_DATA, PIC2_CASCADE);
	outb(PIC1_DATA, PIC_ICW4);
	outb(PIC2_DATA, PIC_ICW4);
	outb(PIC1_DATA, PIC_MASK_ALL);
	outb(PIC2_DATA, PIC_MASK_ALL);
}
