/* SPDX-License-Identifier: MIT */
/* net/api_read.c - values as JSON, made a piece at a time: no answer is ever in memory as a whole. A guest that goes
 * away meanwhile ends its part of the answer, which stays well-formed. Before: api.c. Needs: include/plane.h. */
#include "net/http.h"

#include <bits.h>

#include "net/stack.h"

#define EXITS_PER_PIECE 8u

static enum http_status produce_by(struct http_conn *c, http_produce_fn *produce)
{
	c->produce = produce;
	return HTTP_OK;
}

/* --- host --- */

static enum http_produced produce_host(struct http_conn *c, struct text_out *o)
{
	struct plane_host h;

	(void)c;
	plane->host(&h);
	json_open(o, NULL, '{');
	json_text(o, "version", h.version);
	json_text(o, "cpu", h.cpu_name);
	json_number(o, "cpus", h.cpu_count);
	json_number(o, "cpus_free", h.cpus_free);
	json_text(o, "svm_features", h.svm_words);
	json_number(o, "asids", h.asid_count);
	json_number(o, "uptime_ms", h.uptime_ns / 1000000);
	json_open(o, "memory", '{');
	json_number(o, "total", h.memory_total);
	json_number(o, "free", h.memory_free);
	json_number(o, "files", h.memory_files);
	json_close(o, '}');
	json_number(o, "guests", h.guests);
	json_number(o, "guests_max", h.guests_max);
	net_write_state(o);
	json_close(o, '}');
	out_text(o, "\n");
	return HTTP_LAST_PIECE;
}

enum http_status api_host(struct http_conn *c)
{
	return produce_by(c, produce_host);
}

/* --- guests --- */

static void write_guest_fields(struct text_out *o, const struct plane_guest *g)
{
	json_number(o, "number", g->number);
	json_text(o, "name", g->name);
	json_text(o, "state", g->state);
	json_bool(o, "died", g->died);
	json_text(o, "reason", g->end_reason);
	json_number(o, "memory", g->memory);
	json_bool(o, "nested", g->nested);
	json_text(o, "svm_features", g->svm_words);
	json_number(o, "uptime_ms", g->uptime_ns / 1000000);
	json_number(o, "console_written", g->console_written);
	json_number(o, "console_port", g->number <= CONSOLE_GUESTS ? CONSOLE_PORT + g->number : 0);
	json_number(o, "vcpu_count", g->vcpus);
	json_open(o, "cpus", '[');
	for (unsigned i = 0; g->active && i < g->vcpus; i++)
		json_number(o, NULL, g->cpus[i]);
	json_close(o, ']');
}

void api_write_guest(struct text_out *o, const struct plane_guest *g)
{
	json_open(o, NULL, '{');
	write_guest_fields(o, g);
	json_close(o, '}');
}

void api_first_guest(struct http_conn *c)
{
	for (unsigned n = 0; plane->guest_at(n, &c->at.id); n++)
		c->at.end = max_u64(c->at.end, c->at.id);
	c->at.id = 0;
}

bool api_next_guest(struct http_conn *c, struct plane_guest *g)
{
	for (unsigned n = 0; plane->guest_at(n, &c->at.id); n++) {
		if (c->at.id <= c->at.end && plane->guest(c->at.id, g) && g->number > c->at.cursor) {
			c->at.cursor = g->number;
			return true;
		}
	}
	c->at.id = 0;
	return false;
}

static enum http_produced produce_guests(struct http_conn *c, struct text_out *o)
{
	struct plane_guest g;

	if (!c->at.step++)
		json_open(o, NULL, '[');
	if (!api_next_guest(c, &g)) {
		json_close(o, ']');
		out_text(o, "\n");
		return HTTP_LAST_PIECE;
	}
	api_write_guest(o, &g);
	return HTTP_PIECE;
}

enum http_status api_guests(struct http_conn *c)
{
	api_first_guest(c);
	return produce_by(c, produce_guests);
}

/* --- one guest with its vCPUs and counters --- */

enum guest_step { STEP_GUEST, STEP_VCPU, STEP_EXITS, STEP_REFUSALS };

static enum http_produced guest_head(struct http_conn *c, struct text_out *o)
{
	struct plane_guest g = {.state = ""};

