/* SPDX-License-Identifier: MIT */
/* svm/exit_names.h - names of exit codes and of the exit counters, for people. */
#ifndef SVM_EXIT_NAMES_H
#define SVM_EXIT_NAMES_H

#include <stdint.h>

/* "CPUID", "CR0_WRITE", "EXCP_PF"; "unknown" for what the manual does not list. */
const char *exit_name(uint64_t code);

/* The index of a code in level_exits.counts, and the name of such an index. */
unsigned exit_counter(uint64_t code);
const char *exit_counter_name(unsigned counter);

#endif
