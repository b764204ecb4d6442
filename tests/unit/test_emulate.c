/* SPDX-License-Identifier: MIT */
/* links: svm/emulate.c svm/emulate_mem.c svm/emulate_alu.c svm/emulate_string.c svm/decode.c svm/memo.c svm/gmem.c */
/* links: svm/exit_npf.c tests/unit/fake_vcpu.c zydis */
/* tests/unit/test_emulate.c - device accesses and string I/O. The CPU that runs this test is the reference: each
 * instruction runs on it and in the emulator with the same values, and everything must come out equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "svm/exit.h"
#include "tests/unit/fake_vcpu.h"

#define ROOT 0x1000u
#define FLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint8_t *native_page;

static int group_setup(void **state)
{
	(void)state;
	native_page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return native_page == MAP_FAILED;
}

static int setup(void **state)
{
	(void)state;
	fake_setup();
	fake_identity(ROOT);
	return 0;
}

/* --- against the CPU --- */

struct registers {
	uint64_t rax, rcx, flags;
	uint64_t memory[8]; /* RBX points to the fifth */
};

#define MEMORY_MIDDLE 4

static void run_native(const char *bytes, unsigned count, struct registers *r)
{
	void *rbx = &r->memory[MEMORY_MIDDLE], *code = native_page;

	memcpy(native_page, bytes, count);
	native_page[count] = 0xC3;
	/* The red zone of this function lies below its stack pointer. */
	__asm__ volatile("lea -128(%%rsp), %%rsp\n"
			 "push %[flags]\n"
			 "popfq\n"
			 "call *%[code]\n"
			 "pushfq\n"
			 "pop %[flags]\n"
			 "lea 128(%%rsp), %%rsp\n"
			 : "+a"(r->rax), "+c"(r->rcx), [flags] "+r"(r->flags), "+b"(rbx), [code] "+r"(code)
			 :
			 : "memory", "cc");
}

static void run_emulated(const char *bytes, unsigned count, struct registers *r)
{
	uint64_t at = FAKE_DEVICE + 0x100 + MEMORY_MIDDLE * 8;

	fake_code(bytes, count);
	vcpu_set_gpr(&fake.v, GPR_RAX, r->rax);
	vcpu_set_gpr(&fake.v, GPR_RCX, r->rcx);
	vcpu_set_gpr(&fake.v, GPR_RBX, at);
	fake.vmcb.save.rflags = r->flags | RFLAGS_FIXED;
	memcpy(fake.device + 0x100, r->memory, sizeof(r->memory));
	fake.v.insn_len = 0;
	assert_int_equal(emulate_mmio(&fake.v, l1pa(at), true), RESUME_NEXT);
	assert_int_equal(fake.v.insn_len, count);
	r->rax = vcpu_gpr(&fake.v, GPR_RAX);
	r->rcx = vcpu_gpr(&fake.v, GPR_RCX);
	r->flags = fake.vmcb.save.rflags;
	memcpy(r->memory, fake.device + 0x100, sizeof(r->memory));
}

struct form {
	const char *bytes;
	unsigned count;
	uint64_t undefined; /* flags that the manual leaves open */
};

#define FORM(bytes) { bytes, sizeof(bytes) - 1, 0 }
#define LOGIC(bytes) { bytes, sizeof(bytes) - 1, RFLAGS_AF }
#define BITTEST(bytes) { bytes, sizeof(bytes) - 1, FLAGS_ARITH & ~RFLAGS_CF }

