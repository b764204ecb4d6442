/* SPDX-License-Identifier: MIT */
/* kernel/wall_clock.c - reads the MC146818 clock. Touches ports 70h and 71h, and only reads the clock.
 * Decides that its years are those of this century. Manual: MC146818 data sheet, registers 0 to Bh. */
#include "kernel/wall_clock.h"

#include "kernel/cpu_insn.h"
#include "kernel/spinlock.h"

#include <bits.h>

#define INDEX_PORT 0x70
#define DATA_PORT 0x71

enum { SECONDS = 0, MINUTES = 2, HOURS = 4, DAY = 7, MONTH = 8, YEAR = 9, STATUS_A = 10, STATUS_B = 11 };

#define A_UPDATING BIT32(7)
#define B_24_HOURS BIT32(1)
#define B_BINARY BIT32(2)
#define HOUR_PM BIT32(7)
#define TRIES_MAX 1000000u /* a clock that is not there would always be updating */

struct date {
	uint32_t second, minute, hour, day, month, year;
};

static struct spinlock lock; /* of the two ports */

static uint8_t clock_read(uint8_t reg)
{
	outb(INDEX_PORT, reg);
	return inb(DATA_PORT);
}

static uint32_t from_bcd(uint32_t v)
{
	return (v >> 4) * 10 + (v & 0xF);
}

static struct date read_date(void)
{
	for (unsigned tries = 0; (clock_read(STATUS_A) & A_UPDATING) && tries < TRIES_MAX; tries++)
		;
	return (struct date){clock_read(SECONDS), clock_read(MINUTES), clock_read(HOURS),
			     clock_read(DAY),	  clock_read(MONTH),   clock_read(YEAR)};
}

static struct date decode(struct date d, uint8_t status_b)
{
	bool pm = !(status_b & B_24_HOURS) && (d.hour & HOUR_PM);

	if (!(status_b & B_24_HOURS))
		d.hour &= ~HOUR_PM;
	if (!(status_b & B_BINARY))
		d = (struct date){from_bcd(d.second), from_bcd(d.minute), from_bcd(d.hour),
				  from_bcd(d.day),    from_bcd(d.month),  from_bcd(d.year)};
	if (!(status_b & B_24_HOURS))
		d.hour = d.hour % 12 + (pm ? 12 : 0);
	return d;
}

/* Days since 1970 of a date since 2000: March begins the year, so that the leap day is its last. */
static uint64_t days_since_1970(struct date d)
{
	const uint64_t days_to_2000_03_01 = 11017;
	uint64_t month = (d.month + 9) % 12, year = d.year + (d.month > 2 ? 1u : 0u);

	/* `year` counts from March 1999, so that January 2000 is no negative year */
	return days_to_2000_03_01 - 366 + year * 365 + (year + 3) / 4 + (month * 153 + 2) / 5 + d.day - 1;
}

/* Two equal readings: no update came in between. */
uint64_t wall_clock_seconds(void)
{
	struct date d, again;
	unsigned tries = 0;

	spin_lock(&lock);
	do {
		d = read_date();
		again = read_date();
	} while ((d.second != again.second || d.minute != again.minute) && ++tries < 10);
	d = decode(d, clock_read(STATUS_B));
	spin_unlock(&lock);
	return ((days_since_1970(d) * 24 + d.hour) * 60 + d.minute) * 60 + d.second;
}
