/* SPDX-License-Identifier: MIT */
/* links: svm/l1.c svm/npt.c svm/vcpu.c svm/caps.c svm/features.c svm/answer.c kernel/printf.c */
/* links: kernel/percpu.c tests/unit/fake_pmm.c */
/* tests/unit/test_l1.c - a guest that cannot be built, whichever request for memory fails or whatever is wrong with its
 * image, holds nothing afterwards; one that is built gives back everything. Who stops one does so
 * under life_lock. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/irq.h"
#include "kernel/percpu.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "kernel/wall_clock.h"
#include "svm/config.h"
#include "svm/enable.h"
#include "svm/inject.h"
#include "svm/fpu.h"
#include "svm/l1.h"
#include "svm/lbr.h"
#include "svm/msr.h"
#include "svm/quirk.h"
#include "svm/turn.h"
#include "svm/vcpu.h"
#include "tests/unit/fake_pmm.h"

/* --- what building a guest calls besides; none of it allocates --- */

struct svm_cpu svm_this_cpu = {.asid_count = 16, .phys_bits = 48};
uint32_t quirks, unhidden;
static const char *image_error;

const char *load_image(struct l1 *l1, const struct l1_config *config, struct l1_entry *entry)
{
	(void)l1, (void)config, (void)entry;
	return image_error;
}

void nested_init(struct nested *n, const struct nested_caps *caps, void *pool, uint32_t pool_pages, uint32_t first_asid,
		 uint32_t asid_count)
{
	(void)n, (void)caps, (void)first_asid, (void)asid_count;
	assert_int_equal(!pool, !pool_pages);
	if (pool)
		memset(pool, 0xA5, pool_pages * PAGE_SIZE); /* all of it is there */
}

void msrpm01_init(uint8_t *map)
{
	memset(map, 0, MSRPM_SIZE);
}

size_t vacpi_build(uint8_t *rom, size_t size, uint64_t gpa, const struct machine_config *config)
{
	(void)gpa, (void)config;
	assert_non_null(rom);
	return size;
}

void machine_init(struct machine *m, const struct machine_config *config, struct vdev_host *host)
{
	(void)m, (void)config, (void)host;
}

void nested_reset(struct nested *n)
{
	(void)n;
}

void memo_use_tables(struct vcpu *v, unsigned level)
{
	(void)v;
	(void)level;
}

void memo_forget(struct vcpu *v)
{
	(void)v;
}

void exit_init(struct vcpu *v)
{
	(void)v;
}

void quirk_widen_l0(uint32_t *icpt)
{
	(void)icpt;
}

uint64_t time_now_ns(void)
{
	return 0;
}

uint64_t time_tsc_khz(void)
{
	return 1;
}

uint64_t wall_clock_seconds(void)
{
	return 0;
}

/* --- what only a guest that runs calls --- */

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NEVER(type, name, ...)                                                                     \
	type name(__VA_ARGS__)                                                                     \
	{                                                                                          \
		abort();                                                                           \
	}
NEVER(bool, inject_prepare, struct vcpu *v)
NEVER(void, irq_wait, void)
NEVER(uint64_t, machine_next_deadline, const struct machine *m, unsigned vcpu)
NEVER(void, machine_tick, struct machine *m, unsigned vcpu)
NEVER(uint8_t, machine_tpr_get, const struct machine *m, unsigned vcpu)
NEVER(void, quirk_rearm, struct vcpu *v)
NEVER(void, quirk_show_xsave, struct vcpu *v)
NEVER(void, quirk_widen02, struct vcpu *v)
NEVER(void, live_bring_back, struct vcpu *v)
NEVER(void, live_put_away, struct vcpu *v)
NEVER(void, time_arm_ns, uint64_t deadline)
NEVER(uint64_t, turn_due, void)
NEVER(bool, turn_take, void)
NEVER(void, fpu_reset, void)
NEVER(void, lbr_prepare, struct vcpu *v)
NEVER(void, svm_loop, struct vcpu *v)
NEVER(void, svm_enter, struct vcpu *v)
NEVER(unsigned, exit_decode_length, struct vcpu *v)
NEVER(void, vcpu_raise_db, struct vcpu *v, uint64_t dr6)

