/* SPDX-License-Identifier: MIT */
/* links: nested/pause.c */
/* links: nested/route.c nested/msrpm12.c nested/iopm12.c tests/unit/fake_l1.c */
/* tests/unit/test_route.c - every exit of L2 is somebody's: an answer for each 64-bit code, L1 for what it asked for
 * and nothing else; MSR and I/O accesses by L1's maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/exitcode.h>
#include <amd/msr.h>

#include "nested/nested.h"
#include "tests/unit/fake_l1.h"

#define MSRPM 0x10000
#define IOPM 0x20000

static struct port *l1;
static struct nested n;
static struct vmcb vmcb02;

static int setup(void **state)
{
	(void)state;
	l1 = fake_l1_new(MIB(1));
	memset(&n, 0, sizeof(n));
	memset(&vmcb02, 0, sizeof(vmcb02));
	n.in_l2 = true;
	n.snap.control.msrpm_base = MSRPM;
	n.snap.control.iopm_base = IOPM;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_l1_free(l1);
	return 0;
}

static enum route route(uint64_t code)
{
	vmcb02.control.exitcode = code;
	return nested_route(&n, l1, &vmcb02, MSR_EFER);
}

/* What is about the real machine: physical events, the window that is L0's V_IRQ, our own page tables. */
static bool is_machines(uint64_t code)
{
	return (code >= VMEXIT_INTR && code <= VMEXIT_VINTR) || code == VMEXIT_NPF;
}

static void set_all_intercepts(uint32_t value)
{
	memset(n.snap.control.intercept, (int)value, sizeof(n.snap.control.intercept));
}

static void l1_gets_what_it_intercepts(void **state)
{
	(void)state;
	l1->ram[MSRPM + 0x800 + (MSR_EFER & 0x1FFF) / 4] = 0xFF;
	memset(l1->ram + IOPM, 0xFF, IOPM_SIZE);
	for (uint64_t code = 0; code < VMEXIT_INTERCEPT_END; code++) {
		uint32_t *word = &n.snap.control.intercept[code / 32];

		*word = BIT32(code % 32);
		assert_true(nested_intercepts(&n, code));
		assert_int_equal(route(code), is_machines(code) ? ROUTE_L0 : ROUTE_L1);
		set_all_intercepts(UINT32_MAX);
		*word = ~BIT32(code % 32);
		assert_false(nested_intercepts(&n, code));
		assert_int_equal(route(code), ROUTE_L0);
		set_all_intercepts(0);
	}
}

/* Codes without an intercept bit, known or not: never L1's by themselves, never undecided. */
static void every_other_code_is_ours(void **state)
{
	static const uint64_t codes[] = {
		VMEXIT_NPF, 0x401, 0x402, 0x403, 0xF0000000, VMEXIT_INVALID, VMEXIT_INVALID - 1, VMEXIT_INVALID - 2,
		VMEXIT_INVALID - 3, UINT64_C(0xFFFFFFFF), BIT(32), BIT(32) | VMEXIT_VMMCALL, BIT(63),
	};

	(void)state;
	set_all_intercepts(UINT32_MAX);
	for (uint64_t code = VMEXIT_INTERCEPT_END; code < 0x10000; code++)
		assert_int_equal(route(code), ROUTE_L0);
	for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
		assert_int_equal(route(codes[i]), ROUTE_L0);
		assert_false(nested_intercepts(&n, codes[i]));
	}
	for (unsigned bit = 8; bit < 64; bit++)
		assert_int_equal(route(BIT(bit) | VMEXIT_HLT), ROUTE_L0);
}

/* --- MSRs --- */

static enum route route_msr(uint32_t msr, uint64_t info1)
{
	vmcb02.control.exitcode = VMEXIT_MSR;
	vmcb02.control.exitinfo1 = info1;
	return nested_route(&n, l1, &vmcb02, msr);
}