	plane->guest(c->at.id, &g);
	json_open(o, NULL, '{');
	write_guest_fields(o, &g);
	json_open(o, "vcpus", '[');
	c->at.step = STEP_VCPU;
	return HTTP_PIECE;
}

static enum http_produced vcpu_head(struct http_conn *c, struct text_out *o)
{
	struct plane_vcpu v;

	if (!plane->vcpu(c->at.id, c->at.vcpu, &v)) {
		json_close(o, ']');
		json_close(o, '}');
		out_text(o, "\n");
		return HTTP_LAST_PIECE;
	}
	json_open(o, NULL, '{');
	json_number(o, "cpu", v.cpu);
	json_text(o, "activity", v.activity);
	json_number(o, "level", v.level);
	json_number(o, "vmruns", v.vmrun_count);
	json_number(o, "vmruns_refused", v.refused_count);
	json_number(o, "full_exits", v.full_exit_count);
	json_number(o, "check_gaps", v.check_gap_count);
	json_open(o, "exits", '{');
	c->at.step = STEP_EXITS;
	c->at.n = 0;
	return HTTP_PIECE;
}

static enum http_produced vcpu_exits(struct http_conn *c, struct text_out *o)
{
	struct plane_exits e;

	for (unsigned i = 0; i < EXITS_PER_PIECE; i++) {
		if (c->at.n == plane->exit_kinds) {
			json_close(o, '}');
			json_open(o, "refusals", '{');
			c->at.step = STEP_REFUSALS;
			c->at.n = 0;
			break;
		}
		if (!plane->exits(c->at.id, c->at.vcpu, c->at.n++, &e) || !(e.count[0] | e.count[1]))
			continue;
		json_open(o, e.name, '{');
		json_number(o, "l1", e.count[0]);
		json_number(o, "l2", e.count[1]);
		json_close(o, '}');
	}
	return HTTP_PIECE;
}

static enum http_produced vcpu_refusals(struct http_conn *c, struct text_out *o)
{
	struct plane_refusals r;

	for (unsigned i = 0; i < EXITS_PER_PIECE; i++) {
		if (c->at.n == plane->refusal_kinds) {
			json_close(o, '}');
			json_close(o, '}');
			c->at.step = STEP_VCPU;
			c->at.vcpu++;
			break;
		}
		if (plane->refusals(c->at.id, c->at.vcpu, c->at.n++, &r) && r.count)
			json_number(o, r.name, r.count);
	}
	return HTTP_PIECE;
}

static enum http_produced produce_guest(struct http_conn *c, struct text_out *o)
{
	switch (c->at.step) {
	case STEP_GUEST: return guest_head(c, o);
	case STEP_VCPU: return vcpu_head(c, o);
	case STEP_EXITS: return vcpu_exits(c, o);
	default: return vcpu_refusals(c, o);
	}
}

enum http_status api_guest(struct http_conn *c)
{
	struct plane_guest g;

	if (!api_find_guest(c) || !plane->guest(c->at.id, &g))
		return HTTP_NOT_FOUND;
	return produce_by(c, produce_guest);
}

/* --- files --- */

static enum http_produced produce_files(struct http_conn *c, struct text_out *o)
{
	struct plane_file f;

	if (!c->at.step++)
		json_open(o, NULL, '[');
	if (!plane->file_at(c->at.n++, &f)) {
		json_close(o, ']');
		out_text(o, "\n");
		return HTTP_LAST_PIECE;
	}
	json_open(o, NULL, '{');
	json_text(o, "name", f.name);
	json_number(o, "size", f.size);
	json_bool(o, "uploaded", f.uploaded);
	json_number(o, "users", f.users);
	json_close(o, '}');
	return HTTP_PIECE;
}

enum http_status api_files(struct http_conn *c)
{
	return produce_by(c, produce_files);
}

/* --- the page --- */

extern const uint8_t page_html[]; /* page.asm */
extern const uint64_t page_html_size;

enum http_status api_page(struct http_conn *c)
{
	c->type = "text/html; charset=utf-8";
	c->file = page_html;
	c->file_left = c->file_size = page_html_size;
	return HTTP_OK;
}
