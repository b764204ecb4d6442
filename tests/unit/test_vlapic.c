/* SPDX-License-Identifier: MIT */
/* links: vdev/bus.c vdev/machine.c vdev/vcpu.c vdev/vlapic.c vdev/vlapic_ipi.c vdev/vlapic_timer.c */
/* links: vdev/vioapic.c vdev/vpic.c vdev/vpit.c vdev/vrtc.c vdev/vuart.c vdev/vpm.c vdev/vpci.c */
/* links: vdev/vreset.c vdev/vfwcfg.c tests/unit/fake_vdev.c */
/* tests/unit/test_vlapic.c - the local APIC: registers in both modes, APIC_BASE, priorities, disabling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_vdev.h"

#define MSR_APIC_BASE 0x1B
#define BASE_BSP BIT(8)
#define BASE_X2APIC BIT(10)
#define BASE_ENABLE BIT(11)

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

static bool msr_write(unsigned vcpu, uint32_t msr, uint64_t value)
{
	return machine_apic_msr_write(&h->m, vcpu, msr, value);
}

static bool msr_read(unsigned vcpu, uint32_t msr, uint64_t *value)
{
	return machine_apic_msr_read(&h->m, vcpu, msr, value);
}

static void enter_x2apic(unsigned vcpu)
{
	uint64_t base;

	assert_true(msr_read(vcpu, MSR_APIC_BASE, &base));
	assert_true(msr_write(vcpu, MSR_APIC_BASE, base | BASE_X2APIC));
	assert_true(msr_write(vcpu, 0x80F, 0x1FF));
}

static void starts_as_firmware_leaves_it(void **state)
{
	(void)state;
	assert_int_equal(fake_lapic_read(h, 0, 0x350), 0x700);
	assert_int_equal(fake_lapic_read(h, 0, 0x360), 0x400);
	assert_int_equal(fake_lapic_read(h, 0, 0xF0), 0x1FF);
	assert_int_equal(fake_lapic_read(h, 1, 0xF0), 0xFF);
	assert_int_equal(fake_lapic_read(h, 3, 0x20), 0x03000000);
	assert_int_equal(fake_lapic_read(h, 0, 0x30), 0x00050014);
	assert_int_equal(fake_lapic_read(h, 0, 0xE0), 0xFFFFFFFF);
	for (uint32_t lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		assert_int_equal(fake_lapic_read(h, 1, lvt), 0x10000);
}

static void lvt_keeps_only_its_bits(void **state)
{
	static const uint32_t expected[] = {0x700FF, 0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF};

	(void)state;
	fake_lapic_enable(h, 1);
	for (uint32_t i = 0; i < ARRAY_COUNT(expected); i++) {
		fake_lapic_write(h, 1, 0x320 + 0x10 * i, UINT32_MAX);
		assert_int_equal(fake_lapic_read(h, 1, 0x320 + 0x10 * i), expected[i]);
	}
}

static void self_ipi_is_taken_and_ended(void **state)
{
	(void)state;
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x55);
	assert_true(machine_wants_attention(&h->m, 0));
	assert_int_equal(fake_lapic_read(h, 0, 0x220), 1u << 0x15);
	assert_int_equal(fake_take(h, 0), 0x55);
	assert_int_equal(fake_lapic_read(h, 0, 0x220), 0);
	assert_int_equal(fake_lapic_read(h, 0, 0x120), 1u << 0x15);
	assert_int_equal(fake_lapic_read(h, 0, 0xA0), 0x50);
	assert_int_equal(fake_take(h, 0), -1);
	assert_false(machine_wants_attention(&h->m, 0));
	fake_eoi(h, 0);
	assert_int_equal(fake_lapic_read(h, 0, 0x120), 0);
	assert_int_equal(fake_lapic_read(h, 0, 0xA0), 0);
}

static void higher_class_interrupts_lower(void **state)
{
	(void)state;
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x41);
	assert_int_equal(fake_take(h, 0), 0x41);
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x4F); /* same class: waits */
	assert_int_equal(fake_take(h, 0), -1);
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x50);
	assert_int_equal(fake_take(h, 0), 0x50);
	fake_eoi(h, 0);
	assert_int_equal(fake_take(h, 0), -1);
	fake_eoi(h, 0);
	assert_true(machine_wants_attention(&h->m, 0));
	assert_int_equal(fake_take(h, 0), 0x4F);
}

static void tpr_holds_back_and_lets_go(void **state)
{
	(void)state;
	machine_tpr_set(&h->m, 0, 5);
	assert_int_equal(fake_lapic_read(h, 0, 0x80), 0x50);
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x5F);
	assert_int_equal(fake_take(h, 0), -1);
	assert_int_equal(fake_lapic_read(h, 0, 0x90), 0x50);
	fake_lapic_write(h, 0, 0x80, 0x4F);
	assert_int_equal(machine_tpr_get(&h->m, 0), 4);
	assert_true(machine_wants_attention(&h->m, 0));
	assert_int_equal(fake_take(h, 0), 0x5F);
}

