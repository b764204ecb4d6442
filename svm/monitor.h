/* SPDX-License-Identifier: MIT */
/* svm/monitor.h - the small command line behind Ctrl-] m. */
#ifndef SVM_MONITOR_H
#define SVM_MONITOR_H

/* The console belongs to the monitor from now on: prints its prompt. */
void monitor_begin(void);
/* The same, with what has been typed: something else was printed. */
void monitor_redraw(void);
/* A typed character. CPU 0, no lock held; never waits. */
void monitor_key(char c);

#endif
