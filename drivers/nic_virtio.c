/* SPDX-License-Identifier: MIT */
/* drivers/nic_virtio.c - virtio-net over PCI, by the registers of version 1.0 and later (transitional devices have them
 * beside the older ones, which are not used).
 * Decides that a chain is one descriptor, header and frame together. The device chooses which buffer it gives back: its
 * id must be one that it has, or its rings are left alone until nic_tend() starts it anew. Manual: Virtual I/O Device
 * (VIRTIO) 1.1, chapters 2.6 (split rings), 4.1 (PCI), 5.1 (network). Before: nic.c. */
#include "drivers/nic_driver.h"

#include <compiler.h>

#include "drivers/access.h"
#include "kernel/pmm.h"
#include "kernel/string.h"
#include "kernel/time.h"

enum {
	/* struct virtio_pci_cap */
	CAP_TYPE = 3,
	CAP_BAR = 4,
	CAP_OFFSET = 8,
	CAP_LENGTH = 12,
	CAP_NOTIFY_MULTIPLIER = 16,
	CAP_SIZE = 20,
	TYPE_COMMON = 1,
	TYPE_NOTIFY = 2,
	TYPE_ISR = 3,
	TYPE_DEVICE = 4,

	/* struct virtio_pci_common_cfg */
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0C,
	CONFIG_VECTOR = 0x10,
	DEVICE_STATUS = 0x14,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1A,
	QUEUE_ENABLE = 0x1C,
	QUEUE_NOTIFY_OFFSET = 0x1E,
	QUEUE_DESC = 0x20,
	QUEUE_AVAIL = 0x28,
	QUEUE_USED = 0x30,
	COMMON_SIZE = 0x38,

	/* struct virtio_net_config */
	NET_MAC = 0,
	NET_STATUS = 6,
	NET_CONFIG_SIZE = 8,
	NET_LINK_UP = 1,

	ISR_SIZE = 1,
	QUEUE_RX = 0,
	QUEUE_TX = 1,
	RESET_TRIES = 100,

	STATUS_ACKNOWLEDGE = 1,
	STATUS_DRIVER = 2,
	STATUS_DRIVER_OK = 4,
	STATUS_FEATURES_OK = 8,
	STATUS_RUNNING = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK,

	DESC_DEVICE_WRITES = 2,
	AVAIL_NO_INTERRUPT = 1,
	USED_NO_NOTIFY = 1,
	NET_HEADER = 12, /* with num_buffers, which version 1 always has */
};

#define FEATURE_MAC BIT(5)
#define FEATURE_STATUS BIT(16)
#define FEATURE_VERSION_1 BIT(32)
#define FEATURES_WANTED (FEATURE_MAC | FEATURE_STATUS | FEATURE_VERSION_1)
#define FEATURES_NEEDED (FEATURE_MAC | FEATURE_VERSION_1)

_Static_assert(sizeof(struct virtq_desc) == 16 && sizeof(struct virtq_avail) == 4 + 2 * NIC_RING &&
	       sizeof(struct virtq_used) == 4 + 8 * NIC_RING, "VIRTIO 1.1 2.6");
_Static_assert(NET_HEADER + NIC_FRAME_MAX <= NIC_BUFFER, "a frame fits");

static hpa_t common(const struct nic *nic, uint32_t reg)
{
	return hpa(nic->virtio.common.a + reg);
}

static void write_address(const struct nic *nic, uint32_t reg, const volatile void *p)
{
	mmio_write32(common(nic, reg), (uint32_t)(uintptr_t)p);
	mmio_write32(common(nic, reg + 4), (uint32_t)((uintptr_t)p >> 32));
}

/* --- set-up: registers --- */

/* Number n of its register areas: where, how long, of which type. hpa 0: it is not to be had. */
static hpa_t map_area(const struct nic *nic, uint32_t cap, uint32_t *length)
{
	const struct pci_device *d = &nic->pci;
	uint32_t offset = pci_read32(d, cap + CAP_OFFSET);
	hpa_t bar;

	*length = pci_read32(d, cap + CAP_LENGTH);
	if (offset % 4)
		return hpa(0);
	bar = pci_map_bar(d, pci_read8(d, cap + CAP_BAR), (uint64_t)offset + *length);
	return bar.a ? hpa(bar.a + offset) : bar;
}

