/* SPDX-License-Identifier: MIT */
/* tests/unit/net_peer.c - a peer on the rig's wire: answers ARP for any address of its own, opens TCP connections and
 * keeps what comes in order. No retransmission, no congestion: the wire loses nothing unless a test says so. */
#define _GNU_SOURCE
#include "tests/unit/net_rig.h"

#include <stdlib.h>
#include <string.h>

enum { ETH = 14, IP = 20, TCP = 20, MSS = 1460, PROTO_TCP = 6, FIRST_PORT = 20000 };

static struct peer_conn conns[PEER_CONNS];
static uint16_t next_port = FIRST_PORT;
uint16_t peer_window = 0xFFFF;
static const uint8_t server_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56}, peer_mac[6] = {2, 0, 0, 0, 0, 9};

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static uint32_t sum(const uint8_t *at, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	return s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xFFFF) + (s >> 16);
	return (uint16_t)~s;
}

void peer_fix_checksums(uint8_t *f, size_t len)
{
	uint8_t *ip = f + ETH;
	size_t head, payload, at;

	if (len < ETH + IP || get16(f + 12) != 0x0800)
		return;
	head = (ip[0] & 15u) * 4;
	if (head < IP || len < ETH + head)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, fold(sum(ip, head, 0)));
	payload = min_u64(get16(ip + 2), len - ETH);
	payload -= min_u64(payload, head);
	at = ip[9] == PROTO_TCP ? 16 : ip[9] == 17 ? 6 : ip[9] == 1 ? 2 : 0;
	if (!at || payload < at + 2)
		return;
	put16(ip + head + at, 0);
	put16(ip + head + at,
	      fold(sum(ip + head, payload, ip[9] == 1 ? 0 : sum(ip + 12, 8, ip[9] + (uint32_t)payload))));
}

static void send_tcp(uint32_t ip, uint16_t port, uint16_t to, uint32_t seq, uint32_t ack, uint8_t flags,
		     uint16_t window, const void *bytes, size_t len)
{
	static const uint8_t mss[4] = {2, 4, MSS >> 8, MSS & 0xFF};
	uint8_t f[ETH + IP + TCP + MSS] = {0};

	if (flags & TCP_SYN_FLAG) { /* its option stands where data would */
		bytes = mss;
		len = sizeof(mss);
	}
	memcpy(f, server_mac, 6);
	memcpy(f + 6, peer_mac, 6);
	put16(f + 12, 0x0800);
	f[ETH] = 0x45;
	put16(f + ETH + 2, (uint32_t)(IP + TCP + len));
	f[ETH + 8] = 64;
	f[ETH + 9] = PROTO_TCP;
	put32(f + ETH + 12, ip);
	put32(f + ETH + 16, RIG_SERVER_IP);
	put16(f + ETH + IP, port);
	put16(f + ETH + IP + 2, to);
	put32(f + ETH + IP + 4, seq);
	put32(f + ETH + IP + 8, ack);
	f[ETH + IP + 12] = (uint8_t)((flags & TCP_SYN_FLAG ? TCP + sizeof(mss) : TCP) / 4 << 4);
	f[ETH + IP + 13] = flags;
	put16(f + ETH + IP + 14, window);
	if (len)
		memcpy(f + ETH + IP + TCP, bytes, len);
	peer_fix_checksums(f, ETH + IP + TCP + len);
	rig_receive(f, ETH + IP + TCP + len);
}

void peer_segment(struct peer_conn *c, uint8_t flags, const void *bytes, size_t len, uint32_t skip)
{
	send_tcp(c->ip, c->port, c->to, c->seq + skip, c->ack, flags, c->window, bytes, len);
	if (!skip)
		c->seq += (uint32_t)len + !!(flags & (TCP_SYN_FLAG | TCP_FIN_FLAG));
}

void peer_ack(struct peer_conn *c)
{
	peer_segment(c, TCP_ACK_FLAG, NULL, 0, 0);
}

/* --- frames of the server --- */

static void answer_arp(const uint8_t *f)
{
	uint8_t r[60] = {0};

	if (get16(f + 20) != 1 || get32(f + 38) == RIG_SERVER_IP)
		return;
	memcpy(r, server_mac, 6);
	memcpy(r + 6, peer_mac, 6);
	memcpy(r + 12, f + 12, 8);
	put16(r + 20, 2);
	memcpy(r + 22, peer_mac, 6);
	memcpy(r + 28, f + 38, 4);
	memcpy(r + 32, f + 22, 10);
	rig_receive(r, sizeof(r));
}

