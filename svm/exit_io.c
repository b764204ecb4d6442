/* SPDX-License-Identifier: MIT */
/* svm/exit_io.c - IN, OUT, INS, OUTS: the L1's devices answer, for L1 and for an L2 whose I/O L1 lets through.
 * Manual: APM2 15.10 (IOIO Intercepts). Next: vdev/bus.c; strings: emulate_string.c. */
#include "svm/decode.h"
#include "svm/exit.h"

struct ioio_exit {
	uint16_t port;
	uint8_t size;
	bool in, string;
};

static struct ioio_exit ioio_decode(uint64_t info1)
{
	return (struct ioio_exit){
		.port = (uint16_t)(info1 >> IOIO_PORT_SHIFT),
		.size = info1 & IOIO_SZ32 ? 4 : info1 & IOIO_SZ16 ? 2 : 1,
		.in = (info1 & IOIO_IN) != 0,
		.string = (info1 & IOIO_STR) != 0,
	};
}

/* A register write of 32 bits clears the upper half, one of 8 or 16 bits leaves the rest alone. */
static uint64_t merge_rax(uint64_t rax, uint32_t value, unsigned size)
{
	if (size == 4)
		return value;
	return size == 2 ? (rax & ~UINT64_C(0xFFFF)) | (value & 0xFFFF) : (rax & ~UINT64_C(0xFF)) | (value & 0xFF);
}

enum resume exit_io(struct vcpu *v)
{
	struct ioio_exit io = ioio_decode(v->vmcb->control.exitinfo1);
	struct vmcb_save *s = &v->vmcb->save;
	struct l1 *l1 = v->l1;

	v->insn_len = (unsigned)(v->vmcb->control.exitinfo2 - s->rip); /* the next instruction, on every CPU */
	if (io.string)
		return emulate_string_io(v, io.port, io.size, io.in);
	spin_lock(&l1->dev_lock);
	if (io.in)
		s->rax = merge_rax(s->rax, machine_io_read(&l1->machine, v->index, io.port, io.size), io.size);
	else
		machine_io_write(&l1->machine, v->index, io.port, (uint32_t)s->rax, io.size);
	vcpu_rearm(v);
	spin_unlock(&l1->dev_lock);
	return RESUME_NEXT;
}
