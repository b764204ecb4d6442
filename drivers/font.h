/* SPDX-License-Identifier: MIT */
/* drivers/font.h - the glyphs of printable ASCII, in cells of 8 by 8. */
#ifndef DRIVERS_FONT_H
#define DRIVERS_FONT_H

#include <stdint.h>

/* One row of a glyph; the leftmost pixel is bit 7. Any other character looks like a space. */
uint8_t font_row(char c, uint32_t row);

#endif
