/* SPDX-License-Identifier: MIT */
/* t_ioio.c - shows the I/O intercept: every size and direction, immediate and DX forms, string and
 * REP forms, which bitmap bits one access looks at, up to port FFFFh and the bits behind it, and
 * what comes before it. APM vol. 2 15.10. */
#include "vm.h"

#define PORT 0x5A5
#define PORT_TEXT "0x5A5"
#define PORT_IMM 0x5A
#define PORT_TOP 0xFFFFu
#define INFO_ADDRESS (IO_A64 | IO_A32 | IO_A16)
#define INFO_SEG IO_SEG(7)
#define SEG_FS 4

struct io_row {
	const uint8_t *code, *at, *next;
	uint64_t info1;
	uint32_t port;
};

#define ROW(name, port, info, before, text)                                                        \
	L2_INSN(l2_##name, before, text, "");                                                      \
	static const struct io_row row_##name = {l2_##name, l2_##name##_at, l2_##name##_next,      \
						 IO_PORT(port) | (info), port}
#define DX "mov edx, " PORT_TEXT
#define STRING DX "; lea rsi, [rsp - 64]; mov rdi, rsi; mov ecx, 3"

ROW(in8, PORT, IO_IN | IO_SIZE(1), DX, "in al, dx");
ROW(in16, PORT, IO_IN | IO_SIZE(2), DX, "in ax, dx");
ROW(in32, PORT, IO_IN | IO_SIZE(4), DX, "in eax, dx");
ROW(out8, PORT, IO_SIZE(1), DX, "out dx, al");
ROW(out16, PORT, IO_SIZE(2), DX, "out dx, ax");
ROW(out32, PORT, IO_SIZE(4), DX, "out dx, eax");
ROW(in8_imm, PORT_IMM, IO_IN | IO_SIZE(1), "", "in al, 0x5A");
ROW(in32_imm, PORT_IMM, IO_IN | IO_SIZE(4), "", "in eax, 0x5A");
ROW(out8_imm, PORT_IMM, IO_SIZE(1), "", "out 0x5A, al");
ROW(out16_imm, PORT_IMM, IO_SIZE(2), "", "out 0x5A, ax");
ROW(in32_rexw, PORT, IO_IN | IO_SIZE(4), DX, ".byte 0x48; in eax, dx");
ROW(insb, PORT, IO_IN | IO_STR | IO_SIZE(1) | IO_A64, STRING, "insb");
ROW(insw, PORT, IO_IN | IO_STR | IO_SIZE(2) | IO_A64, STRING, "insw");
ROW(insd, PORT, IO_IN | IO_STR | IO_SIZE(4) | IO_A64, STRING, "insd");
ROW(outsb, PORT, IO_STR | IO_SIZE(1) | IO_A64 | IO_SEG(SEG_DS), STRING, "outsb");
ROW(outsw, PORT, IO_STR | IO_SIZE(2) | IO_A64 | IO_SEG(SEG_DS), STRING, "outsw");
ROW(outsd, PORT, IO_STR | IO_SIZE(4) | IO_A64 | IO_SEG(SEG_DS), STRING, "outsd");
ROW(rep_insb, PORT, IO_IN | IO_STR | IO_REP | IO_SIZE(1) | IO_A64, STRING, "rep insb");
ROW(rep_insd, PORT, IO_IN | IO_STR | IO_REP | IO_SIZE(4) | IO_A64, STRING, "rep insd");
ROW(rep_outsb, PORT, IO_STR | IO_REP | IO_SIZE(1) | IO_A64 | IO_SEG(SEG_DS), STRING, "rep outsb");
ROW(rep_outsw, PORT, IO_STR | IO_REP | IO_SIZE(2) | IO_A64 | IO_SEG(SEG_DS), STRING, "rep outsw");
ROW(insb_a32, PORT, IO_IN | IO_STR | IO_SIZE(1) | IO_A32, STRING, ".byte 0x67; insb");
ROW(outsb_fs, PORT, IO_STR | IO_SIZE(1) | IO_A64 | IO_SEG(SEG_FS), STRING, ".byte 0x64; outsb");
ROW(in8_top, PORT_TOP, IO_IN | IO_SIZE(1), "mov edx, 0xFFFF", "in al, dx");
ROW(in16_top, PORT_TOP, IO_IN | IO_SIZE(2), "mov edx, 0xFFFF", "in ax, dx");
ROW(in32_top, PORT_TOP, IO_IN | IO_SIZE(4), "mov edx, 0xFFFF", "in eax, dx");
ROW(in32_mid, 0x7FFE, IO_IN | IO_SIZE(4), "mov edx, 0x7FFE", "in eax, dx");
ROW(in8_zero, 0, IO_IN | IO_SIZE(1), "xor edx, edx", "in al, dx");

static void expect_io_exit(const struct vm *v, const struct io_row *r)
{
	uint64_t mask = UINT64_MAX;

	if (!expect_insn_exit(v, EXIT_IOIO, r->at, r->next))
		return;
	/* The address size is that of a memory operand; the segment is a decode assist. */
	if (!(r->info1 & IO_STR))
		mask &= ~INFO_ADDRESS;
	if (!(r->info1 & IO_STR) || r->info1 & IO_IN || !svm_has(SVM_DECODE))
		mask &= ~INFO_SEG;
	expect("EXITINFO1", v->vmcb->info1 & mask, r->info1 & mask);
	expect("EXITINFO2, next rip", v->vmcb->info2, pa(r->next));
}

