/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_transitions.c - whole lives of an L1 and its L2s: VMRUN, exits of every code, events, STGI and CLGI,
 * INVLPGA, MSRs, INIT, nested faults with NPT12 in memory that the input rewrites all the time. After each step: L1 is
 * in one of two levels, VMCB02 is fit to run whenever it would, L1's memory changes only where that step may write. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/exitcode.h>
#include <amd/msr.h>
#include <amd/npt.h>

#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 200

static ALIGNED(4096) uint8_t ram[RIG_RAM];
static struct rig *rig;

/* --- exits --- */

static void exit_to_l1(const struct nested_exit *exit)
{
	struct nested *n = &rig->n;
	uint64_t at = n->vmcb12_pa.a;
	bool there = port_l1_ptr(rig->l1, n->vmcb12_pa, PAGE_SIZE), written;

	memcpy(ram, rig->l1->ram, RIG_RAM);
	written = nested_exit_full(n, rig->l1, exit, rig->vmcb01, rig->vmcb02);
	CHECK(written == there && !n->in_l2 && !n->gif && !n->run_pending);
	CHECK(rig->vmcb01->save.dr7 == DR7_FIXED && (rig->vmcb01->save.cr0 & CR0_PE) && rig->vmcb01->save.cpl == 0);
	fuzz_check_ram(rig, ram, there ? at : 0, there ? PAGE_SIZE : 0);
	if (there)
		CHECK(rig_vmcb12(rig, at)->control.exitcode == exit->code &&
		      rig_vmcb12(rig, at)->control.eventinj == 0);
}

/* The CPU leaves L2 with whatever it may leave behind. */
static void cpu_leaves_l2(struct input *in, uint64_t code)
{
	struct vmcb_control *c = &rig->vmcb02->control;
	struct vmcb_save *s = &rig->vmcb02->save;

	c->exitcode = code;
	c->exitinfo1 = input_bytes(in, 5);
	c->exitinfo2 = input_bytes(in, 4);
	c->clean = CLEAN_ALL;
	c->tlb_control = TLB_CONTROL_NONE;
	c->eventinj = 0;
	rig->n.run_pending = false;
	s->rip = input_bytes(in, 2);
	s->cr2 = s->rip * 8;
	s->rflags ^= s->rip & RFLAGS_IF;
	s->dr6 = DR6_FIXED | (s->rip & 0xF);
}

static void l2_exits(struct input *in)
{
	uint8_t kind = (uint8_t)input_bytes(in, 1);
	uint64_t code = kind < 0xF0 ? kind : input_bytes(in, 8);
	struct nested_exit exit = {.code = code};
	enum route route;

	cpu_leaves_l2(in, code);
	exit.info1 = rig->vmcb02->control.exitinfo1;
	exit.info2 = rig->vmcb02->control.exitinfo2;
	exit.intinfo = kind & 1 ? EVENT_V | (input_bytes(in, 2) & (EVENT_TYPE | EVENT_VECTOR)) : 0;
	exit.nrip = rig->vmcb02->save.rip + 2;
	route = nested_route(&rig->n, rig->l1, rig->vmcb02, (uint32_t)input_bytes(in, 4));
	CHECK(route == ROUTE_L0 || route == ROUTE_L1);
	CHECK(route == ROUTE_L0 || (code < VMEXIT_INTERCEPT_END && nested_intercepts(&rig->n, code)));
	if (route == ROUTE_L1)
		exit_to_l1(&exit);
}

/* A and D bits of NPT12 may change; how many entries a walk has is fuzz_walk12.c's business. */
static void l2_faults(struct input *in)
{
	struct nested *n = &rig->n;
	uint64_t at, info1;
	struct npt02_result r;

	cpu_leaves_l2(in, VMEXIT_NPF);
	at = rig->vmcb02->control.exitinfo2 % (in->next != in->end && *in->next & 1 ? BIT(32) : BIT(17));
	info1 = PF_U | (rig->vmcb02->control.exitinfo1 & (PF_P | PF_W | PF_ID | NPF_WALK));
	info1 |= info1 & NPF_WALK ? 0 : NPF_FINAL;
	if (!n->root)
		return;
	r = npt02_fault(&n->npt02, n->root, rig->l1, l2pa(at), info1);
	CHECK(r.verdict == NPT02_FILLED || r.verdict == NPT02_REFLECT || r.verdict == NPT02_DEVICE);
	if (r.dropped)
		rig->vmcb02->control.tlb_control = n->caps.hw_flush_by_asid ? TLB_CONTROL_ASID : TLB_CONTROL_ALL;
	if (r.verdict == NPT02_DEVICE)
		CHECK(!port_l1_ptr(rig->l1, r.l1pa, 1));
	if (r.verdict == NPT02_REFLECT) {
		struct nested_exit exit = {.code = VMEXIT_NPF, .info1 = r.exitinfo1, .info2 = at};

		CHECK(!(r.exitinfo1 & NPF_WALK) != !(r.exitinfo1 & NPF_FINAL) && (r.exitinfo1 & PF_U));
		exit_to_l1(&exit);
	}
}

