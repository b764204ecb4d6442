/* SPDX-License-Identifier: MIT */
/* vdev/vuart.c - the 16550A at COM1. Sending takes no time, as the registers say; only the interrupt
 * for it comes when the last byte would have left the line, so that a driver has more to send by
 * then, and exits less. What is received waits in a ring, of which the guest sees as much as fits
 * the FIFO, so pasted text is not lost while the guest is slow. Any received byte that is below the
 * trigger level counts as timed out at once.
 * Registers and interrupt priorities: National Semiconductor PC16550D. */
#include <compiler.h>

#include "devices.h"

enum reg {
	REG_DATA,	/* DLL while LCR says so */
	REG_IER,	/* DLM while LCR says so */
	REG_IIR,	/* writes: FCR */
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCRATCH,
};

#define REG_MASK 7
#define FIFO_SIZE 16u

#define IER_RECEIVED 0x01
#define IER_EMPTY 0x02
#define IER_LINE 0x04
#define IER_WRITABLE 0x0F

#define IIR_NONE 0x01
#define IIR_EMPTY 0x02
#define IIR_RECEIVED 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0C
#define IIR_FIFO 0xC0

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_TRIGGER(v) ((v) >> 6)

#define LCR_BITS 0x03 /* of a character, less 5 */
#define LCR_TWO_STOPS 0x04
#define LCR_PARITY 0x08
#define LCR_DIVISOR 0x80

#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08 /* on a PC: lets the interrupt through */
#define MCR_LOOP 0x10
#define MCR_WRITABLE 0x1F

#define LSR_DATA 0x01
#define LSR_OVERRUN 0x02
#define LSR_SENT 0x60 /* holding register and shift register empty */

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80

#define DIVISOR_9600 12
#define NS_PER_BIT UINT64_C(8681) /* with a divisor of 1: 16 cycles at 1.8432 MHz */

static bool has_fifo(const struct vuart *u)
{
	return (u->fcr & FCR_ENABLE) != 0;
}

static uint32_t visible_count(const struct vuart *u)
{
	return (uint32_t)min_u64(u->rx_count, has_fifo(u) ? FIFO_SIZE : 1);
}

static uint32_t trigger_level(const struct vuart *u)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	return has_fifo(u) ? levels[FCR_TRIGGER(u->fcr)] : 1;
}

/* --- interrupt --- */

static uint8_t interrupt_cause(const struct vuart *u)
{
	uint32_t visible = visible_count(u);

	if ((u->ier & IER_LINE) != 0 && u->errors != 0)
		return IIR_LINE;
	if ((u->ier & IER_RECEIVED) != 0 && visible != 0)
		return visible >= trigger_level(u) ? IIR_RECEIVED : IIR_TIMEOUT;
	if ((u->ier & IER_EMPTY) != 0 && u->thre_pending)
		return IIR_EMPTY;
	return IIR_NONE;
}

/* Is it too early for the transmitter-empty interrupt? Then vuart_tick() looks again. */
static OWN_FRAME bool is_held(struct machine *m)
{
	struct vuart *u = &m->uart;

	if (machine_now_ns(m) >= u->sent_ns)
		return false;
	if (u->deadline_ns != u->sent_ns) {
		machine_set_deadline(m, &u->deadline_ns, u->sent_ns);
		machine_deadline_changed(m);
	}
	return true;
}

static void update_line(struct machine *m)
{
	const struct vuart *u = &m->uart;
	uint8_t cause = interrupt_cause(u);
	bool high = cause != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	machine_irq_line(m, IRQ_COM1, high && !(cause == IIR_EMPTY && is_held(m)));
}

void vuart_tick(struct machine *m)
{
	if (m->uart.deadline_ns > machine_now_ns(m))
		return;
	machine_set_deadline(m, &m->uart.deadline_ns, DEADLINE_NONE);
	update_line(m);
}

/* --- receiving --- */

/* limit: how many bytes may wait, of which an overrun is reported to the guest. */
static void receive(struct vuart *u, uint8_t byte, uint32_t limit)
{
	if (u->rx_count >= limit) {
		u->errors |= LSR_OVERRUN;
		return;
	}
	u->rx[(u->rx_first + u->rx_count) % VUART_RING] = byte;
	u->rx_count++;
}

static void drop(struct vuart *u, uint32_t count)
{
	u->rx_first = (u->rx_first + count) % VUART_RING;
	u->rx_count -= count;
}

void machine_console_in(struct machine *m, uint8_t byte)
{
	if ((m->uart.mcr & MCR_LOOP) != 0)
		return; /* the line is cut off */
	receive(&m->uart, byte, VUART_RING);
	update_line(m);
}

uint32_t machine_console_room(const struct machine *m)
{
	return VUART_RING - m->uart.rx_count;
}

