/* SPDX-License-Identifier: MIT */
/* net/http.h - an HTTP connection, between http.c, which moves its bytes, and api.c, which knows what they mean. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <plane.h>

#include "net/http_parse.h"
#include "net/json.h"

struct pbuf;
struct tcp_pcb;
struct http_conn;

#define HTTP_PORT 80
#define HTTP_CONNECTIONS 32
#define HTTP_HEAD_ROOM 384    /* for our own head, and the line in front of a chunk */
#define HTTP_PIECE_MAX 3072   /* what a producer may write in one call */
#define HTTP_BUFFER 8192
#define HTTP_TEXT_MAX PLANE_DESCRIPTION_MAX

enum http_phase { HTTP_FREE, HTTP_READ_HEAD, HTTP_READ_BODY, HTTP_ANSWER };

/* Where a request's body goes. */
enum http_sink {
	HTTP_SINK_NONE, /* nowhere */
	HTTP_SINK_TEXT, /* to `buf`, at most HTTP_TEXT_MAX bytes */
	HTTP_SINK_FILE, /* to `upload` */
};

enum http_produced { HTTP_PIECE, HTTP_LAST_PIECE, HTTP_WAIT };

/* Writes the next piece of an answer; `at` of the connection tells where it stands. HTTP_WAIT: nothing yet. */
typedef enum http_produced http_produce_fn(struct http_conn *c, struct text_out *out);

/* All belong to CPU 0. Bounded whatever the peer does. */
struct http_conn {
	enum http_phase phase;
	struct tcp_pcb *pcb;
	struct pbuf *rest;           /* received and not looked at yet */
	bool peer_done;              /* it sends no more */
	bool blocked;                /* lwIP is out of memory: try again in the next turn */
	uint64_t deadline;           /* when patience ends */
	uint64_t unacked;            /* bytes given to TCP that the peer has not confirmed */
	struct http_parser parser;

	/* The request. */
	const struct http_route *route;
	enum http_sink sink;
	uint64_t body_left, body_len;
	uint8_t *upload;

	/* The answer. */
	enum http_status status;
	bool close_after, head_sent, body_left_out, chunked, finished;
	bool extends_deadline;       /* patience begins anew with each piece that the peer confirms */
	bool endless;                /* it may have nothing to say for any time */
	bool tells_cursor;           /* at.end, in the head */
	const char *type;            /* Content-Type */
	unsigned allow;              /* the methods that the path has, as bits; told with 405 */
	http_produce_fn *produce;    /* null: the body is `file` */
	const uint8_t *file;         /* sent from where it lies */
	const uint8_t *pinned;       /* the file, while it may not be removed */
	uint64_t file_left, file_size;
	struct { uint32_t id; unsigned step, vcpu, n; bool comma; uint64_t cursor, end; } at;
	char error[PLANE_ERROR_MAX];

	unsigned out_at, out_end;    /* what of `buf` is still to be given to TCP */
	char buf[HTTP_BUFFER];
};

void http_init(void);
/* Goes on with what waits. The time at which it wants to be called again, in time_now_ns(). */
uint64_t http_turn(uint64_t now);

struct http_counters {
	uint64_t requests, errors, refused; /* answers of 400 and more; connections beyond HTTP_CONNECTIONS */
	unsigned connections;
};
void http_read_counters(struct http_counters *counters);

/* --- reply.c --- */

/* Starts the answer that produce, file, type and error of the connection describe. */
void reply_begin(struct http_conn *c, enum http_status status);
/* Fills the connection's buffer, which must be empty, with what comes next. False: there is nothing now. */
bool reply_fill(struct http_conn *c);
/* The answer is {"error": ...}; c->error says what, or is empty: then what goes with the status. */
void reply_error(struct http_conn *c);

/* --- api.c --- */

/* What svm/ offers; set once, at start. */
extern const struct plane_ops *plane;

/* The head is complete: finds the route, sets `sink`. HTTP_OK: go on with the body; else the answer is an error. */
enum http_status api_begin(struct http_conn *c);
/* The body has come, too: sets the answer. */
enum http_status api_finish(struct http_conn *c);

/* --- api_read.c, metrics.c: values --- */

enum http_status api_page(struct http_conn *c);
enum http_status api_host(struct http_conn *c);
enum http_status api_guests(struct http_conn *c);
enum http_status api_guest(struct http_conn *c);
enum http_status api_files(struct http_conn *c);
enum http_status api_metrics(struct http_conn *c);

/* One guest as an object, its vCPUs left out. */
void api_write_guest(struct text_out *out, const struct plane_guest *g);
/* Goes over the guests in the order of their numbers, whatever comes and goes between two calls: each that was there at
 * the first and is there now comes once. The next is at.id and *g; false: there is no more, at.id is 0, as none's is. */
void api_first_guest(struct http_conn *c);
bool api_next_guest(struct http_conn *c, struct plane_guest *g);

/* --- api_act.c: actions --- */

enum http_status api_guest_create(struct http_conn *c);
enum http_status api_guest_destroy(struct http_conn *c);
enum http_status api_guest_start(struct http_conn *c);
enum http_status api_guest_stop(struct http_conn *c);
enum http_status api_guest_reset(struct http_conn *c);
enum http_status api_guest_console(struct http_conn *c);
enum http_status api_guest_type(struct http_conn *c);
enum http_status api_file_store(struct http_conn *c);
enum http_status api_file_read(struct http_conn *c);
enum http_status api_file_remove(struct http_conn *c);

/* Room for the body that is announced. HTTP_OK: c->upload is set. */
enum http_status api_upload_begin(struct http_conn *c);
/* The guest that segment 2 of the path names, by name or number. */
bool api_find_guest(struct http_conn *c);
/* The connection ends, or its answer is complete: lets go of upload and file. */
void api_end(struct http_conn *c);

/* --- state.c: the plane's own values --- */

/* "net": {...} of GET /api/host. */
void net_write_state(struct text_out *o);
typedef void sample_fn(struct text_out *o, const char *name, const char *type, const char *what, uint64_t value);
void net_write_metrics(struct text_out *o, sample_fn *sample);

#endif
