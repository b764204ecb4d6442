/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vbus.c - ports and addresses: what is there, what is not, odd widths, and no input that hurts. */
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
	h = fake_vdev_new(4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(h);
	return 0;
}

static uint32_t in(uint16_t port, unsigned size)
{
	return machine_io_read(&h->m, 0, port, size);
}

static void nothing_there_reads_as_ones(void **state)
{
	(void)state;
	assert_int_equal(in(0x80, 1), 0xFF);
	assert_int_equal(in(0x1F0, 2), 0xFFFF);
	assert_true(in(0x1F0, 4) == UINT32_MAX);
	assert_true(in(0xFFFF, 4) == UINT32_MAX); /* ends beyond the last port */
	machine_io_write(&h->m, 0, 0xFFFF, 0, 4);
	assert_true(machine_mmio_read(&h->m, 0, 0xD0000000, 4) == UINT32_MAX);
	assert_true(machine_mmio_read(&h->m, 0, 0xA0000, 8) == UINT64_MAX);
	assert_int_equal(machine_mmio_read(&h->m, 0, 0xBFFFF, 1), 0xFF);
	assert_false(machine_mmio_claims(&h->m, 0xFEE01000));
	assert_false(machine_mmio_claims(&h->m, 0xFEBFFFFF));
}

static void pci_is_empty(void **state)
{
	(void)state;
	machine_io_write(&h->m, 0, 0xCF8, 0x80000000, 4);
	assert_true(in(0xCF8, 4) == 0x80000000);
	assert_true(in(0xCFC, 4) == UINT32_MAX);
	assert_int_equal(in(0xCFE, 2), 0xFFFF);
	machine_io_write(&h->m, 0, 0xCFB, 0x01, 1); /* how Linux probes; not a reset */
	assert_int_equal(h->end, 0);
}

static void fw_cfg_keys(void **state)
{
	(void)state;
	machine_io_write(&h->m, 0, 0x510, 0x00, 2);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(in(0x511, 1), "QEMU"[i]);
	machine_io_write(&h->m, 0, 0x510, 0x05, 2);
	assert_int_equal(in(0x511, 1), 4);
	assert_int_equal(in(0x511, 1), 0);
	machine_io_write(&h->m, 0, 0x510, 0x03, 2);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(in(0x511, 1), i == 3 ? 0xC0 : 0);
	machine_io_write(&h->m, 0, 0x510, 0x19, 2); /* no such key */
	assert_int_equal(in(0x511, 1), 0);
}

static void wide_access_spans_byte_registers(void **state)
{
	(void)state;
	machine_io_write(&h->m, 0, 0x20, 0xAA0B, 2); /* command and mask of the PIC */
	assert_int_equal(in(0x21, 1), 0xAA);
	assert_true(in(0x20, 4) == 0xFFFFAA00);
}

/* --- any input --- */

static uint64_t random_state = 88172645463325252u;

static uint32_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static void set_is_consistent(const struct vector_set *s)
{
	for (unsigned i = 0; i < VECTOR_WORDS; i++)
		assert_int_equal(s->word[i] != 0, (s->nonzero >> i & 1) != 0);
	assert_int_equal(s->nonzero >> VECTOR_WORDS, 0);
}

static void random_access(unsigned vcpu)
{
	static const uint16_t ports[] = {0x20, 0x21, 0xA0, 0xA1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70,
		0x71, 0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x3FD, 0x3FE, 0x4D0, 0x4D1, 0x600, 0x601,
		0x602, 0x604, 0x605, 0x608, 0x510, 0x511, 0xCF8, 0xCFC, 0x64, 0x92};
	static const unsigned sizes[] = {1, 2, 4, 8};
	uint16_t port = ports[rnd() % ARRAY_COUNT(ports)];
	uint64_t gpa = (rnd() % 4 == 0 ? IOAPIC_GPA : LAPIC_GPA) + rnd() % 0x400, value = rnd();
	uint64_t scratch;
	unsigned size = sizes[rnd() % 3];

	switch (rnd() % 8) {
	case 0: in(port, size); break;
	case 1:
	case 2: machine_io_write(&h->m, vcpu, port, rnd(), size); break;
	case 3: machine_mmio_read(&h->m, vcpu, gpa, sizes[rnd() % 4]); break;
	case 4:
	case 5: machine_mmio_write(&h->m, vcpu, gpa & ~0xFull, rnd(), sizes[rnd() % 4]); break;
	case 6:
		machine_apic_msr_write(&h->m, vcpu, rnd() % 9 == 0 ? 0x1B : 0x800 + rnd() % 0x100,
				       rnd() % 3 == 0 ? value | 0xC00 : value & 0xFFFFF);
		break;
	default:
		machine_apic_msr_read(&h->m, vcpu, 0x800 + rnd() % 0x100, &scratch);
		machine_tsc_deadline_write(&h->m, vcpu, rnd(), rnd());
		machine_console_in(&h->m, (uint8_t)rnd());
	}
}

/* What must hold after every step, whatever the guest did. */
static void check_vcpu(unsigned vcpu)
{
	uint8_t sipi_vector;
	bool attention = machine_wants_attention(&h->m, vcpu);
	int vector = machine_irq_pending(&h->m, vcpu);

	assert_true(attention || vector < 0);
	if (vector >= 0 && rnd() % 2 == 0)
		assert_int_equal(machine_irq_ack(&h->m, vcpu), vector);
	machine_nmi_take(&h->m, vcpu);
	if (machine_signal_take(&h->m, vcpu, &sipi_vector) == VCPU_SIGNAL_INIT)
		machine_vcpu_reset(&h->m, vcpu);
	set_is_consistent(&h->m.lapic[vcpu].irr);
	set_is_consistent(&h->m.lapic[vcpu].isr);
	set_is_consistent(&h->m.lapic[vcpu].tmr);
}

static void no_input_hurts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		random_access(rnd() % 4);
		check_vcpu(rnd() % 4);
		if (rnd() % 16 == 0)
			assert_true(fake_vdev_run(h, rnd() % 2000000));
		if (rnd() % 5000 == 0)
			assert_true(fake_vdev_run(h, NS_PER_S * 5));
	}
}

/* A machine is a value: its copy goes on by itself and does the same. */
static void a_copy_behaves_alike(void **state)
{
	struct machine *copy = malloc(sizeof(*copy));

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		random_access(rnd() % 4);
	memcpy(copy, &h->m, sizeof(*copy));
	for (uint16_t reg = 0x20; reg < 0x400; reg = (uint16_t)(reg + 0x10))
		assert_int_equal(machine_mmio_read(copy, 1, LAPIC_GPA + reg, 4),
				 fake_lapic_read(h, 1, reg));
	assert_memory_equal(copy, &h->m, sizeof(*copy));
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(nothing_there_reads_as_ones),
		TEST(pci_is_empty),
		TEST(fw_cfg_keys),
		TEST(wide_access_spans_byte_registers),
		TEST(no_input_hurts),
		TEST(a_copy_behaves_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
