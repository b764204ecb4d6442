/* SPDX-License-Identifier: MIT */
/* net/netif_nic.c - frames between lwIP and the card, each copied once in either direction.
 * Decides what happens when one side is full: a received frame without a pbuf is lost, as on the wire; a frame for a
 * full ring stays with TCP, which is told to go on as soon as there is room, not at its next timer (250 ms).
 * Before: net.c. Needs: drivers/nic.h. */
#include "net/stack.h"

#include <string.h>

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/priv/tcp_priv.h>

#include "drivers/nic.h"
#include "kernel/time.h"

/* All belong to CPU 0. */
static bool ring_was_full;
static uint64_t no_memory;

uint64_t netif_nic_no_memory(void)
{
	return no_memory;
}

/* A full ring is emptied by the card as soon as it knows of the frames, so the second try may find room. */
static uint8_t *room(struct nic *nic)
{
	uint8_t *at = nic_send_buffer(nic);

	if (!at) {
		nic_kick(nic);
		at = nic_send_buffer(nic);
	}
	return at;
}

static err_t send(struct netif *netif, struct pbuf *p)
{
	struct nic *nic = netif->state;
	uint8_t *at;

	if (p->tot_len > NIC_FRAME_MAX)
		return ERR_VAL;
	at = room(nic);
	if (!at) {
		ring_was_full = true;
		return ERR_MEM;
	}
	pbuf_copy_partial(p, at, p->tot_len, 0);
	nic_send(nic, p->tot_len);
	return ERR_OK;
}

void netif_nic_flush(struct netif *netif)
{
	if (ring_was_full) {
		ring_was_full = false;
		tcp_txnow();
	}
	nic_kick(netif->state);
}

/* The frame is taken out of the ring in any case, since a peer must not be able to stop it. When the pool is empty, what
 * connections keep out of order goes first, one connection's at a time. */
static void take(struct netif *netif, const uint8_t *frame, size_t length)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_POOL);

	if (!p) {
		PBUF_CHECK_FREE_OOSEQ();
		p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_POOL);
	}
	if (!p) {
		no_memory++;
		return;
	}
	pbuf_take(p, frame, (u16_t)length);
	if (netif->input(p, netif) != ERR_OK)
		pbuf_free(p);
}

bool netif_nic_input(struct netif *netif, unsigned frames, uint64_t deadline)
{
	static uint8_t frame[NIC_FRAME_MAX];

	for (; frames; frames--) {
		size_t length = nic_receive(netif->state, frame, sizeof(frame));

		if (!length)
			return true;
		take(netif, frame, length);
		if (time_now_ns() >= deadline)
			return false;
	}
	return false;
}

err_t netif_nic_init(struct netif *netif)
{
	netif->name[0] = 'e';
	netif->name[1] = 'n';
	netif->mtu = NIC_FRAME_MAX - SIZEOF_ETH_HDR;
	netif->hwaddr_len = NIC_MAC_SIZE;
	memcpy(netif->hwaddr, nic_mac(netif->state), NIC_MAC_SIZE);
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = send;
	return ERR_OK;
}
