/* SPDX-License-Identifier: MIT */
/* tests/unit/test_net.c - the network plane on lwIP as a peer sees it: HTTP, consoles, limits.
 * links: net/net.c net/address.c net/state.c net/netif_nic.c net/sys_arch.c net/listen.c net/http.c net/reply.c */
/* links: net/http_parse.c net/api.c net/api_act.c net/api_read.c net/metrics.c net/json.c net/token.c */
/* links: net/telnet.c net/tcp_console.c kernel/printf.c tests/unit/net_rig.c tests/unit/net_peer.c lwip */
/* wraps: tcp_write */
#include "tests/unit/net_http.h"

#include <lwip/tcp.h>

/* --- lwIP's memory --- */

static uint32_t write_fails; /* bit 0: the next one does, and so on */

err_t __real_tcp_write(struct tcp_pcb *pcb, const void *bytes, u16_t length, u8_t flags);

err_t __wrap_tcp_write(struct tcp_pcb *pcb, const void *bytes, u16_t length, u8_t flags)
{
	bool fails = write_fails & 1;

	write_fails >>= 1;
	return fails ? ERR_MEM : __real_tcp_write(pcb, bytes, length, flags);
}

/* --- HTTP --- */

static void test_values(void **state)
{
	(void)state;
	ask("GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "\"cpu\":\"A \\u0022CPU\\u0022\",\"cpus\":4");
	ask("GET /api/host HTTP/1.0\r\n\r\n", "Connection: close");
	ask("GET /api/guests HTTP/1.1\r\nHost: x\r\n\r\n", "\"name\":\"tiny\"");
	ask("GET /api/guests HTTP/1.1\r\nHost: x\r\n\r\n", "a \\u0022reason\\u0022\\u000a\\u00c3");
	ask("GET /api/guests/linux HTTP/1.1\r\nHost: x\r\n\r\n", "0\r\n\r\n");
	ask("GET /api/guests/2 HTTP/1.1\r\nHost: x\r\n\r\n", "\"ASID_ZERO\":1");
	ask("GET /api/files HTTP/1.1\r\nHost: x\r\n\r\n", "[{\"name\":\"vmlinuz\",\"size\":7");
	ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "<html>page</html>");
	ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "nestling_exits_total{guest=\"tiny\",vcpu=\"1\",level=\"2\"");
	ask("HEAD /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK");
}

