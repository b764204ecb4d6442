/* SPDX-License-Identifier: MIT */
/* drivers/nic.c - the one Ethernet card: which one, which driver, and when it has to be started anew.
 * Decides what is the same for all cards: names, counters, interrupts that come unasked. One at a time uses it; its
 * interrupt handler runs in windows of the CPU that opened it (kernel/irq.h), so nothing here needs a lock.
 * Next: nic_driver.h; nic_e1000.c, nic_virtio.c. */
#include "drivers/nic_driver.h"

#include <check.h>

#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/time.h"

enum {
	STRAY_INTERRUPTS_MAX = 100,
	VENDOR_INTEL = 0x8086,
	VENDOR_VIRTIO = 0x1AF4,
};

#define PATIENCE_NS (2 * NS_PER_SEC) /* for a card that does not send; and between two restarts */

static const struct model {
	const char *name, *chip;
	uint16_t vendor, device;
} models[] = {
	{"e1000", "82540EM", VENDOR_INTEL, 0x100E},
	{"e1000e", "82574L", VENDOR_INTEL, 0x10D3},
	{"virtio", "virtio-net", VENDOR_VIRTIO, 0x1000}, /* transitional */
	{"virtio", "virtio-net", VENDOR_VIRTIO, 0x1041},
};

static struct nic nic_state; /* CPU 0 */

/* --- which card --- */

static const struct model *model_of(const struct pci_device *d)
{
	for (unsigned i = 0; i < ARRAY_COUNT(models); i++)
		if (models[i].vendor == d->vendor_id && models[i].device == d->device_id)
			return &models[i];
	return NULL;
}

static void format_address(char text[8], const struct pci_device *d)
{
	ksnprintf(text, 8, "%02x:%02x.%x", d->bus, d->device, d->function);
}

static bool is_asked_for(const char *name, const struct model *model, const struct pci_device *d)
{
	char address[8];

	format_address(address, d);
	return !strcmp(name, "auto") || !strcmp(name, model->name) || !strcmp(name, address);
}

static bool is_known_name(const char *name)
{
	bool is_known = !strcmp(name, "auto") || (strlen(name) == 7 && name[2] == ':' && name[5] == '.');

	for (unsigned i = 0; i < ARRAY_COUNT(models); i++)
		is_known |= !strcmp(name, models[i].name);
	return is_known;
}

static const struct model *find(struct nic *nic, const char *name)
{
	uint32_t cursor = 0;

	while (pci_next(&cursor, &nic->pci)) {
		const struct model *model = model_of(&nic->pci);

		if (model && is_asked_for(name, model, &nic->pci))
			return model;
	}
	return NULL;
}

/* --- interrupts --- */

/* An interrupt that nobody asked for is another device's on the same line, or the card is at fault. Too many of them
 * would keep the CPU in its window. */
static void interrupt(void)
{
	struct nic *nic = &nic_state;

	nic->counters.interrupts++;
	if (!nic->is_armed && ++nic->stray_interrupts > STRAY_INTERRUPTS_MAX) {
		pci_disconnect_interrupt(&nic->pci);
		return;
	}
	nic->is_armed = false;
	if (nic->is_virtio)
		virtio_net_quiet(nic);
	else
		e1000_quiet(nic);
}

bool nic_has_interrupt(const struct nic *nic)
{
	return nic->pci.interrupt != PCI_INTERRUPT_NONE;
}

bool nic_arm(struct nic *nic)
{
	if (nic->is_broken || !nic_has_interrupt(nic))
		return true;
	nic->is_armed = true;
	nic->stray_interrupts = 0;
	return nic->is_virtio ? virtio_net_arm(nic) : e1000_arm(nic);
}

/* --- life --- */

static void restart(struct nic *nic)
{
	bool ok = nic->is_virtio ? virtio_net_start(nic) : e1000_start(nic);

	nic->counters.restarts++;
	nic->is_broken = !ok;
	nic->is_armed = nic->waits_for_room = false;
	nic->sent_count = nic->sent_count_before = nic->counters.tx_frames; /* what was in the ring is lost */
	nic->alive_ns = nic->restart_ns = time_now_ns();
}

static const char *open(struct nic *nic, const struct model *model)
{
	char address[8];

	format_address(address, &nic->pci);
	ksnprintf(nic->name, sizeof(nic->name), "%s (%s) at %s", model->name, model->chip, address);
	nic->is_virtio = model->vendor == VENDOR_VIRTIO;
	nic->is_e1000e = !strcmp(model->name, "e1000e");
	irq_handle(IRQ_NIC, interrupt);
	pci_connect_interrupt(&nic->pci, IRQ_NIC);
	return nic->is_virtio ? virtio_net_open(nic) : e1000_open(nic);
}

