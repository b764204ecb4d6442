/* SPDX-License-Identifier: MIT */
/* tests/unit/check_bits.c - see check_bits.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amd/cpu.h>
#include <amd/msr.h>

#include "tests/unit/check_bits.h"

const struct nested_caps check_caps = {
	.phys_mbz = BITS(63, 40),
	.pdpte_mbz = PDPTE_MBZ | BITS(63, 40),
	.efer_mbz = CHECK_EFER_MBZ,
	.cr4_mbz = CHECK_CR4_MBZ,
	.pages_1g = true,
};

struct vmcb12 check_long_mode_snap(void)
{
	struct vmcb12 snap;

	memset(&snap, 0, sizeof(snap));
	snap.control.intercept[ICPT_MISC1] = ICPT1_MSR | ICPT1_IOIO;
	snap.control.intercept[ICPT_MISC2] = ICPT2_VMRUN;
	snap.control.asid = 1;
	snap.control.misc = MISC_NP;
	snap.control.ncr3 = 0x5000;
	snap.control.msrpm_base = 0x8000;
	snap.control.iopm_base = 0x10000;
	snap.control.eventinj = EVENT_V | 0x20;
	snap.save.efer = EFER_SVME | EFER_LME | EFER_LMA;
	snap.save.cr0 = CR0_PE | CR0_PG | CR0_WP;
	snap.save.cr3 = 0x7000;
	snap.save.cr4 = CR4_PAE;
	snap.save.dr6 = DR6_FIXED;
	snap.save.dr7 = DR7_FIXED;
	snap.save.cs.attr = SEG_L | SEG_P | SEG_S;
	snap.save.rflags = RFLAGS_FIXED;
	snap.save.g_pat = PAT_RESET;
	return snap;
}

struct vmcb12 check_pae_snap(void)
{
	struct vmcb12 snap = check_long_mode_snap();

	snap.control.misc = 0;
	snap.save.efer = EFER_SVME;
	snap.save.cs.attr = SEG_D | SEG_P | SEG_S;
	return snap;
}

static enum vmrun_reason expected(size_t byte, unsigned bit, const struct bit_rule *rules, size_t rule_count)
{
	for (size_t i = 0; i < rule_count; i++) {
		size_t at = byte - rules[i].offset;

		if (byte >= rules[i].offset && at < sizeof(uint64_t) && (rules[i].bits >> (at * 8 + bit) & 1))
			return rules[i].reason;
	}
	return REASON_NONE;
}

void check_every_bit(const struct vmcb12 *legal, enum vmrun_reason (*check)(const struct vmcb12 *),
		     const struct bit_rule *rules, size_t rule_count)
{
	struct vmcb12 snap = *legal;
	uint8_t *bytes = (uint8_t *)&snap;

	assert_int_equal(check(&snap), REASON_NONE);
	for (size_t byte = 0; byte < sizeof(snap); byte++)
		for (unsigned bit = 0; bit < 8; bit++) {
			enum vmrun_reason want = expected(byte, bit, rules, rule_count), got;

			bytes[byte] ^= (uint8_t)(1u << bit);
			got = check(&snap);
			bytes[byte] ^= (uint8_t)(1u << bit);
			if (got != want)
				fail_msg("VMCB12 byte %03zX bit %u: %s instead of %s", byte, bit,
					 vmrun_reason_name(got), vmrun_reason_name(want));
		}
}
