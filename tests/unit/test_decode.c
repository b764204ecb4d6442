/* SPDX-License-Identifier: MIT */
/* links: svm/decode.c svm/gmem.c tests/unit/fake_vcpu.c zydis */
/* tests/unit/test_decode.c - instruction fetch across pages, lengths in all modes, operand addresses, and the EXITINFO1
 * that decode assists would have given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpuid.h>
#include <amd/exitcode.h>

#include "svm/enable.h"
#include "tests/unit/fake_vcpu.h"

#define ROOT 0x1000u
#define CODE(bytes) fake_code(bytes, sizeof(bytes) - 1)

static int setup(void **state)
{
	(void)state;
	fake_setup();
	fake_identity(ROOT);
	return 0;
}

static unsigned length(const char *expect)
{
	return insn_length(&fake.v, (const uint8_t *)expect, (unsigned)strlen(expect));
}

static void test_length(void **state)
{
	(void)state;
	CODE("\x0F\xA2\x90");
	assert_int_equal(length("\x0F\xA2"), 2);
	assert_int_equal(length("\x0F\x31"), 2);
	assert_int_equal(length(""), 2);
	CODE("\x66\x48\x0F\xA2");
	assert_int_equal(length("\x0F\xA2"), 4);
	CODE("\x0F\x01\xDF");
	assert_int_equal(length("\x0F\x01\xD8"), 3);
	CODE("\xF3\x66\x90");
	assert_int_equal(length("\xF3\x90"), 3);
	CODE("\xF0\x0F\x22\xC1"); /* LOCK MOV CR0: CR8 outside 64-bit mode */
	assert_int_equal(length(""), 4);
	CODE("\x67\x0F\x01\xD8"); /* VMRUN with a 32-bit address */
	assert_int_equal(length("\x0F\x01\xD8"), 4);
	for (unsigned svm = 0xD8; svm <= 0xDF; svm++) {
		fake_code((const uint8_t[]){ 0x0F, 0x01, (uint8_t)svm }, 3);
		assert_int_equal(length(""), 3);
	}
	CODE("\x06"); /* PUSH ES is none in 64-bit mode */
	assert_int_equal(length("\xF4"), 0);
}

static void test_length_in_modes(void **state)
{
	static const char mov[] = "\xB8\x11\x22\x33\x44\x55\x66\x77\x88";
	static const char rex[] = "\x48\xB8\x11\x22\x33\x44\x55\x66\x77\x88";
	struct vmcb_save *save = &fake.vmcb.save;

	(void)state;
	fake_code(mov, sizeof(mov));
	assert_int_equal(length(""), 5);
	fake_code(rex, sizeof(rex));
	assert_int_equal(length(""), 10);
	fake_code(mov, sizeof(mov));
	save->cs.attr = SEG_P | SEG_S | SEG_D | 0xB; /* compatibility mode */
	assert_int_equal(length(""), 5);
	save->cs.attr &= (uint16_t)~SEG_D;
	assert_int_equal(length(""), 3);
	fake_protected_mode(32);
	assert_int_equal(length(""), 5);
	fake_protected_mode(16);
	assert_int_equal(length(""), 3);
	fake_protected_mode(32);
	save->rflags |= RFLAGS_VM;
	assert_int_equal(length(""), 3);
	save->rflags &= ~RFLAGS_VM;
	save->cr0 = CR0_ET;
	save->cs.attr = 0;
	save->cs.base = 0x8000;
	save->rip = 0x8000;
	assert_int_equal(length(""), 3);
}

/* Leaves one 4 KiB page mapped at `page`, nothing behind it. */
static void map_one_page(uint64_t page)
{
	uint64_t *tables = fake_ram(ROOT);

	tables[512] = (ROOT + 2 * PAGE_SIZE) | PTE_P | PTE_W | PTE_U;
	tables[1024] = (ROOT + 3 * PAGE_SIZE) | PTE_P | PTE_W | PTE_U;
	tables[1536 + page / PAGE_SIZE] = page | PTE_P | PTE_W | PTE_U;
}

