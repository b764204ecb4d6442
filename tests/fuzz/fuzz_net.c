/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_net.c - any frames into the whole network plane: lwIP, our port of it, HTTP, consoles. The input is
 * a list of steps: frames as they are, frames with their checksums made right, segments of connections that exist,
 * time. lwIP's assertions and the sanitizers watch; afterwards a plain request is answered. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/net_rig.h"

#define CONNS 4u
#define FRAME_MAX 1514u
#define SEGMENT_MAX 1460u /* the MSS of Ethernet */

static struct peer_conn *conns[CONNS];

/* The next `n` bytes, or what is left of them. */
static size_t cut(struct input *in, uint8_t *to, size_t n)
{
	n = min_u64(n, (uint64_t)(in->end - in->next));
	memcpy(to, in->next, n);
	in->next += n;
	return n;
}

static void frame(struct input *in, bool fix)
{
	static const uint8_t head[12] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 9};
	uint8_t f[FRAME_MAX];
	size_t len;

	memcpy(f, head, sizeof(head));
	len = sizeof(head) + cut(in, f + sizeof(head), input_bytes(in, 2) % (FRAME_MAX - sizeof(head)));
	if (fix)
		peer_fix_checksums(f, len);
	rig_receive(f, len);
}

static void open_conn(struct input *in, struct peer_conn **c)
{
	static const uint16_t ports[] = {80, 80, 2300, 2302};

	if (*c)
		peer_free(*c);
	*c = peer_connect(ports[input_bytes(in, 1) % ARRAY_COUNT(ports)]);
	if (*c && input_bytes(in, 1) % 2)
		peer_text(*c, (*c)->to == 80 ? "POST /api/guests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " RIG_TOKEN "\r\n" :
					       RIG_TOKEN "\r");
}

static void segment(struct input *in, struct peer_conn *c)
{
	uint8_t flags = (uint8_t)input_bytes(in, 1), bytes[SEGMENT_MAX];
	uint32_t skip = (uint32_t)input_bytes(in, 1), shift = (uint32_t)(int8_t)input_bytes(in, 1);
	size_t len = cut(in, bytes, input_bytes(in, 2) % (sizeof(bytes) + 1));

	if (!c)
		return;
	c->ack += shift;
	peer_segment(c, flags & 0x3F, bytes, len, flags & 0x40 ? skip : 0);
	c->ack -= shift;
}

static void type(struct input *in, struct peer_conn *c, size_t len)
{
	uint8_t bytes[32];

	len = cut(in, bytes, len);
	if (c)
		peer_send(c, bytes, len);
}

static void step(struct input *in)
{
	uint8_t what = (uint8_t)input_bytes(in, 1);
	struct peer_conn **c = &conns[what >> 4 & (CONNS - 1)];

	switch (what & 7) {
	case 0: frame(in, false); break;
	case 1:
	case 2: frame(in, true); break;
	case 3: open_conn(in, c); break;
	case 4:
	case 5: segment(in, *c); break;
	case 6: rig_run_ms((unsigned)input_bytes(in, 1) * 8); break;
	default: type(in, *c, what >> 3); break;
	}
	rig_turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct input in = {data, data + size};

	if (!started) {
		rig_start();
		peer_start();
		started = true;
	}
	rig_guest_exists(true);
	while (!input_ended(&in))
		step(&in);
	for (unsigned i = 0; i < CONNS; i++) {
		if (conns[i])
			peer_free(conns[i]);
		conns[i] = NULL;
	}
	rig_run_ms(20);

	struct peer_conn *c = peer_connect(80);

	CHECK(c);
	peer_text(c, "GET /api/host HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(peer_expect(c, "\"cpus\":4", 100));
	peer_free(c);
	return 0;
}
