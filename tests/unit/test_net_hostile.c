/* SPDX-License-Identifier: MIT */
/* tests/unit/test_net_hostile.c - peers that mean it: places and memory that are held, connections that break
 * off in the middle, ways around the token.
 * links: net/net.c net/address.c net/state.c net/netif_nic.c net/sys_arch.c net/listen.c net/http.c net/reply.c */
/* links: net/http_parse.c net/api.c net/api_act.c net/api_read.c net/metrics.c net/json.c net/token.c */
/* links: net/telnet.c net/tcp_console.c kernel/printf.c tests/unit/net_rig.c tests/unit/net_peer.c lwip */
#include "tests/unit/net_http.h"

#define STREAM "GET /api/guests/tiny/console HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n"

/* A stream never runs out of patience; whoever comes after it, on its connection or in its place, does. */
static void test_the_place_of_a_stream_is_not_for_ever(void **state)
{
	struct peer_conn *stream = open_conn(HTTP_PORT), *next;

	(void)state;
	peer_text(stream, STREAM);
	assert_true(peer_expect(stream, "200 OK", 100));
	peer_free(stream);

	next = open_conn(HTTP_PORT);
	peer_text(next, "GET /api/host HT");
	rig_run_ms(15000);
	assert_true(next->fin || next->reset);
	peer_free(next);

	stream = open_conn(HTTP_PORT);
	peer_text(stream, STREAM);
	assert_true(peer_expect(stream, "200 OK", 100));
	rig_guest_exists(false);
	assert_true(peer_expect(stream, "0\r\n\r\n", 100));
	rig_guest_exists(true);
	rig_run_ms(15000);
	assert_true(stream->fin || stream->reset);
	peer_free(stream);
}

/* What a peer sends behind a question whose answer it does not take is kept. All who can do so at once, without a
 * token, must leave room for everybody else. */
static void test_unread_bytes_leave_room_for_others(void **state)
{
	static const char question[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	struct peer_conn *hog[HTTP_CONNECTIONS], *other;
	char bytes[1460];

	(void)state;
	memset(bytes, '\n', sizeof(bytes));
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		hog[i] = open_conn(HTTP_PORT);
		hog[i]->mute = true;
		for (unsigned round = 0; round < 2; round++) { /* one that is looked at, one that lwIP keeps */
			for (uint32_t n = 0; n < 30; n++)
				peer_segment(hog[i], TCP_ACK_FLAG, bytes, 10, sizeof(question) - 1 + 10 * n);
			rig_run_ms(1);
			peer_segment(hog[i], TCP_ACK_FLAG, question, sizeof(question) - 1, 0);
			rig_run_ms(1);
			hog[i]->seq = hog[i]->acked;
		}
	}
	other = open_conn(2300);
	assert_true(peer_expect(other, "token: ", 100));
	peer_free(other);
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
		peer_free(hog[i]);
}

/* lwIP 2.1.3 keeps an out-of-order segment that reaches beyond the window, and asserts when its turn comes; that would
 * be the end of the plane. So what a connection can have unread must not reach the end of the window of 64 KiB. */
static void test_unread_bytes_never_fill_the_window(void **state)
{
	static const char question[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	struct peer_conn *c = open_conn(HTTP_PORT);
	uint32_t begin = c->seq;
	char bytes[1460];

	(void)state;
	memset(bytes, '\n', sizeof(bytes));
	memcpy(bytes, question, sizeof(question) - 1);
	c->mute = true;
	for (unsigned round = 0; round < 4; round++) {
		for (uint32_t n = 40; n > 0; n--) /* the last one first: it is the one that is kept whole */
			peer_segment(c, TCP_ACK_FLAG, bytes, sizeof(bytes), sizeof(bytes) * n);
		rig_run_ms(1);
		peer_segment(c, TCP_ACK_FLAG, bytes, sizeof(bytes), 0);
		rig_run_ms(1);
		c->seq = c->acked;
	}
	assert_in_range(c->acked - begin, 10 * sizeof(bytes), 0xFFFF - sizeof(bytes));
	peer_free(c);
}

/* A peer with a window of two bytes gets segments of one. It must not cost the plane more than one with large ones: what does not fit TCP's queue is not tried again and again, and 96 segments are one connection's share. */
static void test_tiny_segments_are_bounded(void **state)
{
	struct peer_conn *c;
	unsigned before = lwip_stats.memp[MEMP_TCP_SEG]->used;

	(void)state;
	peer_window = 2;
	c = open_conn(HTTP_PORT);
	peer_window = 0xFFFF;
	c->mute = true;
	peer_text(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	rig_run_ms(20);
	assert_in_range(lwip_stats.memp[MEMP_TCP_SEG]->used - before, 1, 96);
	c->mute = false;
	peer_ack(c);
	assert_true(peer_expect(c, "0\r\n\r\n", 1000));
	peer_free(c);
}

/* RST in the middle of an upload, of a download and of a stream. */
static void test_a_reset_lets_go_of_all(void **state)
{
	struct peer_conn *c = open_conn(HTTP_PORT);
	char *bytes = pattern(200000);

	(void)state;
	peer_text(c, "PUT /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 100000\r\n\r\nabc");
	rig_run_ms(5);
	assert_true(rig_upload_open);
	peer_free(c);
	assert_false(rig_upload_open);
	upload(bytes, 200000);
	free(bytes);
	c = open_conn(HTTP_PORT);
	c->mute = true;
	peer_text(c, "GET /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	rig_run_ms(5);
	assert_int_equal(rig_pins, 1);
	peer_free(c);
	assert_int_equal(rig_pins, 0);
}

/* Whatever way a path is written, nothing that needs the token is reached without. */
static void test_no_way_around_the_token(void **state)
{
	static const char *const targets[] = {
		"/api/files/x", "/api/files/x/", "/api/files/x?token=" RIG_TOKEN, "/api/files/..", "/api/files/%2e%2e",
		"/api/guests/tiny/console", "/api/guests/tiny/console/", "/api/guests/tiny/console?follow=0",
		"//api/files/x", "/api//files/x", "/api/./files/x", "/%61pi/files/x", "/api/guests/tiny/console//",
	};
	static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
	static const char *const tokens[] = {
		"", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n", "Authorization: Basic " RIG_TOKEN "\r\n",
		"Authorization: " RIG_TOKEN "\r\n", "Authorization: Bearer correct-hors\r\n",
		"Authorization: Bearer " RIG_TOKEN "x\r\n",
	};
	unsigned before = rig_actions, pins = rig_pins;
	char request[512];

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(targets) * ARRAY_COUNT(methods) * ARRAY_COUNT(tokens); i++) {
		unsigned t = i / (ARRAY_COUNT(methods) * ARRAY_COUNT(tokens));

		snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 1\r\n\r\n",
			 methods[i / ARRAY_COUNT(tokens) % ARRAY_COUNT(methods)], targets[t],
			 tokens[i % ARRAY_COUNT(tokens)]);
		ask(request, "HTTP/1.1 4");
	}
	assert_int_equal(rig_actions, before);
	assert_int_equal(rig_pins, pins);
	assert_false(rig_upload_open);
	rig_run_ms(10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_place_of_a_stream_is_not_for_ever),
		cmocka_unit_test(test_unread_bytes_leave_room_for_others),
		cmocka_unit_test(test_unread_bytes_never_fill_the_window),
		cmocka_unit_test(test_tiny_segments_are_bounded),
		cmocka_unit_test(test_a_reset_lets_go_of_all),
		cmocka_unit_test(test_no_way_around_the_token),
		cmocka_unit_test(test_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
