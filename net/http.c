/* SPDX-License-Identifier: MIT */
/* net/http.c - HTTP/1.1 connections on lwIP's raw TCP: bytes in, bytes out, and when patience ends.
 * lwIP's own httpd was looked at first: it reads no header but Content-Length, knows GET and POST alone, wants a
 * whole answer in memory or a file, and has no answers that go on for ever. Uploads of unknown kernels, tokens,
 * DELETE and console streams are the point here, so only its TCP is used.
 * Decides: one request at a time per connection; what arrives early waits in its pbuf, and lwIP keeps what comes after
 * (ERR_MEM), so the peer's window closes. No memory is taken per request. Before: listen.c. Next: api.c, reply.c. */
#include "net/http.h"

#include <string.h>

#include <bits.h>
#include <check.h>
#include <lwip/tcp.h>

#include "kernel/time.h"
#include "net/stack.h"

#define HEAD_PATIENCE (10 * NS_PER_SEC)  /* to send a request, and to begin the next one */
#define HEAD_PROTECTED NS_PER_SEC        /* so long nobody else gets the place of one that has not sent it */
#define BODY_PATIENCE (15 * NS_PER_SEC)  /* for a text at all, for each piece of a file */
#define ANSWER_PATIENCE (20 * NS_PER_SEC) /* to take an answer at all; each piece of a file or stream */
#define LOOK_PERIOD (250 * NS_PER_MS)    /* how exactly these are kept */
#define STREAM_PERIOD (10 * NS_PER_MS)   /* how often a stream looks for something new */
/* Bytes of copied answers in flight: bounds what slow readers take of lwIP's heap. */
#define HTTP_QUEUE_MAX 16384u
/* Segments in flight: enough for TCP_SND_BUF, at two pbufs each; a share of MEMP_NUM_TCP_SEG. */
#define HTTP_SEGMENTS_MAX 96u

static struct http_conn conns[HTTP_CONNECTIONS];
static struct http_counters counters;

void http_read_counters(struct http_counters *out)
{
	*out = counters;
	out->connections = 0;
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
		out->connections += conns[i].phase != HTTP_FREE;
}

/* --- the end --- */

/* Gives back what the connection holds, but for its pcb. */
static void release(struct http_conn *c)
{
	if (c->rest)
		pbuf_free(c->rest);
	c->rest = NULL;
	if (c->phase == HTTP_READ_BODY || c->phase == HTTP_ANSWER)
		api_end(c);
	c->phase = HTTP_FREE;
	c->pcb = NULL;
}

static void close_politely(struct http_conn *c)
{
	struct tcp_pcb *pcb = c->pcb;

	if (c->rest)
		tcp_recved(pcb, c->rest->tot_len);
	release(c);
	listen_farewell(pcb);
}

/* Only here may a body that TCP still refers to go away: tcp_abort() drops all references. Never called from a
 * callback of the same pcb, which would have to answer ERR_ABRT. */
