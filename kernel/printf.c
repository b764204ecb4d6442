/* SPDX-License-Identifier: MIT */
/* kernel/printf.c - formatting into a buffer, as snprintf does.
 * Decides how numbers look; touches nothing but the buffer. No floating point.
 * The story goes on in kernel/log.c, its main user. */
#include "kernel/printf.h"

#include "kernel/string.h"

#include <stdbool.h>
#include <stdint.h>

enum { DIGITS_MAX = 20 }; /* of 2^64 - 1 in decimal */

struct sink {
	char *buf;
	size_t size, length;
};

struct spec {
	bool left, zero;
	size_t width, precision;
	enum { LEN_INT, LEN_CHAR, LEN_SHORT, LEN_LONG } length;
};

static void put(struct sink *s, char c)
{
	if (s->length + 1 < s->size)
		s->buf[s->length] = c;
	s->length++;
}

static void put_repeated(struct sink *s, char c, size_t count)
{
	while (count--)
		put(s, c);
}

/* Sign or prefix, digits or text, and the padding on the side that the flags ask for. */
static void put_field(struct sink *s, const struct spec *spec, const char *prefix,
		      const char *text, size_t len)
{
	size_t used = strlen(prefix) + len;
	size_t pad = spec->width > used ? spec->width - used : 0;

	if (!spec->left && !spec->zero)
		put_repeated(s, ' ', pad);
	for (; *prefix; prefix++)
		put(s, *prefix);
	if (!spec->left && spec->zero)
		put_repeated(s, '0', pad);
	for (size_t i = 0; i < len; i++)
		put(s, text[i]);
	if (spec->left)
		put_repeated(s, ' ', pad);
}

static void put_number(struct sink *s, const struct spec *spec, const char *prefix, uint64_t v,
		       unsigned base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[DIGITS_MAX];
	size_t at = sizeof(text);

	do {
		text[--at] = digits[v % base];
		v /= base;
	} while (v);
	put_field(s, spec, prefix, text + at, sizeof(text) - at);
}

static void put_string(struct sink *s, struct spec *spec, const char *text)
{
	size_t len = 0;

	if (!text)
		text = "(null)";
	while (len < spec->precision && text[len])
		len++;
	spec->zero = false;
	put_field(s, spec, "", text, len);
}

static int64_t next_signed(const struct spec *spec, va_list *args)
{
	if (spec->length == LEN_LONG)
		return va_arg(*args, int64_t);

	int v = va_arg(*args, int);

	if (spec->length == LEN_CHAR)
		return (signed char)v;
	return spec->length == LEN_SHORT ? (short)v : v;
}

static uint64_t next_unsigned(const struct spec *spec, va_list *args)
{
	if (spec->length == LEN_LONG)
		return va_arg(*args, uint64_t);

	unsigned v = va_arg(*args, unsigned);

	if (spec->length == LEN_CHAR)
		return (uint8_t)v;
	return spec->length == LEN_SHORT ? (uint16_t)v : v;
}

static size_t parse_count(const char **fmt, va_list *args)
{
	size_t n = 0;

	if (**fmt == '*') {
		int v = va_arg(*args, int);

		(*fmt)++;
		return v > 0 ? (size_t)v : 0;
	}
	for (; **fmt >= '0' && **fmt <= '9'; (*fmt)++)
		n = n * 10 + (size_t)(**fmt - '0');
	return n;
}

/* long, long long and size_t are all 64 bits wide here. */
static void parse_length(const char **fmt, struct spec *spec)
{
	for (;; (*fmt)++) {
		if (**fmt == 'l' || **fmt == 'z')
			spec->length = LEN_LONG;
		else if (**fmt == 'h')
			spec->length = spec->length == LEN_SHORT ? LEN_CHAR : LEN_SHORT;
		else
			return;
	}
}

static struct spec parse_spec(const char **fmt, va_list *args)
{
	struct spec spec = {.precision = SIZE_MAX};

	for (;; (*fmt)++) {
		if (**fmt == '-')
			spec.left = true;
		else if (**fmt == '0')
			spec.zero = true;
		else
			break;
	}
	spec.width = parse_count(fmt, args);
	if (**fmt == '.') {
		(*fmt)++;
		spec.precision = parse_count(fmt, args);
	}
	parse_length(fmt, &spec);
	return spec;
}

static void put_signed(struct sink *s, const struct spec *spec, int64_t v)
{
	if (v < 0)
		put_number(s, spec, "-", 0 - (uint64_t)v, 10, false);
	else
		put_number(s, spec, "", (uint64_t)v, 10, false);
}

static void put_conversion(struct sink *s, struct spec *spec, char conversion, va_list *args)
{
	char c;

	switch (conversion) {
	case 'd':
	case 'i':
		put_signed(s, spec, next_signed(spec, args));
		break;
	case 'u':
		put_number(s, spec, "", next_unsigned(spec, args), 10, false);
		break;
	case 'x':
	case 'X':
		put_number(s, spec, "", next_unsigned(spec, args), 16, conversion == 'X');
		break;
	case 'p':
		put_number(s, spec, "0x", (uintptr_t)va_arg(*args, void *), 16, false);
		break;
	case 's':
		put_string(s, spec, va_arg(*args, const char *));
		break;
	case 'c':
		c = (char)va_arg(*args, int);
		put_field(s, spec, "", &c, 1);
		break;
	default:
		put(s, conversion);
	}
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct sink s = {buf, size, 0};
	va_list copy; /* a va_list parameter may be an array: only a local one has a usable address */

	va_copy(copy, args);
	while (*fmt) {
		if (*fmt != '%') {
			put(&s, *fmt++);
			continue;
		}
		fmt++;

		struct spec spec = parse_spec(&fmt, &copy);

		if (!*fmt)
			break;
		put_conversion(&s, &spec, *fmt++, &copy);
	}
	va_end(copy);
	if (size)
		buf[s.length < size ? s.length : size - 1] = '\0';
	return (int)s.length;
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int n = kvsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}
