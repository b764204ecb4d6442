/* SPDX-License-Identifier: MIT */
/* tests/unit/strict_rules.c - removes rules from nested/: the linker puts these __wrap_ functions between its files,
 * and they leave out what the test wants left out. See strict_l0.h for the list; what is svm/'s to do is in
 * strict_l0.c. */
#include "tests/unit/strict_l0.h"

void __real_tlb02_flush_all(struct tlb02 *tlb02);
void __wrap_tlb02_flush_all(struct tlb02 *tlb02);
void __wrap_tlb02_flush_all(struct tlb02 *tlb02)
{
	if (strict_removed != RULE_ALL_TLB)
		__real_tlb02_flush_all(tlb02);
}

bool __real_tlb02_renew(struct tlb02 *tlb02, uint32_t asid);
bool __wrap_tlb02_renew(struct tlb02 *tlb02, uint32_t asid);
bool __wrap_tlb02_renew(struct tlb02 *tlb02, uint32_t asid)
{
	return __real_tlb02_renew(tlb02, asid) && strict_removed != RULE_RENEW;
}

bool __real_npt02_is_outdated(const struct npt02 *npt02, uint32_t asid12);
bool __wrap_npt02_is_outdated(const struct npt02 *npt02, uint32_t asid12);
bool __wrap_npt02_is_outdated(const struct npt02 *npt02, uint32_t asid12)
{
	return __real_npt02_is_outdated(npt02, asid12) && strict_removed != RULE_OUTDATED;
}

/* Who asks: INVLPGA (L1 runs, VMCB12 not looked at), VMRUN by its TLB_CONTROL, or the exit of an L2. */
void __real_tlb02_flush_asid12(struct tlb02 *tlb02, uint32_t asid12);
void __wrap_tlb02_flush_asid12(struct tlb02 *tlb02, uint32_t asid12);
void __wrap_tlb02_flush_asid12(struct tlb02 *tlb02, uint32_t asid12)
{
	uint8_t control = strict_current->rig->n.snap.control.tlb_control;

	if (strict_removed == RULE_EXIT_BEFORE_ENTRY && strict_current->rig->n.in_l2)
		return;
	if (strict_removed == RULE_ASID_TLB && control == TLB_CONTROL_ASID)
		return;
	if (strict_removed == RULE_NON_GLOBAL_TLB && control == TLB_CONTROL_ASID_NON_GLOBAL)
		return;
	__real_tlb02_flush_asid12(tlb02, asid12);
}

void __real_npt02_drop_all(struct npt02 *npt02);
void __wrap_npt02_drop_all(struct npt02 *npt02);
void __wrap_npt02_drop_all(struct npt02 *npt02)
{
	if (strict_removed != RULE_ALL_SHADOW && strict_removed != RULE_NPT01_SHADOW)
		__real_npt02_drop_all(npt02);
}

void __real_npt02_drop_asid(struct npt02 *npt02, uint32_t asid12);
void __wrap_npt02_drop_asid(struct npt02 *npt02, uint32_t asid12);
void __wrap_npt02_drop_asid(struct npt02 *npt02, uint32_t asid12)
{
	if (strict_removed != RULE_ASID_SHADOW)
		__real_npt02_drop_asid(npt02, asid12);
}

struct npt02_root *__real_npt02_get(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12, bool *fresh);
struct npt02_root *__wrap_npt02_get(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12, bool *fresh);
struct npt02_root *__wrap_npt02_get(struct npt02 *npt02, const struct npt12 *npt12, uint32_t asid12, bool *fresh)
{
	struct npt12 key = *npt12;
	struct npt02_root *root;

	if (strict_removed == RULE_KEY_NCR3)
		key.ncr3 = strict_current->tables[TABLE_A].npt12.ncr3;
	if (strict_removed == RULE_KEY_NXE)
		key.nxe = true;
	if (strict_removed == RULE_KEY_LEVELS)
		key.levels = 4;
	root = __real_npt02_get(npt02, &key, strict_removed == RULE_KEY_ASID ? 1 : asid12, fresh);
	if (strict_removed == RULE_FRESH)
		*fresh = false;
	return root;
}

uint32_t __real_tlb02_asid(struct tlb02 *tlb02, uint32_t asid12, hpa_t table, bool *flush);
uint32_t __wrap_tlb02_asid(struct tlb02 *tlb02, uint32_t asid12, hpa_t table, bool *flush);
uint32_t __wrap_tlb02_asid(struct tlb02 *tlb02, uint32_t asid12, hpa_t table, bool *flush)
{
	uint32_t asid = __real_tlb02_asid(tlb02, strict_removed == RULE_TAG_ASID ? 1 : asid12,
					  strict_removed == RULE_TAG_TABLE ? hpa(0) : table, flush);

	if (strict_removed == RULE_TAG_FLUSH)
		*flush = false;
	return asid;
}
