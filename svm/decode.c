/* SPDX-License-Identifier: MIT */
/* svm/decode.c - fetches the instruction at CS:RIP of the level that runs and turns what Zydis says of it into
 * struct insn. Reads guest memory, VMCB and registers; changes nothing but accessed bits of the guest's tables.
 * Manual: APM3 chapter 1 (encoding), APM2 4.7.3 (expand-down), 15.8 (decode assists). Next: emulate.c. */
#include "svm/decode.h"

#include <amd/cpuid.h>
#include <amd/exitcode.h>

#include <Zydis/Zydis.h>

#include "kernel/string.h"
#include "svm/enable.h"

#define LINEAR_32 BITS(31, 0)
#define LIMIT_16 UINT64_C(0xFFFF)
#define PREFIX_F2 0xF2
#define PREFIX_F3 0xF3
#define PREFIX_LOCK 0xF0
#define INFO1_MOV_CR BIT(63)
#define SEG_TYPE_CODE 8u
#define SEG_TYPE_EXPAND_DOWN 4u
#define SEG_TYPE_WRITABLE 2u

static bool have_decode_assists(void)
{
	return svm_cpu()->features & SVM_FEAT_DECODE_ASSISTS;
}

static bool is_real(const struct vmcb_save *save)
{
	return !(save->cr0 & CR0_PE) || (save->rflags & RFLAGS_VM);
}

/* 16, 32 or 64. */
static unsigned code_bits(const struct vmcb_save *save)
{
	if (save->rflags & RFLAGS_VM)
		return 16;
	if ((save->efer & EFER_LMA) && (save->cs.attr & SEG_L))
		return 64;
	return save->cs.attr & SEG_D ? 32 : 16;
}

static const struct vmcb_seg *segment_of(const struct vmcb_save *save, unsigned segment)
{
	switch (segment) {
	case SEGMENT_ES:
		return &save->es;
	case SEGMENT_CS:
		return &save->cs;
	case SEGMENT_SS:
		return &save->ss;
	default:
		return &save->ds;
	}
}

uint64_t insn_linear(const struct vcpu *v, unsigned segment, uint64_t offset)
{
	const struct vmcb_save *save = &v->vmcb->save;

	if (segment == SEGMENT_FS || segment == SEGMENT_GS)
		offset += live_segment_base(segment);
	else if (code_bits(save) != 64)
		offset += segment_of(save, segment)->base;
	return code_bits(save) == 64 ? offset : offset & LINEAR_32;
}

bool insn_segment_allows(const struct vcpu *v, unsigned segment, uint64_t offset, unsigned size, bool write)
{
	const struct vmcb_save *save = &v->vmcb->save;
	const struct vmcb_seg *s = segment_of(save, segment);
	uint64_t last = offset + size - 1;

	if (code_bits(save) == 64 || segment == SEGMENT_FS || segment == SEGMENT_GS)
		return true;
	if (is_real(save))
		return last <= s->limit;
	if (!(s->attr & SEG_P) || (write && ((s->attr & SEG_TYPE_CODE) || !(s->attr & SEG_TYPE_WRITABLE))))
		return false;
	if (!(s->attr & SEG_TYPE_CODE) && (s->attr & SEG_TYPE_EXPAND_DOWN))
		return offset > s->limit && last <= (s->attr & SEG_D ? LINEAR_32 : LIMIT_16);
	return last <= s->limit;
}

static uint64_t code_linear(const struct vmcb_save *save)
{
	return code_bits(save) == 64 ? save->rip : (save->cs.base + save->rip) & LINEAR_32;
}

/* Fetches until `want` bytes are there. */
static bool fetch(struct vcpu *v, struct insn *insn, unsigned want)
{
	unsigned done;
	struct gmem_fault fault = gmem_read(v, code_linear(&v->vmcb->save) + insn->fetched,
					    insn->bytes + insn->fetched, want - insn->fetched,
					    PF_ID | gmem_user(v), &done);

	insn->fetched = (uint8_t)(insn->fetched + done);
	insn->fetch = fault.kind;
	return fault.kind == GMEM_OK;
}

