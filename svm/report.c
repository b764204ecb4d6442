/* SPDX-License-Identifier: MIT */
/* svm/report.c - everything about a vCPU that helps to see why its guest died, in readable lines.
 * Reads VMCBs and L1 memory, changes nothing. Users: vmm.c (the end of a guest), monitor.c (regs). */
#include "svm/report.h"

#include <amd/exitcode.h>

#include "kernel/log.h"
#include "kernel/printf.h"
#include "svm/exit_names.h"
#include "svm/gmem.h"
#include "svm/vcpu.h"

#define CODE_BYTES 16u

static void report_exit(const struct vmcb_control *c)
{
	klog_raw("  exit %s (%llx) info1 %llx info2 %llx intinfo %llx nrip %llx", exit_name(c->exitcode),
		 (unsigned long long)c->exitcode, (unsigned long long)c->exitinfo1,
		 (unsigned long long)c->exitinfo2, (unsigned long long)c->exitintinfo,
		 (unsigned long long)c->nrip);
	klog_raw("  v_intr %llx shadow %llx eventinj %llx asid %x ncr3 %llx misc %llx tsc_offset %llx",
		 (unsigned long long)c->v_intr, (unsigned long long)c->int_shadow,
		 (unsigned long long)c->eventinj, c->asid, (unsigned long long)c->ncr3,
		 (unsigned long long)c->misc, (unsigned long long)c->tsc_offset);
}

static void report_system(const struct vmcb_save *s)
{
	klog_raw("  cr0 %016llx cr2 %016llx cr3 %016llx cr4 %016llx", (unsigned long long)s->cr0,
		 (unsigned long long)s->cr2, (unsigned long long)s->cr3, (unsigned long long)s->cr4);
	klog_raw("  efer %llx rflags %llx cpl %u dr6 %llx dr7 %llx pat %llx", (unsigned long long)s->efer,
		 (unsigned long long)s->rflags, s->cpl, (unsigned long long)s->dr6, (unsigned long long)s->dr7,
		 (unsigned long long)s->g_pat);
}

static void report_segment(const char *name, const struct vmcb_seg *s)
{
	klog_raw("  %-4s %04x attr %03x limit %08x base %016llx", name, s->sel, s->attr, s->limit,
		 (unsigned long long)s->base);
}

/* FS, GS, LDTR and TR of a vCPU that runs are in its CPU: here they are as they were last saved. */
static void report_segments(const struct vmcb_save *s)
{
	report_segment("cs", &s->cs);
	report_segment("ss", &s->ss);
	report_segment("ds", &s->ds);
	report_segment("es", &s->es);
	report_segment("fs", &s->fs);
	report_segment("gs", &s->gs);
	report_segment("gdtr", &s->gdtr);
	report_segment("idtr", &s->idtr);
	report_segment("ldtr", &s->ldtr);
	report_segment("tr", &s->tr);
}

static void report_gprs(const struct vcpu *v, const struct vmcb_save *s)
{
	static const char *const names[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
						     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	uint64_t regs[GPR_COUNT];

	for (unsigned i = 0; i < GPR_COUNT; i++)
		regs[i] = v->regs[i];
	regs[GPR_RAX] = s->rax;
	regs[GPR_RSP] = s->rsp;
	for (unsigned i = 0; i < GPR_COUNT; i += 4)
		klog_raw("  %-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx", names[i],
			 (unsigned long long)regs[i], names[i + 1], (unsigned long long)regs[i + 1], names[i + 2],
			 (unsigned long long)regs[i + 2], names[i + 3], (unsigned long long)regs[i + 3]);
}

static void report_rip(struct vcpu *v)
{
	uint8_t code[CODE_BYTES];
	char text[CODE_BYTES * 3 + 1] = "";
	unsigned done = 0;

	gmem_read(v, v->vmcb->save.cs.base + v->vmcb->save.rip, code, sizeof(code), PF_ID, &done);
	for (unsigned i = 0; i < done; i++)
		ksnprintf(text + i * 3, 4, " %02x", code[i]);
	klog_raw("  rip %016llx:%s", (unsigned long long)v->vmcb->save.rip, done ? text : " (not readable)");
}

/* The general registers are those of the level that runs; L1's own, but for RAX and RSP, are the same ones. */
static void report_level(const struct vcpu *v, unsigned level, const struct vmcb *vmcb)
{
	klog_raw(" level %u, VMCB%s:", level, level == 1 ? "01" : "02");
	report_exit(&vmcb->control);
	report_system(&vmcb->save);
	report_segments(&vmcb->save);
	if (level == vcpu_level(v))
		report_gprs(v, &vmcb->save);
	else
		klog_raw("  rip %016llx rsp %016llx rax %016llx", (unsigned long long)vmcb->save.rip,
			 (unsigned long long)vmcb->save.rsp, (unsigned long long)vmcb->save.rax);
}

static void report_nested(const struct nested *n)
{
	klog_raw(" nested: svme %u gif %u hsave %llx vm_cr %llx vmcb12 %llx VMRUNs %llu last refusal %s", n->svme,
		 n->gif, (unsigned long long)n->hsave_pa, (unsigned long long)n->vm_cr,
		 (unsigned long long)n->vmcb12_pa.a, (unsigned long long)n->vmrun_count,
		 vmrun_reason_name(n->last_refusal));
}

void vcpu_report(struct vcpu *v)
{
	static const char *const activities[] = {[VCPU_RUNNING] = "running",
						 [VCPU_HALTED] = "halted",
						 [VCPU_WAIT_SIPI] = "waiting for its start-up IPI"};

	klog_raw("guest %s vCPU %u on CPU %u, %s, level %u runs", v->l1->name, v->index, v->cpu,
		 activities[v->activity], vcpu_level(v));
	report_rip(v);
	if (v->nested.in_l2)
		report_level(v, 2, v->vmcb02);
	report_level(v, 1, v->vmcb01);
	if (v->l1->nested)
		report_nested(&v->nested);
}
