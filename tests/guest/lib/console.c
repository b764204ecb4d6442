/* SPDX-License-Identifier: MIT */
/* lib/console.c - print() to COM1, polled: works with interrupts off and GIF=0.
 * Sets eight data bits; the firmware's or our own default speed does for every machine that the
 * kernels run on. */
#include "test.h"
#include <stdarg.h>

#define COM1 0x3F8
#define COM1_LSR (COM1 + 5)
#define COM1_LCR (COM1 + 3)
#define LSR_EMPTY 0x20
#define LCR_8N1 3

static void put(char c)
{
	static bool is_set_up;

	if (!is_set_up)
		outb(COM1_LCR, LCR_8N1); /* Bochs' firmware leaves five bits a character */
	is_set_up = true;
	while (!(inb(COM1_LSR) & LSR_EMPTY))
		pause();
	outb(COM1, (uint8_t)c);
}

static void put_string(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			put('\r');
		put(*s);
	}
}

static void put_number(uint64_t v, unsigned base)
{
	char digits[24];
	unsigned n = sizeof(digits);

	digits[--n] = 0;
	do {
		digits[--n] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	put_string(&digits[n]);
}

static uint64_t next_number(va_list *ap, bool is_long)
{
	return is_long ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);
}

static const char *put_field(const char *f, va_list *ap)
{
	bool is_long = *f == 'l';

	if (is_long)
		f++;
	switch (*f) {
	case 's':
		put_string(va_arg(*ap, const char *));
		break;
	case 'c':
		put((char)va_arg(*ap, int));
		break;
	case 'u':
		put_number(next_number(ap, is_long), 10);
		break;
	case 'x':
		put_number(next_number(ap, is_long), 16);
		break;
	default:
		put(*f);
	}
	return f;
}

void print(const char *fmt, ...)
{
	va_list ap;
	char text[2] = {0, 0};

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt == '%') {
			fmt = put_field(fmt + 1, &ap);
			continue;
		}
		text[0] = *fmt;
		put_string(text);
	}
	va_end(ap);
}
