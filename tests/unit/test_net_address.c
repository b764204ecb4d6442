/* SPDX-License-Identifier: MIT */
/* tests/unit/test_net_address.c - addresses: no DHCP server, one that comes, one that goes; the name by mDNS.
 * links: net/net.c net/address.c net/state.c net/netif_nic.c net/sys_arch.c net/listen.c net/http.c net/reply.c */
/* links: net/http_parse.c net/api.c net/api_act.c net/api_read.c net/metrics.c net/json.c net/token.c */
/* links: net/telnet.c net/tcp_console.c kernel/printf.c tests/unit/net_rig.c tests/unit/net_peer.c lwip */
#define _GNU_SOURCE /* memmem() */
#include "tests/unit/net_http.h"

enum { ETH = 14, UDP = ETH + 20, DATA = UDP + 8, DHCP_OPTIONS = DATA + 240, DHCP_END = DHCP_OPTIONS + 64 };
enum { DISCOVER = 1, OFFER, REQUEST, ACK = 5 };
enum { LEASE_SECONDS = 240 };

static const uint8_t leased[4] = {10, 0, 0, 77}, server[4] = {10, 0, 0, 9};
static bool serves;
static unsigned acks;
static uint8_t answer[1600]; /* the last frame to mDNS's group */
static size_t answer_len;

/* The same frame back, from the server to everybody. */
static void serve(const uint8_t *request)
{
	uint8_t f[DHCP_END] = {0}, kind = request[DHCP_OPTIONS + 2] == DISCOVER ? OFFER : ACK;
	const uint8_t options[] = {53, 1, kind, 54, 4, server[0], server[1], server[2], server[3], 51, 4, 0, 0, 0,
				   LEASE_SECONDS, 1, 4, 255, 0, 0, 0, 255};

	memcpy(f, request, DHCP_OPTIONS);
	memset(f, 0xFF, 6);
	f[17] = (uint8_t)(sizeof(f) - ETH);
	f[16] = (uint8_t)((sizeof(f) - ETH) >> 8);
	memcpy(f + ETH + 12, server, 4);
	memset(f + ETH + 16, 0xFF, 4);
	f[UDP + 1] = 67;
	f[UDP + 3] = 68;
	f[UDP + 5] = (uint8_t)(sizeof(f) - UDP);
	f[UDP + 4] = (uint8_t)((sizeof(f) - UDP) >> 8);
	f[DATA] = 2;
	memcpy(f + DATA + 16, leased, 4);
	memcpy(f + DHCP_OPTIONS, options, sizeof(options));
	peer_fix_checksums(f, sizeof(f));
	acks += kind == ACK;
	rig_receive(f, sizeof(f));
}

static void (*to_peer)(const uint8_t *frame, size_t len);

static void on_frame(const uint8_t *f, size_t len)
{
	bool is_udp = len > DATA && f[12] == 8 && f[13] == 0 && f[ETH + 9] == 17;

	if (is_udp && f[UDP + 3] == 67 && serves)
		serve(f);
	if (is_udp && !memcmp(f + ETH + 16, "\xE0\x00\x00\xFB", 4)) {
		memcpy(answer, f, len);
		answer_len = len;
	}
	to_peer(f, len);
}

static int start_with_dhcp(void **state)
{
	(void)state;
	rig_options.dhcp = true;
	peer_start();
	to_peer = rig_on_frame;
	rig_on_frame = on_frame;
	rig_start();
	return 0;
}

static size_t log_from;

static bool told(const char *text)
{
	return strstr(rig_log + log_from, text) != NULL;
}

static void forget_log(void)
{
	log_from = strlen(rig_log);
}

/* rig_start() let three seconds pass. */
static void test_no_server_answers(void **state)
{
	(void)state;
	rig_run_ms(6000);
	assert_false(told("http://10.0.0.1/"));
	rig_run_ms(2000);
	assert_true(told("no DHCP server answers; using the address of the command line"));
	assert_true(told("http://10.0.0.1/ and http://nestling-123456.local/"));
	ask("GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "\"link\":true,\"host\":\"nestling-123456\",\"address\":\"10.0.0.1\"");
}

static void test_a_server_that_comes_late_is_heard(void **state)
{
	(void)state;
	forget_log();
	serves = true;
	rig_run_ms(70000);
	assert_int_equal(acks, 1);
	assert_true(told("http://10.0.0.77/"));
}

/* Renewed at half of its time; then not any more. */
static void test_a_lease_that_is_lost(void **state)
{
	(void)state;
	forget_log();
	rig_run_ms(LEASE_SECONDS * 1000);
	assert_true(acks > 1);
	assert_false(told("http"));
	serves = false;
	rig_run_ms((LEASE_SECONDS + 120) * 1000);
	assert_true(told("no DHCP server answers; using the address of the command line"));
	assert_true(told("http://10.0.0.1/"));
	ask("GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "\"address\":\"10.0.0.1\"");
}

/* RFC 6762: a question to the group for the host's address. */
static void query(const char *name, uint8_t type)
{
	uint8_t f[DATA + 100] = {1, 0, 0x5E, 0, 0, 0xFB, 2, 0, 0, 0, 0, 9, 8, 0, 0x45};
	static const uint8_t addresses[] = {10, 0, 0, 2, 224, 0, 0, 251}, ports[] = {0x14, 0xE9, 0x14, 0xE9};
	size_t len = strlen(name), at = DATA + 12, end = at + 1 + len + 7 + 4;

	f[17] = (uint8_t)(end - ETH);
	f[ETH + 8] = 255;
	f[ETH + 9] = 17;
	memcpy(f + ETH + 12, addresses, sizeof(addresses));
	memcpy(f + UDP, ports, sizeof(ports));
	f[UDP + 5] = (uint8_t)(end - UDP);
	f[DATA + 5] = 1;
	f[at++] = (uint8_t)len;
	memcpy(f + at, name, len);
	memcpy(f + at + len, "\x05local", 7);
	f[end - 3] = type;
	f[end - 1] = 1;
	peer_fix_checksums(f, end);
	answer_len = 0;
	rig_receive(f, end);
	rig_run_ms(1000);
}

static void test_the_name_is_answered(void **state)
{
	static const uint8_t address[] = {0, 4, 10, 0, 0, 1}, address6[] = {0, 16, 0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54,
									   0, 0xFF, 0xFE, 0x12, 0x34, 0x56};

	(void)state;
	query("nestling-123456", 1);
	assert_non_null(memmem(answer, answer_len, address, sizeof(address)));
	query("nestling-123456", 28);
	assert_non_null(memmem(answer, answer_len, address6, sizeof(address6)));
	query("nestling-123457", 1);
	assert_int_equal(answer_len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_server_answers),
		cmocka_unit_test(test_a_server_that_comes_late_is_heard),
		cmocka_unit_test(test_a_lease_that_is_lost),
		cmocka_unit_test(test_the_name_is_answered),
		cmocka_unit_test(test_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, start_with_dhcp, NULL);
}
