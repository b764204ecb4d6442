/* SPDX-License-Identifier: MIT */
/* drivers/nic_e1000.c - Intel 82540EM ("e1000") and 82574L ("e1000e"): descriptors in the format that both know.
 * Decides when the card is told: the transmit tail once per nic_kick(), the receive tail once per RX_BATCH frames. Of
 * what the card writes, it uses a descriptor's status, length and errors, each read once; never an address or an index.
 * Manuals: Intel 8254x Software Developer's Manual 317453-005 (chapters 3, 13, 14), 82574 Datasheet 317694. Untested on
 * hardware. Before: nic.c. */
#include "drivers/nic_driver.h"

#include "drivers/access.h"
#include "kernel/pmm.h"
#include "kernel/string.h"
#include "kernel/time.h"

enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	EERD = 0x0014,
	CTRL_EXT = 0x0018,
	ICR = 0x00C0,
	ITR = 0x00C4,
	IMS = 0x00D0,
	IMC = 0x00D8,
	RCTL = 0x0100,
	TCTL = 0x0400,
	TIPG = 0x0410,
	RDBAL = 0x2800,
	RDBAH = 0x2804,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	RDTR = 0x2820,
	RADV = 0x282C,
	TDBAL = 0x3800,
	TDBAH = 0x3804,
	TDLEN = 0x3808,
	TDH = 0x3810,
	TDT = 0x3818,
	TIDV = 0x3820,
	TXDCTL = 0x3828,
	TADV = 0x382C,
	MTA = 0x5200,
	RAL = 0x5400,
	RAH = 0x5404,
	REGISTERS_SIZE = 0x6000,

	MTA_WORDS = 128,
	RX_BATCH = NIC_RING / 8,
	RESET_TRIES = 100,
	MASTER_TRIES = 10,
	EEPROM_TRIES = 10,
	EEPROM_MAC = 0, /* three words */
};

#define CTRL_MASTER_DISABLE BIT32(2) /* 82574 */
#define CTRL_LINK_RESET BIT32(3)
#define CTRL_AUTO_SPEED BIT32(5)
#define CTRL_SET_LINK_UP BIT32(6)
#define CTRL_INVERT_LOSS BIT32(7)
#define CTRL_FORCE_SPEED BIT32(11)
#define CTRL_FORCE_DUPLEX BIT32(12)
#define CTRL_RESET BIT32(26)
#define CTRL_VLAN BIT32(30)
#define CTRL_PHY_RESET BIT32(31)
#define CTRL_CLEAR                                                                                                     \
	(CTRL_MASTER_DISABLE | CTRL_LINK_RESET | CTRL_INVERT_LOSS | CTRL_FORCE_SPEED | CTRL_FORCE_DUPLEX |            \
	 CTRL_VLAN | CTRL_PHY_RESET)
#define STATUS_LINK_UP BIT32(1)
#define STATUS_MASTER BIT32(19) /* 82574 */
#define EERD_START BIT32(0)
#define EERD_DONE BIT32(4) /* this and the next: 82540EM */
#define EERD_ADDRESS_SHIFT 8
#define EERD_DATA_SHIFT 16
#define CTRL_EXT_DRIVER_LOADED BIT32(28)
#define TXDCTL_MUST_BE_1 BIT32(22) /* 82574 */

#define INT_TX_DONE BIT32(0)
#define INT_LINK BIT32(2)
#define INT_RX_LOW BIT32(4)
#define INT_RX_OVERRUN BIT32(6)
#define INT_RX BIT32(7)

/* All multicast frames: IPv6 and mDNS join and leave groups. Buffers of 2048 bytes, frames without their checksum. */
#define RCTL_ENABLE BIT32(1)
#define RCTL_ALL_MULTICAST BIT32(4)
#define RCTL_BROADCAST BIT32(15)
#define RCTL_STRIP_CRC BIT32(26)
#define RCTL_VALUE (RCTL_ENABLE | RCTL_ALL_MULTICAST | RCTL_BROADCAST | RCTL_STRIP_CRC)

/* Collisions as half duplex needs them; gaps as the manuals give them for copper. */
#define TCTL_ENABLE BIT32(1)
#define TCTL_PAD BIT32(3)
#define TCTL_VALUE (TCTL_ENABLE | TCTL_PAD | 0x0Fu << 4 | 0x40u << 12)
#define TIPG_82540 (10u | 8u << 10 | 6u << 20)
#define TIPG_82574 (8u | 8u << 10 | 6u << 20)

