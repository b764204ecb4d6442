/* SPDX-License-Identifier: MIT */
/* tests/unit/net_rig.h - net/ with lwIP as it is, on Linux: a card that is two arrays, a clock that is a variable, a
 * plane of two guests, and a peer on the wire that speaks just enough Ethernet, ARP and TCP (net_peer.c). */
#ifndef NET_RIG_H
#define NET_RIG_H

#include <bits.h>
#include <plane.h>

#include "kernel/cmdline.h"

#define RIG_NS_PER_MS UINT64_C(1000000)
#define RIG_TOKEN "correct-horse"
#define RIG_SERVER_IP 0x0A000001u /* 10.0.0.1 */
#define RIG_PEER_IP 0x0A000002u
#define RIG_RING 256              /* frames that the card holds, in either direction */

/* --- net_rig.c --- */

extern uint64_t rig_now_ns;
extern unsigned rig_turns;         /* that were taken */
extern unsigned rig_tx_room;       /* frames that the card takes in a turn; RIG_RING: any number */
extern bool rig_link;
extern char rig_log[8192];         /* what klog() and the console were told */
extern void (*rig_on_frame)(const uint8_t *frame, size_t len); /* what the card sends */

extern struct net_options rig_options; /* read by rig_start(): without DHCP */
/* Once per program. */
void rig_start(void);
/* A frame arrives. False: the card's ring is full, and it is lost. */
bool rig_receive(const void *frame, size_t len);
/* One turn, after what has arrived; and turns as they are asked for, while time passes. */
void rig_turn(void);
void rig_run_ms(unsigned ms);

/* The plane. */
extern char rig_typed[4096];
extern size_t rig_typed_len, rig_type_room; /* what the guest takes of typed bytes from now on */
extern unsigned rig_actions;       /* calls that change a guest or a file */
extern bool rig_upload_open;
extern unsigned rig_pins;
void rig_guest_says(const char *text, size_t len);
void rig_guest_exists(bool exists);
extern bool rig_guest_lingers;     /* it is not gone at once when it is destroyed */
extern bool rig_linux_exists;      /* the other guest, which was made first */
extern unsigned rig_create_ms;     /* how long making a guest takes */

/* --- net_peer.c --- */

#define PEER_CONNS 512
#define PEER_GOT_MAX (1u << 20)

struct peer_conn {
	uint16_t port, to;
	uint32_t ip;
	uint32_t seq, ack;     /* next to send, next expected */
	uint32_t acked;        /* by the server */
	bool open, fin, reset;
	bool mute;             /* does not acknowledge */
	uint16_t window;
	size_t got_len;
	char *got;             /* received in order, terminated */
};

extern uint16_t peer_window;   /* of the connections to come */

/* Takes the rig's frames from now on. */
void peer_start(void);
/* Sends a SYN and waits for the answer: 10 ms at most. Null: there was none. */
struct peer_conn *peer_connect(uint16_t to);
/* A SYN alone, from any address. */
void peer_syn(uint32_t ip, uint16_t port, uint16_t to, uint32_t seq);
/* Sends a segment with these flags in sequence; `skip` bytes further on when it is to be out of order. */
void peer_segment(struct peer_conn *c, uint8_t flags, const void *bytes, size_t len, uint32_t skip);
/* All of it, as the window allows. */
void peer_send(struct peer_conn *c, const void *bytes, size_t len);
void peer_text(struct peer_conn *c, const char *text);
void peer_ack(struct peer_conn *c);
void peer_close(struct peer_conn *c);
void peer_free(struct peer_conn *c);
/* Waits until the text has come, `ms` at most. */
bool peer_expect(struct peer_conn *c, const char *text, unsigned ms);

/* Makes the checksums of an IPv4 frame right. */
void peer_fix_checksums(uint8_t *frame, size_t len);

enum { TCP_FIN_FLAG = 1, TCP_SYN_FLAG = 2, TCP_RST_FLAG = 4, TCP_PSH_FLAG = 8, TCP_ACK_FLAG = 16 };

#endif
