/* SPDX-License-Identifier: MIT */
/* vdev/vrtc.c - the MC146818 clock with its CMOS memory, ports 0x70 and 0x71.
 * The time is guest time plus an offset; the registers are filled from it when they are read. While
 * register B says SET they hold what the guest writes, and give the new offset afterwards.
 * CMOS layout: what a PC's firmware leaves there for memory sizes and the shutdown byte. */
#include "devices.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define UPDATE_NS UINT64_C(244000) /* length of an update, announced by UIP before it */
#define SUBCLOCK_RATE UINT64_C(604462909807314) /* 32768 Hz, see clock_ticks() */
#define SUBCLOCK_NS_PER_TICK (UINT64_C(131072000000000) + 1)

#define PORT_DATA 0x71
#define INDEX_MASK 0x7F /* bit 7 of the index port gates NMIs, which have no source here */

enum cmos {
	CMOS_SECONDS = 0,
	CMOS_SECONDS_ALARM = 1,
	CMOS_MINUTES = 2,
	CMOS_MINUTES_ALARM = 3,
	CMOS_HOURS = 4,
	CMOS_HOURS_ALARM = 5,
	CMOS_WEEKDAY = 6,
	CMOS_DAY = 7,
	CMOS_MONTH = 8,
	CMOS_YEAR = 9,
	CMOS_A = 10,
	CMOS_B = 11,
	CMOS_C = 12,
	CMOS_D = 13,
	CMOS_EQUIPMENT = 0x14,
	CMOS_BASE_KIB = 0x15,	   /* 2 bytes */
	CMOS_EXTENDED_KIB = 0x17,  /* 2 bytes: above 1 MiB, at most 63 MiB */
	CMOS_EXTENDED_KIB2 = 0x30, /* the same again */
	CMOS_CENTURY = 0x32,
	CMOS_ABOVE_16M = 0x34,	   /* 2 bytes, units of 64 KiB */
	CMOS_ABOVE_4G = 0x5B,	   /* 3 bytes, units of 64 KiB */
	CMOS_EXTRA_CPUS = 0x5F,
};

#define A_UIP 0x80
#define A_RATE 0x0F
#define A_FIRMWARE 0x26 /* 32768 Hz time base, 1024 Hz periodic rate */
#define B_SET 0x80
#define B_PERIODIC 0x40
#define B_ALARM 0x20
#define B_UPDATE 0x10
#define B_BINARY 0x04
#define B_24H 0x02
#define C_IRQ 0x80
#define C_CAUSES (B_PERIODIC | B_ALARM | B_UPDATE) /* same places in B and C */
#define D_VALID 0x80
#define HOUR_PM 0x80
#define ALARM_ANY 0xC0
#define EQUIPMENT_FPU 0x02
#define BASE_KIB 640
/* An alarm is looked for in at most so many missed seconds. */
#define MISSED_SECONDS_MAX 10

/* --- calendar --- */

#define SECONDS_PER_DAY 86400
#define DAYS_PER_400_YEARS 146097
#define EPOCH_WEEKDAY 4		 /* 1970-01-01 was a Thursday; 0 is Sunday */
#define EPOCH_FROM_MARCH_0 719468 /* days from 0000-03-01 to 1970-01-01 */

struct date {
	int64_t year;
	int month, day; /* from 1 */
};

/* Years are counted from March here, so that the leap day is the last of its year. Then
 * (153 * m + 2) / 5 is the day on which month m (March is 0) begins. */
static int64_t days_from_date(struct date d)
{
	int64_t year = d.month <= 2 ? d.year - 1 : d.year;
	int64_t era = year / 400, year_of_era = year % 400;
	int64_t month = (d.month + 9) % 12;
	int64_t day_of_year = (153 * month + 2) / 5 + d.day - 1;

	return era * DAYS_PER_400_YEARS + year_of_era * 365 + year_of_era / 4 -
	       year_of_era / 100 + day_of_year - EPOCH_FROM_MARCH_0;
}

