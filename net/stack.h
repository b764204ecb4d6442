/* SPDX-License-Identifier: MIT */
/* net/stack.h - the half of net/ that knows lwIP: its one context, the interface, addresses, connections. */
#ifndef NET_STACK_H
#define NET_STACK_H

#include <stdbool.h>

#include <lwip/netif.h>
#include <lwip/tcp.h>

#include "kernel/cmdline.h"

/* --- sys_arch.c --- */

/* Runs work() in the one context of lwIP. False: lwIP found itself broken, in this call or an earlier one, and work()
 * has not run to its end; nothing of net/ may be used any more. `what` is then lwIP's complaint. */
bool context_run(void (*work)(void), const char **what);

/* --- netif_nic.c --- */

/* For netif_add(), with the card as its `state`. */
err_t netif_nic_init(struct netif *netif);
/* Takes at most `frames` received frames in, those that arrive meanwhile included, so that draining ends.
 * Stops early at `deadline` (time_now_ns()). False: there may be more. */
bool netif_nic_input(struct netif *netif, unsigned frames, uint64_t deadline);
/* Tells the card what was queued, and lets those go on that found its ring full. Once a turn. */
void netif_nic_flush(struct netif *netif);
/* Frames that found no pbuf since the start. */
uint64_t netif_nic_no_memory(void);

/* --- address.c --- */

/* The interface is added, down and without addresses. */
void address_init(struct netif *netif, const struct net_options *options);
/* A few times a second: follows the link, tells of changes in the log, ends the wait for DHCP. */
void address_tend(bool link, uint64_t now);
const struct netif *address_netif(void);
const char *address_host(void);

/* --- listen.c --- */

void listen_init(void);
/* Accepts on every address at `port`. No memory, at start only: lwIP's fault. */
void listen_open(u16_t port, tcp_accept_fn accept, void *arg);
/* For a connection that is accepted: Nagle's algorithm off, keep-alive on. */
void listen_accepted(struct tcp_pcb *pcb);
/* Sends what is queued and FIN, reads on for a moment what the peer still sends, so that no RST overtakes the answer,
 * and forgets the connection, which must have let go of everything else. */
void listen_farewell(struct tcp_pcb *pcb);

/* --- tcp_console.c: the monitor at CONSOLE_PORT, guest number N at CONSOLE_PORT + N --- */

#define CONSOLE_PORT 2300
#define CONSOLE_GUESTS 16 /* numbers 1 to this have a port */

void console_init(void);
/* As http_turn(). */
uint64_t console_turn(uint64_t now);
unsigned console_connections(void);

#endif