/* All on [rbx] with rax and rcx. */
static const struct form forms[] = {
	/* MOV between memory and registers of all sizes, high bytes, immediates */
	FORM("\x88\x0B"), FORM("\x88\x2B"), FORM("\x66\x89\x0B"), FORM("\x89\x0B"), FORM("\x48\x89\x0B"),
	FORM("\x8A\x0B"), FORM("\x8A\x2B"), FORM("\x66\x8B\x0B"), FORM("\x8B\x0B"), FORM("\x48\x8B\x0B"),
	FORM("\xC6\x03\x85"), FORM("\x66\xC7\x03\x85\x86"), FORM("\xC7\x03\x85\x86\x87\x88"),
	FORM("\x48\xC7\x03\x85\x86\x87\x88"), FORM("\x0F\xC3\x0B"), FORM("\x48\x0F\xC3\x0B"),
	/* MOVZX, MOVSX, MOVSXD */
	FORM("\x66\x0F\xB6\x0B"), FORM("\x0F\xB6\x0B"), FORM("\x48\x0F\xB6\x0B"), FORM("\x0F\xB7\x0B"),
	FORM("\x48\x0F\xB7\x0B"), FORM("\x66\x0F\xBE\x0B"), FORM("\x0F\xBE\x0B"), FORM("\x48\x0F\xBE\x0B"),
	FORM("\x0F\xBF\x0B"), FORM("\x48\x0F\xBF\x0B"), FORM("\x48\x63\x0B"),
	/* XCHG, XADD, CMPXCHG */
	FORM("\x86\x0B"), FORM("\x87\x0B"), FORM("\x48\x87\x0B"), FORM("\x0F\xC0\x0B"), FORM("\x66\x0F\xC1\x0B"),
	FORM("\x0F\xC1\x0B"), FORM("\xF0\x48\x0F\xC1\x0B"), FORM("\x0F\xB0\x0B"), FORM("\x66\x0F\xB1\x0B"),
	FORM("\xF0\x48\x0F\xB1\x0B"),
	/* ADD, OR, ADC, SBB, AND, SUB, XOR, CMP: memory and register, register and memory, immediate */
	FORM("\x00\x0B"), FORM("\x66\x01\x0B"), FORM("\x01\x0B"), FORM("\x48\x01\x0B"), FORM("\x03\x0B"),
	FORM("\x83\x03\xFF"), LOGIC("\x08\x0B"), LOGIC("\x09\x0B"), LOGIC("\x48\x0B\x0B"), LOGIC("\x83\x0B\x81"),
	FORM("\x10\x0B"), FORM("\x11\x0B"), FORM("\x48\x13\x0B"), FORM("\x18\x0B"), FORM("\x66\x19\x0B"),
	FORM("\x19\x0B"), FORM("\x48\x1B\x0B"), LOGIC("\x20\x2B"), LOGIC("\x21\x0B"), LOGIC("\x48\x83\x23\xF0"),
	FORM("\x28\x0B"), FORM("\x66\x29\x0B"), FORM("\x29\x0B"), FORM("\x48\x2B\x0B"), LOGIC("\x30\x0B"),
	LOGIC("\x31\x0B"), LOGIC("\x48\x33\x0B"), FORM("\x38\x0B"), FORM("\x66\x39\x0B"), FORM("\x39\x0B"),
	FORM("\x48\x3B\x0B"), FORM("\x80\x3B\x80"), FORM("\x48\x81\x3B\x00\x00\x00\x80"),
	/* TEST, INC, DEC, NOT, NEG */
	LOGIC("\x84\x0B"), LOGIC("\x48\x85\x0B"), LOGIC("\xF6\x03\x81"), FORM("\xFE\x03"), FORM("\x66\xFF\x03"),
	FORM("\x48\xFF\x03"), FORM("\xFE\x0B"), FORM("\xFF\x0B"), FORM("\xF6\x13"), FORM("\x48\xF7\x13"),
	FORM("\xF6\x1B"), FORM("\xF7\x1B"), FORM("\x48\xF7\x1B"),
	/* BT, BTS, BTR, BTC with a number */
	BITTEST("\x0F\xBA\x23\x05"), BITTEST("\x0F\xBA\x2B\x1F"), BITTEST("\x48\x0F\xBA\x33\x3F"),
	BITTEST("\x66\x0F\xBA\x3B\x0F"), BITTEST("\x0F\xBA\x2B\x25"),
};

static const uint64_t values[] = {
	0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
	INT64_MAX, UINT64_C(0x8000000000000000), UINT64_MAX, UINT64_C(0x0123456789ABCDEF), UINT64_C(0xFEDCBA9876543210),
};

static void compare(const struct form *form, const struct registers *from)
{
	struct registers native = *from, emulated = *from;

	run_native(form->bytes, form->count, &native);
	run_emulated(form->bytes, form->count, &emulated);
	assert_int_equal(emulated.rax, native.rax);
	assert_int_equal(emulated.rcx, native.rcx);
	assert_memory_equal(emulated.memory, native.memory, sizeof(native.memory));
	assert_int_equal(emulated.flags & FLAGS_ARITH & ~form->undefined,
			 native.flags & FLAGS_ARITH & ~form->undefined);
}

static void test_like_the_cpu(void **state)
{
	(void)state;
	for (unsigned f = 0; f < ARRAY_COUNT(forms); f++) {
		for (unsigned i = 0; i < ARRAY_COUNT(values) * ARRAY_COUNT(values); i++) {
			struct registers r = {
				.rax = values[(i + f) % ARRAY_COUNT(values)],
				.rcx = values[i % ARRAY_COUNT(values)],
				.flags = RFLAGS_FIXED | (i & 1 ? FLAGS_ARITH : 0),
			};

			r.memory[MEMORY_MIDDLE] = values[i / ARRAY_COUNT(values)];
			compare(&forms[f], &r);
		}
	}
}

