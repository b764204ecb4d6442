/* SPDX-License-Identifier: MIT */
/* drivers/fb.c - characters on a linear framebuffer (UEFI GOP or VBE), 24 or 32 bits per pixel.
 * Decides the cell (8 by 16 pixels) and the colours. Glyphs: drivers/font.c; what is shown where:
 * drivers/screen.c. */
#include "drivers/screen.h"

#include "drivers/font.h"
#include "kernel/string.h"

enum {
	CELL_WIDTH = 8,
	CELL_HEIGHT = 16,
	ROW_PIXELS = 2, /* each row of a glyph is drawn twice */
	GREY = 0xC0,
};

static struct boot_framebuffer fb; /* [I] */
static uint32_t ink;		   /* [I] */

static void fill_pixel(uint32_t x, uint32_t y, uint32_t colour)
{
	uint32_t bytes = fb.bits_per_pixel / 8;
	uint8_t *pixel = (uint8_t *)hpa_ptr(fb.base) + (uint64_t)y * fb.pitch + x * bytes;

	memcpy(pixel, &colour, bytes);
}

static void draw(uint32_t row, uint32_t column, char c)
{
	for (uint32_t y = 0; y < CELL_HEIGHT; y++) {
		uint8_t bits = font_row(c, y / ROW_PIXELS);

		for (uint32_t x = 0; x < CELL_WIDTH; x++)
			fill_pixel(column * CELL_WIDTH + x, row * CELL_HEIGHT + y,
				   bits & (0x80 >> x) ? ink : 0);
	}
}

bool fb_init(const struct boot_framebuffer *info)
{
	uint32_t bits = info->bits_per_pixel;

	if (bits != 24 && bits != 32)
		return false;
	if (info->width < CELL_WIDTH || info->height < CELL_HEIGHT)
		return false;
	fb = *info;
	ink = (uint32_t)GREY << fb.red_shift | (uint32_t)GREY << fb.green_shift |
	      (uint32_t)GREY << fb.blue_shift;
	screen_init(fb.width / CELL_WIDTH, fb.height / CELL_HEIGHT, draw);
	return true;
}
