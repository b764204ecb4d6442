/* SPDX-License-Identifier: MIT */
/* net/state.c - the network plane's own values, for GET /api/host and /metrics. Reads, changes nothing. */
#include "net/http.h"

#include <lwip/ip4_addr.h>
#include <lwip/ip6_addr.h>

#include "drivers/nic.h"
#include "net/stack.h"

void net_write_state(struct text_out *o)
{
	const struct netif *netif = address_netif();
	char text[IP6ADDR_STRLEN_MAX];

	json_open(o, "net", '{');
	json_text(o, "card", nic_name(netif->state));
	json_bool(o, "link", netif_is_link_up(netif));
	json_text(o, "host", address_host());
	json_text(o, "address", ip4addr_ntoa_r(netif_ip4_addr(netif), text, sizeof(text)));
	json_text(o, "address6", ip6addr_ntoa_r(netif_ip6_addr(netif, 0), text, sizeof(text)));
	json_number(o, "monitor_port", CONSOLE_PORT);
	json_close(o, '}');
}

void net_write_metrics(struct text_out *o, sample_fn *sample)
{
	struct http_counters http;
	struct nic_counters nic;

	http_read_counters(&http);
	nic_read_counters(address_netif()->state, &nic);
	sample(o, "net_link", "gauge", "1 while the link is up.", netif_is_link_up(address_netif()));
	sample(o, "net_received_frames_total", "counter", "Frames received.", nic.rx_frames);
	sample(o, "net_received_bytes_total", "counter", "Bytes received.", nic.rx_bytes);
	sample(o, "net_sent_frames_total", "counter", "Frames sent.", nic.tx_frames);
	sample(o, "net_sent_bytes_total", "counter", "Bytes sent.", nic.tx_bytes);
	sample(o, "net_dropped_frames_total", "counter", "Frames lost: damaged, too long, no memory.",
	       nic.rx_dropped + nic.rx_errors + netif_nic_no_memory());
	sample(o, "net_faults_total", "counter", "Things that the card must not do.", nic.faults);
	sample(o, "http_requests_total", "counter", "HTTP requests.", http.requests);
	sample(o, "http_errors_total", "counter", "Of them, answered with 400 or more.", http.errors);
	sample(o, "http_refused_total", "counter", "Connections beyond the limit.", http.refused);
	sample(o, "http_connections", "gauge", "HTTP connections now.", http.connections);
	sample(o, "console_connections", "gauge", "Console connections now.", console_connections());
}
