/* SPDX-License-Identifier: MIT */
/* net/address.c - addresses and names: DHCP or what the command line says, IPv6 link-local, mDNS.
 * Decides when DHCP has failed: DHCP_PATIENCE after the link came up, or after a lease was lost; then the static address
 * serves, if there is one, until a server answers after all.
 * The name is nestling- and half of the card's address, so that several machines can share a wire. Before: net.c. */
#include "net/stack.h"

#include <lwip/apps/mdns.h>
#include <lwip/dhcp.h>
#include <lwip/init.h>
#include <lwip/ip4_addr.h>
#include <lwip/ip6_addr.h>

#include "kernel/log.h"
#include "kernel/printf.h"
#include "kernel/time.h"
#include "net/http.h"

#define DHCP_PATIENCE (10 * NS_PER_SEC)
#define MDNS_TTL 120
#define NAME_MAX 32

static struct netif *netif;
static const struct net_options *options;
static char host[NAME_MAX];
static uint64_t give_up_at = UINT64_MAX;
static bool had_lease;
static uint32_t told; /* the address that the log told last */
static bool told_ip6;

const struct netif *address_netif(void)
{
	return netif;
}

const char *address_host(void)
{
	return host;
}

static void set_static(void)
{
	ip4_addr_t address, mask, gateway;

	ip4_addr_set_u32(&address, lwip_htonl(options->address));
	ip4_addr_set_u32(&mask, lwip_htonl(UINT32_MAX << (32 - options->prefix)));
	ip4_addr_set_u32(&gateway, lwip_htonl(options->gateway));
	netif_set_addr(netif, &address, &mask, &gateway);
}

static void start_mdns(void)
{
	mdns_resp_init();
#if LWIP_VERSION_MAJOR == 2 && LWIP_VERSION_MINOR < 2
	mdns_resp_add_netif(netif, host, MDNS_TTL);
	mdns_resp_add_service(netif, host, "_http", DNSSD_PROTO_TCP, HTTP_PORT, MDNS_TTL, NULL, NULL);
#else
	mdns_resp_add_netif(netif, host);
	mdns_resp_add_service(netif, host, "_http", DNSSD_PROTO_TCP, HTTP_PORT, NULL, NULL);
#endif
}

void address_init(struct netif *interface, const struct net_options *net_options)
{
	netif = interface;
	options = net_options;
	ksnprintf(host, sizeof(host), "nestling-%02x%02x%02x", netif->hwaddr[3], netif->hwaddr[4], netif->hwaddr[5]);
	netif_set_hostname(netif, host);
	netif_create_ip6_linklocal_address(netif, 1);
	netif_set_up(netif);
	start_mdns();
	if (options->dhcp)
		dhcp_start(netif);
	else
		set_static();
}

/* --- changes --- */

static void tell(void)
{
	char text[IP6ADDR_STRLEN_MAX];
	uint32_t address = ip4_addr_get_u32(netif_ip4_addr(netif));

	if (address && address != told)
		klog("net: http://%s/ and http://%s.local/ (consoles: telnet, ports 2300 and up)",
		     ip4addr_ntoa_r(netif_ip4_addr(netif), text, sizeof(text)), host);
	told = address;
	if (told_ip6 || !ip6_addr_ispreferred(netif_ip6_addr_state(netif, 0)))
		return;
	klog("net: http://[%s]/", ip6addr_ntoa_r(netif_ip6_addr(netif, 0), text, sizeof(text)));
	told_ip6 = true;
}

static void follow_link(bool link, uint64_t now)
{
	if (link == !!netif_is_link_up(netif))
		return;
	klog("net: the link is %s", link ? "up" : "down");
	if (!link) {
		netif_set_link_down(netif);
		return;
	}
	netif_set_link_up(netif);
	if (options->dhcp)
		give_up_at = now + DHCP_PATIENCE;
}

static void end_dhcp_wait(uint64_t now)
{
	bool lease = dhcp_supplied_address(netif);

	if (had_lease && !lease)
		give_up_at = now + DHCP_PATIENCE;
	had_lease = lease;
	if (now < give_up_at)
		return;
	give_up_at = UINT64_MAX;
	if (lease)
		return;
	if (!options->has_address) {
		klog("net: no DHCP server answers so far; ip= on the command line gives an address");
		return;
	}
	klog("net: no DHCP server answers; using the address of the command line");
	set_static(); /* lwIP goes on asking */
}

void address_tend(bool link, uint64_t now)
{
	follow_link(link, now);
	end_dhcp_wait(now);
	tell();
}
