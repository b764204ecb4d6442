/* SPDX-License-Identifier: MIT */
/* links: svm/emulate.c svm/emulate_mem.c svm/emulate_alu.c svm/emulate_string.c svm/decode.c svm/memo.c svm/gmem.c */
/* links: tests/unit/fake_vcpu.c zydis */
/* tests/unit/test_emulate_string.c - MOVS, STOS, LODS on devices, INS and OUTS: directions, REP in portions, faults
 * before the device, what L2 and 16-bit code see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_vcpu.h"

#define ROOT 0x1000u

static int setup(void **state)
{
	(void)state;
	fake_setup();
	fake_identity(ROOT);
	return 0;
}

static enum resume emulate(const char *bytes, unsigned count)
{
	fake_code(bytes, count);
	return emulate_mmio(&fake.v, l1pa(FAKE_DEVICE), false);
}

#define EMULATE(bytes) emulate(bytes, sizeof(bytes) - 1)

#define SRC 0x20000u
#define DST 0x21000u

static void string_registers(uint64_t from, uint64_t to, uint64_t count)
{
	vcpu_set_gpr(&fake.v, GPR_RSI, from);
	vcpu_set_gpr(&fake.v, GPR_RDI, to);
	vcpu_set_gpr(&fake.v, GPR_RCX, count);
}

static void test_movs_both_ways(void **state)
{
	(void)state;
	strcpy(fake_ram(SRC), "sixteen letters.");
	string_registers(SRC, FAKE_DEVICE, 4);
	assert_int_equal(EMULATE("\xF3\xA5"), RESUME_NEXT); /* rep movsd */
	assert_memory_equal(fake.device, "sixteen letters.", 16);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RSI), SRC + 16);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RDI), FAKE_DEVICE + 16);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RCX), 0);

	fake.vmcb.save.rflags |= RFLAGS_DF;
	string_registers(FAKE_DEVICE + 15, DST + 15, 16);
	assert_int_equal(EMULATE("\xF3\xA4"), RESUME_NEXT);
	assert_memory_equal(fake_ram(DST), "sixteen letters.", 16);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RSI), FAKE_DEVICE - 1);

	/* Without REP the counter does not matter. */
	string_registers(FAKE_DEVICE, DST, 7);
	fake.vmcb.save.rflags &= ~RFLAGS_DF;
	assert_int_equal(EMULATE("\x48\xA5"), RESUME_NEXT);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RCX), 7);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RDI), DST + 8);
}

static void test_stos_lods(void **state)
{
	(void)state;
	vcpu_set_gpr(&fake.v, GPR_RAX, UINT64_C(0x1122334455667788));
	string_registers(0, FAKE_DEVICE, 3);
	assert_int_equal(EMULATE("\xF3\x66\xAB"), RESUME_NEXT);
	assert_memory_equal(fake.device, "\x88\x77\x88\x77\x88\x77\0\0", 8);
	string_registers(FAKE_DEVICE + 1, 0, 0);
	assert_int_equal(EMULATE("\xAC"), RESUME_NEXT);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RAX), UINT64_C(0x1122334455667777));
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RSI), FAKE_DEVICE + 2);
	assert_int_equal(EMULATE("\xF3\xAC"), RESUME_NEXT); /* REP with 0: nothing */
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RSI), FAKE_DEVICE + 2);
}

static void test_rep_in_portions(void **state)
{
	unsigned calls = 1;

	(void)state;
	vcpu_set_gpr(&fake.v, GPR_RAX, 0x77);
	string_registers(0, FAKE_DEVICE, 1000);
	for (; EMULATE("\xF3\xAA") == RESUME_SAME; calls++)
		assert_int_equal(vcpu_gpr(&fake.v, GPR_RDI), FAKE_DEVICE + 64 * calls);
	assert_int_equal(calls, 16);
	assert_int_equal(fake.mmio_writes, 1000);
}

static void test_rep_is_stepped_by_tf(void **state)
{
	(void)state;
	fake.vmcb.save.rflags |= RFLAGS_TF;
	string_registers(0, FAKE_DEVICE, 2);
	assert_int_equal(EMULATE("\xF3\xAA"), RESUME_SAME);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RCX), 1);
	assert_int_equal(fake.raised.vector, VEC_DB);
	/* Behind the last one svm_exit() traps, as for any instruction. */
	fake.raised.valid = false;
	assert_int_equal(EMULATE("\xF3\xAA"), RESUME_NEXT);
	assert_false(fake.raised.valid);
}

static void test_fault_comes_before_the_device(void **state)
{
	(void)state;
	string_registers(FAKE_DEVICE, GIB(5), 3);
	assert_int_equal(EMULATE("\xF3\xA4"), RESUME_SAME);
	assert_int_equal(fake.raised.vector, VEC_PF);
	assert_int_equal(fake.raised.error, PF_W);
	assert_int_equal(fake.raised.address, GIB(5));
	assert_int_equal(fake.mmio_reads, 0);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RCX), 3);
}

