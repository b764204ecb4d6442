/* SPDX-License-Identifier: MIT */
/* links: svm/emulate.c svm/emulate_mem.c svm/emulate_alu.c svm/emulate_string.c svm/decode.c svm/memo.c svm/gmem.c */
/* links: tests/unit/fake_vcpu.c zydis */
/* tests/unit/test_memo.c - a remembered instruction counts only while all it rests on is unchanged, and the move of a
 * remembered MOV does what decoding it would have done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "svm/memo_now.h"
#include "tests/unit/fake_vcpu.h"

#define ROOT 0x1000u
#define CPUID_BYTES "\x0F\xA2"

static void use_level(void)
{
	fake.v.exits = &fake.v.exits_of[vcpu_level(&fake.v) - 1];
	memo_use_tables(&fake.v, vcpu_level(&fake.v));
}

static int setup(void **state)
{
	(void)state;
	fake_setup();
	fake_identity(ROOT);
	fake_code(CPUID_BYTES, 2);
	memo_forget(&fake.v);
	use_level();
	return 0;
}

static void learn(void)
{
	assert_non_null(memo_learn(&fake.v, 2));
	assert_non_null(memo_find(&fake.v));
	assert_int_equal(memo_find(&fake.v)->length, 2);
}

static void test_nothing_known_at_first(void **state)
{
	(void)state;
	assert_null(memo_find(&fake.v));
}

/* Each part of the state that the walk depends on, changed alone and put back. */
static void test_state_that_counts(void **state)
{
	struct vmcb_save *s = &fake.vmcb.save;
	struct npt02_root root = {.number = 1};

	(void)state;
	learn();
	s->rip++;
	assert_null(memo_find(&fake.v));
	s->rip--;
	s->cr3 += PAGE_SIZE;
	assert_null(memo_find(&fake.v));
	s->cr3 -= PAGE_SIZE;
	s->efer ^= EFER_LMA;
	assert_null(memo_find(&fake.v));
	s->efer ^= EFER_LMA;
	s->cs.attr ^= SEG_L;
	assert_null(memo_find(&fake.v));
	s->cs.attr ^= SEG_L;
	fake.v.nested.in_l2 = true;
	fake.v.nested.root = &root;
	use_level();
	assert_null(memo_find(&fake.v));
	fake.v.nested.in_l2 = false;
	use_level();
	assert_non_null(memo_find(&fake.v));
}

/* Who may fetch is not asked again: the CPU has done so. */
static void test_state_that_does_not_count(void **state)
{
	struct vmcb_save *s = &fake.vmcb.save;

	(void)state;
	learn();
	s->cr4 ^= CR4_SMEP;
	s->efer ^= EFER_NXE;
	s->cpl = 3;
	assert_non_null(memo_find(&fake.v));
}

/* The next address after `at` whose instruction shares its place. */
static uint64_t same_place(uint64_t at)
{
	const struct memo *place;

	fake.vmcb.save.rip = at;
	place = fake.v.exits->memo_sets[(uint8_t)fake.vmcb.save.rip];
	do
		fake.vmcb.save.rip += 2;
	while (fake.v.exits->memo_sets[(uint8_t)fake.vmcb.save.rip] != place);
	return fake.vmcb.save.rip;
}

/* Two instructions that share a place do not drive each other out; a third takes the place of the one before last. */
static void test_two_at_one_place(void **state)
{
	uint64_t at[3] = {FAKE_RIP, same_place(FAKE_RIP), same_place(same_place(FAKE_RIP))};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		memcpy(fake_ram(at[i]), CPUID_BYTES, 2);
		fake.vmcb.save.rip = at[i];
		learn();
	}
	fake.vmcb.save.rip = at[1];
	assert_non_null(memo_find(&fake.v));
	fake.vmcb.save.rip = at[0];
	assert_null(memo_find(&fake.v));
}

/* What L2's nested tables said counts until their shadow is dropped. */
static void test_tables_of_l2_dropped(void **state)
{
	struct npt02_root root = {0};

	(void)state;
	fake.v.nested.in_l2 = true;
	fake.v.nested.root = &root;
	use_level();
	learn();
	fake.v.nested.npt02.drops++;
	use_level();
	assert_null(memo_find(&fake.v));
	fake.v.nested.npt02.drops--;
	root.number++;
	use_level();
	assert_null(memo_find(&fake.v));
}

/* Each walk that a memo of L2's rests on is part of what a flush of L1's looks at. */
static void test_watched_shadow_hears_of_it(void **state)
{
	struct npt02_root root = {.number = 1, .watched = true};

	(void)state;
	learn();
	assert_int_equal(fake.rested_on, 0);
	fake.v.nested.in_l2 = true;
	fake.v.nested.root = &root;
	use_level();
	learn();
	assert_int_equal(fake.rested_on, 3); /* two tables, for the pages are of 1 GiB, and the instruction */
}

static void test_table_entry_changed(void **state)
{
	uint64_t *pml4e = fake_ram(ROOT);
	uint64_t *pdpte = fake_ram(*pml4e & PTE_ADDR);

	(void)state;
	learn();
	*pml4e ^= PTE_AVL;
	assert_null(memo_find(&fake.v));
	*pml4e ^= PTE_AVL;
	assert_non_null(memo_find(&fake.v));
	*pdpte ^= PTE_P;
	assert_null(memo_find(&fake.v));
}