static void test_page_border(void **state)
{
	uint64_t border = FAKE_RIP + PAGE_SIZE;
	struct insn insn;

	(void)state;
	memcpy(fake_ram(border - 3), "\x66\x0F\xA2", 3);
	fake.vmcb.save.rip = border - 3;
	map_one_page(FAKE_RIP);
	assert_int_equal(length("\x0F\xA2"), 3);
	assert_true(insn_decode(&fake.v, &insn));
	assert_int_equal(insn.fetched, 3);

	fake.vmcb.save.rip = border - 1;
	memcpy(fake_ram(border - 1), "\x0F\xA2", 2);
	assert_int_equal(length("\x0F\xA2"), 0);
	assert_false(insn_decode(&fake.v, &insn));
	assert_int_equal(insn.fetch, GMEM_PF);
	assert_false(fake.raised.valid);

	fake_identity(ROOT);
	assert_int_equal(length("\x0F\xA2"), 2);
	assert_true(insn_decode(&fake.v, &insn));
	assert_int_equal(insn.length, 2);
	assert_int_equal(insn.fetched, INSN_MAX);
}

static void test_bytes_of_the_cpu(void **state)
{
	struct insn insn;

	(void)state;
	CODE("\xF4");
	fake.vmcb.control.insn.len = 3;
	memcpy(fake.vmcb.control.insn.bytes, "\x48\x89\x08", 3);
	assert_true(insn_decode(&fake.v, &insn));
	assert_int_equal(insn.length, 1); /* stale without the feature */
	svm_this_cpu.features = SVM_FEAT_DECODE_ASSISTS;
	assert_true(insn_decode(&fake.v, &insn));
	assert_int_equal(insn.length, 3);
	fake.vmcb.control.insn.len = 0;
	assert_true(insn_decode(&fake.v, &insn));
	assert_int_equal(insn.length, 1);
}

static struct insn decoded(const char *bytes, unsigned count)
{
	struct insn insn;

	fake_code(bytes, count);
	assert_true(insn_decode(&fake.v, &insn));
	return insn;
}

#define DECODED(bytes) decoded(bytes, sizeof(bytes) - 1)

static void set_registers(void)
{
	for (unsigned i = 0; i < GPR_COUNT; i++)
		vcpu_set_gpr(&fake.v, i, UINT64_C(0x1000000000) * i + 0x100 * i);
	fake.fs_base = UINT64_C(0x7F0000000000);
	fake.gs_base = UINT64_C(0xFFFF888000000000);
}

static void test_addresses(void **state)
{
	(void)state;
	set_registers();
	/* mov [rbx], ecx */
	assert_int_equal(DECODED("\x89\x0B").mem_address, UINT64_C(0x3000000300));
	/* mov [r12 + rcx * 4 - 1], ecx */
	assert_int_equal(DECODED("\x41\x89\x4C\x8C\xFF").mem_address, UINT64_C(0x10000000FFF));
	/* mov [rip + 16], ecx */
	assert_int_equal(DECODED("\x89\x0D\x10\x00\x00\x00").mem_address, FAKE_RIP + 6 + 16);
	/* mov fs:[rbx], ecx; mov gs:[rbx], ecx; mov es:[rbx], ecx */
	assert_int_equal(DECODED("\x64\x89\x0B").mem_address, UINT64_C(0x7F3000000300));
	assert_int_equal(DECODED("\x65\x89\x0B").mem_address, UINT64_C(0xFFFF888000000000) + UINT64_C(0x3000000300));
	fake.vmcb.save.es.base = 0x5000;
	assert_int_equal(DECODED("\x26\x89\x0B").mem_address, UINT64_C(0x3000000300));
	/* mov [ebx], ecx */
	assert_int_equal(DECODED("\x67\x89\x0B").mem_address, 0x300);
	/* mov eax, [moffs] */
	assert_int_equal(DECODED("\xA1\x88\x77\x66\x55\x44\x33\x22\x11").mem_address, UINT64_C(0x1122334455667788));
	/* mov [rsp], ecx: a register that lives in the VMCB */
	assert_int_equal(DECODED("\x89\x0C\x24").mem_address, UINT64_C(0x4000000400));

	fake_protected_mode(32);
	fake.vmcb.save.ds.base = 0x10000;
	fake.vmcb.save.ss.base = 0x20000;
	assert_int_equal(DECODED("\x89\x0B").mem_address, 0x10300);
	assert_int_equal(DECODED("\x89\x4D\xFF").mem_address, 0x204FF); /* mov [ebp - 1], ecx: SS */
	assert_int_equal(DECODED("\x67\x89\x48\xFF").mem_address, 0x10000 + 0x300 + 0x600 - 1); /* [bx + si - 1] */
	fake.vmcb.save.ds.base = 0xFFFFFF00;
	assert_int_equal(DECODED("\x89\x0B").mem_address, 0x200);
}

