/* SPDX-License-Identifier: MIT */
/* drivers/uart.c - a 16550 UART: polled output, input by interrupt or polled.
 * Decides how long to wait for a slow line: once it took too long, output is dropped until the
 * UART is ready again, so that a missing receiver does not stop the machine.
 * Output is under the console's lock; input has its own, a leaf. */
#include "drivers/uart.h"

#include "kernel/cpu_insn.h"
#include "kernel/spinlock.h"

#include <bits.h>

enum uart_reg {
	REG_DATA = 0,
	REG_DIVISOR_LOW = 0,
	REG_INTERRUPTS = 1,
	REG_DIVISOR_HIGH = 1,
	REG_FIFO = 2,
	REG_LINE = 3,
	REG_MODEM = 4,
	REG_LINE_STATUS = 5,
	REG_SCRATCH = 7,
};

enum {
	UART_CLOCK = 115200,
	INTERRUPT_ON_DATA = 0x01,
	FIFO_ON_AND_CLEAR = 0x07,
	FIFO_DEPTH = 16,
	LINE_8N1 = 0x03,
	LINE_DIVISOR = 0x80,
	MODEM_DTR_RTS_OUT2 = 0x0B, /* OUT2 lets the interrupt through */
	STATUS_DATA = 0x01,
	STATUS_EMPTY = 0x20,
	SCRATCH_PROBE = 0x5A,
	POLLS_MAX = 100000,
	RING_SIZE = 256,
};

static uint16_t base;	  /* [I] */
static bool has_irq;	  /* [I] */
static bool is_slow;	  /* [console lock] gave up waiting; do not wait again until it moves */
static unsigned fifo_free; /* [console lock] bytes that may be written without a look */

static struct spinlock input_lock;
static uint8_t ring[RING_SIZE];	   /* [input_lock] */
static uint32_t ring_in, ring_out; /* [input_lock] count up for ever */

static uint8_t reg_read(enum uart_reg reg)
{
	return inb((uint16_t)(base + reg));
}

static void reg_write(enum uart_reg reg, uint8_t v)
{
	outb((uint16_t)(base + reg), v);
}

bool uart_init(uint16_t port, uint32_t baud)
{
	uint32_t divisor = UART_CLOCK / baud;

	base = port;
	reg_write(REG_SCRATCH, SCRATCH_PROBE);
	if (reg_read(REG_SCRATCH) != SCRATCH_PROBE)
		return false;
	reg_write(REG_INTERRUPTS, 0);
	reg_write(REG_LINE, LINE_DIVISOR);
	reg_write(REG_DIVISOR_LOW, (uint8_t)divisor);
	reg_write(REG_DIVISOR_HIGH, (uint8_t)(divisor >> 8));
	reg_write(REG_LINE, LINE_8N1);
	reg_write(REG_FIFO, FIFO_ON_AND_CLEAR);
	reg_write(REG_MODEM, MODEM_DTR_RTS_OUT2);
	return true;
}

void uart_use_irq(void)
{
	has_irq = true;
	reg_write(REG_INTERRUPTS, INTERRUPT_ON_DATA);
}

static bool wait_for_room(void)
{
	if (fifo_free)
		return true;
	for (unsigned i = 0; i < (is_slow ? 1 : POLLS_MAX); i++) {
		if (reg_read(REG_LINE_STATUS) & STATUS_EMPTY) {
			is_slow = false;
			fifo_free = FIFO_DEPTH;
			return true;
		}
		pause();
	}
	is_slow = true;
	return false;
}

static void send(char c)
{
	if (!wait_for_room())
		return;
	reg_write(REG_DATA, (uint8_t)c);
	fifo_free--;
}

void uart_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			send('\r');
		send(text[i]);
	}
}

/* Keeps the oldest characters when nobody reads: the interrupt line falls only when all is taken. */
static void take_input(void)
{
	while (reg_read(REG_LINE_STATUS) & STATUS_DATA) {
		uint8_t c = reg_read(REG_DATA);

		if (ring_in - ring_out < RING_SIZE)
			ring[ring_in++ % RING_SIZE] = c;
	}
}

void uart_interrupt(void)
{
	spin_lock(&input_lock);
	take_input();
	spin_unlock(&input_lock);
}

int uart_read(void)
{
	int c = -1;

	spin_lock(&input_lock);
	if (!has_irq)
		take_input();
	if (ring_in != ring_out)
		c = ring[ring_out++ % RING_SIZE];
	spin_unlock(&input_lock);
	return c;
}

int uart_isa_irq(uint16_t port)
{
	enum { COM1 = 0x3F8, COM2 = 0x2F8, COM3 = 0x3E8, COM4 = 0x2E8 };

	if (port == COM1 || port == COM3)
		return 4;
	return port == COM2 || port == COM4 ? 3 : -1;
}
