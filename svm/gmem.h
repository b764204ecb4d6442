/* SPDX-License-Identifier: MIT */
/* svm/gmem.h - guest-virtual memory of the level that runs: walks its page tables (legacy, PAE, long), for L2 with
 * nested paging through NPT12 as well. */
#ifndef SVM_GMEM_H
#define SVM_GMEM_H

#include <amd/cpu.h>

#include "svm/vcpu.h"

/* Why an access did not work. For GMEM_NPF the exit belongs to L1: #VMEXIT(NPF) with these infos. */
enum gmem_fault_kind {
	GMEM_OK,
	GMEM_PF,     /* the guest's own tables say no */
	GMEM_GP,     /* the address is not canonical */
	GMEM_NPF,    /* L1's nested tables say no to L2 */
	GMEM_RACED,  /* another CPU keeps changing the tables: let the instruction start again */
	GMEM_DEVICE, /* no RAM there */
};

struct gmem_fault {
	enum gmem_fault_kind kind;
	uint32_t error;      /* #PF error code */
	uint64_t address;    /* #PF: linear address; GMEM_DEVICE: L1-physical address */
	uint64_t exitinfo1, exitinfo2; /* GMEM_NPF */
};

/* The part of `access` below that comes from the privilege level: PF_U at CPL 3. */
static inline uint64_t gmem_user(const struct vcpu *v)
{
	return v->vmcb->save.cpl == 3 ? PF_U : 0;
}

/* access: PF_W, PF_ID, PF_U or 0 as for a #PF error code. Translates one address; *l1 is where it lies, RAM or
 * device. Sets accessed and dirty bits as the CPU would. */
struct gmem_fault gmem_translate(struct vcpu *v, uint64_t gva, uint64_t access, l1pa_t *l1);
/* Copies across page borders. On a fault *done bytes have been copied. */
struct gmem_fault gmem_read(struct vcpu *v, uint64_t gva, void *to, unsigned bytes, uint64_t access, unsigned *done);
struct gmem_fault gmem_write(struct vcpu *v, uint64_t gva, const void *from, unsigned bytes, uint64_t access,
			     unsigned *done);

/* Lets the level that runs feel the fault of an access that its instruction made: exception, or exit of L2 to L1.
 * For an access that devices cannot serve, GMEM_DEVICE ends the L1. */
enum resume gmem_fault_deliver(struct vcpu *v, const struct gmem_fault *fault);

#endif
