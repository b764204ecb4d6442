/* SPDX-License-Identifier: MIT */
/* kernel/cmdline.c - parses the hypervisor's own command line.
 * Pure: decides what each word means and names the first one that means nothing; the caller
 * reports it. The options are described in cmdline.h. */
#include "kernel/cmdline.h"

#include "kernel/string.h"

enum { COM1_PORT = 0x3F8, BAUD_MAX = 115200 };

/* A piece of the command line. */
struct word {
	const char *text;
	size_t len;
};

static bool is_word(struct word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.text, text, w.len) == 0;
}

/* Removes `prefix` from the front. */
static bool strip(struct word *w, const char *prefix)
{
	size_t len = strlen(prefix);

	if (w->len < len || memcmp(w->text, prefix, len) != 0)
		return false;
	w->text += len;
	w->len -= len;
	return true;
}

/* Takes the part up to `separator` off the front of `rest`; false when nothing is left. */
static bool next_part(struct word *rest, char separator, struct word *part)
{
	while (rest->len && *rest->text == separator) {
		rest->text++;
		rest->len--;
	}
	part->text = rest->text;
	part->len = 0;
	while (part->len < rest->len && part->text[part->len] != separator)
		part->len++;
	rest->text += part->len;
	rest->len -= part->len;
	return part->len > 0;
}

static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return UINT32_MAX;
}

static bool parse_number(struct word w, uint32_t max, uint32_t *value)
{
	uint64_t v = 0;
	unsigned base = strip(&w, "0x") ? 16 : 10;

	if (!w.len)
		return false;
	for (size_t i = 0; i < w.len; i++) {
		unsigned digit = digit_value(w.text[i]);

		if (digit >= base)
			return false;
		v = v * base + digit;
		if (v > max)
			return false;
	}
	*value = (uint32_t)v;
	return true;
}

/* Changes nothing unless the list is good: the error must find a console to be printed on. */
static const char *parse_console(struct options *o, struct word list)
{
	struct word part;
	bool serial = false, screen = false;

	while (next_part(&list, ',', &part)) {
		if (is_word(part, "serial"))
			serial = true;
		else if (is_word(part, "vga"))
			screen = true;
		else
			return "console= takes serial, vga, or both with a comma";
	}
	if (!serial && !screen)
		return "console= names no console";
	o->serial = serial;
	o->screen = screen;
	return NULL;
}

static const char *parse_com1(struct options *o, struct word value)
{
	struct word part;
	uint32_t port;
	const uint32_t port_max = UINT16_MAX - 7; /* a UART has eight ports */

	if (!next_part(&value, ',', &part) || !parse_number(part, port_max, &port) || !port)
		return "com1= takes an I/O port and a speed, as in com1=0x3f8,115200";
	o->com1_port = (uint16_t)port;
	if (!next_part(&value, ',', &part))
		return NULL;
	if (!parse_number(part, BAUD_MAX, &o->com1_baud) || !o->com1_baud ||
	    BAUD_MAX % o->com1_baud || value.len)
		return "the speed of com1= must be a divisor of 115200";
	return NULL;
}

/* --- the network plane --- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static const char *parse_net(struct net_options *n, struct word value)
{
	if (!value.len || value.len >= sizeof(n->card))
		return "net= takes e1000, e1000e, virtio, auto, or a PCI address as in 00:03.0";
	memcpy(n->card, value.text, value.len);
	n->card[value.len] = '\0';
	return NULL;
}

static const char *parse_token(struct net_options *n, struct word value)
{
	if (value.len < NET_TOKEN_MIN || value.len > NET_TOKEN_MAX)
		return "token= takes 8 to 64 characters";
	for (size_t i = 0; i < value.len; i++) {
		if (!is_name_char(value.text[i]))
			return "token= takes letters, digits, '-', '_' and '.'";
	}
	memcpy(n->token, value.text, value.len);
	n->token[value.len] = '\0';
	return NULL;
}

static bool parse_address(struct word w, uint32_t *address)
{
	struct word part;
	uint32_t byte;

	*address = 0;
	for (unsigned i = 0; i < 4; i++) {
		if (!next_part(&w, '.', &part) || !parse_number(part, UINT8_MAX, &byte))
			return false;
		*address = *address << 8 | byte;
	}
	return !w.len;
}

static bool parse_static(struct net_options *n, struct word address, struct word gateway)
{
	struct word number;
	uint32_t prefix;

	if (!next_part(&address, '/', &number) || !parse_address(number, &n->address))
		return false;
	if (!next_part(&address, '/', &number) || !parse_number(number, 30, &prefix) || !prefix || address.len)
		return false;
	n->prefix = prefix;
	n->has_address = true;
	return !gateway.len || parse_address(gateway, &n->gateway);
}

static const char *parse_ip(struct net_options *n, struct word list)
{
	struct word first, gateway = {"", 0};
	bool more = next_part(&list, ',', &first);

	n->dhcp = more && is_word(first, "dhcp");
	if (n->dhcp)
		more = next_part(&list, ',', &first);
	if (n->dhcp && !more)
		return NULL;
	next_part(&list, ',', &gateway);
	if (!more || list.len || !parse_static(n, first, gateway))
		return "ip= takes dhcp, or an address as in 10.0.2.15/24,10.0.2.2, or both with a comma";
	return NULL;
}

static const char *parse_option(struct options *o, struct word w)
{
	if (strip(&w, "net="))
		return parse_net(&o->net, w);
	if (strip(&w, "ip="))
		return parse_ip(&o->net, w);
	if (strip(&w, "token="))
		return parse_token(&o->net, w);
	if (strip(&w, "console="))
		return parse_console(o, w);
	if (strip(&w, "com1="))
		return parse_com1(o, w);
	if (is_word(w, "stay")) {
		o->stay = true;
		return NULL;
	}
	return "unknown option";
}

struct cmdline_error cmdline_parse(struct options *options, const char *line)
{
	struct word rest = {line, strlen(line)};
	struct word w;

	*options = (struct options){
		.serial = true,
		.screen = true,
		.com1_port = COM1_PORT,
		.com1_baud = BAUD_MAX,
		.net.dhcp = true,
	};
	while (next_part(&rest, ' ', &w)) {
		const char *what = parse_option(options, w);

		if (what)
			return (struct cmdline_error){what, w.text, w.len};
	}
	return (struct cmdline_error){0};
}