/* --- events --- */

static uint64_t exit_code_of(enum event_action action)
{
	return action == EVENT_EXIT_INIT ? VMEXIT_INIT : action == EVENT_EXIT_SMI ? VMEXIT_SMI :
	       action == EVENT_EXIT_NMI ? VMEXIT_NMI :
	       action == EVENT_EXIT_INTR ? VMEXIT_INTR : VMEXIT_VINTR;
}

/* --- SMM --- */

static void take_smi(void)
{
	uint64_t gpr[16] = {0};
	struct smm_cpu cpu = {.gpr = gpr};
	uint64_t at = rig->n.smm.base + SMRAM_SAVE_OFFSET;

	memcpy(ram, rig->l1->ram, RIG_RAM);
	CHECK(nested_smi(&rig->n, rig->l1, rig->vmcb01, rig->vmcb02, &cpu));
	CHECK(rig->n.smm.active && !rig->n.in_l2 && !rig->n.svme && rig->n.gif && cpu.nmi_blocked);
	fuzz_check_ram(rig, ram, at, sizeof(struct smram_save));
}

/* Where the map is gone, another L1 begins. */
static void return_from_smm(void)
{
	uint64_t gpr[16];
	struct smm_cpu cpu = {.gpr = gpr};
	enum rsm_outcome outcome;

	memcpy(ram, rig->l1->ram, RIG_RAM);
	outcome = nested_rsm(&rig->n, rig->l1, &rig->in, rig->vmcb01, rig->vmcb02, &cpu);
	fuzz_check_ram(rig, ram, 0, 0);
	CHECK(outcome == RSM_FAILED || outcome == RSM_TO_L1 || outcome == RSM_TO_L2);
	CHECK(rig->n.in_l2 == (outcome == RSM_TO_L2));
	if (outcome == RSM_FAILED)
		nested_reset(&rig->n);
	CHECK(!rig->n.smm.active && rig->n.gif);
	rig->n.smm.base = SMBASE_RESET;
}

static void smm(struct input *in)
{
	bool nmi_blocked = false, dismiss;

	if (rig->n.smm.active)
		return_from_smm();
	else if (rig->n.gif && input_bytes(in, 1) % 4)
		take_smi();
	else
		nested_smm_ctl(&rig->n, input_bytes(in, 1), &nmi_blocked, &dismiss);
}

static void event_comes(struct input *in)
{
	uint8_t bits = (uint8_t)input_bytes(in, 1);
	struct nested *n = &rig->n;
	struct event_view view = {
		.init = bits & 1, .nmi = bits & 2, .irq = bits & 4, .nmi_blocked = bits & 8, .if_flag = bits & 16,
		.shadow = bits & 32, .l1_if = bits & 64, .injecting = bits & 128,
	};
	enum event_action action = nested_event(n, &view);

	CHECK(action > EVENT_UNDECIDED && action <= EVENT_EXIT_VINTR);
	CHECK(n->gif || action == EVENT_NOTHING);
	CHECK(n->in_l2 || action < EVENT_INJECT_VIRQ);
	CHECK(!n->smm.active || !n->in_l2);
	if (action == EVENT_INJECT_VIRQ)
		nested_take_virq(n);
	else if (action == EVENT_INJECT_VNMI)
		nested_take_vnmi(n);
	else if (action == EVENT_TAKE_INIT)
		nested_reset(n);
	else if (action == EVENT_TAKE_SMI)
		take_smi();
	else if (action >= EVENT_EXIT_INIT)
		exit_to_l1(&(struct nested_exit){.code = exit_code_of(action)});
	n->svme = true;
}

/* --- L1 and instructions --- */

