/* SPDX-License-Identifier: MIT */
/* svm/emulate_string.c - MOVS, STOS, LODS, INS and OUTS: one loop for all, each element from memory, rAX or a port
 * to another of these. With REP the registers say after each element how far it is, as on the CPU: a fault or an
 * interrupt may come between, and the instruction starts again. Manual: APM3, REP. */
#include "svm/emulate.h"
#include "svm/exit.h"

#include <Zydis/Zydis.h>

#define ELEMENTS_MAX 64 /* per call, so that interrupts get in */

enum place { PLACE_MEM, PLACE_RAX, PLACE_PORT };

struct string {
	enum place from, to;
	unsigned size;         /* of an element */
	unsigned address_size;
	uint8_t segment;       /* of the source */
	bool rep;
	uint16_t port;
};

static uint64_t counter(const struct vcpu *v, const struct string *s)
{
	return vcpu_gpr(v, GPR_RCX) & insn_mask(s->address_size);
}

static struct operand element_at(const struct vcpu *v, const struct string *s, unsigned gpr, uint8_t segment)
{
	return (struct operand){
		.kind = OPERAND_MEM,
		.size = (uint16_t)s->size,
		.segment = segment,
		.value = vcpu_gpr(v, gpr) & insn_mask(s->address_size),
	};
}

static void step(struct vcpu *v, const struct string *s, unsigned gpr)
{
	uint64_t at = vcpu_gpr(v, gpr);

	gpr_write(v, gpr, s->address_size, v->vmcb->save.rflags & RFLAGS_DF ? at - s->size : at + s->size);
}

/* Both ends are translated before anything moves. */
static bool move_element(struct vcpu *v, const struct string *s, enum resume *resume)
{
	struct operand from = element_at(v, s, GPR_RSI, s->segment);
	struct operand to = element_at(v, s, GPR_RDI, SEGMENT_ES);
	struct machine *m = &v->l1->machine;
	struct mem_ref from_ref, to_ref;
	uint64_t value = vcpu_gpr(v, GPR_RAX);

	if ((s->from == PLACE_MEM && !mem_resolve(v, &from, false, &from_ref, resume)) ||
	    (s->to == PLACE_MEM && !mem_resolve(v, &to, true, &to_ref, resume)))
		return false;

	spin_lock(&v->l1->dev_lock);
	if (s->from == PLACE_MEM)
		value = mem_load(v, &from_ref);
	else if (s->from == PLACE_PORT)
		value = machine_io_read(m, v->index, s->port, s->size);
	if (s->to == PLACE_MEM)
		mem_store(v, &to_ref, value);
	else if (s->to == PLACE_PORT)
		machine_io_write(m, v->index, s->port, (uint32_t)value, s->size);
	spin_unlock(&v->l1->dev_lock);

	if (s->to == PLACE_RAX)
		gpr_write(v, GPR_RAX, s->size, value);
	if (s->from == PLACE_MEM)
		step(v, s, GPR_RSI);
	if (s->to == PLACE_MEM)
		step(v, s, GPR_RDI);
	return true;
}

static enum resume run_string(struct vcpu *v, const struct string *s, unsigned length)
{
	unsigned limit = v->vmcb->save.rflags & RFLAGS_TF ? 1 : ELEMENTS_MAX;
	enum resume resume;

	for (unsigned i = 0; !s->rep || counter(v, s); i++) {
		if (i == limit) {
			exit_trap_if_tf(v); /* each element is a step */
			return RESUME_SAME;
		}
		if (!move_element(v, s, &resume))
			return resume;
		if (!s->rep)
			break;
		gpr_write(v, GPR_RCX, s->address_size, counter(v, s) - 1);
	}
	v->insn_len = (unsigned)length;
	return RESUME_NEXT;
}

static struct string string_of(const struct insn *insn)
{
	/* The source, where there is one, is the only or the second memory operand. */
	const struct operand *source = insn->op[1].kind == OPERAND_MEM ? &insn->op[1] : &insn->op[0];

	return (struct string){
		.size = insn->operand_size,
		.address_size = insn->address_size,
		.segment = source->segment,
		.rep = insn->rep,
	};
}

enum resume emulate_string(struct vcpu *v, const struct insn *insn)
{
	struct string s = string_of(insn);

	s.to = insn->op[0].kind == OPERAND_MEM ? PLACE_MEM : PLACE_RAX;
	s.from = insn->op[1].kind == OPERAND_MEM ? PLACE_MEM : PLACE_RAX;
	return run_string(v, &s, insn->length);
}

enum resume emulate_string_io(struct vcpu *v, uint16_t port, unsigned size, bool in)
{
	struct insn insn;

	/* Another CPU may have changed the code meanwhile: then the instruction exits again as what it is now. */
	if (!insn_decode(v, &insn) || !insn.is_string)
		return RESUME_SAME;

	struct string s = string_of(&insn);
	enum resume resume;

	s.from = in ? PLACE_PORT : PLACE_MEM;
	s.to = in ? PLACE_MEM : PLACE_PORT;
	s.size = size;
	s.port = port;
	resume = run_string(v, &s, insn.length);
	spin_lock(&v->l1->dev_lock);
	vcpu_rearm(v);
	spin_unlock(&v->l1->dev_lock);
	return resume;
}