static struct date date_from_days(int64_t days)
{
	int64_t shifted = days + EPOCH_FROM_MARCH_0;
	int64_t era = shifted / DAYS_PER_400_YEARS, day_of_era = shifted % DAYS_PER_400_YEARS;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			       day_of_era / (DAYS_PER_400_YEARS - 1)) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	struct date d = {
		.year = year_of_era + era * 400 + (month >= 10 ? 1 : 0),
		.month = (int)(month >= 10 ? month - 9 : month + 3),
		.day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
	};

	return d;
}

/* --- registers and time --- */

static uint8_t encode(const struct vrtc *r, int64_t value)
{
	if ((r->cmos[CMOS_B] & B_BINARY) != 0)
		return (uint8_t)value;
	return (uint8_t)((value / 10) << 4 | value % 10);
}

static int decode(const struct vrtc *r, uint8_t byte)
{
	if ((r->cmos[CMOS_B] & B_BINARY) != 0)
		return byte;
	return (byte >> 4) * 10 + (byte & 0xF);
}

static uint8_t encode_hour(const struct vrtc *r, int64_t hour)
{
	if ((r->cmos[CMOS_B] & B_24H) != 0)
		return encode(r, hour);
	return (uint8_t)(encode(r, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0));
}

static int decode_hour(const struct vrtc *r, uint8_t byte)
{
	if ((r->cmos[CMOS_B] & B_24H) != 0)
		return decode(r, byte);
	return decode(r, byte & (uint8_t)~HOUR_PM) % 12 + ((byte & HOUR_PM) != 0 ? 12 : 0);
}

static void fill_time(struct vrtc *r, uint64_t guest_second)
{
	int64_t now = (int64_t)guest_second + r->offset_seconds;
	int64_t days = now / SECONDS_PER_DAY, second = now % SECONDS_PER_DAY;
	struct date d = date_from_days(days);

	r->cmos[CMOS_SECONDS] = encode(r, second % 60);
	r->cmos[CMOS_MINUTES] = encode(r, second / 60 % 60);
	r->cmos[CMOS_HOURS] = encode_hour(r, second / 3600);
	r->cmos[CMOS_WEEKDAY] = encode(r, (days + EPOCH_WEEKDAY) % 7 + 1);
	r->cmos[CMOS_DAY] = encode(r, d.day);
	r->cmos[CMOS_MONTH] = encode(r, d.month);
	r->cmos[CMOS_YEAR] = encode(r, d.year % 100);
	r->cmos[CMOS_CENTURY] = encode(r, d.year / 100);
}

/* Whatever the guest stored gives some time, not before 1970. */
static int64_t stored_time(const struct vrtc *r)
{
	struct date d = {
		.year = decode(r, r->cmos[CMOS_CENTURY]) * 100 + decode(r, r->cmos[CMOS_YEAR]),
		.month = decode(r, r->cmos[CMOS_MONTH]) % 13,
		.day = decode(r, r->cmos[CMOS_DAY]),
	};
	int64_t time = days_from_date(d) * SECONDS_PER_DAY +
		       decode_hour(r, r->cmos[CMOS_HOURS]) * 3600 +
		       decode(r, r->cmos[CMOS_MINUTES]) * 60 + decode(r, r->cmos[CMOS_SECONDS]);

	return time > 0 ? time : 0;
}

static bool is_time_register(uint8_t index)
{
	return index == CMOS_SECONDS || index == CMOS_MINUTES || index == CMOS_HOURS ||
	       (index >= CMOS_WEEKDAY && index <= CMOS_YEAR) || index == CMOS_CENTURY;
}

static bool is_set(const struct vrtc *r)
{
	return (r->cmos[CMOS_B] & B_SET) != 0;
}

static uint64_t second_now(const struct machine *m)
{
	return machine_now_ns(m) / NS_PER_SECOND;
}

/* --- interrupts --- */

static bool field_matches(const struct vrtc *r, enum cmos field, enum cmos alarm)
{
	return r->cmos[alarm] >= ALARM_ANY || r->cmos[alarm] == r->cmos[field];
}