/* A walk of four levels, of which each counts; and still CR3 and the bytes do. */
static void test_deep_walk(void **state)
{
	uint64_t *level[] = {fake_ram(ROOT), fake_ram(ROOT + PAGE_SIZE), fake_ram(ROOT + 2 * PAGE_SIZE),
			     fake_ram(ROOT + 3 * PAGE_SIZE)};

	(void)state;
	level[1][0] = (ROOT + 2 * PAGE_SIZE) | PTE_P | PTE_W | PTE_U;
	level[2] += (FAKE_RIP >> 21) & 0x1FF;
	level[2][0] = (ROOT + 3 * PAGE_SIZE) | PTE_P | PTE_W | PTE_U;
	level[3] += (FAKE_RIP >> 12) & 0x1FF;
	level[3][0] = (FAKE_RIP & PTE_ADDR) | PTE_P | PTE_W | PTE_U;
	learn();
	for (unsigned i = 0; i < 4; i++) {
		level[i][0] ^= PTE_AVL;
		assert_null(memo_find(&fake.v));
		level[i][0] ^= PTE_AVL;
		assert_non_null(memo_find(&fake.v));
	}
	fake.vmcb.save.cr3 += PAGE_SIZE;
	assert_null(memo_find(&fake.v));
	fake.vmcb.save.cr3 -= PAGE_SIZE;
	*(uint8_t *)fake_ram(FAKE_RIP) ^= 1;
	assert_null(memo_find(&fake.v));
}

/* Nothing is known of address 0 either, where nothing was learned. */
static void test_nothing_known_at_zero(void **state)
{
	(void)state;
	fake.vmcb.save.rip = 0;
	assert_null(memo_find(&fake.v));
	fake.vmcb.save.cr3 = 0;
	assert_null(memo_find(&fake.v));
}

static void test_code_changed(void **state)
{
	uint8_t *code = fake_ram(FAKE_RIP);

	(void)state;
	learn();
	code[2] ^= 0xFF; /* the next instruction: none of our business */
	assert_non_null(memo_find(&fake.v));
	code[1] ^= 1;
	assert_null(memo_find(&fake.v));
}

static void test_what_cannot_be_remembered(void **state)
{
	(void)state;
	assert_null(memo_learn(&fake.v, 0));
	assert_null(memo_learn(&fake.v, 9));
	fake.vmcb.save.rip = FAKE_RIP + PAGE_SIZE - 7; /* eight bytes do not fit the page */
	assert_null(memo_learn(&fake.v, 2));
	fake_protected_mode(32);
	assert_null(memo_learn(&fake.v, 2));
	assert_null(memo_find(&fake.v));
}

/* MOV to and from the device, each three times: decoded, then remembered. The values and sizes differ each time. */
static void test_moves_again(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		vcpu_set_gpr(&fake.v, GPR_RBX, FAKE_DEVICE + 0x40);
		vcpu_set_gpr(&fake.v, GPR_RCX, UINT64_C(0xFFFFFFFF11000000) + i);
		fake_code("\x89\x0B", 2); /* mov [rbx], ecx */
		assert_int_equal(emulate_mmio(&fake.v, l1pa(FAKE_DEVICE + 0x40), true), RESUME_NEXT);
		assert_int_equal(fake.v.insn_len, 2);
		assert_int_equal(fake.mmio_last_size, 4);
		assert_int_equal(fake.mmio_writes, i);
		fake.vmcb.save.rip = FAKE_RIP + 0x100;
		memcpy(fake_ram(FAKE_RIP + 0x100), "\x8B\x03", 2); /* mov eax, [rbx] */
		vcpu_set_gpr(&fake.v, GPR_RAX, UINT64_MAX);
		assert_int_equal(emulate_mmio(&fake.v, l1pa(FAKE_DEVICE + 0x40), false), RESUME_NEXT);
		assert_int_equal(vcpu_gpr(&fake.v, GPR_RAX), 0x11000000 + i);
		assert_int_equal(fake.l1.dev_lock.taken, 0);
	}
	assert_true(memo_find(&fake.v)->move == MEMO_LOAD);
}

/* An access that straddles its alignment may touch two pages: never by memory alone. */
static void test_unaligned_move_is_decoded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		vcpu_set_gpr(&fake.v, GPR_RBX, FAKE_DEVICE + 0x41);
		fake_code("\x89\x0B", 2);
		assert_int_equal(emulate_mmio(&fake.v, l1pa(FAKE_DEVICE + 0x41), true), RESUME_NEXT);
		assert_int_not_equal(fake.mmio_last_size, 0);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_known_at_first),
		TEST(test_state_that_counts),
		TEST(test_state_that_does_not_count),
		TEST(test_two_at_one_place),
		TEST(test_tables_of_l2_dropped),
		TEST(test_watched_shadow_hears_of_it),
		TEST(test_table_entry_changed),
		TEST(test_deep_walk),
		TEST(test_nothing_known_at_zero),
		TEST(test_code_changed),
		TEST(test_what_cannot_be_remembered),
		TEST(test_moves_again),
		TEST(test_unaligned_move_is_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
