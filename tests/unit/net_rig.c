/* SPDX-License-Identifier: MIT */
/* tests/unit/net_rig.c - see net_rig.h. The card: drivers/nic.h as two arrays. The plane: include/plane.h with guests
 * "linux" and "tiny", whose counters are constant. */
#include "tests/unit/net_rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "drivers/nic.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/time.h"
#include "net/net.h"
#include "net/secret.h"

/* --- surroundings --- */

uint64_t rig_now_ns = 1000 * RIG_NS_PER_MS;
unsigned rig_turns;
char rig_log[8192];
static size_t log_len;

const uint8_t page_html[] = "<html>page</html>";
const uint64_t page_html_size = sizeof(page_html) - 1;

uint64_t time_now_ns(void)
{
	return rig_now_ns;
}

/* Fuzz targets have their own. */
__attribute__((weak)) _Noreturn void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: CHECK(%s)\n", file, line, what);
	abort();
}

static void log_add(const char *text, size_t len)
{
	if (log_len + len + 1 >= sizeof(rig_log))
		log_len = 0;
	memcpy(rig_log + log_len, text, len);
	log_len += len;
	rig_log[log_len] = '\0';
}

/* That lwIP gave up is a finding. */
void klog(const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	log_add(line, strlen(line));
	log_add("\n", 1);
	if (strstr(line, "lwIP ")) {
		fprintf(stderr, "%s\n", line);
		abort();
	}
}

void console_write(const char *text, size_t len)
{
	log_add(text, len);
}

uint32_t random32(void)
{
	static uint32_t state = 1;

	return state = state * 1664525 + 1013904223;
}

bool random_is_good(void)
{
	return true;
}

/* --- the card --- */

struct frame {
	size_t len;
	uint8_t *bytes; /* of its own, so that a sanitizer sees its end */
};

static struct frame received[RIG_RING];
static unsigned rx_first, rx_count, tx_used;
static uint8_t tx_frame[NIC_FRAME_MAX];
static struct nic_counters counters;
unsigned rig_tx_room = RIG_RING;
bool rig_link = true;
void (*rig_on_frame)(const uint8_t *frame, size_t len);

static const uint8_t mac[NIC_MAC_SIZE] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

const char *nic_name(const struct nic *nic)
{
	(void)nic;
	return "rig";
}

const uint8_t *nic_mac(const struct nic *nic)
{
	(void)nic;
	return mac;
}

bool nic_tend(struct nic *nic)
{
	(void)nic;
	return rig_link;
}

uint8_t *nic_send_buffer(struct nic *nic)
{
	(void)nic;
	return tx_used < rig_tx_room ? tx_frame : NULL;
}

void nic_send(struct nic *nic, size_t length)
{
	(void)nic;
	tx_used++;
	counters.tx_frames++;
	if (rig_on_frame)
		rig_on_frame(tx_frame, length);
}

size_t nic_receive(struct nic *nic, void *buffer, size_t max)
{
	struct frame *f = &received[rx_first];
	size_t len = f->len;

	(void)nic;
	if (!rx_count || len > max)
		return 0;
	memcpy(buffer, f->bytes, len);
	free(f->bytes);
	rx_first = (rx_first + 1) % RIG_RING;
	rx_count--;
	counters.rx_frames++;
	return len;
}

/* A card with less room takes its time: until the next turn. */
void nic_kick(struct nic *nic)
{
	(void)nic;
	if (rig_tx_room == RIG_RING)
		tx_used = 0;
}

bool nic_arm(struct nic *nic)
{
	(void)nic;
	return rx_count == 0;
}

bool nic_has_interrupt(const struct nic *nic)
{
	(void)nic;
	return true;
}

void nic_read_counters(const struct nic *nic, struct nic_counters *c)
{
	(void)nic;
	*c = counters;
}

bool rig_receive(const void *frame, size_t len)
{
	struct frame *f = &received[(rx_first + rx_count) % RIG_RING];

	if (rx_count == RIG_RING || !len)
		return false;
	f->bytes = malloc(len);
	memcpy(f->bytes, frame, len);
	f->len = len;
	rx_count++;
	counters.interrupts++;
	return true;
}

/* --- the plane --- */

