/* SPDX-License-Identifier: MIT */
/* svm/report.h - a vCPU's state as text, for people. */
#ifndef SVM_REPORT_H
#define SVM_REPORT_H

struct vcpu;

/* To the log and the console: both levels when L2 runs. Of a vCPU that runs it is the state at its last exit. */
void vcpu_report(struct vcpu *v);

#endif
