/* SPDX-License-Identifier: MIT */
/* net/tcp_console.c - consoles over TCP, for telnet, nc and programs. Asks for the token first, three times at most.
 * Decides what waits where: output stays in its ring until the peer has room, and what the ring has lost is said;
 * typed bytes that the guest does not take stay in their pbuf, and lwIP keeps what comes after, so that the peer's
 * window closes. Before: listen.c. Needs: include/plane.h, telnet.c. */
#include "net/stack.h"

#include <string.h>

#include <bits.h>
#include <lwip/tcp.h>
#include <plane.h>

#include "kernel/printf.h"
#include "kernel/time.h"
#include "net/http.h"
#include "net/telnet.h"
#include "net/secret.h"

#define TOKEN_PATIENCE (30 * NS_PER_SEC)
#define TOKEN_PROTECTED (3 * NS_PER_SEC) /* so long nobody else gets the place of one that has not given it */
#define LOOK_PERIOD (250 * NS_PER_MS)
#define STREAM_PERIOD (10 * NS_PER_MS)
#define QUEUE_MAX 4096u /* bytes in flight to one peer */
#define PIECE 512u
#define LOST_MAX 64u     /* of the line that says what was lost */
#define TRIES 3u
#define CONSOLE_CONNECTIONS 20

enum phase { FREE, ASKING, OPEN };

struct console {
	enum phase phase;
	struct tcp_pcb *pcb;
	struct pbuf *rest;     /* typed, not taken yet; rest_at bytes of its first piece are done */
	unsigned unacked;
	enum telnet_state telnet;
	unsigned number;       /* of the guest; 0: the monitor */
	uint32_t id;
	int session;           /* of the monitor */
	uint64_t cursor;
	uint64_t deadline;     /* ASKING */
	unsigned tries;
	char token[NET_TOKEN_MAX + 1];
	unsigned token_len;
	unsigned out_len;      /* of `out`: read, and not with TCP yet */
	char out[2 * PIECE + LOST_MAX];
};

static struct console consoles[CONSOLE_CONNECTIONS];

unsigned console_connections(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CONSOLE_CONNECTIONS; i++)
		n += consoles[i].phase != FREE;
	return n;
}

/* --- output --- */

static size_t read_output(struct console *c, char *buf, size_t size, uint64_t *lost)
{
	*lost = 0;
	if (c->number)
		return plane->console_read(c->id, &c->cursor, buf, size, lost);
	return plane->monitor_read(c->session, buf, size, lost);
}

/* Reads the next piece, escapes it, and says what the ring has lost before. False: there is nothing. */
static bool fill(struct console *c)
{
	char in[PIECE];
	uint64_t lost;
	size_t len = read_output(c, in, sizeof(in), &lost), escaped;

	if (lost)
		c->out_len = (unsigned)ksnprintf(c->out, LOST_MAX, "\r\n[%llu bytes lost]\r\n",
						 (unsigned long long)lost);
	telnet_output(in, len, c->out + c->out_len, 2 * PIECE, &escaped, c->number == 0);
	c->out_len += (unsigned)escaped;
	return c->out_len;
}

/* A piece that TCP has no memory for waits for the next turn. */
static void pump(struct console *c)
{
	while (c->out_len || (c->unacked + sizeof(c->out) <= QUEUE_MAX && fill(c))) {
		if (tcp_write(c->pcb, c->out, (u16_t)c->out_len, TCP_WRITE_FLAG_COPY) != ERR_OK)
			break;
		c->unacked += c->out_len;
		c->out_len = 0;
	}
	tcp_output(c->pcb);
}

/* --- the end --- */

static void release(struct console *c)
{
	if (c->rest)
		pbuf_free(c->rest);
	if (c->session >= 0)
		plane->monitor_close(c->session);
	c->rest = NULL;
	c->session = -1;
	c->phase = FREE;
}

static void say(struct console *c, const char *text)
{
	size_t len = strlen(text);

	if (tcp_write(c->pcb, text, (u16_t)len, TCP_WRITE_FLAG_COPY) == ERR_OK)
		c->unacked += (unsigned)len;
}

static void close_with(struct console *c, const char *text)
{
	if (c->phase == OPEN)
		pump(c);
	say(c, text);
	if (c->rest)
		tcp_recved(c->pcb, c->rest->tot_len);
	release(c);
	listen_farewell(c->pcb);
}

static void on_error(void *arg, err_t err)
{
	(void)err;
	release(arg);
}

static bool is_gone(const struct console *c)
{
	struct plane_guest g;

	return c->number && !plane->guest(c->id, &g);
}

/* --- input --- */

/* True: the byte is done with. */
static bool type(struct console *c, char key)
{
	if (c->number)
		return plane->console_write(c->id, &key, 1) == 1;
	plane->monitor_write(c->session, &key, 1);
	return true;
}