/* --- the tests --- */

static struct boot_module image = {.name = "image", .name_len = 5};
static struct l1_config config;
static struct l1 l1;

static void describe(uint64_t memory, unsigned vcpus, bool nested)
{
	config = (struct l1_config){.name = "g", .memory = memory, .vcpus = vcpus, .image = &image, .nested = nested};
	l1 = (struct l1){.config = &config, .name = config.name, .vcpu_count = vcpus, .nested = nested};
	image_error = NULL;
	fake_pmm_left = -1;
}

static void assert_nothing_held(void)
{
	assert_int_equal(fake_pmm_held, 0);
	assert_null(l1.msrpm);
	assert_null(l1.iopm);
	assert_int_equal(l1.npt01.root.a, 0);
	assert_int_equal(l1.low.host.a | l1.high.host.a, 0);
	for (unsigned i = 0; i < l1.vcpu_count; i++)
		assert_null(l1.vcpus[i]);
}

/* Fails at the first request, at the second, and so on, until there are enough: how many that takes. */
static int fail_at_each(bool once)
{
	struct plane_error error;
	int requests = 0;

	for (fake_pmm_once = once;; requests++) {
		fake_pmm_left = requests;
		if (l1_build(&l1, &error) != PLANE_OK) {
			assert_true(strstr(error.text, "guest g needs ") || strstr(error.text, "no memory for vCPU "));
			assert_nothing_held();
			continue;
		}
		assert_string_equal(error.text, "");
		assert_true(fake_pmm_held > config.memory);
		l1_release(&l1);
		assert_nothing_held();
		if (fake_pmm_left == 0) /* the next one would have failed, but there was none */
			return requests;
	}
}

static void every_request_may_fail(void **state)
{
	(void)state;
	for (int once = 0; once < 2; once++) {
		describe(MIB(16), 1, false);
		int plain = fail_at_each(once);

		assert_true(plain >= 9); /* RAM, two maps, at least three tables, struct vcpu, VMCBs, its map */
		describe(MIB(16), 2, false);
		assert_int_equal(fail_at_each(once), plain + 5); /* struct vcpu, three VMCBs, its map */
		describe(MIB(16), 1, true);
		assert_int_equal(fail_at_each(once), plain + 1); /* the shadow pool */
		describe(GIB(3) + MIB(2), 1, false);
		assert_true(fail_at_each(once) > plain); /* RAM above 4 GiB and its tables; the first try wants 1 GiB pages */
	}
}

static void a_bad_image(void **state)
{
	struct plane_error error;

	(void)state;
	describe(MIB(16), 2, true);
	image_error = "it is odd; take another one";
	assert_int_equal(l1_build(&l1, &error), PLANE_BAD);
	assert_string_equal(error.text, "guest g: image image: it is odd; take another one");
	assert_nothing_held();
}

static void again_and_again(void **state)
{
	struct plane_error error;

	(void)state;
	describe(MIB(16), 2, true);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(l1_build(&l1, &error), PLANE_OK);
		assert_int_equal(l1.state, L1_CREATED);
		l1_release(&l1);
		assert_nothing_held();
	}
}

/* --- the end and the pause, on CPU 0, whose block lies at the lower end of its stack --- */

static char cpu0[CPU_STACK_SIZE] __attribute__((aligned(CPU_STACK_SIZE)));
static struct vcpu own;
static unsigned kicks, kicks_unlocked;

void smp_kick(unsigned cpu)
{
	kicks += cpu == 1;
	kicks_unlocked += !l1.life_lock.taken;
}

static void *stop_it(void *unused)
{
	(void)unused;
	l1_stop(&l1, L1_STOP_END, "somebody stopped it");
	return NULL;
}

static void *end_it(void *unused)
{
	(void)unused;
	l1_end(&l1, "it went wrong");
	return NULL;
}

