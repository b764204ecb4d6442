/* SPDX-License-Identifier: MIT */
/* net/net.c - starts the network plane, and gives it its turns.
 * Decides how much one turn may do: TURN_FRAMES frames or TURN_NS, whichever is less, so that neither a flood nor a
 * long queue keeps a guest on CPU 0 from running; what is added while the ring is drained waits for the next turn, and
 * behind a turn that did not get to the end the guest has the CPU for half as long, but one that made a guest, which can
 * take seconds, keeps nobody waiting for half of them. Nothing here is called from anywhere but svm/turn.c.
 * Next: netif_nic.c, address.c, http.c, tcp_console.c. */
#include "net/net.h"

#include <lwip/init.h>
#include <lwip/timeouts.h>

#include <bits.h>

#include "drivers/nic.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/printf.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "net/stack.h"
#include "net/http.h"
#include "net/secret.h"

#define TURN_FRAMES 64u
#define TURN_NS (500 * NS_PER_US)
#define POLL_NS NS_PER_MS          /* a card without an interrupt */
#define REST_NS (10 * NS_PER_MS)   /* at most, behind a turn */
#define TEND_NS (500 * NS_PER_MS)  /* how often the card and the address are looked after */

const struct plane_ops *plane;

/* All belong to CPU 0. */
static struct netif netif;
static struct nic *card;
static const struct net_options *options;
static uint64_t next_turn, not_before, tend_at;
static uint64_t interrupts; /* that the card had sent when it was last armed */
static bool armed, off;

/* False: there are frames, so that no interrupt will tell of them. */
static bool arm(bool frames_came)
{
	struct nic_counters n;

	nic_read_counters(card, &n);
	if (armed && !frames_came && n.interrupts == interrupts)
		return true;
	interrupts = n.interrupts;
	armed = nic_arm(card);
	return armed;
}

static void tend(uint64_t now)
{
	tend_at = now + TEND_NS;
	armed = false; /* the card may have been started anew */
	address_tend(nic_tend(card), now);
}

static uint64_t lwip_deadline(uint64_t now)
{
	u32_t ms = sys_timeouts_sleeptime();

	return ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? UINT64_MAX : now + ms * NS_PER_MS;
}

static void work(void)
{
	uint64_t begin = time_now_ns(), end;
	struct nic_counters before, after;
	bool drained;

	nic_read_counters(card, &before);
	drained = netif_nic_input(&netif, TURN_FRAMES, begin + TURN_NS);
	sys_check_timeouts();
	if (begin >= tend_at)
		tend(begin);
	next_turn = min_u64(http_turn(begin), console_turn(begin));
	netif_nic_flush(&netif);

	end = time_now_ns();
	next_turn = min_u64(min_u64(next_turn, tend_at), lwip_deadline(end));
	nic_read_counters(card, &after);
	if (drained && nic_has_interrupt(card))
		drained = arm(after.rx_frames != before.rx_frames);
	else if (drained)
		next_turn = min_u64(next_turn, end + POLL_NS);
	not_before = drained ? 0 : end + min_u64((end - begin) / 2, REST_NS);
	if (!drained)
		next_turn = not_before;
}

uint64_t net_turn(void)
{
	const char *what;

	if (off)
		return PLANE_NO_TURN;
	if (time_now_ns() < not_before)
		return not_before;
	if (context_run(work, &what))
		return next_turn;
	klog("net: lwIP says \"%s\"; the network plane is off, guests go on", what);
	off = true;
	return PLANE_NO_TURN;
}

/* --- set-up --- */

/* On the console alone: the log can be read from the network. */
static void show_token(const char *token)
{
	char line[TOKEN_MADE + 64];
	int len = ksnprintf(line, sizeof(line), "net: token %s (made for this run, shown only here)\n", token);

	console_write(line, (size_t)len);
}

static void start_token(void)
{
	char made[TOKEN_MADE + 1];

	if (!random_is_good())
		klog("net: no RDRAND; random numbers come from the jitter of the clock alone");
	if (options->token[0]) {
		token_set(options->token);
		return;
	}
	token_make(made);
	show_token(made);
	memset(made, 0, sizeof(made));
}

static void start(void)
{
	lwip_init();
	netif_add_noaddr(&netif, card, netif_nic_init, netif_input);
	netif_set_default(&netif);
	address_init(&netif, options);
	listen_init();
	http_init();
	console_init();
	tend(time_now_ns());
}

void net_init(struct nic *nic, const struct net_options *net_options, const struct plane_ops *ops)
{
	const char *what;

	card = nic;
	options = net_options;
	plane = ops;
	klog("net: %s", nic_name(nic));
	start_token();
	if (!context_run(start, &what)) {
		klog("net: lwIP does not start: %s", what);
		off = true;
	}
}