static void test_operands(void **state)
{
	struct insn insn;

	(void)state;
	insn = DECODED("\x88\x23"); /* mov [rbx], ah */
	assert_int_equal(insn.op[0].kind, OPERAND_MEM);
	assert_true(insn.op[0].writes && !insn.op[0].reads);
	assert_true(insn.op[1].high_byte);
	assert_int_equal(insn.op[1].reg, GPR_RAX);
	insn = DECODED("\x40\x88\x23"); /* mov [rbx], spl */
	assert_false(insn.op[1].high_byte);
	assert_int_equal(insn.op[1].reg, GPR_RSP);
	insn = DECODED("\x44\x88\x3B"); /* mov [rbx], r15b */
	assert_int_equal(insn.op[1].reg, GPR_R15);
	insn = DECODED("\x48\xC7\x03\xFE\xFF\xFF\xFF"); /* mov qword [rbx], -2 */
	assert_int_equal(insn.op[1].kind, OPERAND_IMM);
	assert_int_equal(insn.op[1].value, (uint64_t)-2);
	insn = DECODED("\x0F\x11\x03"); /* movups [rbx], xmm0 */
	assert_int_equal(insn.op[1].kind, OPERAND_OTHER);
	insn = DECODED("\xF2\xA4"); /* repne movsb repeats */
	assert_true(insn.is_string && insn.rep);
	insn = DECODED("\xF2\x0F\x10\x03"); /* movsd xmm0, [rbx] is no string instruction */
	assert_false(insn.is_string);
	insn = DECODED("\xF0\x01\x0B"); /* lock add [rbx], ecx */
	assert_true(insn.lock);
}

static uint64_t info1(uint64_t code, const char *bytes, unsigned count)
{
	fake_code(bytes, count);
	fake.vmcb.control.exitcode = code;
	return insn_exitinfo1(&fake.v);
}

#define INFO1(code, bytes) info1(code, bytes, sizeof(bytes) - 1)

static void test_exitinfo1(void **state)
{
	(void)state;
	set_registers();
	assert_int_equal(INFO1(VMEXIT_CR_WRITE(3), "\x0F\x22\xDE"), BIT(63) | GPR_RSI);
	assert_int_equal(INFO1(VMEXIT_CR_READ(8), "\x45\x0F\x20\xC1"), BIT(63) | GPR_R9);
	assert_int_equal(INFO1(VMEXIT_CR_WRITE(8), "\xF0\x0F\x22\xC2"), BIT(63) | GPR_RDX);
	assert_int_equal(INFO1(VMEXIT_CR_READ(0), "\x0F\x20\x00"), BIT(63) | GPR_RAX); /* mod is not looked at */
	assert_int_equal(INFO1(VMEXIT_CR0_SEL_WRITE, "\x0F\x22\xC1"), BIT(63) | GPR_RCX);
	assert_int_equal(INFO1(VMEXIT_CR_WRITE(0), "\x0F\x01\xF0"), 0); /* LMSW */
	assert_int_equal(INFO1(VMEXIT_CR_WRITE(0), "\x0F\x01\x33"), 0);
	assert_int_equal(INFO1(VMEXIT_CR_WRITE(0), "\x0F\x06"), 0); /* CLTS */
	assert_int_equal(INFO1(VMEXIT_CR_READ(0), "\x0F\x01\xE0"), 0); /* SMSW */
	assert_int_equal(INFO1(VMEXIT_DR_READ(7), "\x0F\x21\xF9"), GPR_RCX);
	assert_int_equal(INFO1(VMEXIT_DR_WRITE(6), "\x41\x0F\x23\xF4"), GPR_R12);
	assert_int_equal(INFO1(VMEXIT_INVLPG, "\x0F\x01\x3B"), UINT64_C(0x3000000300));
	assert_int_equal(INFO1(VMEXIT_INVLPG, "\x65\x0F\x01\x3B"),
			 UINT64_C(0xFFFF888000000000) + UINT64_C(0x3000000300));
	assert_int_equal(INFO1(VMEXIT_SWINT, "\xCD\x80"), 0x80);
	assert_int_equal(INFO1(VMEXIT_SWINT, "\xCC"), VEC_BP);
	fake.vmcb.control.exitinfo1 = 1;
	assert_int_equal(INFO1(VMEXIT_MSR, "\x0F\x30"), 1);
	svm_this_cpu.features = SVM_FEAT_DECODE_ASSISTS;
	assert_int_equal(INFO1(VMEXIT_SWINT, "\xCD\x80"), 1);
}