static void take_bytes(struct peer_conn *c, uint32_t seq, const uint8_t *bytes, size_t len)
{
	if (seq != c->ack)
		return;
	c->ack += (uint32_t)len;
	len = min_u64(len, PEER_GOT_MAX - c->got_len);
	memcpy(c->got + c->got_len, bytes, len);
	c->got_len += len;
	c->got[c->got_len] = '\0';
}

static void take_segment(struct peer_conn *c, const uint8_t *tcp, size_t len)
{
	uint8_t flags = tcp[13];
	size_t head = (tcp[12] >> 4) * 4u;
	uint32_t seq = get32(tcp + 4);

	if (flags & TCP_RST_FLAG) {
		c->reset = true;
		return;
	}
	c->acked = get32(tcp + 8);
	if (flags & TCP_SYN_FLAG) {
		c->ack = seq + 1;
		c->open = true;
		peer_ack(c);
		return;
	}
	take_bytes(c, seq, tcp + head, len - head);
	if ((flags & TCP_FIN_FLAG) && seq + (uint32_t)(len - head) == c->ack && !c->fin) {
		c->fin = true;
		c->ack++;
	}
	if (!c->mute && (len > head || (flags & TCP_FIN_FLAG)))
		peer_ack(c);
}

static void on_frame(const uint8_t *f, size_t len)
{
	if (len >= 42 && get16(f + 12) == 0x0806)
		answer_arp(f);
	if (len < ETH + IP + TCP || get16(f + 12) != 0x0800 || f[ETH + 9] != PROTO_TCP)
		return;
	for (unsigned i = 0; i < PEER_CONNS; i++) {
		struct peer_conn *c = &conns[i];

		if (c->got && c->port == get16(f + ETH + IP + 2) && c->to == get16(f + ETH + IP) &&
		    c->ip == get32(f + ETH + 16))
			take_segment(c, f + ETH + IP, get16(f + ETH + 2) - IP);
	}
}

void peer_start(void)
{
	rig_on_frame = on_frame;
}

/* --- what tests do --- */

struct peer_conn *peer_connect(uint16_t to)
{
	struct peer_conn *c = conns;

	while (c->got)
		c++;
	*c = (struct peer_conn){.port = next_port++, .to = to, .ip = RIG_PEER_IP, .seq = 1000, .window = peer_window};
	next_port = next_port < FIRST_PORT ? FIRST_PORT : next_port;
	c->acked = c->seq;
	c->got = calloc(1, PEER_GOT_MAX + 1);
	peer_segment(c, TCP_SYN_FLAG, NULL, 0, 0);
	for (unsigned i = 0; i < 10 && !c->open; i++)
		rig_run_ms(1);
	if (c->open)
		return c;
	peer_free(c);
	return NULL;
}

void peer_syn(uint32_t ip, uint16_t port, uint16_t to, uint32_t seq)
{
	send_tcp(ip, port, to, seq, 0, TCP_SYN_FLAG, 0xFFFF, NULL, 0);
}

void peer_send(struct peer_conn *c, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len && !c->reset;) {
		size_t n = min_u64(len - at, MSS);

		peer_segment(c, TCP_ACK_FLAG | TCP_PSH_FLAG, (const char *)bytes + at, n, 0);
		at += n;
		for (unsigned i = 0; i < 2000 && c->seq - c->acked > 40000 && !c->reset; i++)
			rig_run_ms(1);
		if (at % (16 * MSS) == 0)
			rig_turn();
	}
}

void peer_text(struct peer_conn *c, const char *text)
{
	peer_send(c, text, strlen(text));
}

bool peer_expect(struct peer_conn *c, const char *text, unsigned ms)
{
	for (unsigned i = 0; i <= ms; i++) {
		if (memmem(c->got, c->got_len, text, strlen(text)))
			return true;
		rig_run_ms(1);
	}
	return false;
}

void peer_close(struct peer_conn *c)
{
	peer_segment(c, TCP_FIN_FLAG | TCP_ACK_FLAG, NULL, 0, 0);
	rig_run_ms(2);
}

/* The server forgets it at once. */
void peer_free(struct peer_conn *c)
{
	if (c->open && !c->reset)
		peer_segment(c, TCP_RST_FLAG | TCP_ACK_FLAG, NULL, 0, 0);
	free(c->got);
	memset(c, 0, sizeof(*c));
	rig_run_ms(1);
}
