/* SPDX-License-Identifier: MIT */
/* net/listen.c - how connections begin and end. Decides who goes when all are taken: whoever has not finished his
 * handshake, the oldest first, then those that we are done with; never one that is in use. lwIP does the choosing, by
 * priority (tcp_alloc): a listener may push out PRIO_FIRST_TO_GO and nothing else. So a SYN flood only turns the ring
 * of half-open connections; a peer that answers within a turn of the ring gets in. Users: http.c, tcp_console.c. */
#include "net/stack.h"

enum {
	PRIO_FIRST_TO_GO = TCP_PRIO_MIN,
	PRIO_LISTENER = TCP_PRIO_MIN + 1,
	FAREWELL_POLLS = 4, /* of half a second */
	KEEP_IDLE_MS = 60000,
	KEEP_INTERVAL_MS = 10000,
	KEEP_COUNT = 3,
};

static u8_t ext_arg;

static err_t at_syn(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
	(void)id;
	(void)listener;
	tcp_setprio(pcb, PRIO_FIRST_TO_GO);
	return ERR_OK;
}

static const struct tcp_ext_arg_callbacks callbacks = {.passive_open = at_syn};

void listen_init(void)
{
	ext_arg = tcp_ext_arg_alloc_id();
}

void listen_open(u16_t port, tcp_accept_fn accept, void *arg)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);

	tcp_bind(pcb, IP_ANY_TYPE, port);
	tcp_setprio(pcb, PRIO_LISTENER);
	tcp_ext_arg_set_callbacks(pcb, ext_arg, &callbacks);
	pcb = tcp_listen(pcb);
	LWIP_ASSERT("no memory to listen", pcb);
	tcp_arg(pcb, arg);
	tcp_accept(pcb, accept);
}

void listen_accepted(struct tcp_pcb *pcb)
{
	tcp_setprio(pcb, TCP_PRIO_NORMAL);
	tcp_nagle_disable(pcb); /* Nagle against delayed ACK: 200 ms for the last piece of an answer */
	ip_set_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = KEEP_IDLE_MS;
	pcb->keep_intvl = KEEP_INTERVAL_MS;
	pcb->keep_cnt = KEEP_COUNT;
}

static err_t discard(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (!p)
		return tcp_close(pcb);
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	return ERR_OK;
}

static err_t give_up(void *arg, struct tcp_pcb *pcb)
{
	(void)arg;
	tcp_abort(pcb);
	return ERR_ABRT;
}

void listen_farewell(struct tcp_pcb *pcb)
{
	tcp_arg(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_recv(pcb, discard);
	tcp_poll(pcb, give_up, FAREWELL_POLLS);
	tcp_setprio(pcb, PRIO_FIRST_TO_GO);
	tcp_shutdown(pcb, 0, 1);
}