/* Only the bit of the port itself is set. */
static void exits(const struct scenario *s)
{
	const struct io_row *r = s->row;
	struct vm *v = vm_new(r->code);

	intercept_set(v, EXIT_IOIO);
	iopm_set(v, r->port);
	vm_run(v);
	expect_io_exit(v, r);
}

static bool one_bit(const struct io_row *r, uint32_t port, bool is_exit)
{
	struct vm *v = vm_new(r->code);

	expect_item(port);
	intercept_set(v, EXIT_IOIO);
	iopm_set(v, port);
	vm_run(v);
	return expect_exit(v->vmcb, is_exit ? EXIT_IOIO : EXIT_VMMCALL);
}

/* Each bit of the access by itself exits; those at its two sides do not. */
static void every_byte_counts(const struct scenario *s)
{
	const struct io_row *r = s->row;
	uint32_t size = (uint32_t)(r->info1 >> 4) & 7;

	for (uint32_t i = 0; i < size; i++)
		one_bit(r, r->port + i, true);
	one_bit(r, r->port + size, false);
	if (r->port)
		one_bit(r, r->port - 1, false);
}

static void off_without_intercept_bit(const struct scenario *s)
{
	const struct io_row *r = s->row;
	struct vm *v = vm_new(r->code);

	for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
		v->iopm[i] = 0xFF;
	vm_run_to_end(v);
}

/* The low 12 bits of the base are ignored. */
static void base_low_bits(const struct scenario *s)
{
	const struct io_row *r = s->row;
	struct vm *v = vm_new(r->code);

	intercept_set(v, EXIT_IOIO);
	iopm_set(v, r->port);
	v->vmcb->iopm |= PAGE_MASK;
	vm_run(v);
	expect_io_exit(v, r);
}

/* IOPL and the TSS bitmap come first. */
static void gp_before_exit(const struct scenario *s)
{
	const struct io_row *r = s->row;
	struct vm *v = vm_new(r->code);

	vm_cpl3(v);
	intercept_set(v, EXIT_IOIO);
	iopm_set(v, r->port);
	vm_run(v);
	if (expect_l2_vector(v, VEC_GP))
		expect("rip of #GP", l2_frame(v)->rip, pa(r->at));
}

static void cpl3_with_iopl(const struct scenario *s)
{
	const struct io_row *r = s->row;
	struct vm *v = vm_new(r->code);

	vm_cpl3(v);
	v->vmcb->rflags |= UINT64_C(3) << 12;
	intercept_set(v, EXIT_IOIO);
	iopm_set(v, r->port);
	vm_run(v);
	expect_io_exit(v, r);
}

/* L1 emulates the port: the value it puts into RAX is what L2 sees. */
L2_INSN(l2_emulated, DX "; mov rax, -1", "in al, dx", "mov rbx, rax");

static void emulated_by_l1(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_emulated);

	intercept_set(v, EXIT_IOIO);
	iopm_set(v, PORT);
	vm_run(v);
	v->vmcb->rax = (v->vmcb->rax & ~UINT64_C(0xFF)) | 0x42;
	v->vmcb->rip = v->vmcb->info2;
	vm_run_to_end(v);
	expect("rax in L2", v->regs.rbx, UINT64_MAX - 0xFF + 0x42);
}

/* The map is L1's memory and may change between two runs. */
static void map_changes_between_runs(const struct scenario *s)
{
	const struct io_row *r = s->row;
	struct vm *v = vm_new(r->code);

	intercept_set(v, EXIT_IOIO);
	vm_run_to_end(v);
	iopm_set(v, r->port);
	v->vmcb->rip = pa(r->code);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_IOIO);
}

#define EXITS(n) {"ioio_" #n, "15.10.2", exits, NEED_SVM, &row_##n}
#define BITS_OF(n) {"ioio_bits_" #n, "15.10.1", every_byte_counts, NEED_SVM, &row_##n}

SCENARIOS("t_ioio") {
	EXITS(in8), EXITS(in16), EXITS(in32), EXITS(out8), EXITS(out16), EXITS(out32),
	EXITS(in8_imm), EXITS(in32_imm), EXITS(out8_imm), EXITS(out16_imm), EXITS(in32_rexw),
	EXITS(insb), EXITS(insw), EXITS(insd), EXITS(outsb), EXITS(outsw), EXITS(outsd),
	EXITS(rep_insb), EXITS(rep_insd), EXITS(rep_outsb), EXITS(rep_outsw), EXITS(insb_a32),
	EXITS(outsb_fs), EXITS(in8_top), EXITS(in16_top), EXITS(in32_top), EXITS(in8_zero),
	BITS_OF(in8), BITS_OF(in16), BITS_OF(in32), BITS_OF(in8_zero), BITS_OF(in16_top),
	BITS_OF(in32_top), BITS_OF(in32_mid),
	{"ioio_off_without_intercept_bit", "15.10", off_without_intercept_bit, NEED_SVM, &row_in32},
	{"ioio_base_low_bits", "15.10.1", base_low_bits, NEED_SVM, &row_in8},
	{"ioio_gp_before_exit", "15.10.2", gp_before_exit, NEED_SVM, &row_in8},
	{"ioio_cpl3_with_iopl", "15.10.2", cpl3_with_iopl, NEED_SVM, &row_in8},
	{"ioio_emulated_by_l1", "15.10.2", emulated_by_l1, NEED_SVM, 0},
	{"ioio_map_changes_between_runs", "15.10.1", map_changes_between_runs, NEED_SVM, &row_in8},
};
SCENARIO_COUNT;
