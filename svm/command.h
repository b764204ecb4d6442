/* SPDX-License-Identifier: MIT */
/* svm/command.h - the commands of the monitor, without the line that they are typed on. */
#ifndef SVM_COMMAND_H
#define SVM_COMMAND_H

#include "svm/out.h"

/* Carries out one line, which it cuts up, and prints what comes of it to `out`. CPU 0, no lock held; never waits. */
void command_execute(char *line, struct out *out);

#endif
