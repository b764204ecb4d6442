/* SPDX-License-Identifier: MIT */
/* svm/gmem.h - guest-virtual memory of the level that runs: walks its page tables (legacy, PAE, long), for L2 with
 * nested paging through NPT12 as well. */
#ifndef SVM_GMEM_H
#define SVM_GMEM_H

#include "svm/vcpu.h"

/* Why an access did not work. For GMEM_NPF the exit belongs to L1: #VMEXIT(NPF) with these infos. */
enum gmem_fault_kind { GMEM_OK, GMEM_PF, GMEM_NPF, GMEM_DEVICE };

struct gmem_fault {
	enum gmem_fault_kind kind;
	uint32_t error;      /* #PF error code */
	uint64_t address;    /* #PF: linear address; GMEM_DEVICE: L1-physical address */
	uint64_t exitinfo1, exitinfo2; /* GMEM_NPF */
};

/* access: PF_W, PF_ID, PF_U or 0 as for a #PF error code. Translates one address; *l1 is where it lies. */
struct gmem_fault gmem_translate(struct vcpu *v, uint64_t gva, uint64_t access, l1pa_t *l1);
/* Copies across page borders. On a fault *done bytes have been copied. */
struct gmem_fault gmem_read(struct vcpu *v, uint64_t gva, void *to, unsigned bytes, uint64_t access, unsigned *done);
struct gmem_fault gmem_write(struct vcpu *v, uint64_t gva, const void *from, unsigned bytes, uint64_t access,
			     unsigned *done);

#endif