char rig_typed[4096];
size_t rig_typed_len, rig_type_room = SIZE_MAX;
unsigned rig_actions, rig_pins;
bool rig_upload_open, rig_linux_exists = true, rig_guest_lingers;
unsigned rig_create_ms;
static bool tiny_exists = true;
static char output[PLANE_CONSOLE_MAX];
static uint64_t written;
static uint8_t *upload, *kept;
static uint64_t upload_size, kept_size;

void rig_guest_says(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		output[written++ % sizeof(output)] = text[i];
}

void rig_guest_exists(bool exists)
{
	tiny_exists = exists;
}

static void op_host(struct plane_host *h)
{
	*h = (struct plane_host){.version = "rig", .cpu_name = "A \"CPU\"", .cpu_count = 4, .svm_words = "np nrips"};
}

static bool op_guest_at(unsigned n, uint32_t *id)
{
	*id = rig_linux_exists ? n + 1 : n + 2;
	return n < (unsigned)rig_linux_exists + (unsigned)tiny_exists;
}

static bool op_guest(uint32_t id, struct plane_guest *g)
{
	*g = (struct plane_guest){.id = id, .number = id, .state = "running", .active = true, .vcpus = 2, .uptime_ns = 1,
				  .console_written = written, .memory = MIB(64)};
	snprintf(g->name, sizeof(g->name), "%s", id == 1 ? "linux" : "tiny");
	snprintf(g->end_reason, sizeof(g->end_reason), "a \"reason\"\n\xC3");
	return (id == 1 && rig_linux_exists) || (id == 2 && tiny_exists);
}

static bool op_guest_find(const char *name, size_t len, uint32_t *id)
{
	*id = (len == 5 && !memcmp(name, "linux", 5)) || (len == 1 && *name == '1') ? 1 : 2;
	return *id == 1 || (tiny_exists && ((len == 4 && !memcmp(name, "tiny", 4)) || (len == 1 && *name == '2')));
}

static bool op_vcpu(uint32_t id, unsigned vcpu, struct plane_vcpu *v)
{
	*v = (struct plane_vcpu){.activity = "running", .level = 1, .vmrun_count = 5};
	return vcpu < 2 && id <= 2;
}

static bool op_exits(uint32_t id, unsigned vcpu, unsigned n, struct plane_exits *e)
{
	*e = (struct plane_exits){.name = "CPUID", .count = {n % 3, n % 2}};
	return id && vcpu < 2;
}

static bool op_refusals(uint32_t id, unsigned vcpu, unsigned n, struct plane_refusals *r)
{
	*r = (struct plane_refusals){.name = "ASID_ZERO", .text = "ASID 0", .count = n};
	return id && vcpu < 2;
}

static bool op_file_at(unsigned n, struct plane_file *f)
{
	*f = (struct plane_file){.name = "vmlinuz", .size = 7};
	return n == 0;
}

static enum plane_result op_upload_begin(const char *name, size_t len, uint64_t size, uint8_t **at,
					 struct plane_error *error)
{
	(void)name;
	if (!len || !size || size > MIB(80)) {
		snprintf(error->text, sizeof(error->text), "no room");
		return size > MIB(80) ? PLANE_NO_ROOM : PLANE_BAD;
	}
	if (rig_upload_open)
		return PLANE_CONFLICT;
	rig_upload_open = true;
	upload_size = size;
	*at = upload = malloc(size);
	return PLANE_OK;
}

static enum plane_result op_upload_end(bool keep, struct plane_error *error)
{
	error->text[0] = '\0';
	if (!rig_upload_open)
		return PLANE_OK;
	rig_upload_open = false;
	rig_actions += keep;
	if (keep && !rig_pins) {
		free(kept);
		kept = upload;
		kept_size = upload_size;
	} else {
		free(upload);
	}
	return PLANE_OK;
}

static const uint8_t *op_file_pin(const char *name, size_t len, uint64_t *size)
{
	(void)name;
	(void)len;
	*size = kept_size;
	rig_pins += kept != NULL;
	return kept;
}

static void op_file_unpin(const uint8_t *at)
{
	(void)at;
	rig_pins--;
}

static enum plane_result op_file_remove(const char *name, size_t len, struct plane_error *error)
{
	(void)name;
	(void)len;
	error->text[0] = '\0';
	rig_actions++;
	return PLANE_OK;
}

