/* SPDX-License-Identifier: MIT */
/* tests/unit/test_net_traps.c - lwIP's known traps (docs/network.md), and that its pools leak nothing.
 * links: net/net.c net/address.c net/state.c net/netif_nic.c net/sys_arch.c net/listen.c net/http.c net/reply.c */
/* links: net/http_parse.c net/api.c net/api_act.c net/api_read.c net/metrics.c net/json.c net/token.c */
/* links: net/telnet.c net/tcp_console.c kernel/printf.c tests/unit/net_rig.c tests/unit/net_peer.c lwip */
#include "tests/unit/net_http.h"

#include <lwip/priv/tcp_priv.h>

#include "net/stack.h"

/* Out-of-order segments of many connections would take all of PBUF_POOL, and everybody else would wait for a timer. */
static void test_trap_pool_exhaustion(void **state)
{
	static struct peer_conn *c[100];
	char bytes[1460] = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		c[i] = open_conn(2300 + i % 16);
	for (unsigned n = 1; n < 24; n++) {
		for (unsigned i = 0; i < 100; i++)
			peer_segment(c[i], TCP_ACK_FLAG, bytes, sizeof(bytes), n * 1460 + 1);
		rig_run_ms(1);
	}
	assert_int_equal(lwip_stats.memp[MEMP_PBUF_POOL]->max, lwip_stats.memp[MEMP_PBUF_POOL]->avail);
	assert_int_equal(netif_nic_no_memory(), 0);

	uint64_t begin = rig_now_ns;

	ask("GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "\"cpus\":4");
	assert_true(rig_now_ns - begin < 100 * RIG_NS_PER_MS);
	for (unsigned i = 0; i < 100; i++)
		peer_free(c[i]);
}

/* Nagle would hold the last, short segment until the one before is confirmed; a peer may take 200 ms for that. */
static void test_trap_nagle(void **state)
{
	const size_t size = 2001;
	char *bytes = pattern(size);
	struct peer_conn *c;

	(void)state;
	upload(bytes, size);
	c = open_conn(HTTP_PORT);
	c->mute = true;
	peer_text(c, "GET /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	rig_run_ms(5);
	assert_in_range(c->got_len, size, 2 * 1460);
	peer_free(c);
	free(bytes);
}

/* With a backlog of 1 the second of two that come together is lost for a second. */
static void test_trap_backlog(void **state)
{
	unsigned answered = 0;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		peer_syn(RIG_PEER_IP + 1, (uint16_t)(50000 + i), HTTP_PORT, 5);
	rig_run_ms(5);
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		answered += pcb->state == SYN_RCVD;
	assert_int_equal(answered, 30);
}

/* Half-open connections push out each other, not those in use, and a real peer gets in meanwhile. */
static void test_trap_syn_flood(void **state)
{
	struct peer_conn *old = open_conn(HTTP_PORT), *fresh;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		peer_syn(0x0A010000u + i, (uint16_t)(1024 + i % 50000), HTTP_PORT, i);
		if (i % 50 == 0)
			rig_run_ms(1);
	}
	fresh = peer_connect(HTTP_PORT);
	assert_non_null(fresh);
	peer_text(fresh, "GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(peer_expect(fresh, "\"cpus\":4", 100));
	peer_text(old, "GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(peer_expect(old, "\"cpus\":4", 100));
	peer_free(fresh);
	peer_free(old);
}

/* A peer whose answers come at once would keep the draining going for ever. */
static void test_trap_draining_what_is_added(void **state)
{
	uint8_t ping[60] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 9, 8, 6};
	unsigned before = rig_turns;

	(void)state;
	for (unsigned i = 0; i < RIG_RING; i++)
		rig_receive(ping, sizeof(ping));
	rig_turn();
	assert_int_equal(rig_turns, before + 1);
	unsigned room = 0;

	while (rig_receive(ping, sizeof(ping)))
		room++;
	assert_in_range(room, 60, 64); /* TURN_FRAMES were taken, no more */
	rig_run_ms(5);
}

/* A full ring delays, but no segment waits for TCP's timer. */
static void test_a_full_ring_to_the_card(void **state)
{
	const size_t size = 200000;
	char *bytes = pattern(size);
	struct peer_conn *c;
	uint64_t begin;

	(void)state;
	upload(bytes, size);
	rig_tx_room = 3;
	c = open_conn(HTTP_PORT);
	peer_text(c, "GET /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	begin = rig_now_ns;
	for (unsigned i = 0; i < 5000 && c->got_len < size; i++)
		rig_run_ms(1);
	rig_tx_room = RIG_RING;
	assert_true(c->got_len >= size);
	assert_true(rig_now_ns - begin < 200 * RIG_NS_PER_MS);
	rig_run_ms(10);
	peer_free(c);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trap_pool_exhaustion),
		cmocka_unit_test(test_trap_nagle),
		cmocka_unit_test(test_trap_backlog),
		cmocka_unit_test(test_trap_syn_flood),
		cmocka_unit_test(test_trap_draining_what_is_added),
		cmocka_unit_test(test_a_full_ring_to_the_card),
		cmocka_unit_test(test_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