#define RAH_VALID BIT32(31)

enum {
	RX_DONE = 1 << 0,
	RX_END = 1 << 1,
	RX_ERRORS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 7, /* checksum, symbol, sequence, extension, data */
	TX_END = 1 << 0,
	TX_INSERT_CRC = 1 << 1,
	TX_REPORT = 1 << 3,
	TX_DONE = 1 << 0,
};

_Static_assert(sizeof(struct e1000_rx) == 16 && sizeof(struct e1000_tx) == 16, "legacy descriptors");
_Static_assert(NIC_RING * sizeof(struct e1000_rx) % 128 == 0, "RDLEN and TDLEN count 128 bytes");

static uint32_t read_reg(const struct nic *nic, uint32_t reg)
{
	return mmio_read32(hpa(nic->e1000.regs.a + reg));
}

static void write_reg(const struct nic *nic, uint32_t reg, uint32_t v)
{
	mmio_write32(hpa(nic->e1000.regs.a + reg), v);
}

/* --- set-up --- */

/* Until the bit is clear, a millisecond per try. */
static bool wait_clear(const struct nic *nic, uint32_t reg, uint32_t bit, unsigned tries)
{
	while (tries--) {
		time_delay_ns(NS_PER_MS);
		if (!(read_reg(nic, reg) & bit))
			return true;
	}
	return false;
}

/* The 82574 must have no request on its way when it is reset; a firmware's driver may have left it running. */
static bool reset(const struct nic *nic)
{
	write_reg(nic, IMC, UINT32_MAX);
	write_reg(nic, RCTL, 0);
	write_reg(nic, TCTL, 0);
	if (nic->is_e1000e) {
		write_reg(nic, CTRL, read_reg(nic, CTRL) | CTRL_MASTER_DISABLE);
		wait_clear(nic, STATUS, STATUS_MASTER, MASTER_TRIES);
	}
	write_reg(nic, CTRL, read_reg(nic, CTRL) | CTRL_RESET);
	if (!wait_clear(nic, CTRL, CTRL_RESET, RESET_TRIES))
		return false;
	write_reg(nic, IMC, UINT32_MAX);
	write_reg(nic, ICR, read_reg(nic, ICR));
	return true;
}

static void set_up_link(const struct nic *nic)
{
	uint32_t ctrl = read_reg(nic, CTRL);

	write_reg(nic, CTRL, (ctrl & ~CTRL_CLEAR) | CTRL_SET_LINK_UP | CTRL_AUTO_SPEED);
	write_reg(nic, TIPG, nic->is_e1000e ? TIPG_82574 : TIPG_82540);
	if (!nic->is_e1000e)
		return;
	write_reg(nic, CTRL_EXT, read_reg(nic, CTRL_EXT) | CTRL_EXT_DRIVER_LOADED);
	write_reg(nic, TXDCTL, read_reg(nic, TXDCTL) | TXDCTL_MUST_BE_1);
}

static void set_up_filter(const struct nic *nic)
{
	const uint8_t *m = nic->mac;

	write_reg(nic, RAL, (uint32_t)m[0] | (uint32_t)m[1] << 8 | (uint32_t)m[2] << 16 | (uint32_t)m[3] << 24);
	write_reg(nic, RAH, (uint32_t)m[4] | (uint32_t)m[5] << 8 | RAH_VALID);
	for (uint32_t i = 0; i < MTA_WORDS; i++)
		write_reg(nic, MTA + 4 * i, 0);
}

static void give_rx(struct e1000 *e, uint32_t i)
{
	e->rx[i].address = hpa_of(e->rx_buffers + (size_t)i * NIC_BUFFER).a;
	e->rx[i].status = 0;
}