/* The first area of a type is the one that the device wants to be used. */
static void take_area(struct nic *nic, uint32_t cap)
{
	struct virtio_net *v = &nic->virtio;
	uint8_t type = pci_read8(&nic->pci, cap + CAP_TYPE);
	uint32_t length;
	hpa_t at;

	if (type < TYPE_COMMON || type > TYPE_DEVICE)
		return;
	at = map_area(nic, cap, &length);
	if (type == TYPE_COMMON && !v->common.a && length >= COMMON_SIZE)
		v->common = at;
	if (type == TYPE_ISR && !v->isr.a && length >= ISR_SIZE)
		v->isr = at;
	if (type == TYPE_DEVICE && !v->config.a && length >= NET_CONFIG_SIZE)
		v->config = at;
	if (type == TYPE_NOTIFY && !v->notify_base.a) {
		v->notify_base = at;
		v->notify_size = length;
		v->notify_multiplier = pci_read32(&nic->pci, cap + CAP_NOTIFY_MULTIPLIER);
	}
}

static bool find_areas(struct nic *nic)
{
	struct virtio_net *v = &nic->virtio;
	uint32_t cap;

	for (unsigned n = 0; (cap = pci_capability(&nic->pci, PCI_CAP_VENDOR, n)) != 0; n++)
		if (cap + CAP_SIZE <= 256)
			take_area(nic, cap);
	return v->common.a && v->isr.a && v->config.a && v->notify_base.a;
}

/* --- set-up: queues --- */

static void post(struct virtq *q, uint16_t id)
{
	q->is_lent[id] = true;
	q->avail->ring[q->avail_index % q->size] = id;
	q->avail_index++;
	barrier();
	q->avail->index = q->avail_index;
}

static void fill_rx(struct virtq *q)
{
	for (uint16_t id = 0; id < q->size; id++) {
		q->desc[id].address = hpa_of(q->buffers + (size_t)id * NIC_BUFFER).a;
		q->desc[id].length = NET_HEADER + NIC_FRAME_MAX;
		q->desc[id].flags = DESC_DEVICE_WRITES;
		post(q, id);
	}
}

static void empty(struct virtq *q)
{
	q->avail->index = q->used->index = q->used->flags = 0;
	q->avail->flags = AVAIL_NO_INTERRUPT;
	q->avail_index = q->used_index = q->told_index = 0;
	q->free_count = q->size;
	for (uint16_t i = 0; i < q->size; i++) {
		q->free[i] = i;
		q->is_lent[i] = false;
	}
}

/* A device without room for it keeps "no vector" in the register (VIRTIO 1.1 4.1.5.1.2). */
static void set_vector(struct nic *nic, uint32_t reg)
{
	if (nic->pci.interrupt != PCI_INTERRUPT_MSIX)
		return;
	mmio_write16(common(nic, reg), 0);
	if (mmio_read16(common(nic, reg)) != 0)
		pci_disconnect_interrupt(&nic->pci);
}

/* The device says how long its queue may be at most; a shorter one is ours to ask for. A length that cannot be is not
 * even kept: the rest divides by it. */
static bool set_up_queue(struct nic *nic, struct virtq *q, uint16_t number)
{
	const struct virtio_net *v = &nic->virtio;
	uint64_t notify;
	uint16_t size;

	mmio_write16(common(nic, QUEUE_SELECT), number);
	size = (uint16_t)min_u64(mmio_read16(common(nic, QUEUE_SIZE)), NIC_RING);
	notify = (uint64_t)mmio_read16(common(nic, QUEUE_NOTIFY_OFFSET)) * v->notify_multiplier;
	if (size < 2 || (size & (size - 1)) || notify % 2 || notify + 2 > v->notify_size)
		return false;
	q->number = number;
	q->size = size;
	q->notify = hpa(v->notify_base.a + notify);
	empty(q);
	mmio_write16(common(nic, QUEUE_SIZE), q->size);
	write_address(nic, QUEUE_DESC, q->desc);
	write_address(nic, QUEUE_AVAIL, q->avail);
	write_address(nic, QUEUE_USED, q->used);
	set_vector(nic, QUEUE_VECTOR);
	mmio_write16(common(nic, QUEUE_ENABLE), 1);
	return true;
}

