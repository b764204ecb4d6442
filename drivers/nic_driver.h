/* SPDX-License-Identifier: MIT */
/* drivers/nic_driver.h - what nic.c and the drivers share: the state of the one card, and each driver's functions.
 * Rings and buffers are memory that the card writes at any time. So a driver reads a word of theirs once, then checks
 * it, then uses it; and which buffer comes next is known from its own counters wherever the card leaves a choice. */
#ifndef DRIVERS_NIC_DRIVER_H
#define DRIVERS_NIC_DRIVER_H

#include <addr.h>

#include "drivers/nic.h"
#include "drivers/pci.h"

enum {
	NIC_RING = 256,	   /* descriptors per direction, at most */
	NIC_BUFFER = 2048, /* bytes per descriptor */
	NIC_HEADER = 14,   /* of Ethernet: no frame is shorter */
	NIC_FRAME_MIN = 60,
	NIC_NAME_MAX = 40,
};

struct e1000_rx {
	uint64_t address;
	uint16_t length, checksum;
	uint8_t status, errors;
	uint16_t special;
};

struct e1000_tx {
	uint64_t address;
	uint16_t length;
	uint8_t checksum_offset, command, status, checksum_start;
	uint16_t special;
};

/* Indices run from 0 to NIC_RING - 1. */
struct e1000 {
	hpa_t regs;
	volatile struct e1000_rx *rx;
	volatile struct e1000_tx *tx;
	uint8_t *rx_buffers, *tx_buffers;
	uint32_t rx_next;	/* the descriptor to look at */
	uint32_t rx_taken;	/* descriptors before it that the card has not got back */
	uint32_t tx_next;	/* the descriptor to fill */
	uint32_t tx_used;	/* descriptors before it that the card may still read */
	uint32_t tx_told;	/* the tail as the card knows it */
	bool rx_in_frame;	/* the descriptor before did not end its frame */
};

struct virtq_desc {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct virtq_avail {
	uint16_t flags, index, ring[NIC_RING];
};

struct virtq_used {
	uint16_t flags, index;
	struct {
		uint32_t id, length;
	} ring[NIC_RING];
};

/* A queue whose chains have one descriptor. Descriptor n belongs to buffer n for ever. */
struct virtq {
	volatile struct virtq_desc *desc;
	volatile struct virtq_avail *avail;
	volatile struct virtq_used *used;
	uint8_t *buffers;
	hpa_t notify;
	uint16_t number, size;	     /* size: a power of two */
	uint16_t avail_index;	     /* given to the device */
	uint16_t used_index;	     /* taken back */
	uint16_t told_index;	     /* avail_index at the last kick */
	uint16_t free_count;
	uint16_t free[NIC_RING];     /* a stack */
	bool is_lent[NIC_RING];	     /* the device has the buffer */
};

struct virtio_net {
	hpa_t common, isr, config, notify_base;
	uint64_t notify_size;
	uint32_t notify_multiplier;
	bool has_status;
	struct virtq rx, tx;
};

struct nic {
	struct pci_device pci;
	bool is_virtio, is_e1000e;
	char name[NIC_NAME_MAX];
	uint8_t mac[NIC_MAC_SIZE];
	bool is_armed;		     /* an interrupt has been asked for */
	bool waits_for_room;	     /* nic_send_buffer() had none */
	bool is_broken;		     /* until it is started anew, its rings are left alone */
	unsigned stray_interrupts;   /* since the last nic_arm() */
	uint64_t sent_count;	     /* frames that the card has given back, of counters.tx_frames */
	uint64_t sent_count_before;  /* when it was looked at last */
	uint64_t alive_ns;	     /* and when that was different, or nothing was to be sent */
	uint64_t restart_ns;
	struct nic_counters counters;
	union {
		struct e1000 e1000;
		struct virtio_net virtio;
	};
};

/* Takes a frame of `length` bytes that lies in a buffer of NIC_BUFFER bytes; 0, and counted, when it is not to be had. */
size_t nic_take_frame(struct nic *nic, void *to, size_t max, const uint8_t *from, size_t length);

/* open: finds registers, takes memory, starts the card; null, or what is wrong. start: resets and sets up the card,
 * with empty rings; false: it does not answer. look: false when the card is not as it was set up; also counts what it
 * has sent. The rest as in nic.h;
 * arm and quiet switch its interrupts on and off, and quiet also makes it let go of its line. */
const char *e1000_open(struct nic *nic);
bool e1000_start(struct nic *nic);
bool e1000_look(struct nic *nic, bool *link_up);
uint8_t *e1000_send_buffer(struct nic *nic);
void e1000_send(struct nic *nic, size_t length);
size_t e1000_receive(struct nic *nic, void *buffer, size_t max);
void e1000_kick(struct nic *nic);
bool e1000_arm(struct nic *nic);
void e1000_quiet(struct nic *nic);

const char *virtio_net_open(struct nic *nic);
bool virtio_net_start(struct nic *nic);
bool virtio_net_look(struct nic *nic, bool *link_up);
uint8_t *virtio_net_send_buffer(struct nic *nic);
void virtio_net_send(struct nic *nic, size_t length);
size_t virtio_net_receive(struct nic *nic, void *buffer, size_t max);
void virtio_net_kick(struct nic *nic);
bool virtio_net_arm(struct nic *nic);
void virtio_net_quiet(struct nic *nic);

#endif