static void set_up_rings(struct nic *nic)
{
	struct e1000 *e = &nic->e1000;

	for (uint32_t i = 0; i < NIC_RING; i++)
		give_rx(e, i);
	e->rx_next = e->rx_taken = e->tx_next = e->tx_used = e->tx_told = 0;
	e->rx_in_frame = false;
	write_reg(nic, RDBAL, (uint32_t)(uintptr_t)e->rx);
	write_reg(nic, RDBAH, (uint32_t)((uintptr_t)e->rx >> 32));
	write_reg(nic, RDLEN, NIC_RING * sizeof(struct e1000_rx));
	write_reg(nic, RDH, 0);
	write_reg(nic, TDBAL, (uint32_t)(uintptr_t)e->tx);
	write_reg(nic, TDBAH, (uint32_t)((uintptr_t)e->tx >> 32));
	write_reg(nic, TDLEN, NIC_RING * sizeof(struct e1000_tx));
	write_reg(nic, TDH, 0);
	write_reg(nic, TDT, 0);
}

/* Interrupts are not put off: there is at most one per nic_arm(). */
bool e1000_start(struct nic *nic)
{
	static const uint32_t delays[] = {ITR, RDTR, RADV, TIDV, TADV};

	if (!reset(nic))
		return false;
	set_up_link(nic);
	set_up_filter(nic);
	for (unsigned i = 0; i < ARRAY_COUNT(delays); i++)
		write_reg(nic, delays[i], 0);
	set_up_rings(nic);
	write_reg(nic, TCTL, TCTL_VALUE);
	write_reg(nic, RCTL, RCTL_VALUE);
	write_reg(nic, RDT, NIC_RING - 1);
	return true;
}

static bool read_eeprom(const struct nic *nic, uint32_t word, uint16_t *v)
{
	write_reg(nic, EERD, EERD_START | word << EERD_ADDRESS_SHIFT);
	for (unsigned i = 0; i < EEPROM_TRIES; i++) {
		uint32_t eerd = read_reg(nic, EERD);

		*v = (uint16_t)(eerd >> EERD_DATA_SHIFT);
		if (eerd & EERD_DONE)
			return true;
		time_delay_ns(NS_PER_MS);
	}
	return false;
}

/* The card's reset loads it into the filter. measured: not with Bochs 2.7, there it is in the EEPROM only. */
static bool read_mac(struct nic *nic)
{
	uint32_t low = read_reg(nic, RAL), high = read_reg(nic, RAH);
	uint16_t words[NIC_MAC_SIZE / 2] = {(uint16_t)low, (uint16_t)(low >> 16), (uint16_t)high};

	for (unsigned i = 0; !(high & RAH_VALID) && i < ARRAY_COUNT(words); i++)
		if (!read_eeprom(nic, EEPROM_MAC + i, &words[i]))
			return false;
	for (unsigned i = 0; i < NIC_MAC_SIZE; i++)
		nic->mac[i] = (uint8_t)(words[i / 2] >> (i % 2 * 8));
	return (words[0] | words[1] | words[2]) && !(nic->mac[0] & 1);
}

const char *e1000_open(struct nic *nic)
{
	struct e1000 *e = &nic->e1000;

	e->regs = pci_map_bar(&nic->pci, 0, REGISTERS_SIZE);
	if (!e->regs.a)
		return "its registers are not to be found";
	e->rx = hpa_ptr(pmm_alloc(NIC_RING * sizeof(*e->rx), PAGE_SIZE));
	e->tx = hpa_ptr(pmm_alloc(NIC_RING * sizeof(*e->tx), PAGE_SIZE));
	e->rx_buffers = hpa_ptr(pmm_alloc(NIC_RING * NIC_BUFFER, PAGE_SIZE));
	e->tx_buffers = hpa_ptr(pmm_alloc(NIC_RING * NIC_BUFFER, PAGE_SIZE));
	if (!e->rx || !e->tx || !e->rx_buffers || !e->tx_buffers)
		return "there is no memory for its rings";
	if (!reset(nic))
		return "it does not come out of its reset";
	if (!read_mac(nic))
		return "it has no MAC address";
	pci_enable_dma(&nic->pci);
	return e1000_start(nic) ? NULL : "it does not come out of its second reset";
}

/* --- transmit --- */

static bool has_room(const struct e1000 *e)
{
	return e->tx_used < NIC_RING - 1; /* a full ring would look empty to the card */
}

/* Takes back what the card has sent. It says so in its own time, but in the order of the ring. */
static void reclaim(struct nic *nic)
{
	struct e1000 *e = &nic->e1000;

	while (e->tx_used && e->tx[(e->tx_next - e->tx_used) % NIC_RING].status & TX_DONE) {
		e->tx_used--;
		nic->sent_count++;
	}
}