/* The bit may lie before or behind the operand. */
static void test_bits_by_register(void **state)
{
	static const struct form bit_forms[] = {
		BITTEST("\x0F\xA3\x0B"), BITTEST("\x0F\xAB\x0B"), BITTEST("\x48\x0F\xB3\x0B"), BITTEST("\x66\x0F\xBB\x0B"),
	};

	(void)state;
	for (unsigned f = 0; f < ARRAY_COUNT(bit_forms); f++) {
		for (int bit = -200; bit < 200; bit++) {
			struct registers r = { .rcx = (uint64_t)(int64_t)bit, .flags = RFLAGS_FIXED };

			memset(r.memory, bit & 1 ? 0xFF : 0, sizeof(r.memory));
			compare(&bit_forms[f], &r);
		}
	}
}

/* --- devices --- */

static enum resume emulate(const char *bytes, unsigned count)
{
	fake_code(bytes, count);
	return emulate_mmio(&fake.v, l1pa(FAKE_DEVICE), false);
}

#define EMULATE(bytes) emulate(bytes, sizeof(bytes) - 1)

static void test_one_access_of_its_size(void **state)
{
	(void)state;
	vcpu_set_gpr(&fake.v, GPR_RBX, FAKE_DEVICE + 0x20);
	vcpu_set_gpr(&fake.v, GPR_RCX, 0x11223344);
	assert_int_equal(EMULATE("\x89\x0B"), RESUME_NEXT);
	assert_int_equal(fake.mmio_writes, 1);
	assert_int_equal(fake.mmio_reads, 0);
	assert_int_equal(fake.mmio_last_size, 4);
	assert_int_equal(fake.mmio_last_at, FAKE_DEVICE + 0x20);
	assert_int_equal(EMULATE("\x48\x8B\x03"), RESUME_NEXT);
	assert_int_equal(fake.mmio_reads, 1);
	assert_int_equal(fake.mmio_last_size, 8);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RAX), 0x11223344);
	/* A comparison does not write. */
	assert_int_equal(EMULATE("\x39\x0B"), RESUME_NEXT);
	assert_int_equal(fake.mmio_writes, 1);
	assert_int_equal(fake.l1.dev_lock.taken, 0);
}

static void test_moffs(void **state)
{
	(void)state;
	fake.device[0] = 0x5A;
	assert_int_equal(EMULATE("\xA0\x00\x00\xE0\xFE\x00\x00\x00\x00"), RESUME_NEXT);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RAX), 0x5A);
	vcpu_set_gpr(&fake.v, GPR_RAX, 0x99);
	assert_int_equal(EMULATE("\xA2\x01\x00\xE0\xFE\x00\x00\x00\x00"), RESUME_NEXT);
	assert_int_equal(fake.device[1], 0x99);
}

static void test_nobody_there(void **state)
{
	(void)state;
	vcpu_set_gpr(&fake.v, GPR_RBX, FAKE_DEVICE - PAGE_SIZE);
	assert_int_equal(EMULATE("\x8B\x03"), RESUME_NEXT);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RAX), UINT32_MAX);
	assert_int_equal(EMULATE("\x89\x03"), RESUME_NEXT);
	assert_int_equal(fake.mmio_reads + fake.mmio_writes, 0);
}

static void test_across_pages(void **state)
{
	(void)state;
	vcpu_set_gpr(&fake.v, GPR_RBX, FAKE_DEVICE + FAKE_DEVICE_SIZE - 3);
	vcpu_set_gpr(&fake.v, GPR_RCX, 0x44332211);
	assert_int_equal(EMULATE("\x89\x0B"), RESUME_NEXT);
	assert_memory_equal(fake.device + FAKE_DEVICE_SIZE - 3, "\x11\x22\x33", 3);
	assert_int_equal(EMULATE("\x8B\x03"), RESUME_NEXT);
	assert_int_equal(vcpu_gpr(&fake.v, GPR_RAX), 0xFF332211);
}

static void test_unsupported_ends_the_guest(void **state)
{
	(void)state;
	vcpu_set_gpr(&fake.v, GPR_RBX, FAKE_DEVICE);
	assert_int_equal(EMULATE("\x0F\x11\x03"), RESUME_STOP); /* movups [rbx], xmm0 */
	assert_non_null(strstr(fake.ended, " 0f 11 03 "));
	assert_int_equal(EMULATE("\x8C\x1B"), RESUME_STOP); /* mov [rbx], ds */
	assert_int_equal(EMULATE("\xD1\x23"), RESUME_STOP); /* shl dword [rbx], 1 */
	assert_int_equal(EMULATE("\x0F\xC7\x0B"), RESUME_STOP); /* cmpxchg8b [rbx] */
	assert_int_equal(EMULATE("\x06"), RESUME_STOP); /* no instruction */
	assert_int_equal(fake.mmio_writes, 0);
	assert_int_equal(fake.l1.dev_lock.taken, 0);
}