static void abort_connection(struct http_conn *c)
{
	struct tcp_pcb *pcb = c->pcb;

	tcp_arg(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_abort(pcb);
	release(c);
}

/* lwIP has freed the pcb already. */
static void on_error(void *arg, err_t err)
{
	(void)err;
	release(arg);
}

/* --- sending --- */

static void set_patience(struct http_conn *c, uint64_t patience)
{
	c->deadline = time_now_ns() + patience;
}

/* What TCP takes now, in the segments that are left. A peer with a small window makes them small, and tcp_write() would
 * do all its work before it finds that they are too many. A copy is one pbuf, what is sent from its place is two. */
static uint64_t room(const struct tcp_pcb *pcb, u8_t flags)
{
	uint64_t pbufs = flags & TCP_WRITE_FLAG_COPY ? 1 : 2, most = HTTP_SEGMENTS_MAX * pbufs;
	uint64_t left = (most - min_u64(tcp_sndqueuelen(pcb), most)) / pbufs;
	uint64_t size = max_u64(min_u64(pcb->mss, pcb->snd_wnd_max / 2), 1);

	return min_u64(tcp_sndbuf(pcb), left * size);
}

/* Gives TCP as much as it takes. False: it takes no more now. */
static bool give(struct http_conn *c, const void *at, uint64_t length, u8_t flags, uint64_t *given)
{
	uint64_t n = min_u64(length, room(c->pcb, flags));

	if (flags & TCP_WRITE_FLAG_COPY)
		n = min_u64(n, HTTP_QUEUE_MAX - min_u64(c->unacked, HTTP_QUEUE_MAX));
	*given = n = min_u64(n, UINT16_MAX);
	if (!n)
		return false;
	if (tcp_write(c->pcb, at, (u16_t)n, flags) != ERR_OK) {
		*given = 0;
		c->blocked = true;
		return false;
	}
	c->unacked += n;
	return true;
}

static bool send_buffer(struct http_conn *c)
{
	uint64_t given;

	while (c->out_at < c->out_end) {
		if (!give(c, c->buf + c->out_at, c->out_end - c->out_at, TCP_WRITE_FLAG_COPY, &given))
			return false;
		c->out_at += (unsigned)given;
	}
	return true;
}

static bool send_file(struct http_conn *c)
{
	uint64_t given;

	while (c->file_left) {
		if (!give(c, c->file, c->file_left, 0, &given))
			return false;
		c->file += given;
		c->file_left -= given;
	}
	return true;
}

static void next_request(struct http_conn *c)
{
	http_parser_init(&c->parser);
	c->phase = HTTP_READ_HEAD;
	c->endless = false; /* as the answer before may have been, or that of who had the place before */
	set_patience(c, HEAD_PATIENCE);
}

/* All is with TCP. A body that lies elsewhere must stay there until the peer has it. True: go on with the next
 * request, which may be here already. */
static bool answered(struct http_conn *c)
{
	if (c->pinned && c->unacked)
		return false;

	bool keep = !c->close_after && !c->peer_done;

	api_end(c);
	if (keep) {
		next_request(c);
		return true;
	}
	c->phase = HTTP_READ_HEAD; /* api_end() was called */
	close_politely(c);
	return false;
}

static bool answer(struct http_conn *c)
{
	for (;;) {
		if (!send_buffer(c))
			return false;
		if (c->finished)
			break;
		if (!reply_fill(c))
			return false; /* nothing new yet */
	}
	return send_file(c) && answered(c);
}

/* --- receiving --- */

static void begin_answer(struct http_conn *c, enum http_status status)
{
	counters.requests++;
	counters.errors += status >= HTTP_BAD_REQUEST;
	c->phase = HTTP_ANSWER;
	reply_begin(c, status);
	set_patience(c, ANSWER_PATIENCE);
}

/* What is wrong before a body was read leaves the body in the way of the next request. */
static void refuse(struct http_conn *c, enum http_status status)
{
	c->close_after = true;
	reply_error(c);
	begin_answer(c, status);
}

static void prepare_request(struct http_conn *c)
{
	c->route = NULL;
	c->sink = HTTP_SINK_NONE;
	c->upload = NULL;
	c->produce = NULL;
	c->file = NULL;
	c->pinned = NULL;
	c->extends_deadline = c->endless = c->tells_cursor = false;
	c->file_left = c->file_size = c->body_len = 0;
	c->allow = 0;
	c->error[0] = '\0';
	c->close_after = !c->parser.request.keep_alive;
	c->body_left = c->parser.request.length;
	memset(&c->at, 0, sizeof(c->at));
}

static void head_complete(struct http_conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	enum http_status status = c->parser.status;
	uint64_t given;

	prepare_request(c);
	c->phase = HTTP_READ_BODY;
	if (status == HTTP_OK)
		status = api_begin(c);
	if (status != HTTP_OK) {
		refuse(c, status);
		return;
	}
	set_patience(c, BODY_PATIENCE);
	if (c->parser.request.expect_continue && c->body_left && room(c->pcb, 0) >= sizeof(go_on))
		give(c, go_on, sizeof(go_on) - 1, 0, &given); /* without it the client goes on after a second */
}

static void take_body(struct http_conn *c, const char *bytes, size_t len)
{
	switch (c->sink) {
	case HTTP_SINK_NONE: break;
	case HTTP_SINK_TEXT:
		CHECK(c->body_len + len <= HTTP_TEXT_MAX);
		memcpy(c->buf + c->body_len, bytes, len);
		break;
	case HTTP_SINK_FILE:
		memcpy(c->upload + c->body_len, bytes, len);
		set_patience(c, BODY_PATIENCE);
		break;
	}
	c->body_len += len;
	c->body_left -= len;
}

/* Takes from the pbuf in front, as much as is asked for there. */
static size_t take(struct http_conn *c, const char *bytes, size_t len)
{
	size_t n = min_u64(len, c->body_left);

	if (c->phase == HTTP_READ_HEAD)
		return http_parse(&c->parser, bytes, len);
	take_body(c, bytes, n);
	return n;
}

static void consume(struct http_conn *c)
{
	size_t n = take(c, c->rest->payload, c->rest->len);

	tcp_recved(c->pcb, (u16_t)n);
	c->rest = pbuf_free_header(c->rest, (u16_t)n);
	if (c->phase == HTTP_READ_HEAD && c->parser.status != HTTP_MORE)
		head_complete(c);
}

/* Goes on until something is missing: bytes of the peer, room in TCP, or news for a stream. */
static void work(struct http_conn *c)
{
	for (;;) {
		if (c->phase == HTTP_ANSWER) {
			if (!answer(c))
				break;
		} else if (c->phase == HTTP_READ_BODY && !c->body_left) {
			enum http_status status = api_finish(c);

			begin_answer(c, status);
		} else if (c->rest) {
			consume(c);
		} else {
			break;
		}
	}
	if (c->phase != HTTP_FREE)
		tcp_output(c->pcb);
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct http_conn *c = arg;

	(void)pcb;
	(void)err;
	if (p && c->rest)
		return ERR_MEM; /* lwIP keeps it and asks again */
	if (p)
		c->rest = p;
	else
		c->peer_done = true;
	/* Half a request will never be whole; the rest of an answer may be still wanted, if it has an end. */
	if (!p && (c->phase != HTTP_ANSWER || c->endless))
		close_politely(c);
	else
		work(c);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
	struct http_conn *c = arg;

	(void)pcb;
	c->unacked -= min_u64(c->unacked, length);
	if (c->phase == HTTP_ANSWER && c->extends_deadline)
		set_patience(c, ANSWER_PATIENCE);
	work(c);
	return ERR_OK;
}

/* --- the beginning --- */

/* A free one; else that of the peer that has let us wait for its request longest, if that is long. Null: all are
 * at work. */
static struct http_conn *find_slot(void)
{
	struct http_conn *idle = NULL;

	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		struct http_conn *c = &conns[i];

		if (c->phase == HTTP_FREE)
			return c;
		if (c->phase == HTTP_READ_HEAD && (!idle || c->deadline < idle->deadline))
			idle = c;
	}
	if (!idle || idle->deadline > time_now_ns() + HEAD_PATIENCE - HEAD_PROTECTED)
		return NULL;
	close_politely(idle);
	return idle;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
				   "Content-Length: 21\r\n\r\ntoo many connections\n";
	struct http_conn *c;

	(void)arg;
	if (err != ERR_OK || !pcb)
		return ERR_VAL; /* lwIP had no memory for it: nobody has to go */
	c = find_slot();
	listen_accepted(pcb);
	if (!c) {
		counters.refused++;
		tcp_write(pcb, busy, sizeof(busy) - 1, 0);
		listen_farewell(pcb);
		return ERR_OK;
	}
	c->pcb = pcb;
	c->unacked = 0;
	c->out_at = c->out_end = 0;
	c->peer_done = c->blocked = false;
	next_request(c);
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_receive);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	return ERR_OK;
}

/* An answer that is stuck is of no use to anybody; a request that does not come is told so. */
static void give_up(struct http_conn *c)
{
	if (c->phase == HTTP_ANSWER || c->unacked)
		abort_connection(c);
	else
		close_politely(c);
}

uint64_t http_turn(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		struct http_conn *c = &conns[i];
		bool stream = c->phase == HTTP_ANSWER && !c->finished;

		if (c->phase == HTTP_FREE)
			continue;
		if (c->endless && !c->unacked)
			set_patience(c, ANSWER_PATIENCE);
		if (now >= c->deadline) {
			give_up(c);
			continue;
		}
		next = min_u64(next, now + (stream || c->blocked ? STREAM_PERIOD : LOOK_PERIOD));
		if (stream || c->blocked) {
			c->blocked = false;
			work(c);
		}
	}
	return next;
}

void http_init(void)
{
	listen_open(HTTP_PORT, on_accept, NULL);
}