/* In the 12-hour format 0xC0 and up are still "any": no hour has both upper bits. */
static bool alarm_matches(struct vrtc *r, uint64_t guest_second)
{
	fill_time(r, guest_second);
	return field_matches(r, CMOS_SECONDS, CMOS_SECONDS_ALARM) &&
	       field_matches(r, CMOS_MINUTES, CMOS_MINUTES_ALARM) &&
	       field_matches(r, CMOS_HOURS, CMOS_HOURS_ALARM);
}

/* Rates 1 and 2 of the 32768 Hz time base are those of 8 and 9. */
static unsigned period_shift(const struct vrtc *r)
{
	unsigned rate = r->cmos[CMOS_A] & A_RATE;

	return rate < 3 ? rate + 6 : rate - 1;
}

static bool has_period(const struct vrtc *r)
{
	return (r->cmos[CMOS_A] & A_RATE) != 0;
}

static uint64_t period_now(const struct machine *m)
{
	return clock_ticks(machine_now_ns(m), SUBCLOCK_RATE) >> period_shift(&m->rtc);
}

static void account_seconds(struct machine *m)
{
	struct vrtc *r = &m->rtc;
	uint64_t now = second_now(m), first = r->seen_second + 1;

	if (now < first)
		return;
	r->seen_second = now;
	if (is_set(r))
		return;
	r->cmos[CMOS_C] |= B_UPDATE;
	if (now - first >= MISSED_SECONDS_MAX)
		first = now - MISSED_SECONDS_MAX + 1;
	for (uint64_t second = first; second <= now; second++)
		if (alarm_matches(r, second))
			r->cmos[CMOS_C] |= B_ALARM;
}

static void account_periods(struct machine *m)
{
	struct vrtc *r = &m->rtc;

	if (!has_period(r) || period_now(m) == r->seen_period)
		return;
	r->seen_period = period_now(m);
	r->cmos[CMOS_C] |= B_PERIODIC;
}

static void plan_deadline(struct machine *m)
{
	struct vrtc *r = &m->rtc;
	uint64_t second = DEADLINE_NONE, period = DEADLINE_NONE, old = r->deadline_ns;

	if ((r->cmos[CMOS_B] & (B_UPDATE | B_ALARM)) != 0 && !is_set(r))
		second = (r->seen_second + 1) * NS_PER_SECOND;
	if ((r->cmos[CMOS_B] & B_PERIODIC) != 0 && has_period(r))
		period = clock_to_ns((r->seen_period + 1) << period_shift(r), SUBCLOCK_NS_PER_TICK);
	machine_set_deadline(m, &r->deadline_ns, min_u64(second, period));
	if (r->deadline_ns != old)
		machine_deadline_changed(m);
}

/* Brings register C up to date, which a polling guest reads without any interrupt enabled. */
static void account(struct machine *m)
{
	struct vrtc *r = &m->rtc;
	bool irq;

	account_seconds(m);
	account_periods(m);
	irq = (r->cmos[CMOS_C] & r->cmos[CMOS_B] & C_CAUSES) != 0;
	if (irq)
		r->cmos[CMOS_C] |= C_IRQ;
	machine_irq_line(m, IRQ_RTC, irq);
	plan_deadline(m);
}

void vrtc_tick(struct machine *m)
{
	if (m->rtc.deadline_ns != DEADLINE_NONE && m->rtc.deadline_ns <= machine_now_ns(m))
		account(m);
}

/* --- ports --- */

static uint8_t read_a(const struct machine *m)
{
	bool updating = machine_now_ns(m) % NS_PER_SECOND >= NS_PER_SECOND - UPDATE_NS;

	return (uint8_t)(m->rtc.cmos[CMOS_A] | (updating && !is_set(&m->rtc) ? A_UIP : 0));
}