static enum plane_result op_create(const char *text, size_t size, uint32_t *id, struct plane_error *error)
{
	rig_actions++;
	rig_now_ns += rig_create_ms * RIG_NS_PER_MS;
	*id = 2;
	if (size >= 5 && !memcmp(text, "guest", 5))
		return PLANE_OK;
	snprintf(error->text, sizeof(error->text), "line 1: no guest");
	return PLANE_BAD;
}

static enum plane_result op_act(uint32_t id, struct plane_error *error)
{
	(void)id;
	error->text[0] = '\0';
	rig_actions++;
	return PLANE_OK;
}

static enum plane_result op_destroy(uint32_t id, struct plane_error *error)
{
	tiny_exists &= id != 2 || rig_guest_lingers;
	return op_act(id, error);
}

static size_t op_console_read(uint32_t id, uint64_t *cursor, char *buf, size_t size, uint64_t *lost)
{
	uint64_t oldest = written - min_u64(written, sizeof(output));
	size_t n = 0;

	*lost = *cursor < oldest ? oldest - *cursor : 0;
	*cursor = max_u64(*cursor, oldest);
	while (id == 2 && n < size && *cursor < written)
		buf[n++] = output[(*cursor)++ % sizeof(output)];
	return n;
}

static size_t op_console_write(uint32_t id, const char *text, size_t len)
{
	size_t n = min_u64(len, rig_type_room);

	(void)id;
	n = min_u64(n, sizeof(rig_typed) - rig_typed_len);
	memcpy(rig_typed + rig_typed_len, text, n);
	rig_typed_len += n;
	rig_type_room -= rig_type_room == SIZE_MAX ? 0 : n;
	return n;
}

static char session[4096];
static size_t session_len;

static int op_monitor_open(void)
{
	session_len = (size_t)snprintf(session, sizeof(session), "nestling> \n");
	return 0;
}

static void op_monitor_close(int n)
{
	(void)n;
}

static void op_monitor_write(int n, const char *text, size_t len)
{
	(void)n;
	len = min_u64(len, sizeof(session) - session_len);
	memcpy(session + session_len, text, len);
	session_len += len;
}

static size_t op_monitor_read(int n, char *buf, size_t size, uint64_t *lost)
{
	size_t len = min_u64(size, session_len);

	(void)n;
	*lost = 0;
	memcpy(buf, session, len);
	memmove(session, session + len, session_len - len);
	session_len -= len;
	return len;
}

static const struct plane_ops ops = {
	.host = op_host, .guest_at = op_guest_at, .guest_find = op_guest_find, .guest = op_guest, .vcpu = op_vcpu,
	.exit_kinds = 200, .refusal_kinds = 60, .exits = op_exits, .refusals = op_refusals, .file_at = op_file_at,
	.upload_begin = op_upload_begin, .upload_end = op_upload_end, .file_remove = op_file_remove,
	.file_pin = op_file_pin, .file_unpin = op_file_unpin, .create = op_create, .start = op_act, .stop = op_act,
	.reset = op_act, .destroy = op_destroy, .console_read = op_console_read, .console_write = op_console_write,
	.monitor_open = op_monitor_open, .monitor_close = op_monitor_close, .monitor_write = op_monitor_write,
	.monitor_read = op_monitor_read,
};

/* --- time --- */

struct net_options rig_options = {
	.card = "rig", .has_address = true, .address = RIG_SERVER_IP, .prefix = 8, .token = RIG_TOKEN,
};

void rig_start(void)
{
	net_init(NULL, &rig_options, &ops);
	rig_run_ms(3000); /* duplicate address detection, mDNS probes */
}

void rig_turn(void)
{
	rig_turns++;
	tx_used = 0;
	net_turn();
}

void rig_run_ms(unsigned ms)
{
	uint64_t end = rig_now_ns + ms * RIG_NS_PER_MS;

	while (rig_now_ns < end) {
		uint64_t due;

		tx_used = 0;
		rig_turns++;
		due = net_turn();
		rig_now_ns = rx_count ? rig_now_ns + 1000 : max_u64(min_u64(due, end), rig_now_ns + 1000);
	}
	net_turn();
}
