/* SPDX-License-Identifier: MIT */
/* drivers/vga.c - VGA text mode as the boot loader left it: 80 by 25, at 0xB8000.
 * Decides the colour and hides the hardware cursor. What is shown: drivers/screen.c. */
#include "drivers/screen.h"

#include "kernel/cpu_insn.h"

enum {
	COLUMNS = 80,
	ROWS = 25,
	GREY_ON_BLACK = 0x07,
	CRTC_INDEX = 0x3D4,
	CRTC_DATA = 0x3D5,
	CRTC_CURSOR_START = 0x0A,
	CURSOR_OFF = 0x20,
};

#define TEXT_MEMORY 0xB8000

static void draw(uint32_t row, uint32_t column, char c)
{
	volatile uint16_t *text = (volatile uint16_t *)TEXT_MEMORY;

	text[row * COLUMNS + column] = (uint16_t)(GREY_ON_BLACK << 8 | c);
}

/* A machine without a screen swallows what is written. */
static bool is_memory(volatile uint16_t *cell)
{
	uint16_t kept = *cell, other = (uint16_t)~kept;
	bool holds;

	*cell = other;
	holds = *cell == other;
	*cell = kept;
	return holds;
}

bool vga_init(void)
{
	if (!is_memory((volatile uint16_t *)TEXT_MEMORY))
		return false;
	outb(CRTC_INDEX, CRTC_CURSOR_START);
	outb(CRTC_DATA, CURSOR_OFF);
	screen_init(COLUMNS, ROWS, draw);
	return true;
}
