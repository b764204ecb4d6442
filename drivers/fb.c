/* SPDX-License-Identifier: MIT */
/* drivers/fb.c - characters on a linear framebuffer (UEFI GOP), 24 or 32 bits per pixel.
 * Decides the cell (8 by 16 pixels) and the colours. Glyphs: drivers/font.c; what is shown where:
 * drivers/screen.c. */
#include "drivers/screen.h"

#include "drivers/font.h"

enum {
	CELL_WIDTH = 8,
	CELL_HEIGHT = 16,
	ROW_PIXELS = 2, /* each row of a glyph is drawn twice */
	LEFTMOST = 0x80,
	GREY = 0xC0,
};

static struct boot_framebuffer fb; /* [I] */
static uint32_t ink;		   /* [I] */

static void put_pixel(uint64_t address, uint32_t bytes, uint32_t colour)
{
	volatile uint8_t *pixel = hpa_ptr(hpa(address));

	if (bytes == sizeof(colour)) {
		*(volatile uint32_t *)pixel = colour;
		return;
	}
	pixel[0] = (uint8_t)colour;
	pixel[1] = (uint8_t)(colour >> 8);
	pixel[2] = (uint8_t)(colour >> 16);
}

static void draw(uint32_t row, uint32_t column, char c)
{
	uint32_t bytes = fb.bits_per_pixel / 8;
	uint64_t line = fb.base.a + (uint64_t)row * CELL_HEIGHT * fb.pitch +
			(uint64_t)column * CELL_WIDTH * bytes;

	for (uint32_t y = 0; y < CELL_HEIGHT; y++, line += fb.pitch) {
		uint8_t bits = font_row(c, y / ROW_PIXELS);

		for (uint32_t x = 0; x < CELL_WIDTH; x++)
			put_pixel(line + x * bytes, bytes, bits & (LEFTMOST >> x) ? ink : 0);
	}
}

bool fb_init(const struct boot_framebuffer *info)
{
	if (info->bits_per_pixel != 24 && info->bits_per_pixel != 32)
		return false;
	if (info->width < CELL_WIDTH || info->height < CELL_HEIGHT)
		return false;
	fb = *info;
	ink = (uint32_t)GREY << fb.red_shift | (uint32_t)GREY << fb.green_shift |
	      (uint32_t)GREY << fb.blue_shift;
	screen_init(fb.width / CELL_WIDTH, fb.height / CELL_HEIGHT, draw);
	return true;
}