static void msr_by_map_and_direction(void **state)
{
	uint8_t *efer = l1->ram + MSRPM + 0x800 + (MSR_EFER & 0x1FFF) / 4;

	(void)state;
	n.snap.control.intercept[ICPT_MISC1] = ICPT1_MSR;
	assert_int_equal(route_msr(MSR_EFER, 0), ROUTE_L0);
	assert_int_equal(route_msr(MSR_EFER, 1), ROUTE_L0);
	*efer = 1u << 2 * (MSR_EFER % 4);
	assert_int_equal(route_msr(MSR_EFER, 0), ROUTE_L1);
	assert_int_equal(route_msr(MSR_EFER, 1), ROUTE_L0);
	*efer = 2u << 2 * (MSR_EFER % 4);
	assert_int_equal(route_msr(MSR_EFER, 0), ROUTE_L0);
	assert_int_equal(route_msr(MSR_EFER, 1), ROUTE_L1);
	*efer = 0;
	assert_int_equal(route_msr(0x4000, 0), ROUTE_L1); /* no map covers it: always an exit (APM2 15.11) */
	assert_int_equal(route_msr(UINT32_MAX, 1), ROUTE_L1);
	n.snap.control.intercept[ICPT_MISC1] = 0;
	memset(l1->ram + MSRPM, 0xFF, MSRPM_SIZE);
	assert_int_equal(route_msr(MSR_EFER, 0), ROUTE_L0);
	assert_int_equal(route_msr(0x4000, 0), ROUTE_L0);
}

/* --- ports --- */

static enum route route_io(uint16_t port_number, uint64_t size_bit)
{
	vmcb02.control.exitcode = VMEXIT_IOIO;
	vmcb02.control.exitinfo1 = (uint64_t)port_number << IOIO_PORT_SHIFT | size_bit;
	return nested_route(&n, l1, &vmcb02, 0);
}

/* Any port that the access touches counts, those past FFFFh too. */
static void io_by_every_port_touched(void **state)
{
	(void)state;
	n.snap.control.intercept[ICPT_MISC1] = ICPT1_IOIO;
	l1->ram[IOPM + 0x60 / 8] = 1u << 3; /* port 63h */
	assert_int_equal(route_io(0x63, IOIO_SZ8), ROUTE_L1);
	assert_int_equal(route_io(0x62, IOIO_SZ8), ROUTE_L0);
	assert_int_equal(route_io(0x62, IOIO_SZ16), ROUTE_L1);
	assert_int_equal(route_io(0x61, IOIO_SZ16), ROUTE_L0);
	assert_int_equal(route_io(0x60, IOIO_SZ32), ROUTE_L1);
	assert_int_equal(route_io(0x5F, IOIO_SZ32), ROUTE_L0);
	assert_int_equal(route_io(0x64, IOIO_SZ32), ROUTE_L0);
	l1->ram[IOPM + 0x2000] = 1u << 2; /* port 10002h */
	assert_int_equal(route_io(0xFFFF, IOIO_SZ32), ROUTE_L1);
	assert_int_equal(route_io(0xFFFE, IOIO_SZ32), ROUTE_L0);
	n.snap.control.intercept[ICPT_MISC1] = 0;
	assert_int_equal(route_io(0x63, IOIO_SZ8), ROUTE_L0);
}

/* A map that is not there reads as all ones. */
static void maps_outside_memory_intercept_all(void **state)
{
	(void)state;
	set_all_intercepts(UINT32_MAX);
	n.snap.control.msrpm_base = n.snap.control.iopm_base = MIB(1);
	assert_int_equal(route_msr(MSR_EFER, 0), ROUTE_L1);
	assert_int_equal(route_io(0x60, IOIO_SZ8), ROUTE_L1);
	n.snap.control.iopm_base = MIB(1) - 2 * PAGE_SIZE; /* only the third page is missing */
	assert_int_equal(route_io(0xFFFC, IOIO_SZ32), ROUTE_L0);
	assert_int_equal(route_io(0xFFFD, IOIO_SZ32), ROUTE_L1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(l1_gets_what_it_intercepts, setup, teardown),
		cmocka_unit_test_setup_teardown(every_other_code_is_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(msr_by_map_and_direction, setup, teardown),
		cmocka_unit_test_setup_teardown(io_by_every_port_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(maps_outside_memory_intercept_all, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