/* With nothing there the last byte is seen again, as on the chip. */
static uint8_t read_data(struct vuart *u)
{
	uint8_t byte = u->rx[u->rx_first];

	if (u->rx_count == 0)
		return u->rx[(u->rx_first + VUART_RING - 1) % VUART_RING];
	drop(u, 1);
	return byte;
}

/* --- sending --- */

/* On the line: start bit, 5 to 8 bits, parity, stop bits. */
static uint64_t character_ns(const struct vuart *u)
{
	unsigned divisor = (unsigned)u->dlm << 8 | u->dll;
	unsigned bits = 7u + (u->lcr & LCR_BITS) + (u->lcr & LCR_PARITY ? 1 : 0) + (u->lcr & LCR_TWO_STOPS ? 1 : 0);

	return divisor * bits * NS_PER_BIT;
}

/* The transmitter is full for a moment: the line must fall and rise for an edge-triggered input. However many bytes
 * the FIFO could hold, one character's time is all that a driver waits. */
static void write_data(struct machine *m, uint8_t byte)
{
	struct vuart *u = &m->uart;

	u->thre_pending = false;
	update_line(m);
	if ((u->mcr & MCR_LOOP) != 0)
		receive(u, byte, has_fifo(u) ? FIFO_SIZE : 1);
	else
		vdev_port_console_out(m->host, byte);
	u->thre_pending = true;
	u->sent_ns = machine_now_ns(m) + character_ns(u);
}

/* --- the other registers --- */

static uint8_t read_iir(struct vuart *u)
{
	uint8_t cause = interrupt_cause(u);

	if (cause == IIR_EMPTY)
		u->thre_pending = false;
	return (uint8_t)(cause | (has_fifo(u) ? IIR_FIFO : 0));
}

static uint8_t read_lsr(struct vuart *u)
{
	uint8_t value = (uint8_t)(LSR_SENT | u->errors | (u->rx_count != 0 ? LSR_DATA : 0));

	u->errors = 0;
	return value;
}

/* In the loop the modem's inputs are the outputs of MCR; else somebody is always connected. */
static uint8_t read_msr(const struct vuart *u)
{
	if ((u->mcr & MCR_LOOP) == 0)
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (uint8_t)(((u->mcr & MCR_RTS) != 0 ? MSR_CTS : 0) |
			 ((u->mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
			 ((u->mcr & MCR_OUT1) != 0 ? MSR_RI : 0) |
			 ((u->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0));
}

/* Enabling the transmitter-empty interrupt while it is empty raises it: drivers start that way. */
static void write_ier(struct vuart *u, uint8_t value)
{
	if ((value & ~u->ier & IER_EMPTY) != 0)
		u->thre_pending = true;
	u->ier = value & IER_WRITABLE;
}

/* Switching the FIFO on or off empties it. What still waits on the line stays. */
static void write_fcr(struct vuart *u, uint8_t value)
{
	bool switched = ((value ^ u->fcr) & FCR_ENABLE) != 0;

	if (switched || (value & FCR_CLEAR_RX) != 0)
		drop(u, visible_count(u));
	u->fcr = value;
}

static bool divisor_shown(const struct vuart *u)
{
	return (u->lcr & LCR_DIVISOR) != 0;
}

static uint8_t read_reg(struct vuart *u, enum reg reg)
{
	switch (reg) {
	case REG_DATA: return divisor_shown(u) ? u->dll : read_data(u);
	case REG_IER: return divisor_shown(u) ? u->dlm : u->ier;
	case REG_IIR: return read_iir(u);
	case REG_LCR: return u->lcr;
	case REG_MCR: return u->mcr;
	case REG_LSR: return read_lsr(u);
	case REG_MSR: return read_msr(u);
	case REG_SCRATCH: return u->scratch;
	}
	return UINT8_MAX;
}

static void write_reg(struct machine *m, enum reg reg, uint8_t value)
{
	struct vuart *u = &m->uart;

	switch (reg) {
	case REG_DATA:
		if (divisor_shown(u))
			u->dll = value;
		else
			write_data(m, value);
		return;
	case REG_IER:
		if (divisor_shown(u))
			u->dlm = value;
		else
			write_ier(u, value);
		return;
	case REG_IIR: write_fcr(u, value); return;
	case REG_LCR: u->lcr = value; return;
	case REG_MCR: u->mcr = value & MCR_WRITABLE; return;
	case REG_LSR:
	case REG_MSR: return;
	case REG_SCRATCH: u->scratch = value; return;
	}
}

uint32_t vuart_read(struct machine *m, uint16_t port, unsigned size)
{
	uint8_t value = read_reg(&m->uart, (enum reg)(port & REG_MASK));

	(void)size;
	update_line(m);
	return value;
}

void vuart_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)size;
	write_reg(m, (enum reg)(port & REG_MASK), (uint8_t)value);
	update_line(m);
}

void vuart_init(struct machine *m)
{
	m->uart.dll = DIVISOR_9600;
	m->uart.thre_pending = true;
	machine_set_deadline(m, &m->uart.deadline_ns, DEADLINE_NONE);
}