static void test_code_that_cannot_be_read(void **state)
{
	(void)state;
	fake.vmcb.save.rip = GIB(5);
	assert_int_equal(emulate_mmio(&fake.v, l1pa(FAKE_DEVICE), false), RESUME_SAME);
	assert_string_equal(fake.ended, "");
	/* Code in a device would never get on. */
	fake.vmcb.save.rip = FAKE_DEVICE;
	assert_int_equal(emulate_mmio(&fake.v, l1pa(FAKE_DEVICE), false), RESUME_STOP);
}

/* The CPU pushed an interrupt's frame there: the instruction at RIP has nothing to do with it. */
static void test_stack_of_an_event(void **state)
{
	(void)state;
	fake_code("\x8B\x03", 2);
	vcpu_set_gpr(&fake.v, GPR_RBX, FAKE_DEVICE);
	assert_int_equal(exit_device(&fake.v, l1pa(FAKE_DEVICE), PF_W | PF_U), RESUME_NEXT);
	assert_string_equal(fake.ended, "");
	fake.vmcb.control.exitintinfo = EVENT_V | 0x30;
	assert_int_equal(exit_device(&fake.v, l1pa(FAKE_DEVICE), PF_W | PF_U), RESUME_STOP);
	assert_non_null(strstr(fake.ended, "an event is delivered by way of fee00000"));
}

/* Another CPU has put MOV RAX, CR3 there meanwhile, which L1 may intercept: it is the CPU's. MOV DS, AX, whose
 * descriptor lies in a device, looks alike and would never get on. */
static void test_code_that_has_changed(void **state)
{
	(void)state;
	assert_int_equal(EMULATE("\x0F\x20\xD8"), RESUME_SAME);
	assert_string_equal(fake.ended, "");
	assert_int_equal(EMULATE("\x8E\xD8"), RESUME_STOP);
}

/* --- whatever a guest may put there --- */

static void random_mode(unsigned n)
{
	fake_reset();
	fake_identity(ROOT);
	if (n % 4 == 1)
		fake.vmcb.save.cs.attr = SEG_P | SEG_S | SEG_D | 0xB;
	if (n % 4 == 2)
		fake_protected_mode(n % 8 < 4 ? 16 : 32);
	if (n % 4 == 3) {
		fake.vmcb.save = (struct vmcb_save){ .cr0 = CR0_ET };
		fake.vmcb.save.cs.base = FAKE_RIP;
	}
	fake.vmcb.save.rflags = (uint64_t)rand() & (FLAGS_ARITH | RFLAGS_DF);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		vcpu_set_gpr(&fake.v, i, rand() % 2 ? FAKE_DEVICE + (unsigned)rand() % 8192 : (uint64_t)rand() << (rand() % 33));
}

static void test_random_code(void **state)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x48, 0x41, 0x65, 0x2E, 0x0F };
	unsigned done = 0;

	(void)state;
	srand(1);
	for (unsigned n = 0; n < 100000; n++) {
		uint8_t code[INSN_MAX];

		random_mode(n);
		for (unsigned i = 0; i < sizeof(code); i++)
			code[i] = i < 3 && rand() % 2 ? prefixes[(unsigned)rand() % sizeof(prefixes)] : (uint8_t)rand();
		fake_code(code, sizeof(code));
		fake.vmcb.save.rip -= fake.vmcb.save.cs.base;

		enum resume resume = n % 3 ? emulate_mmio(&fake.v, l1pa(FAKE_DEVICE), true)
					   : emulate_string_io(&fake.v, FAKE_PORT, 1, n % 2);

		assert_true(resume == RESUME_NEXT || resume == RESUME_SAME || resume == RESUME_STOP);
		assert_int_equal(resume == RESUME_STOP, fake.ended[0] != 0);
		assert_int_equal(fake.l1.dev_lock.taken, 0);
		done += resume == RESUME_NEXT;
	}
	assert_true(done > 10000);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_like_the_cpu),
		TEST(test_bits_by_register),
		TEST(test_one_access_of_its_size),
		TEST(test_moffs),
		TEST(test_nobody_there),
		TEST(test_across_pages),
		TEST(test_unsupported_ends_the_guest),
		TEST(test_code_that_cannot_be_read),
		TEST(test_stack_of_an_event),
		TEST(test_code_that_has_changed),
		TEST(test_random_code),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