uint8_t *e1000_send_buffer(struct nic *nic)
{
	struct e1000 *e = &nic->e1000;

	if (!has_room(e))
		reclaim(nic);
	return has_room(e) ? e->tx_buffers + (size_t)e->tx_next * NIC_BUFFER : NULL;
}

void e1000_send(struct nic *nic, size_t length)
{
	struct e1000 *e = &nic->e1000;
	volatile struct e1000_tx *d = &e->tx[e->tx_next];

	d->address = hpa_of(e->tx_buffers + (size_t)e->tx_next * NIC_BUFFER).a;
	d->length = (uint16_t)length;
	d->checksum_offset = 0;
	d->checksum_start = 0;
	d->special = 0;
	d->status = 0;
	d->command = TX_END | TX_INSERT_CRC | TX_REPORT;
	e->tx_next = (e->tx_next + 1) % NIC_RING;
	e->tx_used++;
}

void e1000_kick(struct nic *nic)
{
	struct e1000 *e = &nic->e1000;

	if (e->tx_told == e->tx_next)
		return;
	write_reg(nic, TDT, e->tx_next);
	e->tx_told = e->tx_next;
}

/* A card that was reset behind our back, or pulled out, has another RCTL. */
bool e1000_look(struct nic *nic, bool *link_up)
{
	uint32_t status = read_reg(nic, STATUS);

	reclaim(nic);
	*link_up = status != UINT32_MAX && (status & STATUS_LINK_UP);
	return read_reg(nic, RCTL) == RCTL_VALUE;
}

/* --- receive --- */

/* The tail is the first descriptor that the card must not use: one before the next, so never all of the ring. */
static void give_back(struct nic *nic)
{
	struct e1000 *e = &nic->e1000;

	give_rx(e, e->rx_next);
	e->rx_next = (e->rx_next + 1) % NIC_RING;
	if (++e->rx_taken < RX_BATCH)
		return;
	e->rx_taken = 0;
	write_reg(nic, RDT, (e->rx_next - 1) % NIC_RING);
}

/* Frames that need more than one buffer are longer than any that we ask for: a fault, up to the end of the frame. */
static size_t take(struct nic *nic, uint8_t status, void *buffer, size_t max)
{
	struct e1000 *e = &nic->e1000;
	volatile struct e1000_rx *d = &e->rx[e->rx_next];
	uint16_t length = d->length;
	bool is_whole = (status & RX_END) && !e->rx_in_frame;

	e->rx_in_frame = !(status & RX_END);
	if (!is_whole) {
		nic->counters.faults++;
		return 0;
	}
	if (d->errors & RX_ERRORS) {
		nic->counters.rx_errors++;
		return 0;
	}
	return nic_take_frame(nic, buffer, max, e->rx_buffers + (size_t)e->rx_next * NIC_BUFFER, length);
}

static uint8_t next_status(const struct e1000 *e)
{
	return e->rx[e->rx_next].status;
}

size_t e1000_receive(struct nic *nic, void *buffer, size_t max)
{
	size_t length = 0;

	for (unsigned i = 0; i < NIC_RING && !length; i++) {
		uint8_t status = next_status(&nic->e1000);

		if (!(status & RX_DONE))
			break;
		length = take(nic, status, buffer, max);
		give_back(nic);
	}
	return length;
}

/* --- interrupts --- */

/* Causes of before are forgotten first, and the ring is looked at last, so that none in between is lost. */
bool e1000_arm(struct nic *nic)
{
	uint32_t causes = INT_RX | INT_RX_LOW | INT_RX_OVERRUN | INT_LINK;

	write_reg(nic, ICR, UINT32_MAX);
	write_reg(nic, IMS, nic->waits_for_room ? causes | INT_TX_DONE : causes);
	if (nic->waits_for_room)
		reclaim(nic);
	return !(next_status(&nic->e1000) & RX_DONE) && !(nic->waits_for_room && has_room(&nic->e1000));
}

void e1000_quiet(struct nic *nic)
{
	write_reg(nic, IMC, UINT32_MAX);
	write_reg(nic, ICR, read_reg(nic, ICR));
}