static void test_errors(void **state)
{
	unsigned before = rig_actions;

	(void)state;
	ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found");
	ask("GET /api/guests/nobody HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found");
	ask("PUT /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "405 Method Not Allowed");
	ask("PATCH /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "501 Not Implemented");
	ask("\x01garbage\r\n\r\n", "400 Bad Request");
	ask("GET /api/host HTTP/2.0\r\n\r\n", "505 ");
	ask("DELETE /api/guests/linux HTTP/1.1\r\nHost: x\r\n\r\n", "401 Unauthorized");
	ask("DELETE /api/guests/linux HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer correct-horsf\r\n\r\n", "401 ");
	ask("DELETE /api/guests/linux HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \r\n\r\n", "401 ");
	ask("GET /api/guests/linux/console HTTP/1.1\r\nHost: x\r\n\r\n", "401 ");
	ask("GET /api/files/x HTTP/1.1\r\nHost: x\r\n\r\n", "401 ");
	ask("POST /api/guests HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "411 ");
	ask("POST /api/guests HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 4097\r\n\r\n", "413 ");
	ask("PUT /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 99999999999\r\n\r\n", "413 ");
	ask("PUT /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "Transfer-Encoding: chunked\r\n\r\n", "411 ");
	assert_int_equal(rig_actions, before);
	ask("POST /api/guests HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 3\r\n\r\nabc", "line 1: no guest");
}

static void test_405_names_the_methods(void **state)
{
	(void)state;
	ask("DELETE /api/guests HTTP/1.1\r\nHost: x\r\n\r\n", "Allow: GET, HEAD, POST\r\n");
	ask("POST /api/files/x HTTP/1.1\r\nHost: x\r\n\r\n", "Allow: GET, HEAD, PUT, DELETE\r\n");
	ask("POST /api/guests/x HTTP/1.1\r\nHost: x\r\n\r\n", "Allow: GET, HEAD, DELETE\r\n");
	ask("GET /api/guests/x/stop HTTP/1.1\r\nHost: x\r\n\r\n", "Allow: POST\r\n");
}

static void test_actions(void **state)
{
	unsigned before = rig_actions;

	(void)state;
	ask("POST /api/guests HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 5\r\n\r\nguest", "201 Created");
	ask("POST /api/guests/tiny/start HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "200 OK");
	ask("POST /api/guests/tiny/stop HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "200 OK");
	ask("POST /api/guests/tiny/reset HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "200 OK");
	ask("DELETE /api/guests/tiny HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "200 OK");
	assert_int_equal(rig_actions, before + 5);
	rig_guest_exists(true);
}

static unsigned count(const struct peer_conn *c, const char *text)
{
	unsigned n = 0;

	for (const char *at = c->got; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* DELETE is answered when the guest is gone; the head of the answer before that. What is asked behind it waits, too. */
static void test_the_end_is_waited_for(void **state)
{
	static const char *const versions[] = {"1.1", "1.0"}, *const ends[] = {"{}\n\r\n0\r\n\r\n", "{}\n"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(versions); i++) {
		struct peer_conn *c = open_conn(HTTP_PORT);
		char text[256];

		snprintf(text, sizeof(text), "DELETE /api/guests/tiny HTTP/%s\r\nHost: x\r\n" AUTH "\r\n"
			 "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", versions[i]);
		rig_guest_lingers = true;
		peer_text(c, text);
		assert_true(peer_expect(c, "200 OK", 100));
		assert_false(peer_expect(c, "{}", 2000));
		assert_int_equal(count(c, "404"), 0);
		rig_guest_exists(false);
		assert_true(peer_expect(c, ends[i], 100));
		rig_run_ms(20);
		assert_int_equal(count(c, "404"), i == 0);
		rig_guest_exists(true);
		rig_guest_lingers = false;
		peer_free(c);
	}
}

/* A guest that does not go holds nobody's connection for ever. */
static void test_the_end_that_does_not_come(void **state)
{
	struct peer_conn *c = open_conn(HTTP_PORT);

	(void)state;
	rig_guest_lingers = true;
	peer_text(c, "DELETE /api/guests/tiny HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	rig_run_ms(15000);
	assert_false(c->reset);
	rig_run_ms(10000);
	assert_true(c->reset);
	rig_guest_lingers = false;
	peer_free(c);
}

/* A guest that goes, or comes, while an answer is made changes nothing in what is said of the others. */
static void test_guests_that_go_while_they_are_listed(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n", name[] = "exits_total{guest=\"tiny\"";
	unsigned whole = 0;

	(void)state;
	for (unsigned n = 0; n < 24; n++) { /* how many acknowledgements come before; it goes or comes */
		struct peer_conn *c = open_conn(HTTP_PORT);
		unsigned got;

		c->mute = true;
		peer_text(c, request);
		for (unsigned i = 0; i < n / 2; i++) {
			peer_ack(c);
			rig_run_ms(1);
		}
		got = count(c, name);
		rig_linux_exists = !rig_linux_exists;
		c->mute = false;
		peer_ack(c);
		rig_run_ms(100);
		whole = whole ? whole : count(c, name);
		assert_int_equal(count(c, name), whole);
		assert_true(n || got < whole);
		peer_free(c);
	}
	assert_true(rig_linux_exists);
	assert_int_equal(whole, 2 * 233); /* of 2 vCPUs: counters that are not 0 */
}

/* Making a guest takes seconds; nobody waits for half of them more. */
static void test_a_long_turn_keeps_nobody_waiting(void **state)
{
	struct peer_conn *c = open_conn(HTTP_PORT);
	uint64_t begin;

	(void)state;
	rig_create_ms = 4000;
	peer_text(c, "POST /api/guests HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 5\r\n\r\nguest");
	rig_run_ms(1);
	rig_create_ms = 0;
	begin = rig_now_ns;
	peer_text(c, "GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(peer_expect(c, "\"cpus\":4", 1000));
	assert_true(rig_now_ns - begin < 20 * RIG_NS_PER_MS);
	peer_free(c);
}

static void test_keep_alive_and_pipelining(void **state)
{
	struct peer_conn *c = open_conn(HTTP_PORT);

	(void)state;
	peer_text(c, "GET /api/files HTTP/1.1\r\nHost: x\r\n\r\nGET /api/host HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(peer_expect(c, "\"cpus\":4", 100));
	peer_text(c, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(peer_expect(c, "404", 100));
	assert_false(c->reset);
	peer_free(c);
}

/* --- uploads, downloads --- */

static void test_upload_and_download(void **state)
{
	const size_t size = 700001;
	char *bytes = pattern(size);
	struct peer_conn *c;

	(void)state;
	upload(bytes, size);
	assert_false(rig_upload_open);
	c = open_conn(HTTP_PORT);
	peer_text(c, "GET /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	assert_true(peer_expect(c, "\r\n\r\n", 100));
	for (unsigned i = 0; i < 5000 && rig_pins; i++)
		rig_run_ms(1);
	char *body = strstr(c->got, "\r\n\r\n") + 4;

	assert_int_equal(c->got_len - (size_t)(body - c->got), size);
	assert_memory_equal(body, bytes, size);
	assert_int_equal(rig_pins, 0);
	peer_free(c);
	free(bytes);
}

/* Its memory may go only when TCP no longer refers to it: at the last ACK, or with the connection. */
static void test_a_download_that_dies_lets_go_of_the_file(void **state)
{
	struct peer_conn *c = open_conn(HTTP_PORT);

	(void)state;
	c->mute = true;
	peer_text(c, "GET /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	rig_run_ms(50);
	assert_int_equal(rig_pins, 1);
	peer_free(c);
	assert_int_equal(rig_pins, 0);

	upload("small", 5); /* all of it is with TCP at once */
	c = open_conn(HTTP_PORT);
	c->mute = true;
	peer_text(c, "GET /api/files/x HTTP/1.0\r\n" AUTH "\r\n");
	assert_true(peer_expect(c, "small", 10));
	assert_int_equal(rig_pins, 1);
	peer_ack(c);
	rig_run_ms(5);
	assert_int_equal(rig_pins, 0);
	peer_free(c);

	c = open_conn(HTTP_PORT);
	c->mute = true;
	peer_text(c, "GET /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	rig_run_ms(60000); /* nothing is confirmed: patience ends */
	assert_int_equal(rig_pins, 0);
	peer_free(c);
}

static void test_an_upload_that_dies_is_given_back(void **state)
{
	struct peer_conn *c = open_conn(HTTP_PORT);

	(void)state;
	peer_text(c, "PUT /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 1000\r\n\r\nabc");
	rig_run_ms(5);
	assert_true(rig_upload_open);
	ask("PUT /api/files/y HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 5\r\n\r\nabcde", "409 Conflict");
	rig_run_ms(20000);
	assert_false(rig_upload_open);
	assert_true(c->fin || c->reset);
	peer_free(c);
}

/* --- consoles --- */

static void test_console_stream(void **state)
{
	struct peer_conn *c;

	(void)state;
	ask("GET /api/guests/tiny/console?follow=0 HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "Nestling-Cursor: 0\r\n");
	c = open_conn(HTTP_PORT);
	peer_text(c, "GET /api/guests/tiny/console HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
	rig_guest_says("hello\n", 6);
	assert_true(peer_expect(c, "6\r\nhello\n\r\n", 100));
	rig_run_ms(90000); /* silence is no reason to end it */
	rig_guest_says("again\n", 6);
	assert_true(peer_expect(c, "again\n", 100));
	rig_guest_exists(false);
	assert_true(peer_expect(c, "0\r\n\r\n", 100));
	rig_guest_exists(true);
	peer_free(c);
	ask("GET /api/guests/tiny/console?follow=0&from=2 HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "llo\nagain\n");
	ask("POST /api/guests/tiny/console HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: 3\r\n\r\nls\n", "\"taken\":3");
	assert_string_equal(rig_typed, "ls\n");
}

static void test_tcp_console(void **state)
{
	struct peer_conn *c = open_conn(2302);

	(void)state;
	rig_typed_len = 0;
	assert_true(peer_expect(c, "token: ", 100));
	peer_text(c, "wrong\r\n");
	assert_true(peer_expect(c, "\r\ntoken: ", 100));
	peer_text(c, "\xFF\xFD\x01" RIG_TOKEN "\r\n");
	assert_true(peer_expect(c, "hello\n", 100));
	peer_text(c, "ls\r\n\xFF\xF4");
	rig_run_ms(20);
	assert_int_equal(rig_typed_len, 4);
	assert_memory_equal(rig_typed, "ls\r\x03", 4);
	rig_guest_exists(false);
	assert_true(peer_expect(c, "the guest is gone", 500));
	rig_guest_exists(true);
	rig_run_ms(5);
	assert_true(c->fin);
	peer_free(c);
}

static void test_console_needs_the_token(void **state)
{
	struct peer_conn *c = open_conn(2300);

	(void)state;
	peer_text(c, "a\nb\nc\n");
	assert_true(peer_expect(c, "no\r\n", 100));
	rig_run_ms(5);
	assert_true(c->fin);
	assert_null(strstr(c->got, "nestling>"));
	peer_free(c);
}

/* TCP that has no memory delays what a console says, and loses none of it. */
static void test_a_console_while_memory_is_short(void **state)
{
	const size_t size = 6000;
	char *bytes = calloc(1, size + 1);

	(void)state;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + (i * 7 + i / 251) % 26);
	for (uint16_t port = 2300; port <= 2302; port += 2) {
		struct peer_conn *c = open_conn(port);

		peer_text(c, RIG_TOKEN "\r");
		rig_run_ms(20);
		for (size_t i = 0; i < size; i += 1000) {
			if (port == 2302)
				rig_guest_says(bytes + i, 1000);
			else
				peer_send(c, bytes + i, 1000); /* this monitor says what it is told */
			write_fails = 5; /* the first piece, then the second */
			rig_run_ms(50);
			assert_int_equal(write_fails, 0);
		}
		assert_non_null(strstr(c->got, bytes));
		peer_free(c);
	}
	free(bytes);
}

/* What the guest does not take closes the window; nothing is lost, and no memory grows. */
static void test_a_guest_that_does_not_read(void **state)
{
	struct peer_conn *c = open_conn(2302);
	char text[3001];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[3000] = '\0';
	rig_typed_len = 0;
	rig_type_room = 100;
	peer_text(c, RIG_TOKEN "\r");
	peer_text(c, text);
	rig_run_ms(2000);
	assert_int_equal(rig_typed_len, 100);
	rig_type_room = SIZE_MAX;
	rig_run_ms(2000);
	/* The second segment was refused, so the third never was in sequence; the peer would send it again. */
	assert_true(rig_typed_len >= 1460);
	peer_free(c);
}

/* --- limits --- */

static void test_slow_clients_do_not_keep_others_out(void **state)
{
	struct peer_conn *slow[200];
	unsigned busy = 0, cut = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		slow[i] = open_conn(HTTP_PORT);
		peer_text(slow[i], "GET /api/host HT");
		rig_run_ms(10);
	}
	for (unsigned i = 0; i < 200; i++) {
		busy += strstr(slow[i]->got, "503 Service Unavailable") != NULL;
		cut += slow[i]->fin || slow[i]->reset;
	}
	assert_true(busy > 100);
	assert_true(cut >= 200 - HTTP_CONNECTIONS);
	rig_run_ms(1100); /* the slots' protection ends: somebody with a request gets in */
	ask("GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "\"cpus\":4");
	for (unsigned i = 0; i < 200; i++)
		peer_free(slow[i]);
	rig_run_ms(12000);
	ask("GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n", "\"cpus\":4");
}

static void test_a_slow_reader_is_bounded_and_ended(void **state)
{
	struct peer_conn *c = open_conn(HTTP_PORT);

	(void)state;
	c->mute = true;
	peer_text(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	rig_run_ms(30000);
	assert_true(c->reset);
	assert_true(c->got_len <= 20000);
	peer_free(c);
}

static void test_wrong_tokens_are_slowed_down(void **state)
{
	(void)state;
	rig_run_ms(10000);
	for (unsigned i = 0; i < 60; i++)
		ask("DELETE /api/guests/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess\r\n\r\n", i < 50 ? "401 " : "4");
	ask("DELETE /api/guests/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess\r\n\r\n", "429 Too Many");
	ask("DELETE /api/guests/tiny HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", "200 OK");
	rig_guest_exists(true);
}

/* --- the wire --- */

static void test_the_link_is_told(void **state)
{
	(void)state;
	rig_link = false;
	rig_run_ms(1100);
	assert_non_null(strstr(rig_log, "the link is down"));
	rig_link = true;
	rig_run_ms(1100);
	assert_non_null(strstr(rig_log, "the link is up"));
	assert_non_null(strstr(rig_log, "http://10.0.0.1/ and http://nestling-123456.local/"));
	assert_non_null(strstr(rig_log, "http://[FE80::5054:FF:FE12:3456]/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_405_names_the_methods),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_the_end_is_waited_for),
		cmocka_unit_test(test_the_end_that_does_not_come),
		cmocka_unit_test(test_guests_that_go_while_they_are_listed),
		cmocka_unit_test(test_a_long_turn_keeps_nobody_waiting),
		cmocka_unit_test(test_keep_alive_and_pipelining),
		cmocka_unit_test(test_upload_and_download),
		cmocka_unit_test(test_a_download_that_dies_lets_go_of_the_file),
		cmocka_unit_test(test_an_upload_that_dies_is_given_back),
		cmocka_unit_test(test_console_stream),
		cmocka_unit_test(test_tcp_console),
		cmocka_unit_test(test_console_needs_the_token),
		cmocka_unit_test(test_a_console_while_memory_is_short),
		cmocka_unit_test(test_a_guest_that_does_not_read),
		cmocka_unit_test(test_slow_clients_do_not_keep_others_out),
		cmocka_unit_test(test_a_slow_reader_is_bounded_and_ended),
		cmocka_unit_test(test_wrong_tokens_are_slowed_down),
		cmocka_unit_test(test_the_link_is_told),
		cmocka_unit_test(test_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
