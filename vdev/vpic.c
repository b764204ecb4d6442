/* SPDX-License-Identifier: MIT */
/* vdev/vpic.c - two 8259A interrupt controllers, the slave at input 2 of the master.
 * The output of the master goes to vlapic_pic_output(); the acknowledge cycle comes from vcpu.c. */
#include "devices.h"

#define INPUTS 8
#define NO_INPUT INPUTS
#define CASCADE 2u
#define SPURIOUS 7u
#define MASTER 0
#define SLAVE 1

#define PORT_MASTER 0x20
#define PORT_SLAVE 0xA0
#define PORT_ELCR 0x4D0

#define ICW1_NEEDS_ICW4 0x01
#define ICW1_SINGLE 0x02
#define ICW1 0x10
#define ICW4_AUTO_EOI 0x02
#define ICW4_SPECIAL_NESTED 0x10
#define OCW3 0x08
#define OCW3_READ 0x02	/* bit 0 chooses between IRR and ISR */
#define OCW3_POLL 0x04
#define OCW3_SET_SPECIAL_MASK 0x40 /* bit 5 is the new value */
#define POLL_PENDING 0x80

enum ocw2 {
	OCW2_AUTO_ROTATE_OFF,
	OCW2_EOI,
	OCW2_NOTHING,
	OCW2_EOI_INPUT,
	OCW2_AUTO_ROTATE_ON,
	OCW2_ROTATE_EOI,
	OCW2_SET_LOWEST,
	OCW2_ROTATE_EOI_INPUT,
};

/* Inputs that can never be level-triggered: timer, keyboard, cascade; clock and FPU. */
static const uint8_t elcr_writable[2] = {0xF8, 0xDE};
/* Where a PC's firmware puts the vectors. */
static const uint8_t firmware_base[2] = {0x08, 0x70};

static uint8_t input_bit(unsigned input)
{
	return (uint8_t)(1u << input);
}

/* How far an input is from the highest priority; NO_INPUT ranks behind all. */
static unsigned rank_of(const struct vpic_chip *c, unsigned input)
{
	return input == NO_INPUT ? INPUTS : (input + INPUTS - 1 - c->lowest) % INPUTS;
}

static unsigned highest_of(const struct vpic_chip *c, unsigned set)
{
	unsigned best = NO_INPUT;

	for (unsigned i = 0; i < INPUTS; i++)
		if ((set & input_bit(i)) != 0 && rank_of(c, i) < rank_of(c, best))
			best = i;
	return best;
}

/* The input this chip wants served: unmasked, and above everything it is serving. */
static unsigned wanted_input(const struct vpic_chip *c, bool is_master)
{
	unsigned requested, serving = c->isr;

	if ((c->irr & ~c->imr) == 0)
		return NO_INPUT;
	requested = highest_of(c, c->irr & (unsigned)~c->imr);
	if (c->special_mask)
		serving &= (unsigned)~c->imr;
	if (is_master && c->special_nested)
		serving &= ~(1u << CASCADE);
	return rank_of(c, requested) < rank_of(c, highest_of(c, serving)) ? requested : NO_INPUT;
}

static void update_output(struct machine *m)
{
	struct vpic_chip *master = &m->pic.chip[MASTER];
	bool was_high = m->pic.intr;

	if (wanted_input(&m->pic.chip[SLAVE], false) != NO_INPUT)
		master->irr |= input_bit(CASCADE);
	else
		master->irr &= (uint8_t)~input_bit(CASCADE);
	m->pic.intr = wanted_input(master, true) != NO_INPUT;
	if (m->pic.intr != was_high)
		vlapic_pic_output(m, m->pic.intr);
}

void vpic_init(struct machine *m)
{
	for (unsigned i = 0; i < ARRAY_COUNT(m->pic.chip); i++) {
		m->pic.chip[i].imr = 0xFF;
		m->pic.chip[i].lowest = INPUTS - 1;
		m->pic.chip[i].base = firmware_base[i];
	}
}

/* An edge stays requested until it is served, even if the line falls before. */
static void set_chip_input(struct vpic_chip *c, unsigned input, bool high)
{
	uint8_t bit = input_bit(input);
	bool was_high = (c->level & bit) != 0, is_level = (c->elcr & bit) != 0;

	if (high)
		c->level |= bit;
	else
		c->level &= (uint8_t)~bit;
	if (high && (is_level || !was_high))
		c->irr |= bit;
	if (!high && is_level)
		c->irr &= (uint8_t)~bit;
}

void vpic_set_input(struct machine *m, unsigned input, bool high)
{
	set_chip_input(&m->pic.chip[input / INPUTS], input % INPUTS, high);
	update_output(m);
}

/* --- acknowledge --- */

uint8_t vpic_peek(const struct machine *m)
{
	const struct vpic_chip *c = &m->pic.chip[MASTER];
	unsigned input = wanted_input(c, true);

	if (input == CASCADE) {
		c = &m->pic.chip[SLAVE];
		input = wanted_input(c, false);
	}
	return (uint8_t)(c->base + (input == NO_INPUT ? SPURIOUS : input));
}

static void serve(struct vpic_chip *c, unsigned input)
{
	uint8_t bit = input_bit(input);

	if ((c->elcr & bit) == 0)
		c->irr &= (uint8_t)~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_auto_eoi)
		c->lowest = (uint8_t)input;
}

