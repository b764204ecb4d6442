/* SPDX-License-Identifier: MIT */
/* drivers/nic.h - the Ethernet card of the management plane: the one interface that net/ sees.
 * One card, one caller at a time (CPU 0's loop, never an exit path); no call waits for the card, but nic_open() and a
 * restart within nic_tend(), which take some milliseconds. What the card writes is checked before it is used: a broken
 * one loses frames and counts faults. Story: nic.c chooses the driver; nic_e1000.c, nic_virtio.c; pci.c finds cards. */
#ifndef DRIVERS_NIC_H
#define DRIVERS_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NIC_MAC_SIZE 6
#define NIC_FRAME_MAX 1514u /* Ethernet header and 1500 bytes; no checksum of the frame, it is the card's */
#define NIC_ERROR_MAX 160

struct nic;

/* All since nic_open(). */
struct nic_counters {
	uint64_t rx_frames, rx_bytes;
	uint64_t tx_frames, tx_bytes; /* given to the card */
	uint64_t rx_dropped;	      /* longer than NIC_FRAME_MAX or than the caller's buffer, or no header */
	uint64_t rx_errors;	      /* the card itself says that they are damaged */
	uint64_t tx_full;	      /* nic_send_buffer() had none */
	uint64_t faults;	      /* lengths, indices or states that the card must not write */
	uint64_t restarts;	      /* of the card, by nic_tend() */
	uint64_t interrupts;
};

/* Finds a card, resets it and starts it: all memory is taken here. `name` is "e1000" (82540EM), "e1000e" (82574L),
 * "virtio", "auto" (the first of these), or a PCI address "bb:dd.f" in hexadecimal. Null, and a whole sentence in
 * `error` (NIC_ERROR_MAX bytes), when there is none or it does not work. Once, on the boot CPU, after pci_init() and
 * before the other CPUs run. */
struct nic *nic_open(const char *name, char error[NIC_ERROR_MAX]);

/* "e1000 (82540EM) at 00:03.0" */
const char *nic_name(const struct nic *nic);
const uint8_t *nic_mac(const struct nic *nic);

/* Looks after the card and tells whether the link is up. A few times a second at most: it reads card registers. A card
 * that has broken the rules of its rings, has lost its settings, or has sent nothing for two seconds with the link up,
 * is started anew, once in two seconds at most; frames in its rings are lost. */
bool nic_tend(struct nic *nic);

/* To send a frame: write it to the buffer (NIC_FRAME_MAX bytes; null when the ring is full, then try again later), and
 * queue it by nic_send(), which pads it to 60 bytes. The card learns of it with nic_kick(). */
uint8_t *nic_send_buffer(struct nic *nic);
void nic_send(struct nic *nic, size_t length);

/* Copies the next frame out of the ring: its length, 1 to `max`, or 0 when there is none. Reads memory only; looks at
 * a bounded number of frames, also when it has to drop them. */
size_t nic_receive(struct nic *nic, void *buffer, size_t max);

/* Tells the card of frames to send and of receive buffers that are free again. Once per batch, since each access to a
 * card register is slow; nic_receive() does it by itself when much of the ring is used up. */
void nic_kick(struct nic *nic);

/* Asks for one interrupt at the next received frame or change of the link, and after nic_send_buffer() had none, at the
 * next buffer to be had; it ends irq_wait() on the CPU that opened the card, and has no other effect. False: do not
 * wait, what it would tell is there already. Without an interrupt line
 * (nic_has_interrupt()) it asks for nothing; poll then. */
bool nic_arm(struct nic *nic);
bool nic_has_interrupt(const struct nic *nic);

void nic_read_counters(const struct nic *nic, struct nic_counters *counters);

#endif
