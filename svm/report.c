/* SPDX-License-Identifier: MIT */
/* svm/report.c - everything about a vCPU that helps to see why its guest died, in readable lines.
 * Reads VMCBs and L1 memory, changes nothing. Users: vmm.c (the end of a guest), command.c (regs). */
#include "svm/report.h"

#include <amd/exitcode.h>

#include "kernel/printf.h"
#include "svm/exit_names.h"
#include "svm/gif.h"
#include "svm/gmem.h"
#include "svm/vcpu.h"

#define CODE_BYTES 16u

static void report_exit(struct out *out, const struct vmcb_control *c)
{
	out_line(out, "  exit %s (%llx) info1 %llx info2 %llx intinfo %llx nrip %llx", exit_name(c->exitcode),
		 (unsigned long long)c->exitcode, (unsigned long long)c->exitinfo1,
		 (unsigned long long)c->exitinfo2, (unsigned long long)c->exitintinfo,
		 (unsigned long long)c->nrip);
	out_line(out, "  v_intr %llx shadow %llx eventinj %llx asid %x ncr3 %llx misc %llx tsc_offset %llx",
		 (unsigned long long)c->v_intr, (unsigned long long)c->int_shadow,
		 (unsigned long long)c->eventinj, c->asid, (unsigned long long)c->ncr3,
		 (unsigned long long)c->misc, (unsigned long long)c->tsc_offset);
}

static void report_system(struct out *out, const struct vmcb_save *s)
{
	out_line(out, "  cr0 %016llx cr2 %016llx cr3 %016llx cr4 %016llx", (unsigned long long)s->cr0,
		 (unsigned long long)s->cr2, (unsigned long long)s->cr3, (unsigned long long)s->cr4);
	out_line(out, "  efer %llx rflags %llx cpl %u dr6 %llx dr7 %llx pat %llx", (unsigned long long)s->efer,
		 (unsigned long long)s->rflags, s->cpl, (unsigned long long)s->dr6, (unsigned long long)s->dr7,
		 (unsigned long long)s->g_pat);
}

static void report_segment(struct out *out, const char *name, const struct vmcb_seg *s)
{
	out_line(out, "  %-4s %04x attr %03x limit %08x base %016llx", name, s->sel, s->attr, s->limit,
		 (unsigned long long)s->base);
}

/* FS, GS, LDTR and TR of a vCPU that runs are in its CPU: here they are as they were last saved. */
static void report_segments(struct out *out, const struct vmcb_save *s)
{
	report_segment(out, "cs", &s->cs);
	report_segment(out, "ss", &s->ss);
	report_segment(out, "ds", &s->ds);
	report_segment(out, "es", &s->es);
	report_segment(out, "fs", &s->fs);
	report_segment(out, "gs", &s->gs);
	report_segment(out, "gdtr", &s->gdtr);
	report_segment(out, "idtr", &s->idtr);
	report_segment(out, "ldtr", &s->ldtr);
	report_segment(out, "tr", &s->tr);
}

static void report_gprs(struct out *out, const struct vcpu *v, const struct vmcb_save *s)
{
	static const char *const names[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
						     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	uint64_t regs[GPR_COUNT];

	for (unsigned i = 0; i < GPR_COUNT; i++)
		regs[i] = v->regs[i];
	regs[GPR_RAX] = s->rax;
	regs[GPR_RSP] = s->rsp;
	for (unsigned i = 0; i < GPR_COUNT; i += 4)
		out_line(out, "  %-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx", names[i],
			 (unsigned long long)regs[i], names[i + 1], (unsigned long long)regs[i + 1], names[i + 2],
			 (unsigned long long)regs[i + 2], names[i + 3], (unsigned long long)regs[i + 3]);
}

static void report_rip(struct out *out, struct vcpu *v)
{
	uint8_t code[CODE_BYTES];
	char text[CODE_BYTES * 3 + 1] = "";
	unsigned done = 0;

	gmem_read(v, v->vmcb->save.cs.base + v->vmcb->save.rip, code, sizeof(code), PF_ID, &done);
	for (unsigned i = 0; i < done; i++)
		ksnprintf(text + i * 3, 4, " %02x", code[i]);
	out_line(out, "  rip %016llx:%s", (unsigned long long)v->vmcb->save.rip, done ? text : " (not readable)");
}

/* The general registers are those of the level that runs; L1's own, but for RAX and RSP, are the same ones. */
static void report_level(struct out *out, const struct vcpu *v, unsigned level, const struct vmcb *vmcb)
{
	out_line(out, " level %u, VMCB%s:", level, level == 1 ? "01" : "02");
	report_exit(out, &vmcb->control);
	report_system(out, &vmcb->save);
	report_segments(out, &vmcb->save);
	if (level == vcpu_level(v))
		report_gprs(out, v, &vmcb->save);
	else
		out_line(out, "  rip %016llx rsp %016llx rax %016llx", (unsigned long long)vmcb->save.rip,
			 (unsigned long long)vmcb->save.rsp, (unsigned long long)vmcb->save.rax);
}

static void report_nested(struct out *out, const struct vcpu *v)
{
	const struct nested *n = &v->nested;

	out_line(out, " nested: svme %u gif %u hsave %llx vm_cr %llx vmcb12 %llx VMRUNs %llu last refusal %s", n->svme,
		 gif_now(v), (unsigned long long)n->hsave_pa, (unsigned long long)n->vm_cr,
		 (unsigned long long)n->vmcb12_pa.a, (unsigned long long)n->vmrun_count,
		 vmrun_reason_name(n->last_refusal));
}

const char *vcpu_activity_name(const struct vcpu *v)
{
	switch (v->activity) {
	case VCPU_RUNNING: return "running";
	case VCPU_HALTED: return "halted";
	case VCPU_WAIT_SIPI: return "waiting for its start-up IPI";
	}
	return "";
}

void vcpu_report(struct vcpu *v, struct out *out)
{
	out_line(out, "guest %s vCPU %u on CPU %u, %s, level %u runs", v->l1->name, v->index, v->cpu,
		 vcpu_activity_name(v), vcpu_level(v));
	report_rip(out, v);
	if (v->nested.in_l2)
		report_level(out, v, 2, v->vmcb02);
	report_level(out, v, 1, v->vmcb01);
	if (v->l1->nested)
		report_nested(out, v);
}