static void test_exitinfo1_of_io(void **state)
{
	uint64_t port = (uint64_t)FAKE_PORT << IOIO_PORT_SHIFT;

	(void)state;
	fake.vmcb.control.exitinfo1 = port | IOIO_SZ8;
	assert_int_equal(INFO1(VMEXIT_IOIO, "\xEE"), port | IOIO_SZ8 | IOIO_A64);
	fake.vmcb.control.exitinfo1 = port | IOIO_SZ8 | IOIO_STR;
	assert_int_equal(INFO1(VMEXIT_IOIO, "\x67\x65\x6E"),
			 port | IOIO_SZ8 | IOIO_STR | IOIO_A32 | SEGMENT_GS << IOIO_SEG_SHIFT);
	assert_int_equal(INFO1(VMEXIT_IOIO, "\x6E"),
			 port | IOIO_SZ8 | IOIO_STR | IOIO_A64 | SEGMENT_DS << IOIO_SEG_SHIFT);
	fake.vmcb.control.exitinfo1 |= IOIO_IN;
	assert_int_equal(INFO1(VMEXIT_IOIO, "\x6C"), port | IOIO_SZ8 | IOIO_STR | IOIO_IN | IOIO_A64);
	/* What the CPU has told stays. */
	fake.vmcb.control.exitinfo1 |= IOIO_A16;
	assert_int_equal(INFO1(VMEXIT_IOIO, "\x6C"), port | IOIO_SZ8 | IOIO_STR | IOIO_IN | IOIO_A16);
}

static void test_segment_limits(void **state)
{
	struct vmcb_save *save = &fake.vmcb.save;

	(void)state;
	assert_true(insn_segment_allows(&fake.v, SEGMENT_DS, UINT64_MAX - 8, 8, true));
	fake_protected_mode(32);
	save->ds.limit = 0xFFF;
	assert_true(insn_segment_allows(&fake.v, SEGMENT_DS, 0xFFC, 4, true));
	assert_false(insn_segment_allows(&fake.v, SEGMENT_DS, 0xFFD, 4, true));
	assert_true(insn_segment_allows(&fake.v, SEGMENT_GS, 0xFFD, 4, true));
	save->ds.attr &= (uint16_t)~2u;
	assert_false(insn_segment_allows(&fake.v, SEGMENT_DS, 0, 4, true));
	assert_true(insn_segment_allows(&fake.v, SEGMENT_DS, 0, 4, false));
	save->ds.attr |= 4; /* expand-down: above the limit */
	assert_false(insn_segment_allows(&fake.v, SEGMENT_DS, 0xFFF, 4, false));
	assert_true(insn_segment_allows(&fake.v, SEGMENT_DS, 0x1000, 4, false));
	assert_true(insn_segment_allows(&fake.v, SEGMENT_DS, 0xFFFFFFFC, 4, false));
	save->ds.attr &= (uint16_t)~SEG_D;
	assert_false(insn_segment_allows(&fake.v, SEGMENT_DS, 0xFFFD, 4, false));
	assert_false(insn_segment_allows(&fake.v, SEGMENT_CS, 0, 4, true));
	save->es.attr = 0;
	assert_false(insn_segment_allows(&fake.v, SEGMENT_ES, 0, 4, false));
	save->cr0 = CR0_ET;
	save->es.limit = 0xFFFF;
	assert_true(insn_segment_allows(&fake.v, SEGMENT_ES, 0xFFFE, 2, true));
	assert_false(insn_segment_allows(&fake.v, SEGMENT_ES, 0xFFFF, 2, true));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_length),
		TEST(test_length_in_modes),
		TEST(test_page_border),
		TEST(test_bytes_of_the_cpu),
		TEST(test_addresses),
		TEST(test_operands),
		TEST(test_exitinfo1),
		TEST(test_exitinfo1_of_io),
		TEST(test_segment_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