static bool find_guest(struct console *c)
{
	char name[12];
	struct plane_guest g;
	size_t len = (size_t)ksnprintf(name, sizeof(name), "%u", c->number);

	return plane->guest_find(name, len, &c->id) && plane->guest(c->id, &g) && g.number == c->number;
}

static void open(struct console *c)
{
	say(c, "\r\n");
	if (c->number && !find_guest(c)) {
		close_with(c, "there is no such guest\r\n");
		return;
	}
	if (!c->number && (c->session = plane->monitor_open()) < 0) {
		close_with(c, "too many sessions\r\n");
		return;
	}
	c->phase = OPEN;
	pump(c);
}

static void check(struct console *c)
{
	enum token_answer answer = token_check(c->token, c->token_len, time_now_ns());

	memset(c->token, 0, sizeof(c->token));
	c->token_len = 0;
	if (answer == TOKEN_RIGHT)
		open(c);
	else if (answer == TOKEN_LATER || ++c->tries == TRIES)
		close_with(c, "\r\nno\r\n");
	else
		say(c, "\r\ntoken: ");
}

/* A line end finishes the token; a plain LF does, too, for programs. One that is too long is wrong. */
static void ask(struct console *c, char key)
{
	if (key == '\r' || key == '\n')
		check(c);
	else if (c->token_len < sizeof(c->token))
		c->token[c->token_len++] = key;
}

/* False: the guest takes no more now. */
static bool take(struct console *c, uint8_t byte)
{
	enum telnet_state before = c->telnet;
	int key = telnet_input(&c->telnet, byte);

	if (key < 0)
		return true;
	if (c->phase == ASKING) {
		ask(c, (char)key);
		return true;
	}
	if (type(c, (char)key))
		return true;
	c->telnet = before;
	return false;
}

static void work(struct console *c)
{
	while (c->phase != FREE && c->rest) {
		const uint8_t *bytes = c->rest->payload;
		u16_t len = c->rest->len, n = 0;

		while (n < len && c->phase != FREE && take(c, bytes[n]))
			n++;
		if (c->phase == FREE)
			return;
		tcp_recved(c->pcb, n);
		c->rest = pbuf_free_header(c->rest, n);
		if (n < len)
			break;
	}
	if (c->phase == OPEN)
		pump(c);
	else if (c->phase == ASKING)
		tcp_output(c->pcb);
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct console *c = arg;

	(void)pcb;
	(void)err;
	if (p && c->rest)
		return ERR_MEM; /* lwIP keeps it and asks again */
	if (!p) {
		close_with(c, "");
		return ERR_OK;
	}
	c->rest = p;
	work(c);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
	struct console *c = arg;

	(void)pcb;
	c->unacked -= (unsigned)min_u64(c->unacked, length);
	if (c->phase == OPEN)
		pump(c);
	return ERR_OK;
}

/* --- the beginning --- */

/* A free one; else the one that has been asked for its token longest, if that is long. */
static struct console *find_slot(void)
{
	struct console *asked = NULL;

	for (struct console *c = consoles; c < consoles + CONSOLE_CONNECTIONS; c++) {
		if (c->phase == FREE)
			return c;
		if (c->phase == ASKING && (!asked || c->deadline < asked->deadline))
			asked = c;
	}
	if (!asked || asked->deadline > time_now_ns() + TOKEN_PATIENCE - TOKEN_PROTECTED)
		return NULL;
	close_with(asked, "\r\ntoo late\r\n");
	return asked;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	static const char busy[] = "too many connections\r\n";
	struct console *c;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	c = find_slot();
	listen_accepted(pcb);
	if (!c) {
		tcp_write(pcb, busy, sizeof(busy) - 1, 0);
		listen_farewell(pcb);
		return ERR_OK;
	}
	*c = (struct console){
		.phase = ASKING,
		.pcb = pcb,
		.number = (unsigned)(uintptr_t)arg,
		.session = -1,
		.deadline = time_now_ns() + TOKEN_PATIENCE,
	};
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_receive);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	say(c, TELNET_HELLO "token: ");
	tcp_output(pcb);
	return ERR_OK;
}

static void look(struct console *c, uint64_t now)
{
	if (c->phase == ASKING && now >= c->deadline)
		close_with(c, "\r\ntoo late\r\n");
	else if (c->phase == OPEN && is_gone(c))
		close_with(c, "\r\nthe guest is gone\r\n");
	else
		work(c);
}

uint64_t console_turn(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < CONSOLE_CONNECTIONS; i++) {
		if (consoles[i].phase == FREE)
			continue;
		look(&consoles[i], now);
		next = min_u64(next, now + (consoles[i].phase == OPEN ? STREAM_PERIOD : LOOK_PERIOD));
	}
	return next;
}

void console_init(void)
{
	for (unsigned n = 0; n <= CONSOLE_GUESTS; n++)
		listen_open((u16_t)(CONSOLE_PORT + n), on_accept, (void *)(uintptr_t)n);
}