static uint8_t read_c(struct machine *m)
{
	uint8_t causes;

	account(m);
	causes = m->rtc.cmos[CMOS_C];
	m->rtc.cmos[CMOS_C] = 0;
	machine_irq_line(m, IRQ_RTC, false);
	return causes;
}

static uint8_t read_cmos(struct machine *m)
{
	struct vrtc *r = &m->rtc;

	if (is_time_register(r->index) && !is_set(r))
		fill_time(r, second_now(m));
	if (r->index == CMOS_A)
		return read_a(m);
	return r->index == CMOS_C ? read_c(m) : r->cmos[r->index];
}

static void write_b(struct machine *m, uint8_t value)
{
	struct vrtc *r = &m->rtc;
	bool was_set = is_set(r);

	account(m);
	if (!was_set)
		fill_time(r, second_now(m));
	if (was_set && (value & B_SET) == 0)
		r->offset_seconds = stored_time(r) - (int64_t)second_now(m);
	r->cmos[CMOS_B] = value;
	account(m);
}

static void write_time(struct machine *m, uint8_t value)
{
	struct vrtc *r = &m->rtc;

	if (!is_set(r))
		fill_time(r, second_now(m));
	r->cmos[r->index] = value;
	if (!is_set(r))
		r->offset_seconds = stored_time(r) - (int64_t)second_now(m);
}

static void write_a(struct machine *m, uint8_t value)
{
	account(m);
	m->rtc.cmos[CMOS_A] = value & (uint8_t)~A_UIP;
	m->rtc.seen_period = period_now(m);
	plan_deadline(m);
}

static void write_cmos(struct machine *m, uint8_t value)
{
	uint8_t index = m->rtc.index;

	if (is_time_register(index))
		write_time(m, value);
	else if (index == CMOS_A)
		write_a(m, value);
	else if (index == CMOS_B)
		write_b(m, value);
	else if (index != CMOS_C && index != CMOS_D)
		m->rtc.cmos[index] = value;
}

uint32_t vrtc_read(struct machine *m, uint16_t port, unsigned size)
{
	(void)size;
	return port == PORT_DATA ? read_cmos(m) : UINT8_MAX;
}

void vrtc_write(struct machine *m, uint16_t port, uint32_t value, unsigned size)
{
	(void)size;
	if (port == PORT_DATA)
		write_cmos(m, (uint8_t)value);
	else
		m->rtc.index = value & INDEX_MASK;
}

/* --- start --- */

static void store(struct vrtc *r, enum cmos at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		r->cmos[at + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t above(uint64_t memory, uint64_t limit)
{
	return memory > limit ? memory - limit : 0;
}

static void store_memory_size(struct vrtc *r, const struct machine_config *config)
{
	uint64_t extended = min_u64(above(config->memory_below_4g, MIB(1)), MIB(63));
	uint64_t above_16m = min_u64(above(config->memory_below_4g, MIB(16)) / KIB(64), UINT16_MAX);

	store(r, CMOS_BASE_KIB, BASE_KIB, 2);
	store(r, CMOS_EXTENDED_KIB, extended / KIB(1), 2);
	store(r, CMOS_EXTENDED_KIB2, extended / KIB(1), 2);
	store(r, CMOS_ABOVE_16M, above_16m, 2);
	store(r, CMOS_ABOVE_4G, config->memory_above_4g / KIB(64), 3);
}

void vrtc_init(struct machine *m)
{
	struct vrtc *r = &m->rtc;

	r->cmos[CMOS_A] = A_FIRMWARE;
	r->cmos[CMOS_B] = B_24H;
	r->cmos[CMOS_D] = D_VALID;
	r->cmos[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
	r->cmos[CMOS_EXTRA_CPUS] = (uint8_t)(m->config.vcpu_count - 1);
	store_memory_size(r, &m->config);
	r->offset_seconds = (int64_t)(m->config.boot_seconds - second_now(m));
	r->seen_second = second_now(m);
	r->seen_period = period_now(m);
	machine_set_deadline(m, &r->deadline_ns, DEADLINE_NONE);
}