struct nic *nic_open(const char *name, char error[NIC_ERROR_MAX])
{
	struct nic *nic = &nic_state;
	const struct model *model;
	const char *wrong;

	memset(nic, 0, sizeof(*nic));
	if (!is_known_name(name)) {
		ksnprintf(error, NIC_ERROR_MAX, "%.20s is no network card: e1000, e1000e, virtio, auto, "
			  "or a PCI address such as 00:03.0", name);
		return NULL;
	}
	model = find(nic, name);
	if (!model) {
		ksnprintf(error, NIC_ERROR_MAX, "there is no network card that %s means and a driver is there for "
			  "(82540EM, 82574L, virtio-net)", name);
		return NULL;
	}
	wrong = open(nic, model);
	if (wrong) {
		pci_disconnect_interrupt(&nic->pci);
		ksnprintf(error, NIC_ERROR_MAX, "network card %s does not work: %s", nic->name, wrong);
		return NULL;
	}
	nic->alive_ns = nic->restart_ns = time_now_ns();
	return nic;
}

/* Time in which a card with frames to send has sent none counts, but only with the link up: without, it may keep them. */
static bool is_stuck(struct nic *nic, uint64_t now, bool link_up)
{
	bool waits = nic->sent_count != nic->counters.tx_frames;

	if (!waits || !link_up || nic->sent_count != nic->sent_count_before)
		nic->alive_ns = now;
	nic->sent_count_before = nic->sent_count;
	return now - nic->alive_ns > PATIENCE_NS;
}

bool nic_tend(struct nic *nic)
{
	uint64_t now = time_now_ns();
	bool link_up = false;
	bool is_well = nic->is_virtio ? virtio_net_look(nic, &link_up) : e1000_look(nic, &link_up);

	if (is_stuck(nic, now, link_up) || nic->is_broken)
		is_well = false;
	if (is_well || now - nic->restart_ns < PATIENCE_NS)
		return link_up && !nic->is_broken;
	klog_quiet("net: %s is started anew", nic->name);
	restart(nic);
	return false;
}

const char *nic_name(const struct nic *nic)
{
	return nic->name;
}

const uint8_t *nic_mac(const struct nic *nic)
{
	return nic->mac;
}

void nic_read_counters(const struct nic *nic, struct nic_counters *counters)
{
	*counters = nic->counters;
}

/* --- frames --- */

uint8_t *nic_send_buffer(struct nic *nic)
{
	uint8_t *buffer = NULL;

	if (!nic->is_broken)
		buffer = nic->is_virtio ? virtio_net_send_buffer(nic) : e1000_send_buffer(nic);
	nic->waits_for_room = !buffer;
	if (!buffer)
		nic->counters.tx_full++;
	return buffer;
}

/* The buffer held other frames before: what pads must not be theirs. */
void nic_send(struct nic *nic, size_t length)
{
	uint8_t *buffer = nic->is_virtio ? virtio_net_send_buffer(nic) : e1000_send_buffer(nic);

	CHECK(buffer && length <= NIC_FRAME_MAX);
	if (length < NIC_FRAME_MIN) {
		memset(buffer + length, 0, NIC_FRAME_MIN - length);
		length = NIC_FRAME_MIN;
	}
	nic->counters.tx_frames++;
	nic->counters.tx_bytes += length;
	if (nic->is_virtio)
		virtio_net_send(nic, length);
	else
		e1000_send(nic, length);
}

void nic_kick(struct nic *nic)
{
	if (nic->is_broken)
		return;
	if (nic->is_virtio)
		virtio_net_kick(nic);
	else
		e1000_kick(nic);
}

size_t nic_receive(struct nic *nic, void *buffer, size_t max)
{
	if (nic->is_broken)
		return 0;
	return nic->is_virtio ? virtio_net_receive(nic, buffer, max) : e1000_receive(nic, buffer, max);
}

size_t nic_take_frame(struct nic *nic, void *to, size_t max, const uint8_t *from, size_t length)
{
	barrier(); /* the frame is read after what told of it */
	if (length > NIC_BUFFER) {
		nic->counters.faults++;
		return 0;
	}
	if (length < NIC_HEADER || length > NIC_FRAME_MAX || length > max) {
		nic->counters.rx_dropped++;
		return 0;
	}
	memcpy(to, from, length);
	nic->counters.rx_frames++;
	nic->counters.rx_bytes += length;
	return length;
}
