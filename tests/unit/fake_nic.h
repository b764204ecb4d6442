/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_nic.h - a PCI bus with one network card on it, for the drivers on Linux: it stands in for
 * drivers/access.c and for what drivers/ needs of kernel/. The card follows its manual; what it must not do, a test
 * does for it, in its rings. Addresses that a driver gives to the card must lie in memory that it has taken. */
#ifndef FAKE_NIC_H
#define FAKE_NIC_H

#include "drivers/nic_driver.h"

enum { FAKE_E1000, FAKE_E1000E, FAKE_VIRTIO };
enum { FAKE_SENT_MAX = 512, FAKE_REGISTERS = 0x6000 };

#define FAKE_BAR UINT64_C(0x2FEB00000) /* 64 bits wide; e1000: registers, virtio: its areas */
#define FAKE_BAR_SIZE UINT64_C(0x20000)
#define FAKE_MSIX_BAR UINT64_C(0xFEB40000)

enum { FAKE_COMMON = 0, FAKE_ISR = 0x1000, FAKE_DEVICE = 0x2000, FAKE_NOTIFY = 0x3000 }; /* areas of virtio */

struct fake_nic {
	int kind;
	/* The wire. */
	bool link_up, tx_stalls;
	unsigned sent_count;
	/* The card. */
	uint8_t config[256];
	uint32_t regs[FAKE_REGISTERS / 4];
	bool never_ready;		   /* does not come out of its reset */
	bool uses_eeprom;		   /* its MAC address is there alone */
	bool is_bad;			   /* has given back what it had not taken: then the driver offers more */
	bool floods;			   /* fills a ring with damaged frames as soon as it gets buffers */
	uint64_t features, driver_features; /* virtio */
	uint8_t status;
	uint16_t queue_select, queue_max[2], vectors[2];
	uint8_t isr;
	struct fake_queue {
		uint64_t desc, avail, used;
		uint16_t size, taken;
		bool enabled;
	} queues[2];
	const uint8_t *noise; /* what registers read as, instead of their values, while there is some */
	size_t noise_size;
	/* The machine. */
	uint64_t now_ns;
	unsigned mmio_count, interrupt_count;
	bool interrupts_always; /* another device on the line does */
	void (*handler)(void);
	bool line_routed;
	unsigned memory_left; /* allocations before there is none */
	struct bootinfo boot;
	struct acpi_info acpi;
	/* What was sent, the newest over the oldest; not cleared for a new card. */
	struct {
		size_t length;
		uint8_t bytes[NIC_BUFFER];
	} sent[FAKE_SENT_MAX];
};

extern struct fake_nic fake;
extern const uint8_t fake_mac[NIC_MAC_SIZE];

/* A card of that kind, just switched on, with pci_init() done; the last one is gone. */
void fake_nic_new(int kind);
void fake_nic_free(void);

/* A frame comes in; false: the card had no buffer. */
bool fake_nic_deliver(const void *frame, size_t length);

/* Sends what has been held back by tx_stalls. */
void fake_nic_transmit(void);

/* What an interrupt window does. */
void fake_nic_window(void);

/* The rings as the card knows them. */
volatile struct e1000_rx *fake_e1000_rx(void);
volatile struct e1000_tx *fake_e1000_tx(void);
volatile struct virtq_used *fake_virtio_used(unsigned queue);

/* Between fake_nic.c and fake_nic_card.c. */
void *fake_dma(uint64_t at, uint64_t size);
uint32_t fake_card_read(uint32_t at);
void fake_card_write(uint32_t at, uint32_t v);
void fake_card_reset(void);

#endif