static void l1_runs_l2(struct input *in)
{
	static const uint64_t odd[] = {RIG_RAM, RIG_RAM - PAGE_SIZE, BIT(39), 0};
	uint8_t where = (uint8_t)input_bytes(in, 1);
	uint64_t at = where < 0xF0 ? RIG_VMCB12 + where % 3 * PAGE_SIZE : odd[where % ARRAY_COUNT(odd)];
	uint64_t refusals = rig->n.refusals[REASON_NONE];
	bool there = port_l1_ptr(rig->l1, l1pa(at), PAGE_SIZE);
	enum vmrun_outcome outcome;

	if (rig->n.smm.active)
		return; /* #UD (svm/nested_glue.c) */
	memcpy(ram, rig->l1->ram, RIG_RAM);
	rig->in.apic_tpr = where & 15;
	outcome = rig_vmrun(rig, at);
	CHECK(outcome == VMRUN_REFUSED || outcome == VMRUN_ENTERED);
	CHECK(rig->n.gif == (outcome == VMRUN_ENTERED) && rig->n.in_l2 == (outcome == VMRUN_ENTERED));
	CHECK(rig->n.refusals[REASON_NONE] == refusals);
	if (outcome == VMRUN_REFUSED && there)
		fuzz_check_ram(rig, ram, at + offsetof(struct vmcb, control.exitcode), 0xB0 - 0x70);
	else
		fuzz_check_ram(rig, ram, 0, 0);
}

static void msr_access(struct input *in)
{
	uint32_t msr = MSR_VM_CR + (uint32_t)input_bytes(in, 1) % 8;
	uint64_t value = input_bytes(in, 8), read;
	bool fault, known = nested_msr_write(&rig->n, msr, value, &fault);

	CHECK(known == nested_msr_read(&rig->n, msr, &read, &fault));
	CHECK(!(rig->n.hsave_pa & (rig->n.caps.phys_mbz | PAGE_MASK)) && !(rig->n.vm_cr & ~UINT64_C(0x1F)));
}

static void instruction(struct input *in)
{
	uint8_t which = (uint8_t)input_bytes(in, 1);
	uint64_t rax = input_bytes(in, 6);
	enum nested_fault fault = nested_insn_fault(&rig->n, which & 1, rax, which >> 1 & 3);

	CHECK(fault <= NESTED_FAULT_GP && (fault || !(which >> 1 & 3)));
	if (which & 8)
		nested_set_gif(&rig->n, which & 16);
	else if (which & 32)
		nested_invlpga(&rig->n, (uint32_t)rax & 7);
	else if (rig->n.in_l2)
		nested_end_vnmi(&rig->n);
}

static void l0_takes_memory(void)
{
	npt02_drop_all(&rig->n.npt02);
	tlb02_flush_all(&rig->n.tlb02);
}

/* L1's registers change while it runs. */
static void l1_changes_mode(struct input *in)
{
	uint8_t mode = (uint8_t)input_bytes(in, 1);
	struct vmcb_save *l1 = &rig->vmcb01->save;

	l1->efer ^= mode & 1 ? EFER_LMA | EFER_LME : 0;
	l1->efer ^= mode & 2 ? EFER_NXE : 0;
	l1->cr4 ^= mode & 4 ? CR4_PAE : 0;
	l1->cr4 ^= mode & 8 ? CR4_PSE : 0;
	l1->cr0 ^= mode & 16 ? CR0_PG : 0;
	l1->dr7 = mode;
	l1->cpl = 0;
}

static void step(struct input *in)
{
	bool in_l2 = rig->n.in_l2;

	switch (input_bytes(in, 1) % 12) {
	case 0: case 1: case 2: in_l2 ? l2_faults(in) : l1_runs_l2(in); break;
	case 3: case 4: in_l2 ? l2_exits(in) : l1_runs_l2(in); break;
	case 5: event_comes(in); break;
	case 6: msr_access(in); break;
	case 7: instruction(in); break;
	case 8: in_l2 ? l0_takes_memory() : l1_changes_mode(in); break;
	case 9: nested_wants_iret(&rig->n); smm(in); break;
	default: fuzz_patch(rig, in, 4); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};

	rig = fuzz_rig(&in, 0x00);
	for (unsigned steps = 0; steps < STEPS_MAX && !input_ended(&in); steps++) {
		step(&in);
		if (rig->n.in_l2 && rig->n.run_pending)
			fuzz_check_vmcb02(rig);
	}
	fuzz_check_shadow(rig);
	CHECK(rig->n.check_gap_count == 0);
	return 0;
}