/* Every vector, so that the summary of the sets is right in each word. */
static void all_vectors_come_highest_first(void **state)
{
	(void)state;
	for (uint32_t vector = 16; vector < 256; vector++)
		fake_lapic_write(h, 0, 0x300, 0x40000 | vector);
	for (int vector = 255; vector >= 16; vector--) {
		assert_int_equal(fake_take(h, 0), vector);
		fake_eoi(h, 0);
	}
	assert_int_equal(fake_take(h, 0), -1);
	assert_int_equal(h->m.lapic[0].irr.nonzero | h->m.lapic[0].isr.nonzero, 0);
}

static void software_disable_masks_and_refuses(void **state)
{
	(void)state;
	fake_lapic_write(h, 0, 0x320, 0x40);
	fake_lapic_write(h, 0, 0xF0, 0xFF);
	assert_int_equal(fake_lapic_read(h, 0, 0x320), 0x10040);
	fake_lapic_write(h, 0, 0x320, 0x41); /* the mask cannot be cleared now */
	assert_int_equal(fake_lapic_read(h, 0, 0x320), 0x10041);
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x55);
	assert_int_equal(fake_take(h, 0), -1);
	fake_lapic_write(h, 1, 0x300, 0x400); /* physical NMI to 0 still arrives */
	assert_true(machine_nmi_take(&h->m, 0));
}

static void bad_vectors_are_errors(void **state)
{
	(void)state;
	fake_lapic_write(h, 0, 0x370, 0x66);
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x0F);
	assert_int_equal(fake_lapic_read(h, 0, 0x280), 0); /* not before ESR is written */
	fake_lapic_write(h, 0, 0x280, 0);
	assert_int_equal(fake_lapic_read(h, 0, 0x280), BIT32(5));
	assert_int_equal(fake_take(h, 0), 0x66);
	fake_lapic_write(h, 0, 0x280, 0);
	assert_int_equal(fake_lapic_read(h, 0, 0x280), 0);
	fake_lapic_read(h, 0, 0x3F0);
	fake_lapic_write(h, 0, 0x280, 0);
	assert_int_equal(fake_lapic_read(h, 0, 0x280), BIT32(7));
}

/* An error entry with a bad vector is an error again; it must come to rest. */
static void error_entry_with_bad_vector_comes_to_rest(void **state)
{
	(void)state;
	fake_lapic_write(h, 0, 0x370, 0x03);
	fake_lapic_write(h, 0, 0x300, 0x40000 | 0x02);
	fake_lapic_write(h, 0, 0x280, 0);
	assert_int_equal(fake_lapic_read(h, 0, 0x280), BIT32(5) | BIT32(6));
}

static void apic_base_transitions(void **state)
{
	static const uint64_t modes[] = {0, BASE_X2APIC, BASE_ENABLE, BASE_ENABLE | BASE_X2APIC};
	/* rows: from disabled, (not reachable), xAPIC, x2APIC; columns: to modes[] */
	static const bool legal[4][4] = {
		{true, false, true, false}, {0}, {true, false, true, true}, {true, false, false, true}};

	(void)state;
	for (unsigned from = 0; from < 4; from++) {
		for (unsigned to = 0; to < 4; to++) {
			if (from == 1)
				continue;
			h->m.lapic[1].base = LAPIC_GPA | modes[from];
			assert_int_equal(msr_write(1, MSR_APIC_BASE, LAPIC_GPA | modes[to]),
					 legal[from][to]);
		}
	}
}

static void apic_base_reserved_bits(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		bool reserved = bit < 8 || bit == 9 || bit >= 52;

		if (reserved)
			assert_false(msr_write(0, MSR_APIC_BASE, LAPIC_GPA | BASE_ENABLE | BIT(bit)));
	}
}

static void disabled_apic_is_gone_and_fresh_afterwards(void **state)
{
	uint64_t value;

	(void)state;
	fake_lapic_write(h, 0, 0x80, 0x30);
	assert_true(msr_write(0, MSR_APIC_BASE, LAPIC_GPA | BASE_BSP));
	assert_false(machine_apic_enabled(&h->m, 0));
	assert_int_equal(fake_lapic_read(h, 0, 0x30), UINT32_MAX);
	assert_false(msr_read(0, 0x802, &value));
	assert_true(msr_write(0, MSR_APIC_BASE, LAPIC_GPA | BASE_BSP | BASE_ENABLE));
	assert_int_equal(fake_lapic_read(h, 0, 0x80), 0);
	assert_int_equal(fake_lapic_read(h, 0, 0xF0), 0xFF);
}

static void apic_page_moves(void **state)
{
	const uint64_t elsewhere = UINT64_C(0xFED00000);

	(void)state;
	assert_false(machine_mmio_claims(&h->m, elsewhere));
	assert_true(msr_write(2, MSR_APIC_BASE, elsewhere | BASE_ENABLE));
	assert_true(machine_mmio_claims(&h->m, elsewhere + 0xFFF));
	assert_int_equal(machine_mmio_read(&h->m, 2, elsewhere + 0x20, 4), 0x02000000);
	assert_int_equal(fake_lapic_read(h, 2, 0x20), UINT32_MAX);
}

