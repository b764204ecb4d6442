/* SPDX-License-Identifier: MIT */
/* net/metrics.c - GET /metrics, in Prometheus' text format 0.0.4: one family of samples after the other, each a piece
 * at a time. Decides the names; they are documented in docs/network.md and must stay. Before: api.c. */
#include "net/http.h"

#include <bits.h>

#define KINDS_PER_PIECE 8u

enum { FAMILY_HOST, FAMILY_NET, FAMILY_UP, FAMILY_VMRUNS, FAMILY_EXITS, FAMILY_REFUSED };

struct place {
	struct plane_guest g;
	unsigned vcpu;
};

static void help(struct text_out *o, const char *name, const char *type, const char *what)
{
	out_printf(o, "# HELP nestling_%s %s\n# TYPE nestling_%s %s\n", name, what, name, type);
}

static void single(struct text_out *o, const char *name, const char *type, const char *what, uint64_t value)
{
	help(o, name, type, what);
	out_printf(o, "nestling_%s %llu\n", name, (unsigned long long)value);
}

static void host_family(struct text_out *o)
{
	struct plane_host h;

	plane->host(&h);
	single(o, "uptime_milliseconds", "gauge", "Time since start.", h.uptime_ns / 1000000);
	single(o, "cpus", "gauge", "Physical CPUs.", h.cpu_count);
	single(o, "cpus_free", "gauge", "Physical CPUs without a vCPU.", h.cpus_free);
	single(o, "memory_bytes", "gauge", "Memory of the page pool.", h.memory_total);
	single(o, "memory_free_bytes", "gauge", "Of it, free.", h.memory_free);
	single(o, "memory_files_bytes", "gauge", "Of it, in uploaded files.", h.memory_files);
	single(o, "guests", "gauge", "Guests, ended ones included.", h.guests);
}

/* Guests' names are words: they need no escapes. */
static void guest_sample(struct text_out *o, const struct plane_guest *g)
{
	out_printf(o, "nestling_guest_running{guest=\"%s\"} %u\n", g->name, g->uptime_ns != 0);
}

static void vcpu_sample(struct text_out *o, const struct place *p, uint32_t id)
{
	struct plane_vcpu v;

	if (!plane->vcpu(id, p->vcpu, &v))
		return;
	out_printf(o, "nestling_vmruns_total{guest=\"%s\",vcpu=\"%u\"} %llu\n", p->g.name, p->vcpu,
		   (unsigned long long)v.vmrun_count);
}

static void exit_sample(struct text_out *o, const struct place *p, uint32_t id, unsigned n)
{
	struct plane_exits e;

	if (!plane->exits(id, p->vcpu, n, &e))
		return;
	for (unsigned level = 0; level < ARRAY_COUNT(e.count); level++) {
		if (e.count[level])
			out_printf(o, "nestling_exits_total{guest=\"%s\",vcpu=\"%u\",level=\"%u\",reason=\"%s\"} %llu\n",
				   p->g.name, p->vcpu, level + 1, e.name, (unsigned long long)e.count[level]);
	}
}

static void refusal_sample(struct text_out *o, const struct place *p, uint32_t id, unsigned n)
{
	struct plane_refusals r;

	if (plane->refusals(id, p->vcpu, n, &r) && r.count)
		out_printf(o, "nestling_vmruns_refused_total{guest=\"%s\",vcpu=\"%u\",check=\"%s\"} %llu\n", p->g.name,
			   p->vcpu, r.name, (unsigned long long)r.count);
}

static void begin_family(struct text_out *o, unsigned family)
{
	switch (family) {
	case FAMILY_HOST: host_family(o); break;
	case FAMILY_NET: net_write_metrics(o, single); break;
	case FAMILY_UP: help(o, "guest_running", "gauge", "1 while the guest runs."); break;
	case FAMILY_VMRUNS: help(o, "vmruns_total", "counter", "VMRUNs that L1 executed."); break;
	case FAMILY_EXITS: help(o, "exits_total", "counter", "#VMEXITs by level and reason."); break;
	default: help(o, "vmruns_refused_total", "counter", "VMRUNs refused, by the check that failed."); break;
	}
}

/* How many samples a vCPU may have in a family. */
static unsigned kinds(unsigned family)
{
	if (family == FAMILY_EXITS)
		return plane->exit_kinds;
	return family == FAMILY_REFUSED ? plane->refusal_kinds : 1;
}

static void sample(struct http_conn *c, struct text_out *o, const struct place *p)
{
	switch (c->at.step) {
	case FAMILY_UP: guest_sample(o, &p->g); break;
	case FAMILY_VMRUNS: vcpu_sample(o, p, c->at.id); break;
	case FAMILY_EXITS: exit_sample(o, p, c->at.id, c->at.n); break;
	case FAMILY_REFUSED: refusal_sample(o, p, c->at.id, c->at.n); break;
	default: break;
	}
}

/* False: the family has no more. A guest that goes away meanwhile has had its last sample. */
static bool samples(struct http_conn *c, struct text_out *o)
{
	struct place p = {.vcpu = c->at.vcpu};
	unsigned vcpus;

	if (c->at.step <= FAMILY_NET || (!c->at.id && !api_next_guest(c, &p.g)))
		return false;
	vcpus = !plane->guest(c->at.id, &p.g) ? 0 : c->at.step == FAMILY_UP ? 1 : p.g.vcpus;
	for (unsigned i = 0; i < KINDS_PER_PIECE && vcpus && c->at.n < kinds(c->at.step); i++, c->at.n++)
		sample(c, o, &p);
	if (vcpus && c->at.n < kinds(c->at.step))
		return true;
	c->at.n = 0;
	if (++c->at.vcpu < vcpus)
		return true;
	c->at.id = c->at.vcpu = 0;
	return true;
}

static enum http_produced produce_metrics(struct http_conn *c, struct text_out *o)
{
	if (!c->at.comma) { /* the family has not begun */
		begin_family(o, c->at.step);
		c->at.comma = o->comma = true;
		return HTTP_PIECE;
	}
	if (samples(c, o))
		return HTTP_PIECE;
	c->at.cursor = 0;
	c->at.comma = o->comma = false;
	return c->at.step++ == FAMILY_REFUSED ? HTTP_LAST_PIECE : HTTP_PIECE;
}

enum http_status api_metrics(struct http_conn *c)
{
	c->type = "text/plain; version=0.0.4; charset=utf-8";
	c->produce = produce_metrics;
	api_first_guest(c);
	return HTTP_OK;
}
