/* SPDX-License-Identifier: MIT */
/* kernel/irq.h - interrupts of the host: numbers, handlers, and the windows in which they are taken.
 * Outside the windows every CPU runs with IF=0, or with GIF=0 as svm_loop() does. So a handler never
 * interrupts code that holds a lock. */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include <stdint.h>

enum irq_vector {
	IRQ_PIC_FIRST = 0x20, /* the masked PICs point here; 16 vectors */
	IRQ_UART = 0x40,
	IRQ_NIC = 0x41,
	IRQ_TIMER = 0xE0, /* kernel/time.c */
	IRQ_KICK = 0xE1,  /* kernel/smp.c: wakes, has no effect of its own */
	IRQ_SPURIOUS = 0xFF,
};

/* Set-up, before the vector can come. The handler runs in a window, on the CPU that took it. */
void irq_handle(uint8_t vector, void (*fn)(void));

/* Opens GIF and IF shortly, so that pending host interrupts run, then closes both, whatever IF was. */
void irq_window(void);

/* The same, but halts until an interrupt came. A kick sent before is not lost: it ends the halt. */
void irq_wait(void);

/* Masks the legacy PICs for good. */
void irq_init(void);

/* kernel/trap.c only. */
void irq_dispatch(uint8_t vector);

#endif
