/* SPDX-License-Identifier: MIT */
/* svm/monitor.h - Nestling's own command line: the one behind Ctrl-] m, and sessions beside it. */
#ifndef SVM_MONITOR_H
#define SVM_MONITOR_H

#include <stddef.h>
#include <stdint.h>

/* The console belongs to the monitor from now on: prints its prompt. */
void monitor_begin(void);
/* The same, with what has been typed: something else was printed. */
void monitor_redraw(void);
/* A character typed on the console. CPU 0, no lock held; never waits. */
void monitor_key(char c);

/* Sessions for people elsewhere. CPU 0, no lock held; plane.h says what each does. */
int monitor_open(void);
void monitor_close(int session);
void monitor_write(int session, const char *text, size_t len);
size_t monitor_read(int session, char *buf, size_t size, uint64_t *lost);

#endif