/* The bytes that the CPU stored, or those up to the end of the page: the next page may be none of the guest's. */
static bool fetch_first(struct vcpu *v, struct insn *insn)
{
	const struct vmcb_control *control = &v->vmcb->control;
	uint64_t in_page = PAGE_SIZE - (code_linear(&v->vmcb->save) & PAGE_MASK);

	insn->fetched = 0;
	insn->fetch = GMEM_OK;
	if (have_decode_assists() && control->insn.len && control->insn.len <= INSN_MAX) {
		memcpy(insn->bytes, control->insn.bytes, control->insn.len);
		insn->fetched = control->insn.len;
		return true;
	}
	return fetch(v, insn, (unsigned)min_u64(INSN_MAX, in_page));
}

static void decoder_init(const struct vmcb_save *save, ZydisDecoder *decoder)
{
	bool is_compat = (save->efer & EFER_LMA) && !is_real(save);
	ZydisMachineMode mode = ZYDIS_MACHINE_MODE_LONG_64;
	ZydisStackWidth stack = save->ss.attr & SEG_D ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;

	switch (code_bits(save)) {
	case 64:
		stack = ZYDIS_STACK_WIDTH_64;
		break;
	case 32:
		mode = is_compat ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LEGACY_32;
		break;
	default:
		mode = is_compat ? ZYDIS_MACHINE_MODE_LONG_COMPAT_16
				 : is_real(save) ? ZYDIS_MACHINE_MODE_REAL_16 : ZYDIS_MACHINE_MODE_LEGACY_16;
	}
	ZydisDecoderInit(decoder, mode, stack);
}

/* LOCK before MOV CR0 means CR8 (APM3, MOV CRn), which Zydis refuses; an instruction with a wrong LOCK would have
 * made #UD, not an exit. */
static ZyanStatus decode_bytes(const ZydisDecoder *decoder, ZydisDecoderContext *context, struct insn *insn,
			       ZydisDecodedInstruction *z)
{
	ZyanStatus status = ZydisDecoderDecodeInstruction(decoder, context, insn->bytes, insn->fetched, z);
	unsigned skipped = 0;

	if (status == ZYDIS_STATUS_ILLEGAL_LOCK && insn->bytes[0] == PREFIX_LOCK) {
		skipped = 1;
		status = ZydisDecoderDecodeInstruction(decoder, context, insn->bytes + skipped,
						       insn->fetched - skipped, z);
	}
	insn->length = ZYAN_SUCCESS(status) ? (uint8_t)(z->length + skipped) : 0;
	return status;
}

/* Fetches as many bytes as the instruction has, and decodes all but its operands. */
static bool decode_head(struct vcpu *v, struct insn *insn, const ZydisDecoder *decoder, ZydisDecoderContext *context,
			ZydisDecodedInstruction *z)
{
	insn->length = 0;
	if (!fetch_first(v, insn))
		return false;
	if (decode_bytes(decoder, context, insn, z) == ZYDIS_STATUS_NO_MORE_DATA && insn->fetched < INSN_MAX) {
		fetch(v, insn, INSN_MAX);
		decode_bytes(decoder, context, insn, z);
	}
	return insn->length != 0;
}

/* Are these the bytes at CS:RIP? */
static bool code_begins_with(struct vcpu *v, const uint8_t *expect, unsigned count)
{
	uint64_t linear = code_linear(&v->vmcb->save);
	l1pa_t at;

	if (!count || (linear & PAGE_MASK) + count > PAGE_SIZE ||
	    gmem_translate(v, linear, PF_ID | gmem_user(v), &at).kind)
		return false;

	const void *bytes = l1_ptr(v->l1, at, count);

	return bytes && memcmp(bytes, expect, count) == 0;
}

