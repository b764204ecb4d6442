/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vlapic_ipi.c - messages between local APICs: destinations, delivery modes, INIT and SIPI. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_vdev.h"

static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	h = fake_vdev_new(6);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(h);
	return 0;
}

static void send(unsigned from, uint32_t dest, uint32_t icr)
{
	fake_lapic_write(h, from, 0x310, dest << 24);
	fake_lapic_write(h, from, 0x300, icr);
}

/* Bit n: vCPU n has got a fixed interrupt, which is taken and ended here. */
static unsigned receivers(int vector)
{
	unsigned set = 0;

	for (unsigned i = 0; i < 6; i++) {
		if (machine_irq_pending(&h->m, i) != vector)
			continue;
		assert_int_equal(machine_irq_ack(&h->m, i), vector);
		fake_eoi(h, i);
		set |= 1u << i;
	}
	return set;
}

static void enable_all(void)
{
	for (unsigned i = 0; i < 6; i++)
		fake_lapic_enable(h, i);
}

static void physical_destinations(void **state)
{
	(void)state;
	enable_all();
	send(0, 3, 0x50);
	assert_int_equal(receivers(0x50), 1u << 3);
	send(5, 0, 0x51);
	assert_int_equal(receivers(0x51), 1u << 0);
	send(0, 0xFF, 0x52);
	assert_int_equal(receivers(0x52), 0x3F);
	send(0, 9, 0x53);
	assert_int_equal(receivers(0x53), 0);
}

static void shorthands(void **state)
{
	(void)state;
	enable_all();
	send(2, 0, 0x40000 | 0x50);
	assert_int_equal(receivers(0x50), 1u << 2);
	send(2, 0, 0x80000 | 0x51);
	assert_int_equal(receivers(0x51), 0x3F);
	send(2, 0, 0xC0000 | 0x52);
	assert_int_equal(receivers(0x52), 0x3B);
}

static void logical_flat(void **state)
{
	(void)state;
	enable_all();
	for (unsigned i = 0; i < 6; i++)
		fake_lapic_write(h, i, 0xD0, 1u << (24 + i));
	send(0, 0x2A, 0x800 | 0x50);
	assert_int_equal(receivers(0x50), 0x2A);
	send(0, 0xFF, 0x800 | 0x51);
	assert_int_equal(receivers(0x51), 0x3F);
}

static void logical_cluster(void **state)
{
	(void)state;
	enable_all();
	for (unsigned i = 0; i < 6; i++) {
		fake_lapic_write(h, i, 0xE0, 0x0FFFFFFF);
		fake_lapic_write(h, i, 0xD0, (i / 4) << 28 | 1u << (24 + i % 4));
	}
	send(0, 0x0C, 0x800 | 0x50);
	assert_int_equal(receivers(0x50), 0x0C);
	send(0, 0x13, 0x800 | 0x51);
	assert_int_equal(receivers(0x51), 0x30);
}

static void x2apic_destinations(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		uint64_t base;

		assert_true(machine_apic_msr_read(&h->m, i, 0x1B, &base));
		assert_true(machine_apic_msr_write(&h->m, i, 0x1B, base | BIT(10)));
		assert_true(machine_apic_msr_write(&h->m, i, 0x80F, 0x1FF));
	}
	assert_true(machine_apic_msr_write(&h->m, 0, 0x830, UINT64_C(4) << 32 | 0x50));
	assert_int_equal(machine_irq_ack(&h->m, 4), 0x50);
	assert_true(machine_apic_msr_write(&h->m, 0, 0x830, UINT64_C(0x0000002C) << 32 | 0x860));
	assert_int_equal(machine_irq_pending(&h->m, 2), 0x60);
	assert_int_equal(machine_irq_pending(&h->m, 3), 0x60);
	assert_int_equal(machine_irq_pending(&h->m, 5), 0x60);
	assert_int_equal(machine_irq_pending(&h->m, 1), -1);
	assert_true(machine_apic_msr_write(&h->m, 0, 0x830, UINT64_C(0x00010002) << 32 | 0x861));
	assert_int_equal(machine_irq_pending(&h->m, 1), -1); /* another cluster */
	assert_true(machine_apic_msr_write(&h->m, 0, 0x830, UINT64_C(0xFFFFFFFF) << 32 | 0x70));
	assert_int_equal(machine_irq_pending(&h->m, 1), 0x70);
	/* 0xFF is an ordinary ID here, not everybody. */
	assert_true(machine_apic_msr_write(&h->m, 0, 0x830, UINT64_C(0xFF) << 32 | 0x80));
	assert_int_equal(machine_irq_pending(&h->m, 1), 0x70);
}