static void *pause_it(void *unused)
{
	(void)unused;
	l1_pause(&l1);
	return NULL;
}

/* Its vCPUs may go away as soon as the lock is released: another CPU may end it. The vCPU of the CPU that stops it is
 * not entered again: svm_exit() looks at `attention`. */
static void kicks_under_lock(void *(*action)(void *), enum l1_stop stop)
{
	pthread_attr_t attr;
	pthread_t thread;

	describe(MIB(16), 2, true);
	l1.state = L1_RUNNING;
	l1.cpus[1] = 1;
	l1.vcpus[0] = &own;
	own.attention = false;
	kicks = kicks_unlocked = 0;
	percpu_init(cpu0, 0, 0);
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstack(&attr, cpu0, sizeof(cpu0)), 0);
	assert_int_equal(pthread_create(&thread, &attr, action, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(pthread_attr_destroy(&attr), 0);
	assert_int_equal(l1.stop, stop);
	assert_true(own.attention);
	assert_int_equal(kicks, 1);
	assert_int_equal(kicks_unlocked, 0);
}

static void whoever_stops_it_holds_its_vcpus(void **state)
{
	(void)state;
	kicks_under_lock(stop_it, L1_STOP_END);
	kicks_under_lock(end_it, L1_STOP_DIED);
	kicks_under_lock(pause_it, L1_STOP_PAUSE);
}

/* What the CPU finds in NPT01; 0: nothing. */
static uint64_t mapped(uint64_t at)
{
	uint64_t table = l1.npt01.root.a;

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t entry = ((const uint64_t *)hpa_ptr(hpa(table)))[(at >> shift) & 511];

		if (!(entry & PTE_P))
			return 0;
		table = entry & PTE_ADDR;
		if (shift == 12 || (entry & PTE_PS))
			return table + (at & (BIT(shift) - 1));
	}
}

/* All of these bytes are RAM, for L0 and for the CPU; or none of them is for the CPU, and they are not for L0. */
static void assert_ram(uint64_t at, uint64_t size, bool is_ram)
{
	uint64_t host = l1.low.host.a + at;

	assert_ptr_equal(l1_ptr(&l1, l1pa(at), size), is_ram ? hpa_ptr(hpa(host)) : NULL);
	for (uint64_t page = align_down(at, PAGE_SIZE); is_ram && page < at + size; page += PAGE_SIZE)
		assert_int_equal(mapped(page), l1.low.host.a + page);
}

/* As on a PC there is no RAM from A0000h to BFFFFh. */
static void the_hole(void **state)
{
	struct plane_error error;
	const uint64_t end = GIB(1) + MIB(2);

	(void)state;
	describe(end, 1, true);
	assert_int_equal(l1_build(&l1, &error), PLANE_OK);
	for (uint64_t at = 0xA0000; at < 0xC0000; at += PAGE_SIZE) {
		assert_ram(at, 1, false);
		assert_ram(at, PAGE_SIZE, false);
		assert_int_equal(mapped(at), 0);
	}
	assert_ram(0, 0xA0000, true);
	assert_ram(0, 0xA0001, false);
	assert_ram(0, MIB(2), false);
	assert_ram(0x9FFFF, 1, true);
	assert_ram(0x9FFFC, 8, false);
	assert_ram(0xBFFFF, 1, false);
	assert_ram(0xBFFFF, 2, false);
	assert_ram(0xC0000, end - 0xC0000, true);
	assert_ram(0xC0000, end - 0xC0000 + 1, false);
	assert_ram(0xC0000, UINT64_MAX, false);
	assert_ram(end - 1, 1, true);
	assert_ram(end - 1, 2, false);
	assert_ram(end, 1, false);
	assert_ram(UINT64_MAX, 1, false);
	l1_release(&l1);
	assert_nothing_held();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_may_fail),
		cmocka_unit_test(a_bad_image),
		cmocka_unit_test(again_and_again),
		cmocka_unit_test(the_hole),
		cmocka_unit_test(whoever_stops_it_holds_its_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
