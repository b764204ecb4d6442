/* SPDX-License-Identifier: MIT */
/* net/net.h - the network plane, as kernel/main.c sees it. Off unless a card is named. */
#ifndef NET_NET_H
#define NET_NET_H

#include <plane.h>

#include "kernel/cmdline.h"

struct nic;

/* Once, on CPU 0: starts lwIP on an opened card. The options and the table stay where they are. */
void net_init(struct nic *nic, const struct net_options *options, const struct plane_ops *ops);

/* plane_turn_fn. */
uint64_t net_turn(void);

#endif