/* --- set-up: the device --- */

/* The device clears its status when it has stopped using its queues (VIRTIO 1.1 4.1.4.3.2). */
static bool reset(const struct nic *nic)
{
	mmio_write8(common(nic, DEVICE_STATUS), 0);
	for (unsigned i = 0; i < RESET_TRIES; i++) {
		if (mmio_read8(common(nic, DEVICE_STATUS)) == 0)
			return true;
		time_delay_ns(NS_PER_MS);
	}
	return false;
}

static uint64_t read_features(const struct nic *nic)
{
	uint64_t low;

	mmio_write32(common(nic, DEVICE_FEATURE_SELECT), 0);
	low = mmio_read32(common(nic, DEVICE_FEATURE));
	mmio_write32(common(nic, DEVICE_FEATURE_SELECT), 1);
	return (uint64_t)mmio_read32(common(nic, DEVICE_FEATURE)) << 32 | low;
}

static bool negotiate(struct nic *nic)
{
	uint64_t features = read_features(nic) & FEATURES_WANTED;
	uint8_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;

	if ((features & FEATURES_NEEDED) != FEATURES_NEEDED)
		return false;
	nic->virtio.has_status = features & FEATURE_STATUS;
	mmio_write8(common(nic, DEVICE_STATUS), status);
	mmio_write32(common(nic, DRIVER_FEATURE_SELECT), 0);
	mmio_write32(common(nic, DRIVER_FEATURE), (uint32_t)features);
	mmio_write32(common(nic, DRIVER_FEATURE_SELECT), 1);
	mmio_write32(common(nic, DRIVER_FEATURE), (uint32_t)(features >> 32));
	mmio_write8(common(nic, DEVICE_STATUS), status | STATUS_FEATURES_OK);
	return mmio_read8(common(nic, DEVICE_STATUS)) == (status | STATUS_FEATURES_OK);
}

bool virtio_net_start(struct nic *nic)
{
	struct virtio_net *v = &nic->virtio;

	if (!reset(nic) || !negotiate(nic))
		return false;
	set_vector(nic, CONFIG_VECTOR);
	if (!set_up_queue(nic, &v->rx, QUEUE_RX) || !set_up_queue(nic, &v->tx, QUEUE_TX))
		return false;
	fill_rx(&v->rx);
	mmio_write8(common(nic, DEVICE_STATUS), STATUS_RUNNING);
	virtio_net_kick(nic);
	return true;
}

static bool take_memory(struct virtq *q)
{
	q->desc = hpa_ptr(pmm_alloc(NIC_RING * sizeof(*q->desc), PAGE_SIZE));
	q->avail = hpa_ptr(pmm_alloc(sizeof(*q->avail), PAGE_SIZE));
	q->used = hpa_ptr(pmm_alloc(sizeof(*q->used), PAGE_SIZE));
	q->buffers = hpa_ptr(pmm_alloc(NIC_RING * NIC_BUFFER, PAGE_SIZE));
	return q->desc && q->avail && q->used && q->buffers;
}

const char *virtio_net_open(struct nic *nic)
{
	struct virtio_net *v = &nic->virtio;

	if (!find_areas(nic))
		return "its registers of virtio 1.0 are not to be found";
	if (!take_memory(&v->rx) || !take_memory(&v->tx))
		return "there is no memory for its queues";
	if (!reset(nic))
		return "it does not come out of its reset";
	pci_enable_dma(&nic->pci);
	if (!virtio_net_start(nic))
		return "it does not agree to virtio 1.0 with a MAC address and two queues";
	for (unsigned i = 0; i < NIC_MAC_SIZE; i++)
		nic->mac[i] = mmio_read8(hpa(v->config.a + NET_MAC + i));
	return nic->mac[0] & 1 ? "it has no MAC address" : NULL;
}

/* --- what the device gives back --- */

static void break_off(struct nic *nic)
{
	nic->counters.faults++;
	nic->is_broken = true;
}

