/* SPDX-License-Identifier: MIT */
/* svm/guest_console.h - who has the console: one guest, or the monitor. The others' lines appear with their name
 * in front. Ctrl-] and a digit give it to a guest, Ctrl-] m to the monitor. */
#ifndef SVM_GUEST_CONSOLE_H
#define SVM_GUEST_CONSOLE_H

#include <bits.h>
#include <compiler.h>

struct l1;

#define GUEST_OUTPUT_SIZE KIB(16)

/* What a guest has written, newest GUEST_OUTPUT_SIZE bytes. All under the lock of guest_console.c. */
struct guest_output {
	uint64_t written, shown; /* bytes ever written; of these, on the console */
	char ring[GUEST_OUTPUT_SIZE];
};

/* A byte from the guest's UART. May be called with the guest's dev_lock held. */
void guest_console_out(struct l1 *l1, uint8_t byte);

/* Looks for typed characters and for lines that have waited long enough. CPU 0 only, no lock held: from its
 * interrupt window and its timer. Cheap when nothing is there. */
void guest_console_poll(void);

/* For readers beside the console, as plane.h says. CPU 0. */
uint64_t guest_console_written(const struct l1 *l1);
size_t guest_console_read(struct l1 *l1, uint64_t *cursor, char *buf, size_t size, uint64_t *lost);
/* Typed characters: how many were taken. */
size_t guest_console_type(struct l1 *l1, const char *text, size_t len);

/* Gives the console to a guest; null: to the monitor. */
void guest_console_focus(struct l1 *l1);
bool guest_console_is_monitor(void);
/* *slot, a place in the list of guests, becomes `l1`; a guest that was in it loses the console. CPU 0. */
void guest_console_list(struct l1 **slot, struct l1 *l1);
/* A line for the log, and so for the console: not in the middle of another one. Any CPU, no lock held. */
void PRINTF_LIKE(1, 2) guest_console_note(const char *fmt, ...);
/* The guest writes no more: shows what is left and why it ended, gives the console to the next. */
void guest_console_ended(struct l1 *l1);

#endif
