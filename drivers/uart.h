/* SPDX-License-Identifier: MIT */
/* drivers/uart.h - the serial console: one 16550. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False when there is no UART at that port. Input is polled until uart_use_irq(). */
bool uart_init(uint16_t port, uint32_t baud);
void uart_use_irq(void);

void uart_write(const char *text, size_t len);
int uart_read(void); /* -1: nothing */

/* The interrupt handler. */
void uart_interrupt(void);

/* The ISA interrupt that a UART at this port has by custom, or -1. */
int uart_isa_irq(uint16_t port);

#endif