static void test_fault_of_l2_goes_to_l1(void **state)
{
	(void)state;
	fake.v.nested.in_l2 = true;
	fake.v.nested.snap.control.misc = MISC_NP;
	fake.npt12_refused = DST;
	string_registers(FAKE_DEVICE, DST, 3);
	assert_int_equal(EMULATE("\xF3\xA4"), RESUME_SAME);
	assert_int_equal(fake.to_l1.count, 1);
	assert_int_equal(fake.to_l1.info2, DST);
	assert_int_equal(fake.mmio_reads, 0);
}

static enum resume string_io(const char *bytes, unsigned count, unsigned size, bool in)
{
	fake_code(bytes, count);
	return emulate_string_io(&fake.v, FAKE_PORT, size, in);
}

#define STRING_IO(bytes, size, in) string_io(bytes, sizeof(bytes) - 1, size, in)

static void test_outs(void **state)
{
	(void)state;
	strcpy(fake_ram(SRC), "to the port");
	string_registers(SRC, 0, 11);
	assert_int_equal(STRING_IO("\xF3\x6E", 1, false), RESUME_NEXT);
	assert_string_equal((char *)fake.port_bytes, "to the port");
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RSI), SRC + 11);
	assert_int_equal(fake.v.insn_len, 2);
	assert_int_equal(fake.rearmed, 1);

	fake.gs_base = SRC - 0x100;
	string_registers(0x104, 0, 1);
	fake.port_count = 0;
	assert_int_equal(STRING_IO("\x65\x6F", 4, false), RESUME_NEXT);
	assert_int_equal(fake.port_size, 4);
	assert_memory_equal(fake.port_bytes, "he p", 4);
}

static void test_ins(void **state)
{
	(void)state;
	strcpy((char *)fake.port_bytes, "from the port");
	string_registers(0, DST, 3);
	assert_int_equal(STRING_IO("\xF3\x66\x6D", 2, true), RESUME_NEXT);
	assert_memory_equal(fake_ram(DST), "from t\0", 7);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RDI), DST + 6);

	/* A page fault after some elements: they are done, the port is not read again for them. */
	string_registers(0, GIB(4) - 2, 5);
	fake.port_count = 0;
	assert_int_equal(STRING_IO("\xF3\x6C", 1, true), RESUME_SAME);
	assert_int_equal(fake.raised.vector, VEC_PF);
	assert_int_equal(fake.raised.address, GIB(4));
	assert_int_equal(fake.port_count, 2);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RCX), 3);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RDI), GIB(4));
}

static void test_string_io_16_bit(void **state)
{
	(void)state;
	fake.vmcb.save = (struct vmcb_save){ .cr0 = CR0_ET, .rflags = RFLAGS_FIXED };
	fake.vmcb.save.es = (struct vmcb_seg){ .base = DST, .limit = UINT16_MAX };
	fake.vmcb.save.cs = (struct vmcb_seg){ .limit = UINT16_MAX, .base = FAKE_RIP - 0x8000 };
	fake_code("\xF3\x6C", 2);
	fake.vmcb.save.rip = 0x8000;
	memset(fake.port_bytes, 0x42, sizeof(fake.port_bytes));
	/* Only the low 16 bits count and change. */
	string_registers(0, 0xABCDFFFE, 0xABCD0004);
	assert_int_equal(emulate_string_io(&fake.v, FAKE_PORT, 1, true), RESUME_NEXT);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RCX), 0xABCD0000);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RDI), 0xABCD0002);
	assert_memory_equal(fake_ram(DST), "\x42\x42\0", 3);
	assert_memory_equal(fake_ram(DST + 0xFFFE), "\x42\x42\0", 3);
	/* A word at FFFFh does not fit. */
	fake_code("\x6D", 1);
	fake.vmcb.save.rip = 0x8000;
	string_registers(0, 0xFFFF, 1);
	assert_int_equal(emulate_string_io(&fake.v, FAKE_PORT, 2, true), RESUME_SAME);
	assert_int_equal(fake.raised.vector, VEC_GP);
}

static void test_string_io_that_is_none(void **state)
{
	(void)state;
	assert_int_equal(STRING_IO("\x90", 1, true), RESUME_SAME);
	assert_int_equal(fake.port_count, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_movs_both_ways),
		TEST(test_stos_lods),
		TEST(test_rep_in_portions),
		TEST(test_rep_is_stepped_by_tf),
		TEST(test_fault_comes_before_the_device),
		TEST(test_fault_of_l2_goes_to_l1),
		TEST(test_outs),
		TEST(test_ins),
		TEST(test_string_io_16_bit),
		TEST(test_string_io_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
