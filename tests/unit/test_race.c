/* SPDX-License-Identifier: MIT */
/* links: nested/vmrun.c nested/vmcb12.c nested/check_control.c nested/check_state.c nested/merge.c */
/* links: nested/msrpm12.c nested/reason.c nested/exit_invalid.c nested/exit_full.c nested/resume.c */
/* links: nested/npt02.c nested/walk12.c nested/tlb02.c nested/insn.c nested/route.c nested/iopm12.c */
/* links: nested/pause.c nested/tsc.c nested/lbr.c nested/offer.c */
/* links: tests/unit/rig.c tests/unit/fake_l1.c tests/fuzz/fuzz.c */
/* tests/unit/test_race.c - VMRUN while a second thread rewrites VMCB12, both permission maps and NPT12 at random: the
 * checks, the merge and the walks under sanitizers. Either VMRUN is refused, and nothing but L1's DR7 and GIF changed;
 * or VMCB02 is one that the CPU accepts, and after the exit L1's registers are as before. The same on emulated CPUs:
 * tests/guest/t_race_random.c. APM2 15.5.1. RACE_COUNT=<VMRUNs> in the environment asks for more. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/npt.h>

#include "tests/fuzz/fuzz.h"

#define VMRUNS_DEFAULT 200000u
#define YIELD_EVERY 128u
#define FAULTS_PER_RUN 3u
#define EXIT_FIELDS offsetof(struct vmcb_control, exitcode)

static struct rig *rig;
static uint8_t good[RIG_RAM];
static bool stop;

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(0x2545F4914F6CDD1D);
}

/* --- the writer --- */

static const struct {
	uint64_t start, size;
} places[] = {
	{RIG_VMCB12, 0x100}, {RIG_VMCB12, 0x100}, {RIG_VMCB12 + 0x400, 0x2A0}, {RIG_VMCB12 + 0x400, 0x2A0},
	{RIG_VMCB12, PAGE_SIZE}, {RIG_MSRPM12, MSRPM_SIZE}, {RIG_IOPM12, IOPM_SIZE}, {RIG_NPT12, 64},
	{RIG_NPT12 + PAGE_SIZE, 64}, {RIG_NPT12 + 2 * PAGE_SIZE, 64}, {RIG_NPT12 + 3 * PAGE_SIZE, 256},
	{RIG_L2_CR3, 32},
};

static void *rewrite(void *unused)
{
	uint64_t seed = 0x1234567;

	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t r = draw(&seed);
		unsigned place = (unsigned)(r >> 8) % ARRAY_COUNT(places);
		uint64_t at = (places[place].start + (r >> 16) % places[place].size) & ~UINT64_C(7);
		volatile uint64_t *word = (volatile uint64_t *)(rig->l1->ram + at);
		uint64_t was;

		memcpy(&was, good + at, sizeof(was));
		*word = r & 1 ? was ^ BIT(r >> 48 & 63) : r & 2 ? draw(&seed) : r & 4 ? ~was : 0;
		for (unsigned i = (unsigned)(r >> 54) & 1023; i; i--)
			barrier();
		*word = was;
	}
	return NULL;
}

/* --- VMRUN --- */

static void restore_vmcb12(void)
{
	memcpy(rig->l1->ram + RIG_VMCB12, good + RIG_VMCB12, EXIT_FIELDS);
	memcpy(rig->l1->ram + RIG_VMCB12 + 0x400, good + RIG_VMCB12 + 0x400, 0x2A0);
}

/* `shared`: the full exit leaves L2's CR2, DR6 and PAT in the registers that both have (exit_full.c). */
static void check_l1(struct vmcb_save was, bool shared)
{
	const struct vmcb_save *is = &rig->vmcb01->save;

	was.dr7 = DR7_FIXED;
	if (shared) {
		was.cr2 = is->cr2;
		was.dr6 = is->dr6;
		was.g_pat = is->g_pat;
	}
	CHECK(!memcmp(&was, is, sizeof(was)) && !rig->n.in_l2 && !rig->n.gif);
}

/* L2 touches memory: NPT12 is walked while it changes. */
static void l2_faults(uint64_t *seed)
{
	for (unsigned i = 0; rig->n.root && i < FAULTS_PER_RUN; i++) {
		uint64_t r = draw(seed), at = r % BIT(17);
		struct npt02_result result = npt02_fault(&rig->n.npt02, rig->n.root, rig->l1, l2pa(at),
							 PF_U | NPF_FINAL | (r >> 32 & (PF_W | PF_ID)));

		CHECK(result.verdict == NPT02_FILLED || result.verdict == NPT02_REFLECT ||
		      result.verdict == NPT02_DEVICE);
	}
}

static bool one_vmrun(uint64_t *seed, const struct vmcb *vmcb01, struct vmcb *vmcb02)
{
	if (draw(seed) % 4 == 0) /* else the writer's values stay for longer */
		restore_vmcb12();
	memcpy(rig->vmcb01, vmcb01, sizeof(*vmcb01));
	memcpy(vmcb02, rig->vmcb02, sizeof(struct vmcb));
	if (rig_vmrun(rig, RIG_VMCB12) == VMRUN_REFUSED) {
		check_l1(vmcb01->save, false);
		CHECK(!memcmp(vmcb02, rig->vmcb02, sizeof(struct vmcb)));
		return false;
	}
	CHECK(rig->n.in_l2 && rig->n.gif);
	fuzz_check_vmcb02(rig);
	l2_faults(seed);
	CHECK(nested_route(&rig->n, rig->l1, rig->vmcb02, (uint32_t)draw(seed)) != ROUTE_UNDECIDED);
	CHECK(rig_exit(rig, VMEXIT_VMMCALL));
	check_l1(vmcb01->save, true);
	return true;
}

static void either_refused_or_sound(void **state)
{
	const char *more = getenv("RACE_COUNT");
	uint64_t count = more ? strtoull(more, NULL, 10) : VMRUNS_DEFAULT, seed = 99, refused = 0;
	static struct vmcb vmcb01, vmcb02;
	static const uint8_t no_input[1];
	struct input in = {no_input, no_input};
	pthread_t writer;

	(void)state;
	rig = fuzz_rig(&in, 0);
	rig->n.caps.hw_flush_by_asid = true;
	memcpy(good, rig->l1->ram, RIG_RAM);
	vmcb01 = *rig->vmcb01;
	assert_int_equal(pthread_create(&writer, NULL, rewrite, NULL), 0);
	for (uint64_t i = 0; i < count; i++) {
		refused += !one_vmrun(&seed, &vmcb01, &vmcb02);
		if (i % YIELD_EVERY == 0)
			sched_yield(); /* a machine with one CPU free lets the writer run */
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	fuzz_check_shadow(rig);
	print_message("# %llu VMRUNs, %llu of them refused\n", (unsigned long long)count, (unsigned long long)refused);
	assert_true(refused > 0 && refused < count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(either_refused_or_sound),
	};

	return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
