/* SPDX-License-Identifier: MIT */
/* svm/features.c - which SVM features an L1 is offered, and why it is not offered the others. Pure; each feature has
 * its row in docs/features.md. A feature comes behind those that it needs.
 * Manual: APM3 appendix E (Fn8000_000A, Fn8000_0021). Users: config.c (names), caps.c, vmm.c (log). */
#include "svm/features.h"

#include "kernel/printf.h"

const struct svm_feature svm_features[SVM_FEATURE_COUNT] = {
	{"np", SVM_FEAT_NP, 0, NULL},
	{"lbrv", SVM_FEAT_LBR_VIRT, 0, NULL},
	{"nrips", SVM_FEAT_NRIPS, 0, NULL},
	{"tscrate", SVM_FEAT_TSC_RATIO, 0, NULL},
	{"vmcbclean", SVM_FEAT_VMCB_CLEAN, 0, NULL},
	{"flushbyasid", SVM_FEAT_FLUSH_BY_ASID, 0, NULL},
	{"decodeassists", SVM_FEAT_DECODE_ASSISTS, 0, NULL},
	{"pausefilter", SVM_FEAT_PAUSE_FILTER, 0, NULL},
	{"pausethreshold", SVM_FEAT_PAUSE_THRESHOLD, SVM_FEAT_PAUSE_FILTER, NULL},
	{"vls", SVM_FEAT_VLS, SVM_FEAT_NP, NULL},
	{"vgif", SVM_FEAT_VGIF, 0, NULL},
	{"gmet", SVM_FEAT_GMET, SVM_FEAT_NP, "this CPU has none, and software cannot make it"},
	{"vnmi", SVM_FEAT_VNMI, SVM_FEAT_VGIF, NULL}, /* masked by virtual GIF */
	{"addrchk", SVM_FEAT_ADDR_CHK, 0, NULL},
	{"eraps", SVM_FEAT_ERAPS, 0, "this CPU has none"},
};

uint64_t svm_features_offered(uint64_t off, uint64_t hw)
{
	uint64_t offered = 0;

	for (size_t i = 0; i < SVM_FEATURE_COUNT; i++) {
		const struct svm_feature *f = &svm_features[i];

		if (!(off & f->bit) && (!f->without || (hw & f->bit)) && (offered & f->needs) == f->needs)
			offered |= f->bit;
	}
	return offered;
}

void svm_features_list(char *text, size_t size, uint64_t bits)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < SVM_FEATURE_COUNT && used < size; i++)
		if (bits & svm_features[i].bit)
			used += (size_t)ksnprintf(text + used, size - used, " %s", svm_features[i].name);
}

/* One " name (reason)". */
static int explain(char *text, size_t size, const struct svm_feature *f, uint64_t off, uint64_t hw)
{
	char needed[32];

	if (off & f->bit)
		return ksnprintf(text, size, " %s (switched off)", f->name);
	if (f->without && !(hw & f->bit))
		return ksnprintf(text, size, " %s (%s)", f->name, f->without);
	svm_features_list(needed, sizeof(needed), f->needs);
	return ksnprintf(text, size, " %s (needs%s)", f->name, needed);
}

void svm_features_explain(char *text, size_t size, uint64_t off, uint64_t hw)
{
	uint64_t offered = svm_features_offered(off, hw);
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < SVM_FEATURE_COUNT && used + 1 < size; i++) {
		if (offered & svm_features[i].bit)
			continue;
		if (used)
			text[used++] = ',';
		used += (size_t)explain(text + used, size - used, &svm_features[i], off, hw);
	}
}
