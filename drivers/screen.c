/* SPDX-License-Identifier: MIT */
/* drivers/screen.c - a dumb terminal: lines, wrapping, scrolling.
 * Decides what is shown where; swallows terminal escape sequences, which guests send. Keeps its own
 * copy of the text, because video memory is slow to read. Under the console's lock.
 * Next: drivers/vga.c, drivers/fb.c. */
#include "drivers/screen.h"

enum { CELLS_MAX = 64 * 1024, TAB = 8, ESC = 0x1B, SCROLL_PARTS = 4 };

static char cells[CELLS_MAX];
static uint32_t columns, rows; /* [I] 0: no screen */
static uint32_t at_row, at_column;
static void (*draw_cell)(uint32_t row, uint32_t column, char c); /* [I] */
static enum { TEXT, AFTER_ESC, IN_SEQUENCE } state;

static void set_cell(uint32_t row, uint32_t column, char c)
{
	char *cell = &cells[row * columns + column];

	if (*cell == c)
		return;
	*cell = c;
	draw_cell(row, column, c);
}

/* A quarter of the screen at a time: every character moved has to be drawn anew. */
static void scroll(void)
{
	uint32_t by = rows / SCROLL_PARTS + 1;

	for (uint32_t row = 0; row < rows; row++)
		for (uint32_t column = 0; column < columns; column++)
			set_cell(row, column,
				 row + by < rows ? cells[(row + by) * columns + column] : ' ');
	at_row -= by - 1;
}

static void new_line(void)
{
	at_column = 0;
	if (at_row + 1 < rows)
		at_row++;
	else
		scroll();
}

static void put_printable(char c)
{
	if (at_column == columns)
		new_line();
	set_cell(at_row, at_column++, c);
}

static void put_text(char c)
{
	switch (c) {
	case '\n':
		new_line();
		break;
	case '\r':
		at_column = 0;
		break;
	case '\b':
		at_column -= at_column > 0;
		break;
	case '\t':
		do
			put_printable(' ');
		while (at_column % TAB);
		break;
	case ESC:
		state = AFTER_ESC;
		break;
	default:
		if (c >= ' ' && c <= '~')
			put_printable(c);
	}
}

/* ESC [ parameters letter, or ESC and one other character. */
static void put(char c)
{
	if (state == TEXT)
		put_text(c);
	else if (state == AFTER_ESC)
		state = c == '[' ? IN_SEQUENCE : TEXT;
	else if (c >= '@' && c <= '~')
		state = TEXT;
}

void screen_init(uint32_t column_count, uint32_t row_count,
		 void (*draw)(uint32_t row, uint32_t column, char c))
{
	columns = column_count;
	rows = (uint32_t)min_u64(row_count, CELLS_MAX / column_count);
	draw_cell = draw;
	for (uint32_t row = 0; row < rows; row++)
		for (uint32_t column = 0; column < columns; column++)
			set_cell(row, column, ' ');
}

void screen_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(text[i]);
}