unsigned insn_length(struct vcpu *v, const uint8_t *expect, unsigned expect_len)
{
	struct insn insn;
	ZydisDecoder decoder;
	ZydisDecoderContext context;
	ZydisDecodedInstruction z;

	if (code_begins_with(v, expect, expect_len))
		return expect_len;
	decoder_init(&v->vmcb->save, &decoder);
	ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
	return decode_head(v, &insn, &decoder, &context, &z) ? insn.length : 0;
}

/* Zydis numbers the registers of one width in the order of instructions. */
static bool gpr_of(ZydisRegister reg, unsigned *number)
{
	if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15)
		*number = (unsigned)(reg - ZYDIS_REGISTER_RAX);
	else if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D)
		*number = (unsigned)(reg - ZYDIS_REGISTER_EAX);
	else if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W)
		*number = (unsigned)(reg - ZYDIS_REGISTER_AX);
	else
		return false;
	return true;
}

/* Byte registers: AL..BL, AH..BH, SPL..DIL, R8B..R15B follow each other. */
static bool gpr8_of(ZydisRegister reg, struct operand *op)
{
	if (reg < ZYDIS_REGISTER_AL || reg > ZYDIS_REGISTER_R15B)
		return false;
	op->high_byte = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
	op->reg = (uint8_t)(reg - (reg < ZYDIS_REGISTER_AH ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_AH));
	if (reg >= ZYDIS_REGISTER_SPL)
		op->reg = (uint8_t)(reg - ZYDIS_REGISTER_SPL + GPR_RSP);
	return true;
}

static uint64_t mem_offset(const struct vcpu *v, const struct insn *insn, const ZydisDecodedOperandMem *mem)
{
	uint64_t offset = (uint64_t)mem->disp.value;
	unsigned n;

	if (mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP)
		offset += v->vmcb->save.rip + insn->length;
	else if (gpr_of(mem->base, &n))
		offset += vcpu_gpr(v, n);
	if (gpr_of(mem->index, &n))
		offset += vcpu_gpr(v, n) * mem->scale;
	return offset & insn_mask(insn->address_size);
}

static void take_operand(const struct vcpu *v, const struct insn *insn, const ZydisDecodedOperand *z,
			 struct operand *op)
{
	unsigned n;

	*op = (struct operand){
		.size = (uint16_t)(z->size / 8),
		.reads = z->actions & ZYDIS_OPERAND_ACTION_MASK_READ,
		.writes = z->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE,
	};
	if (z->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		op->kind = OPERAND_MEM;
		op->segment = (uint8_t)(z->mem.segment - ZYDIS_REGISTER_ES);
		op->value = mem_offset(v, insn, &z->mem);
	} else if (z->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		op->kind = OPERAND_IMM;
		op->value = z->imm.value.u;
	} else if (z->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr8_of(z->reg.value, op)) {
		op->kind = OPERAND_GPR;
	} else if (z->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(z->reg.value, &n)) {
		op->kind = OPERAND_GPR;
		op->reg = (uint8_t)n;
	} else if (z->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
		op->kind = OPERAND_OTHER;
	}
}

static bool is_string(ZydisMnemonic mnemonic)
{
	static const uint16_t strings[] = {
		ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSQ, ZYDIS_MNEMONIC_STOSB,
		ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD, ZYDIS_MNEMONIC_STOSQ, ZYDIS_MNEMONIC_LODSB,
		ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_LODSD, ZYDIS_MNEMONIC_LODSQ, ZYDIS_MNEMONIC_INSB,
		ZYDIS_MNEMONIC_INSW,  ZYDIS_MNEMONIC_INSD,  ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSW,
		ZYDIS_MNEMONIC_OUTSD, ZYDIS_MNEMONIC_MOVSD,
	};

	for (unsigned i = 0; i < ARRAY_COUNT(strings); i++)
		if (strings[i] == mnemonic)
			return true;
	return false;
}

