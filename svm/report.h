/* SPDX-License-Identifier: MIT */
/* svm/report.h - a vCPU's state as text, for people. */
#ifndef SVM_REPORT_H
#define SVM_REPORT_H

#include "svm/out.h"

struct vcpu;

/* What it does, as a phrase. */
const char *vcpu_activity_name(const struct vcpu *v);
/* Both levels when L2 runs. Of a vCPU that runs it is the state at its last exit. */
void vcpu_report(struct vcpu *v, struct out *out);

#endif
