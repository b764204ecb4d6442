/* SPDX-License-Identifier: MIT */
/* svm/once.h - one entry that differs from the others: more exceptions are intercepted, an IDT is shifted, or a single
 * instruction runs. The next exit, whatever it is, takes it all back (once.c). */
#ifndef SVM_ONCE_H
#define SVM_ONCE_H

#include <amd/vmcb.h>
#include <bits.h>

struct vcpu;

/* All that the entry changed, as it was. */
struct once {
	bool on;
	bool stepping;
	bool iret;       /* the instruction is the IRET that ends the blocking of NMIs */
	bool own_tf;     /* the guest had TF set itself */
	bool loads_tf;   /* the instruction loads RFLAGS, TF included */
	bool idt_shifted;
	uint32_t excp;   /* intercept word */
	uint64_t rip;    /* of the instruction that is stepped */
	uint64_t next;   /* behind it */
	uint16_t mnemonic;
	uint64_t dr6;
	struct vmcb_seg idtr;
};

/* Exceptions that can come while an event is delivered. */
#define DELIVERY_FAULTS (BIT32(0) | BITS(14, 10))

/* Intercepts these exceptions, too. */
void once_intercept(struct vcpu *v, uint32_t exceptions);
/* Makes the gate of vector `from` the one of vector `to`. Protected mode only. */
void once_shift_idt(struct vcpu *v, unsigned from, unsigned to);
/* Lets one instruction run, by TF. False: it is one that would show TF to the guest, or TF would not trap behind it. */
bool once_step(struct vcpu *v, bool iret);

/* The interrupt shadow holds something back that is due: lets one instruction run. False: there is no shadow, or no
 * longer, or an event comes first. */
bool once_pass_shadow(struct vcpu *v);

/* After an exit with once.on. True: the exit was only about the step, which is done. */
bool once_end(struct vcpu *v);

#endif
