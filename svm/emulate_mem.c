/* SPDX-License-Identifier: MIT */
/* svm/emulate_mem.c - memory operands of emulated instructions, in RAM or in a device, in two steps: translate with
 * all faults, then access without any, so that a fault never comes after a device has been touched.
 * dev_lock guards the devices. Next: vdev/bus.c. */
#include "kernel/string.h"
#include "svm/emulate.h"

static bool segment_fault(struct vcpu *v, unsigned segment, enum resume *resume)
{
	vcpu_raise_error(v, segment == SEGMENT_SS ? VEC_SS : VEC_GP, 0);
	*resume = RESUME_SAME;
	return false;
}

bool mem_resolve(struct vcpu *v, const struct operand *op, bool write, struct mem_ref *ref, enum resume *resume)
{
	uint64_t linear = insn_linear(v, op->segment, op->value);

	if (!insn_segment_allows(v, op->segment, op->value, op->size, write))
		return segment_fault(v, op->segment, resume);
	ref->count = 0;
	for (unsigned done = 0; done < op->size;) {
		struct mem_part *part = &ref->part[ref->count++];
		struct gmem_fault fault =
			gmem_translate(v, linear + done, gmem_user(v) | (write ? PF_W : 0), &part->at);

		if (fault.kind) {
			*resume = gmem_fault_deliver(v, &fault);
			return false;
		}
		part->bytes = (unsigned)min_u64(op->size - done, PAGE_SIZE - ((linear + done) & PAGE_MASK));
		part->ram = l1_ptr(v->l1, part->at, part->bytes);
		done += part->bytes;
	}
	return true;
}

/* The largest access that devices know. */
static unsigned device_access(unsigned bytes)
{
	return bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes >= 2 ? 2 : 1;
}

static void device_load(struct vcpu *v, const struct mem_part *part, uint8_t *to)
{
	for (unsigned done = 0, size; done < part->bytes; done += size) {
		uint64_t value = UINT64_MAX;

		size = device_access(part->bytes - done);
		if (machine_mmio_claims(&v->l1->machine, part->at.a + done))
			value = machine_mmio_read(&v->l1->machine, v->index, part->at.a + done, size);
		memcpy(to + done, &value, size);
	}
}

static void device_store(struct vcpu *v, const struct mem_part *part, const uint8_t *from)
{
	for (unsigned done = 0, size; done < part->bytes; done += size) {
		uint64_t value = 0;

		size = device_access(part->bytes - done);
		memcpy(&value, from + done, size);
		if (machine_mmio_claims(&v->l1->machine, part->at.a + done))
			machine_mmio_write(&v->l1->machine, v->index, part->at.a + done, value, size);
	}
}

uint64_t mem_load(struct vcpu *v, const struct mem_ref *ref)
{
	uint8_t bytes[sizeof(uint64_t)] = {0};
	unsigned done = 0;
	uint64_t value;

	for (unsigned i = 0; i < ref->count; i++) {
		const struct mem_part *part = &ref->part[i];

		if (part->ram)
			memcpy(bytes + done, part->ram, part->bytes);
		else
			device_load(v, part, bytes + done);
		done += part->bytes;
	}
	memcpy(&value, bytes, sizeof(value));
	return value;
}

void mem_store(struct vcpu *v, const struct mem_ref *ref, uint64_t value)
{
	uint8_t bytes[sizeof(uint64_t)];
	unsigned done = 0;

	memcpy(bytes, &value, sizeof(bytes));
	for (unsigned i = 0; i < ref->count; i++) {
		const struct mem_part *part = &ref->part[i];

		if (part->ram)
			memcpy(part->ram, bytes + done, part->bytes);
		else
			device_store(v, part, bytes + done);
		done += part->bytes;
	}
}