/* The next entry of the used ring. */
static bool take_used(struct nic *nic, struct virtq *q, uint16_t *id, uint32_t *length)
{
	uint16_t count = (uint16_t)(q->used->index - q->used_index);
	uint32_t i = q->used_index % q->size, used_id;

	if (!count || nic->is_broken)
		return false;
	barrier(); /* the entry is read after the index */
	used_id = q->used->ring[i].id;
	*length = q->used->ring[i].length;
	if (count > q->size || used_id >= q->size || !q->is_lent[used_id]) {
		break_off(nic);
		return false;
	}
	*id = (uint16_t)used_id;
	q->is_lent[used_id] = false;
	q->used_index++;
	return true;
}

static void reclaim(struct nic *nic)
{
	struct virtq *q = &nic->virtio.tx;
	uint32_t length;
	uint16_t id;

	for (unsigned i = 0; i < NIC_RING && take_used(nic, q, &id, &length); i++) {
		q->free[q->free_count++] = id;
		nic->sent_count++;
	}
}

bool virtio_net_look(struct nic *nic, bool *link_up)
{
	const struct virtio_net *v = &nic->virtio;

	reclaim(nic);
	*link_up = !v->has_status || (mmio_read16(hpa(v->config.a + NET_STATUS)) & NET_LINK_UP);
	return mmio_read8(common(nic, DEVICE_STATUS)) == STATUS_RUNNING;
}

/* --- transmit --- */

uint8_t *virtio_net_send_buffer(struct nic *nic)
{
	struct virtq *q = &nic->virtio.tx;

	if (!q->free_count)
		reclaim(nic);
	if (!q->free_count)
		return NULL;
	return q->buffers + (size_t)q->free[q->free_count - 1] * NIC_BUFFER + NET_HEADER;
}

/* The header stays as pmm_alloc() left it, zero: no offload. */
void virtio_net_send(struct nic *nic, size_t length)
{
	struct virtq *q = &nic->virtio.tx;
	uint16_t id = q->free[--q->free_count];

	q->desc[id].address = hpa_of(q->buffers + (size_t)id * NIC_BUFFER).a;
	q->desc[id].length = (uint32_t)(NET_HEADER + length);
	q->desc[id].flags = 0;
	post(q, id);
}

/* A device that is at work already does not want to be told. It looks at the index once more after it has changed its
 * mind, so the index must be in memory before the flag is read. */
static void tell(struct virtq *q)
{
	if (q->told_index == q->avail_index)
		return;
	q->told_index = q->avail_index;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(q->used->flags & USED_NO_NOTIFY))
		mmio_write16(q->notify, q->number);
}

void virtio_net_kick(struct nic *nic)
{
	tell(&nic->virtio.tx);
	tell(&nic->virtio.rx);
}

/* --- receive --- */

size_t virtio_net_receive(struct nic *nic, void *buffer, size_t max)
{
	struct virtq *q = &nic->virtio.rx;
	size_t taken = 0;
	uint32_t length;
	uint16_t id;

	for (unsigned i = 0; i < NIC_RING && !taken && take_used(nic, q, &id, &length); i++) {
		const uint8_t *frame = q->buffers + (size_t)id * NIC_BUFFER + NET_HEADER;

		if (length >= NET_HEADER && length <= NET_HEADER + NIC_FRAME_MAX)
			taken = nic_take_frame(nic, buffer, max, frame, length - NET_HEADER);
		else
			nic->counters.faults++;
		post(q, id);
	}
	return taken;
}

/* --- interrupts --- */

static bool has_used(const struct virtq *q)
{
	return q->used->index != q->used_index;
}

/* Asked for first, looked at then: the device does it the other way round. */
bool virtio_net_arm(struct nic *nic)
{
	struct virtio_net *v = &nic->virtio;

	v->rx.avail->flags = 0;
	if (nic->waits_for_room)
		v->tx.avail->flags = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !has_used(&v->rx) && !(nic->waits_for_room && has_used(&v->tx));
}

/* Reading its register makes the device let go of a line. */
void virtio_net_quiet(struct nic *nic)
{
	struct virtio_net *v = &nic->virtio;

	v->rx.avail->flags = v->tx.avail->flags = AVAIL_NO_INTERRUPT;
	if (nic->pci.interrupt == PCI_INTERRUPT_LINE)
		mmio_read8(v->isr);
}