/* Which MSR of 0x800-0x8FF can be read, and which written with 0. */
static void x2apic_msr_map(void **state)
{
	(void)state;
	enter_x2apic(3);
	for (uint32_t msr = 0x800; msr <= 0x8FF; msr++) {
		bool vectors = msr >= 0x810 && msr <= 0x827, lvt = msr >= 0x832 && msr <= 0x837;
		bool both = msr == 0x808 || msr == 0x80F || msr == 0x828 || msr == 0x830 ||
			    msr == 0x838 || msr == 0x83E || lvt;
		bool read_only = msr == 0x802 || msr == 0x803 || msr == 0x809 || msr == 0x80A ||
				 msr == 0x80C || msr == 0x80D || msr == 0x839 || vectors;
		bool write_only = msr == 0x80B || msr == 0x83F;
		uint64_t value;

		assert_int_equal(msr_read(3, msr, &value), both || read_only);
		assert_int_equal(msr_write(3, msr, 0), both || write_only);
		assert_false(msr_write(3, msr, UINT64_C(1) << 32) && msr != 0x830);
	}
}

static void x2apic_refuses_reserved_values(void **state)
{
	(void)state;
	assert_false(msr_write(0, 0x80B, 0)); /* not in x2APIC mode yet */
	enter_x2apic(0);
	assert_false(msr_write(0, 0x80B, 1));
	assert_false(msr_write(0, 0x828, 1));
	assert_false(msr_write(0, 0x808, 0x100));
	assert_false(msr_write(0, 0x83F, 0x100));
	assert_int_equal(fake_lapic_read(h, 0, 0x20), UINT32_MAX); /* no page in this mode */
}

static void x2apic_ids_and_self_ipi(void **state)
{
	uint64_t value;

	(void)state;
	enter_x2apic(3);
	assert_true(msr_read(3, 0x802, &value));
	assert_int_equal(value, 3);
	assert_true(msr_read(3, 0x80D, &value));
	assert_int_equal(value, 1u << 3);
	assert_true(msr_write(3, 0x83F, 0x77));
	assert_int_equal(fake_take(h, 3), 0x77);
	assert_true(msr_write(3, 0x80B, 0));
	assert_true(msr_write(3, 0x830, UINT64_C(3) << 32 | 0x78));
	assert_true(msr_read(3, 0x830, &value));
	assert_true(value == (UINT64_C(3) << 32 | 0x78));
	assert_int_equal(fake_take(h, 3), 0x78);
}

static void narrow_and_odd_accesses(void **state)
{
	(void)state;
	fake_lapic_write(h, 0, 0x80, 0x2A);
	assert_int_equal(machine_mmio_read(&h->m, 0, LAPIC_GPA + 0x80, 1), 0x2A);
	assert_int_equal(machine_mmio_read(&h->m, 0, LAPIC_GPA + 0x81, 1), 0);
	assert_int_equal(machine_mmio_read(&h->m, 0, LAPIC_GPA + 0x32, 2), 0x0005);
	assert_int_equal(machine_mmio_read(&h->m, 0, LAPIC_GPA + 0x84, 4), 0);
	assert_int_equal(machine_mmio_read(&h->m, 0, LAPIC_GPA + 0x80, 8), 0x2A);
	machine_mmio_write(&h->m, 0, LAPIC_GPA + 0x84, 0x99, 4);
	assert_int_equal(fake_lapic_read(h, 0, 0x80), 0x2A);
}

static void init_resets_registers_but_not_the_base(void **state)
{
	(void)state;
	enter_x2apic(1);
	assert_true(msr_write(1, 0x83F, 0x55));
	machine_vcpu_reset(&h->m, 1);
	assert_int_equal(fake_take(h, 1), -1);
	assert_true((h->m.lapic[1].base & BASE_X2APIC) != 0);
	assert_int_equal(h->m.lapic[1].svr, 0xFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(starts_as_firmware_leaves_it),
		TEST(lvt_keeps_only_its_bits),
		TEST(self_ipi_is_taken_and_ended),
		TEST(higher_class_interrupts_lower),
		TEST(tpr_holds_back_and_lets_go),
		TEST(all_vectors_come_highest_first),
		TEST(software_disable_masks_and_refuses),
		TEST(bad_vectors_are_errors),
		TEST(error_entry_with_bad_vector_comes_to_rest),
		TEST(apic_base_transitions),
		TEST(apic_base_reserved_bits),
		TEST(disabled_apic_is_gone_and_fresh_afterwards),
		TEST(apic_page_moves),
		TEST(x2apic_msr_map),
		TEST(x2apic_refuses_reserved_values),
		TEST(x2apic_ids_and_self_ipi),
		TEST(narrow_and_odd_accesses),
		TEST(init_resets_registers_but_not_the_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
