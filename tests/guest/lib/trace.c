/* SPDX-License-Identifier: MIT */
/* lib/trace.c - what each VMRUN of a scenario left in its VMCB, one canonical line for each, so that two runs of the same
 * kernel can be compared (tests/system/differential.py). On with the option trace. Nothing is printed before the scenario
 * has ended: timing stays what it was. Fields that are as vm_new() makes
 * them, or 0, are left out.
 * Manual: APM vol. 2 15.6 (what #VMEXIT stores), appendix B. */
#include "test.h"
#include "str.h"

#define LINES_MAX 96u

static const struct field {
	const char *name;
	uint16_t offset, bytes;
	uint64_t usual;
} fields[] = {
#define FIELD(name, usual) {#name, offsetof(struct vmcb, name), sizeof(((struct vmcb *)0)->name), usual}
	FIELD(exitcode, 0), FIELD(info1, 0), FIELD(info2, 0), FIELD(exitintinfo, 0), FIELD(eventinj, 0),
	FIELD(vintr, 0), FIELD(int_state, 0), FIELD(nrip, 0), FIELD(rip, 0), FIELD(rsp, 0), FIELD(rax, 0),
	FIELD(rflags, RFLAGS_ONE), FIELD(cpl, 0), FIELD(cr0, 0x80000033), FIELD(cr2, 0), FIELD(cr3, 0),
	FIELD(cr4, 0x620), FIELD(efer, 0x1D01), FIELD(dr6, DR6_RESET), FIELD(dr7, DR7_RESET),
	FIELD(cs.sel, SEL_CODE64), FIELD(cs.attr, ATTR_CODE64), FIELD(cs.limit, UINT32_MAX), FIELD(cs.base, 0),
	FIELD(ss.sel, SEL_DATA), FIELD(ss.attr, ATTR_DATA), FIELD(ss.limit, UINT32_MAX), FIELD(ss.base, 0),
	FIELD(g_pat, PAT_RESET),
};

static struct line {
	uint64_t value[ARRAY_COUNT(fields)];
} lines[LINES_MAX];
static unsigned line_count, dropped;
static bool is_on;

void trace_begin(bool on)
{
	line_count = dropped = 0;
	is_on = on && option_has("trace");
}

void trace_vmrun(const struct vmcb *vmcb)
{
	struct line *line = &lines[line_count];

	if (!is_on)
		return;
	if (line_count == LINES_MAX) {
		dropped++;
		return;
	}
	*line = (struct line){0};
	for (unsigned i = 0; i < ARRAY_COUNT(fields); i++)
		memcpy(&line->value[i], (const uint8_t *)vmcb + fields[i].offset, fields[i].bytes);
	line_count++;
}

void trace_print(const char *scenario)
{
	for (unsigned n = 0; n < line_count; n++) {
		print("VMRUN %s %u", scenario, n);
		for (unsigned i = 0; i < ARRAY_COUNT(fields); i++)
			if (lines[n].value[i] != fields[i].usual)
				print(" %s=%lx", fields[i].name, lines[n].value[i]);
		print("\n");
	}
	if (dropped)
		print("VMRUN %s more count=%x\n", scenario, dropped);
	trace_begin(false);
}