/* F2 repeats these instructions as F3 does. */
static bool has_rep(const ZydisDecodedInstruction *z)
{
	for (unsigned i = 0; i < z->raw.prefix_count; i++)
		if (z->raw.prefixes[i].value == PREFIX_F2 || z->raw.prefixes[i].value == PREFIX_F3)
			return true;
	return false;
}

static void take_head(struct insn *insn, const ZydisDecodedInstruction *z)
{
	insn->mnemonic = (uint16_t)z->mnemonic;
	insn->address_size = z->address_width / 8;
	insn->operand_size = z->operand_width / 8;
	insn->rep = has_rep(z);
	insn->lock = z->attributes & ZYDIS_ATTRIB_HAS_LOCK;
	/* SSE2 has a MOVSD too. */
	insn->is_string = z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && is_string(z->mnemonic);
	insn->reg = (uint8_t)(z->raw.modrm.rm | z->raw.rex.B << 3);
	insn->imm8 = (uint8_t)z->raw.imm[0].value.u;
	if (z->mnemonic == ZYDIS_MNEMONIC_INT3)
		insn->imm8 = VEC_BP;
}

bool insn_decode(struct vcpu *v, struct insn *insn)
{
	ZydisDecoder decoder;
	ZydisDecoderContext context;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand ops[INSN_OPERANDS];

	memset(insn, 0, sizeof(*insn));
	decoder_init(&v->vmcb->save, &decoder);
	if (!decode_head(v, insn, &decoder, &context, &z) ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder, &context, &z, ops, INSN_OPERANDS)))
		return false;
	take_head(insn, &z);
	for (unsigned i = 0; i < INSN_OPERANDS && i < z.operand_count; i++) {
		struct operand *op = &insn->op[i];

		take_operand(v, insn, &ops[i], op);
		if (op->kind == OPERAND_MEM && !insn->has_mem) {
			insn->has_mem = true;
			insn->segment = op->segment;
			insn->mem_address = insn_linear(v, op->segment, op->value);
		}
	}
	insn->is_mov_cr = z.mnemonic == ZYDIS_MNEMONIC_MOV && z.opcode_map == ZYDIS_OPCODE_MAP_0F &&
			  (insn->op[0].kind == OPERAND_OTHER || insn->op[1].kind == OPERAND_OTHER) && !insn->has_mem;
	return true;
}

static uint64_t io_info1(struct vcpu *v, uint64_t info1)
{
	unsigned size = code_bits(&v->vmcb->save) / 8, segment = SEGMENT_DS;
	struct insn insn;

	if ((info1 & IOIO_STR) && insn_decode(v, &insn) && insn.is_string) {
		size = insn.address_size;
		segment = insn.segment;
	}
	if (!(info1 & (IOIO_A16 | IOIO_A32 | IOIO_A64)))
		info1 |= size == 2 ? IOIO_A16 : size == 4 ? IOIO_A32 : IOIO_A64;
	if (info1 & IOIO_STR)
		info1 |= (uint64_t)segment << IOIO_SEG_SHIFT;
	return info1;
}

uint64_t insn_exitinfo1(struct vcpu *v)
{
	const struct vmcb_control *control = &v->vmcb->control;
	struct insn insn;

	if (have_decode_assists())
		return control->exitinfo1;
	if (control->exitcode == VMEXIT_IOIO)
		return io_info1(v, control->exitinfo1);
	if (control->exitcode >= VMEXIT_DR_READ(0) && control->exitcode < VMEXIT_EXCP(0) && insn_decode(v, &insn))
		return insn.reg;
	if ((control->exitcode < VMEXIT_DR_READ(0) || control->exitcode == VMEXIT_CR0_SEL_WRITE) &&
	    insn_decode(v, &insn))
		return insn.is_mov_cr ? INFO1_MOV_CR | insn.reg : 0;
	if (control->exitcode == VMEXIT_INVLPG && insn_decode(v, &insn))
		return insn.mem_address;
	if (control->exitcode == VMEXIT_SWINT && insn_decode(v, &insn))
		return insn.imm8;
	return control->exitinfo1;
}
