/* SPDX-License-Identifier: MIT */
/* drivers/screen.h - the text screen: a grid of characters that some device shows.
 * One of vga_init() and fb_init() is called, then screen_write() is the console's output. */
#ifndef DRIVERS_SCREEN_H
#define DRIVERS_SCREEN_H

#include <bootinfo.h>

/* `draw` shows one printable ASCII character. */
void screen_init(uint32_t columns, uint32_t rows, void (*draw)(uint32_t row, uint32_t column, char c));
void screen_write(const char *text, size_t len);

/* VGA text mode, 80 by 25; false on a machine without a screen. */
bool vga_init(void);

/* A linear framebuffer; false when we cannot draw on this one. */
bool fb_init(const struct boot_framebuffer *fb);

#endif