static void lowest_priority_goes_to_one(void **state)
{
	(void)state;
	enable_all();
	for (unsigned i = 0; i < 6; i++)
		fake_lapic_write(h, i, 0x80, i == 4 ? 0x10 : 0x20);
	send(0, 0xFF, 0x100 | 0x50);
	assert_int_equal(receivers(0x50), 1u << 4);
	fake_lapic_write(h, 4, 0xF0, 0xFF); /* software-disabled: not a candidate */
	fake_lapic_write(h, 5, 0x80, 0x10);
	send(0, 0xFF, 0x100 | 0x51);
	assert_int_equal(receivers(0x51), 1u << 5);
}

static void nmi_is_latched_once(void **state)
{
	(void)state;
	send(0, 1, 0x400);
	send(0, 1, 0x400);
	assert_true(machine_wants_attention(&h->m, 1));
	assert_int_equal(h->kick_count[1], 2);
	assert_true(machine_nmi_take(&h->m, 1));
	assert_false(machine_nmi_take(&h->m, 1));
	assert_false(machine_wants_attention(&h->m, 1));
}

/* What Linux sends to start a CPU: INIT, INIT level de-assert, SIPI, SIPI. */
static void linux_start_sequence(void **state)
{
	uint8_t vector = 0;

	(void)state;
	send(0, 1, 0xC500); /* it waits since power-on: nothing to tell it */
	send(0, 1, 0x8500);
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_NONE);
	send(0, 1, 0x699);
	send(0, 1, 0x69A);
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_SIPI);
	assert_int_equal(vector, 0x99);
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_NONE);
}

/* The target had no time to look between the two. */
static void sipi_right_behind_init_is_kept(void **state)
{
	uint8_t vector = 0;

	(void)state;
	h->m.lapic[1].wait_sipi = false; /* it runs */
	send(0, 1, 0x699);
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_NONE);
	send(0, 1, 0x4500);
	send(0, 1, 0x688);
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_INIT);
	machine_vcpu_reset(&h->m, 1);
	assert_true(machine_wants_attention(&h->m, 1));
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_SIPI);
	assert_int_equal(vector, 0x88);
}

static void second_init_waits_for_a_new_sipi(void **state)
{
	uint8_t vector = 0;

	(void)state;
	send(0, 1, 0x699);
	send(0, 1, 0xC500); /* before the first was taken */
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_INIT);
	machine_vcpu_reset(&h->m, 1);
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_NONE);
	send(0, 1, 0x677);
	assert_int_equal(machine_signal_take(&h->m, 1, &vector), VCPU_SIGNAL_SIPI);
	assert_int_equal(vector, 0x77);
}

static void boot_processor_does_not_wait_for_sipi(void **state)
{
	uint8_t vector = 0;

	(void)state;
	send(1, 0, 0x4500);
	assert_int_equal(machine_signal_take(&h->m, 0, &vector), VCPU_SIGNAL_INIT);
	machine_vcpu_reset(&h->m, 0);
	send(1, 0, 0x699);
	assert_int_equal(machine_signal_take(&h->m, 0, &vector), VCPU_SIGNAL_NONE);
}

static void remote_read_answers_in_rrd(void **state)
{
	(void)state;
	fake_lapic_write(h, 2, 0x80, 0x33);
	send(0, 2, 0x300 | 0x08);
	assert_int_equal(fake_lapic_read(h, 0, 0x300) >> 16 & 3, 2);
	assert_int_equal(fake_lapic_read(h, 0, 0xC0), 0x33);
	send(0, 77, 0x300 | 0x08);
	assert_int_equal(fake_lapic_read(h, 0, 0x300) >> 16 & 3, 0);
}

/* No ICR value may do more than set pending bits: all modes, shorthands and bad vectors. */
static void every_icr_low_word_is_harmless(void **state)
{
	(void)state;
	enable_all();
	for (uint32_t icr = 0; icr < 0x100000; icr += 7)
		send(icr % 6, icr / 7 % 256, icr);
	assert_int_equal(h->end, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(physical_destinations),
		TEST(shorthands),
		TEST(logical_flat),
		TEST(logical_cluster),
		TEST(x2apic_destinations),
		TEST(lowest_priority_goes_to_one),
		TEST(nmi_is_latched_once),
		TEST(linux_start_sequence),
		TEST(sipi_right_behind_init_is_kept),
		TEST(second_init_waits_for_a_new_sipi),
		TEST(boot_processor_does_not_wait_for_sipi),
		TEST(remote_read_answers_in_rrd),
		TEST(every_icr_low_word_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
