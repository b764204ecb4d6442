/* SPDX-License-Identifier: MIT */
/* tests/unit/net_http.h - what the tests of the network plane do again and again. Included by test_net*.c alone. */
#ifndef NET_HTTP_TEST_H
#define NET_HTTP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/net_rig.h"

#include <lwip/stats.h>

#include "net/http.h"

#define AUTH "Authorization: Bearer " RIG_TOKEN "\r\n"

static inline struct peer_conn *open_conn(uint16_t port)
{
	struct peer_conn *c = peer_connect(port);

	assert_non_null(c);
	return c;
}

/* One request on a connection of its own; the text of the answer until `want`. */
static inline void ask(const char *request, const char *want)
{
	struct peer_conn *c = open_conn(HTTP_PORT);

	peer_text(c, request);
	if (!peer_expect(c, want, 300))
		fail_msg("'%s' did not come after '%s': %s", want, request, c->got);
	peer_free(c);
}

static inline char *pattern(size_t size)
{
	char *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	return bytes;
}

static inline void upload(const char *bytes, size_t size)
{
	struct peer_conn *c = open_conn(HTTP_PORT);
	char head[256];

	snprintf(head, sizeof(head), "PUT /api/files/x HTTP/1.1\r\nHost: x\r\n" AUTH "Content-Length: %zu\r\n\r\n", size);
	peer_text(c, head);
	peer_send(c, bytes, size);
	assert_true(peer_expect(c, "201 Created", 1000));
	peer_free(c);
}

/* Last: after all of that, lwIP's pools are as they were. */
static void test_nothing_leaks(void **state)
{
	(void)state;
	rig_run_ms(150000);
	assert_int_equal(lwip_stats.memp[MEMP_PBUF_POOL]->used, 0);
	assert_int_equal(lwip_stats.memp[MEMP_TCP_PCB]->used, 0);
	assert_int_equal(lwip_stats.memp[MEMP_TCP_SEG]->used, 0);
	assert_int_equal(lwip_stats.memp[MEMP_PBUF]->used, 0);
	assert_int_equal(lwip_stats.mem.err, 0);
	assert_int_equal(rig_pins, 0);
	assert_false(rig_upload_open);
}

static inline int start(void **state)
{
	(void)state;
	rig_start();
	peer_start();
	return 0;
}

#endif
