/* SPDX-License-Identifier: MIT */
/* net/api_act.c - handlers that change something, or read what is a guest's own: guests, files, consoles.
 * Runs in the net turn, between runs of guests; each call of the plane is bounded, but for clearing and loading a
 * guest's memory. Errors of the plane become statuses here. Before: api.c. Needs: include/plane.h. */
#include "net/http.h"

#include <string.h>

#include <bits.h>


#define CONSOLE_PIECE 2048u

static enum http_status status_of(enum plane_result result, enum http_status no_room)
{
	switch (result) {
	case PLANE_OK: return HTTP_OK;
	case PLANE_NOT_FOUND: return HTTP_NOT_FOUND;
	case PLANE_BAD: return HTTP_BAD_REQUEST;
	case PLANE_CONFLICT: return HTTP_CONFLICT;
	case PLANE_NO_ROOM: return no_room;
	}
	return HTTP_INTERNAL;
}

static enum http_status failed(struct http_conn *c, enum plane_result result, const struct plane_error *e,
			       enum http_status no_room)
{
	memcpy(c->error, e->text, sizeof(c->error));
	c->error[sizeof(c->error) - 1] = '\0';
	return status_of(result, no_room);
}

static void segment(struct http_conn *c, const char **at, size_t *len)
{
	*len = 0;
	http_segment(c->parser.request.target, 2, at, len);
}

bool api_find_guest(struct http_conn *c)
{
	const char *name;
	size_t len;

	segment(c, &name, &len);
	return plane->guest_find(name, len, &c->at.id);
}

/* How many bytes of the body were taken. */
static enum http_produced produce_taken(struct http_conn *c, struct text_out *out)
{
	out_printf(out, "{\"taken\":%llu}\n", (unsigned long long)c->body_len);
	return HTTP_LAST_PIECE;
}

/* --- guests --- */

static enum http_produced produce_done(struct http_conn *c, struct text_out *out)
{
	struct plane_guest g;

	if (plane->guest(c->at.id, &g))
		api_write_guest(out, &g);
	else
		out_text(out, "{}");
	out_text(out, "\n");
	return HTTP_LAST_PIECE;
}

static enum http_status act(struct http_conn *c, enum plane_result (*action)(uint32_t id, struct plane_error *error))
{
	struct plane_error e = {.text = ""};
	enum plane_result result;

	if (!api_find_guest(c))
		return HTTP_NOT_FOUND;
	result = action(c->at.id, &e);
	if (result != PLANE_OK)
		return failed(c, result, &e, HTTP_NO_ROOM);
	c->produce = produce_done;
	return HTTP_OK;
}

/* The CPUs of a guest leave it in their own time. The answer ends when they have, so that whoever sees that can remove
 * the guest's files or use its name. */
static enum http_produced produce_gone(struct http_conn *c, struct text_out *out)
{
	struct plane_guest g;

	return plane->guest(c->at.id, &g) ? HTTP_WAIT : produce_done(c, out);
}

enum http_status api_guest_destroy(struct http_conn *c)
{
	enum http_status status = act(c, plane->destroy);

	if (status == HTTP_OK)
		c->produce = produce_gone;
	return status;
}

enum http_status api_guest_start(struct http_conn *c)
{
	return act(c, plane->start);
}

enum http_status api_guest_stop(struct http_conn *c)
{
	return act(c, plane->stop);
}

enum http_status api_guest_reset(struct http_conn *c)
{
	return act(c, plane->reset);
}

enum http_status api_guest_create(struct http_conn *c)
{
	struct plane_error e = {.text = ""};
	enum plane_result result = plane->create(c->buf, c->body_len, &c->at.id, &e);

	if (result != PLANE_OK)
		return failed(c, result, &e, HTTP_NO_ROOM);
	c->produce = produce_done;
	return HTTP_CREATED;
}

/* --- consoles --- */

/* A stream ends with the guest's existence; a look ends at the cursor that the head told. */
static enum http_produced produce_console(struct http_conn *c, struct text_out *out)
{
	struct plane_guest g;
	uint64_t lost, size = CONSOLE_PIECE;
	size_t n;

	if (!c->endless)
		size = min_u64(size, c->at.end - min_u64(c->at.cursor, c->at.end));
	n = size ? plane->console_read(c->at.id, &c->at.cursor, out->at + out->len, size, &lost) : 0;
	out->len += n;
	if (n)
		return HTTP_PIECE;
	return !c->endless || !plane->guest(c->at.id, &g) ? HTTP_LAST_PIECE : HTTP_WAIT;
}

/* ?follow=0: what there is, and the cursor behind it. ?from=N: from that cursor on. */
enum http_status api_guest_console(struct http_conn *c)
{
	const char *target = c->parser.request.target;
	struct plane_guest g;
	uint64_t follow = 1;

	if (!api_find_guest(c) || !plane->guest(c->at.id, &g))
		return HTTP_NOT_FOUND;
	http_query(target, "from", &c->at.cursor);
	http_query(target, "follow", &follow);
	c->at.end = g.console_written;
	c->tells_cursor = !follow;
	c->extends_deadline = true;
	c->endless = follow;
	c->type = "text/plain; charset=utf-8";
	c->produce = produce_console;
	return HTTP_OK;
}

enum http_status api_guest_type(struct http_conn *c)
{
	if (!api_find_guest(c))
		return HTTP_NOT_FOUND;
	c->body_len = plane->console_write(c->at.id, c->buf, c->body_len);
	c->produce = produce_taken;
	return HTTP_OK;
}

/* --- files --- */

enum http_status api_upload_begin(struct http_conn *c)
{
	struct plane_error e = {.text = ""};
	enum plane_result result;
	const char *name;
	size_t len;

	segment(c, &name, &len);
	result = plane->upload_begin(name, len, c->parser.request.length, &c->upload, &e);
	if (result == PLANE_OK)
		return HTTP_OK;
	c->upload = NULL;
	return failed(c, result, &e, HTTP_TOO_LARGE);
}

enum http_status api_file_store(struct http_conn *c)
{
	struct plane_error e = {.text = ""};
	enum plane_result result = plane->upload_end(true, &e);

	c->upload = NULL;
	if (result != PLANE_OK)
		return failed(c, result, &e, HTTP_NO_ROOM);
	c->produce = produce_taken;
	return HTTP_CREATED;
}

enum http_status api_file_remove(struct http_conn *c)
{
	struct plane_error e = {.text = ""};
	enum plane_result result;
	const char *name;
	size_t len;

	segment(c, &name, &len);
	result = plane->file_remove(name, len, &e);
	if (result != PLANE_OK)
		return failed(c, result, &e, HTTP_NO_ROOM);
	c->produce = produce_taken;
	return HTTP_OK;
}

enum http_status api_file_read(struct http_conn *c)
{
	const char *name;
	size_t len;

	segment(c, &name, &len);
	c->file = c->pinned = plane->file_pin(name, len, &c->file_size);
	if (!c->file)
		return HTTP_NOT_FOUND;
	c->file_left = c->file_size;
	c->extends_deadline = true;
	c->type = "application/octet-stream";
	return HTTP_OK;
}

void api_end(struct http_conn *c)
{
	struct plane_error unused;

	if (c->upload)
		plane->upload_end(false, &unused);
	c->upload = NULL;
	if (c->pinned)
		plane->file_unpin(c->pinned);
	c->pinned = NULL;
}
