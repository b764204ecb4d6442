/* SPDX-License-Identifier: MIT */
/* tests/unit/check_bits.h - flips every bit of a legal VMCB12, one at a time, and compares the rule that fires with a
 * table. What the table does not name must be accepted. */
#ifndef CHECK_BITS_H
#define CHECK_BITS_H

#include "nested/check_rules.h"

/* These bits of the 64-bit word at that offset, when flipped, make this rule fire. */
struct bit_rule {
	size_t offset;
	uint64_t bits;
	enum vmrun_reason reason;
};

/* An L1 with 40 physical address bits. */
#define CHECK_EFER_MBZ (~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSR))
#define CHECK_CR4_MBZ (~(BITS(11, 0) | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP))
extern const struct nested_caps check_caps;

struct vmcb12 check_long_mode_snap(void); /* 64-bit, nested paging, an interrupt injected */
struct vmcb12 check_pae_snap(void);       /* 32-bit PAE, no nested paging */

void check_every_bit(const struct vmcb12 *legal, enum vmrun_reason (*check)(const struct vmcb12 *),
		     const struct bit_rule *rules, size_t rule_count);

#endif
