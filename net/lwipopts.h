/* SPDX-License-Identifier: MIT */
/* net/lwipopts.h - what of lwIP is compiled, how much memory it has, and why. lwIP alone includes it.
 * All of lwIP's memory is in these pools: nothing a peer sends makes it grow. Each number is held against the worst
 * that peers can do at once; the traps are named where their answer stands. What is not here is as lwIP has it: no
 * forwarding, DNS, raw sockets, AutoIP, DHCPv6, TLS, TCP timestamps; ping is answered; four UDP sockets, for DHCP and
 * mDNS; its counters are on, since tests read the pools' to see that nothing leaks. Next: sys_arch.c, net.c. */
#ifndef NET_LWIPOPTS_H
#define NET_LWIPOPTS_H

/* --- surroundings --- */

#define NO_SYS 1                /* no threads: all of it runs in net_turn() on CPU 0 */
#define SYS_LIGHTWEIGHT_PROT 0  /* nothing interrupts it, so nothing has to be protected */
#define LWIP_SOCKET 0           /* need threads */
#define LWIP_NETCONN 0
#define LWIP_ASSERT_CORE_LOCKED() net_assert_turn() /* the single context, asserted wherever lwIP can */
#define LWIP_SINGLE_NETIF 1     /* one card */

/* --- memory --- */

#define MEM_ALIGNMENT 16
/* The heap: headers of every segment in flight (about 110 bytes each) and the bytes of answers until they are
 * acknowledged. HTTP_CONNECTIONS * (HTTP_QUEUE_MAX + 90 headers) is 840 KiB; the consoles' share is in the rest. */
#define MEM_SIZE (1536 * 1024)
/* Received frames, each in a whole buffer however short it is. Two things stay. What came out of order: a frame that
 * finds the pool empty takes its place (netif_nic.c); the trap is that everybody else waits until a timer gives it
 * back. And what a connection sends while it does not take its answers, until patience with it ends: one delivery of
 * lwIP's waits in front of our reader, one in lwIP, of TCP_OOSEQ_MAX_PBUFS and 1 frames each. With all connections of
 * HTTP, which need no token for it, that is 32 * 2 * 17 = 1088. */
#define PBUF_POOL_SIZE 1280
#define PBUF_POOL_BUFSIZE 1536  /* a whole frame in one piece: the parsers of lwIP see no seam within it */
#define MEMP_NUM_PBUF 2048      /* PBUF_ROM of bodies that are sent from where they lie: one per segment */
#define MEMP_NUM_TCP_SEG 3072   /* all that is in flight: 32 connections with a full TCP_SND_BUF */
/* 32 of HTTP and 20 consoles that hold on; the rest half-open, or closing. A new SYN takes the place of the oldest
 * half-open one, never of an established one (listen.c): a SYN flood is a ring that turns fast. */
#define MEMP_NUM_TCP_PCB 128
#define MEMP_NUM_TCP_PCB_LISTEN 20 /* HTTP, the monitor, and 16 guests */
#define MEMP_NUM_IGMP_GROUP 4
#define MEMP_NUM_MLD6_GROUP 6
/* lwIP asserts when they run out, so they are counted: its own, and mDNS (one in 2.1, up to eight in 2.2). */
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 12)

/* --- link and IPv4 --- */

#define ARP_TABLE_SIZE 127      /* as many as lwIP can: senders that do not exist push out real neighbours */
#define ARP_QUEUEING 0          /* keeps one packet per unknown neighbour: TCP repeats the others */
#define IP_REASSEMBLY 0         /* TCP never needs fragments, attackers do */
#define IP_FRAG 0
#define IP_OPTIONS_ALLOWED 0    /* the same; IGMP is excepted by lwIP */
#define LWIP_DHCP 1
#define LWIP_DHCP_CHECK_LINK_UP 0
#define DHCP_DOES_ARP_CHECK 0   /* 2.1: would delay the address by seconds */
#define LWIP_DHCP_DOES_ACD_CHECK 0 /* the same in 2.2 */
#define LWIP_ACD 0
#define LWIP_IGMP 1             /* mDNS is multicast */
#define LWIP_NETIF_HOSTNAME 1   /* told to the DHCP server */
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1 /* mDNS announces itself anew when the address changes */

/* --- IPv6: the link-local address, no more --- */

#define LWIP_IPV6 1
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 0
#define LWIP_IPV6_AUTOCONFIG 0  /* no address that a router on the wire could make us take */
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_ND6_ALLOW_RA_UPDATES 0
#define LWIP_IPV6_MLD 1         /* solicited-node and mDNS groups */
#define LWIP_ND6_QUEUEING 0     /* as ARP_QUEUEING */
#define LWIP_ND6_NUM_NEIGHBORS 16
#define LWIP_ND6_NUM_DESTINATIONS 16
#define LWIP_ICMP6 1

/* --- TCP --- */

#define TCP_MSS 1460
/* A peer's window is what a large upload's speed depends on: window / round trip. 128 KiB carry 1 Gb/s at 1 ms. */
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 2
#define TCP_WND (128 * 1024)
#define TCP_SND_BUF (128 * 1024) /* the same for downloads; answers that are copied have a smaller bound (http.c) */
#define TCP_SND_QUEUELEN ((4 * TCP_SND_BUF) / TCP_MSS)
#define TCP_SNDLOWAT 8192       /* for sockets only, but its default does not fit 16 bits */
#define TCP_OVERSIZE TCP_MSS    /* small writes share a segment */
#define TCP_QUEUE_OOSEQ 1
/* Out-of-order bytes of one connection: without a bound, few peers could hold the whole PBUF_POOL. */
#define TCP_OOSEQ_MAX_BYTES (32 * 1024)
#define TCP_OOSEQ_MAX_PBUFS 16
/* lwIP keeps an out-of-order segment whole that begins within the window and ends behind it, and asserts when the bytes
 * in front of it fill the window: any peer could end the plane so. What may be unread (see PBUF_POOL_SIZE) never does,
 * with the 64 KiB of a peer that does not scale. */
#if (2 * (TCP_OOSEQ_MAX_PBUFS + 1) + 1) * TCP_MSS > 0xFFFF
#error "unread segments can fill a window"
#endif
/* The trap is a backlog of 1: connections that come together are lost for a second. The ring of half-open ones has
 * no other bound than the pool, see MEMP_NUM_TCP_PCB. */
#define TCP_LISTEN_BACKLOG 0
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1 /* for the callback at a SYN: listen.c makes half-open ones the first to go */
#define LWIP_TCP_KEEPALIVE 1    /* an abandoned console must not hold its place for ever */
#define TCP_SYNMAXRTX 4

/* Sequence numbers that a peer cannot guess: RFC 6528 would hash; here each is drawn (random.c). */
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) net_random32()

/* --- mDNS: http://nestling.local/ --- */

#define LWIP_MDNS_RESPONDER 1
#define LWIP_NUM_NETIF_CLIENT_DATA 1
#define LWIP_MDNS_SEARCH 0      /* 2.2: we look for nobody */

#endif