uint8_t vpic_acknowledge(struct machine *m)
{
	struct vpic_chip *c = &m->pic.chip[MASTER];
	uint8_t vector = vpic_peek(m);
	unsigned input = wanted_input(c, true);

	if (input != NO_INPUT)
		serve(c, input);
	if (input == CASCADE) {
		c = &m->pic.chip[SLAVE];
		input = wanted_input(c, false);
		if (input != NO_INPUT)
			serve(c, input);
	}
	update_output(m);
	return vector;
}

/* --- ports --- */

static void end_of_interrupt(struct vpic_chip *c, unsigned input, bool rotate)
{
	if (input == NO_INPUT)
		return;
	c->isr &= (uint8_t)~input_bit(input);
	if (rotate)
		c->lowest = (uint8_t)input;
}

static void write_ocw2(struct vpic_chip *c, uint8_t value)
{
	unsigned input = value % INPUTS, serving = highest_of(c, c->isr);

	switch ((enum ocw2)(value >> 5)) {
	case OCW2_AUTO_ROTATE_OFF: c->rotate_auto_eoi = false; return;
	case OCW2_AUTO_ROTATE_ON: c->rotate_auto_eoi = true; return;
	case OCW2_EOI: end_of_interrupt(c, serving, false); return;
	case OCW2_ROTATE_EOI: end_of_interrupt(c, serving, true); return;
	case OCW2_EOI_INPUT: end_of_interrupt(c, input, false); return;
	case OCW2_ROTATE_EOI_INPUT: end_of_interrupt(c, input, true); return;
	case OCW2_SET_LOWEST: c->lowest = (uint8_t)input; return;
	case OCW2_NOTHING: return;
	}
}

static void write_ocw3(struct vpic_chip *c, uint8_t value)
{
	if ((value & OCW3_POLL) != 0)
		c->poll = true;
	if ((value & OCW3_READ) != 0)
		c->read_isr = (value & 1) != 0;
	if ((value & OCW3_SET_SPECIAL_MASK) != 0)
		c->special_mask = (value & BIT(5)) != 0;
}

static void write_icw1(struct vpic_chip *c, uint8_t value)
{
	c->icw1 = value;
	c->init_step = 2;
	c->imr = 0;
	c->isr = 0;
	c->irr = c->level & c->elcr; /* an edge from before does not count */
	c->lowest = INPUTS - 1;
	c->auto_eoi = false;
	c->rotate_auto_eoi = false;
	c->special_mask = false;
	c->special_nested = false;
	c->read_isr = false;
}

static void write_icw4(struct vpic_chip *c, uint8_t value)
{
	c->auto_eoi = (value & ICW4_AUTO_EOI) != 0;
	c->special_nested = (value & ICW4_SPECIAL_NESTED) != 0;
	c->init_step = 0;
}

/* ICW2 is the vector base, ICW3 the wiring (known here), ICW4 the mode. */
static void write_init_word(struct vpic_chip *c, uint8_t value)
{
	bool is_icw2 = c->init_step == 2, has_icw3 = (c->icw1 & ICW1_SINGLE) == 0;

	if (c->init_step == 4) {
		write_icw4(c, value);
		return;
	}
	if (is_icw2)
		c->base = (uint8_t)(value & ~(INPUTS - 1));
	if (is_icw2 && has_icw3)
		c->init_step = 3;
	else
		c->init_step = (c->icw1 & ICW1_NEEDS_ICW4) != 0 ? 4 : 0;
}

static struct vpic_chip *chip_at(struct machine *m, uint16_t port)
{
	return &m->pic.chip[port >= PORT_SLAVE ? SLAVE : MASTER];
}

void vpic_write(struct machine *m, uint16_t port, uint32_t word, unsigned size)
{
	struct vpic_chip *c = chip_at(m, port);
	uint8_t value = (uint8_t)word;
	bool is_data = (port & 1) != 0;

	(void)size;
	if (is_data && c->init_step != 0)
		write_init_word(c, value);
	else if (is_data)
		c->imr = value;
	else if ((value & ICW1) != 0)
		write_icw1(c, value);
	else if ((value & OCW3) != 0)
		write_ocw3(c, value);
	else
		write_ocw2(c, value);
	update_output(m);
}

/* A poll is an acknowledge cycle that answers with the input instead of a vector. */
static uint8_t poll(struct machine *m, struct vpic_chip *c)
{
	unsigned input = wanted_input(c, c == &m->pic.chip[MASTER]);

	c->poll = false;
	if (input == NO_INPUT)
		return 0;
	serve(c, input);
	update_output(m);
	return (uint8_t)(POLL_PENDING | input);
}

uint32_t vpic_read(struct machine *m, uint16_t port, unsigned size)
{
	struct vpic_chip *c = chip_at(m, port);

	(void)size;
	if (c->poll)
		return poll(m, c);
	if ((port & 1) != 0)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

uint32_t vpic_elcr_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)size;
	return m->pic.chip[port - PORT_ELCR].elcr;
}

void vpic_elcr_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	unsigned which = (unsigned)(port - PORT_ELCR);
	struct vpic_chip *c = &m->pic.chip[which];

	(void)size;
	c->elcr = (uint8_t)value & elcr_writable[which];
	c->irr |= c->level & c->elcr;
	update_output(m);
}
