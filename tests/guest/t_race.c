/* SPDX-License-Identifier: MIT */
/* t_race.c - shows that a second vCPU which rewrites the VMCB during VMRUN gets one of two
 * outcomes only: L2 ran as some consistent VMCB says, or the VMRUN was refused. Never an L2 that
 * runs with a condition that was checked and then changed (CVE-2021-29657). And INIT sent to a
 * vCPU that runs an L2. APM vol. 2 15.5.1, 15.13.4. */
#include "vm.h"

#define ROUNDS 2000u	/* of VMRUN; the option rounds=<n> gives more */
#define SPIN_SETTLE 300000u

L2_CODE(l2_vmrun_inside, "mov rax, rbx; vmrun; mov rcx, 1");
L2_CODE(l2_nothing, "");

static struct race {
	volatile bool stop;
	struct vm *v;
	uint32_t *volatile word;
	uint32_t good, bad;
} race;

static void flip(void *unused UNUSED)
{
	while (!race.stop) {
		*(volatile uint32_t *)race.word = race.bad;
		*(volatile uint32_t *)race.word = race.good;
	}
}

static bool race_start(struct vm *v, uint32_t *word, uint32_t bad)
{
	race = (struct race){.v = v, .word = word, .good = *word, .bad = bad};
	return smp_run(flip, NULL);
}

static void race_end(void)
{
	race.stop = true;
	smp_wait();
}

static bool is_refused(const struct vm *v)
{
	return (uint32_t)v->vmcb->exitcode == UINT32_MAX;
}

/* Runs the L2 over and over while the word flips; both outcomes must leave L1 as it was. */
static void run_rounds(struct vm *v, const void *code, uint64_t wanted)
{
	uint64_t cr3 = cr3_read(), rounds = option_number("rounds=", ROUNDS);

	for (uint64_t i = 0; i < rounds; i++) {
		v->vmcb->rip = pa(code);
		v->vmcb->tlb_control = 0;
		vm_run(v);
		if (!is_refused(v) && !expect_exit(v->vmcb, wanted))
			break;
	}
	expect("cr3 of L1", cr3_read(), cr3);
}

static void flip_vmrun_intercept(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_vmrun_inside);

	v->regs.rbx = pa(v->vmcb);
	if (!race_start(v, &v->vmcb->intercept[4], v->vmcb->intercept[4] & ~1u))
		return;
	run_rounds(v, l2_vmrun_inside, EXIT_VMRUN);
	race_end();
}

static void flip_asid(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	if (!race_start(v, &v->vmcb->asid, 0))
		return;
	run_rounds(v, l2_nothing, EXIT_VMMCALL);
	race_end();
}

static void flip_efer_svme(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	if (!race_start(v, (uint32_t *)&v->vmcb->efer, (uint32_t)(v->vmcb->efer & ~EFER_SVME)))
		return;
	run_rounds(v, l2_nothing, EXIT_VMMCALL);
	race_end();
}

/* The two nested tables are both legal; whichever is read, L2 ends in its VMMCALL. */
static void flip_ncr3(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);
	uint64_t *other = table_identity(PTE_RWU);

	if (!race_start(v, (uint32_t *)&v->vmcb->ncr3, (uint32_t)pa(other)))
		return;
	run_rounds(v, l2_nothing, EXIT_VMMCALL);
	race_end();
}

/* A nested table entry that comes and goes: an NPF for it or a run, nothing else. */
static void flip_npt_entry(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);
	uint64_t *e = table_entry(v->npt, pa(l2_nothing), LEVEL_4K), cr3 = cr3_read();
	uint64_t rounds = option_number("rounds=", ROUNDS);

	if (!race_start(v, (uint32_t *)e, 0))
		return;
	for (uint64_t i = 0; i < rounds; i++) {
		v->vmcb->rip = pa(l2_nothing);
		vm_run(v);
		if (v->vmcb->exitcode != EXIT_NPF && !expect_exit(v->vmcb, EXIT_VMMCALL))
			break;
	}
	expect("cr3 of L1", cr3_read(), cr3);
	race_end();
}

static struct vm *other_vm;

static void run_other(void *unused UNUSED)
{
	while (!race.stop) {
		other_vm->vmcb->rip = pa(l2_nothing);
		vm_run(other_vm);
		if (other_vm->vmcb->exitcode != EXIT_VMMCALL)
			return;
	}
}

/* Both vCPUs run L2s of their own, with the same ASID. */
static void both_run_l2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_nothing);

	other_vm = vm_new(l2_nothing);
	race = (struct race){.v = v};
	if (!smp_run(run_other, NULL))
		return;
	run_rounds(v, l2_nothing, EXIT_VMMCALL);
	race_end();
	expect_exit(other_vm->vmcb, EXIT_VMMCALL);
}

/* --- INIT, which GIF=0 holds and L1 may intercept --- */

static struct init_probe {
	struct vm *v;
	volatile bool is_ready;
	volatile uint64_t ticks, exitcode;
	volatile bool go;
} probe;

L2_CODE(l2_spin, "1: pause; inc qword ptr [rbx]; jmp 1b");

static void run_until_init(void *unused UNUSED)
{
	clgi();
	probe.is_ready = true;
	vm_run_raw(probe.v);
	probe.exitcode = probe.v->vmcb->exitcode;
	while (!probe.go)
		pause();
	stgi();		/* the INIT that waited stops this vCPU here */
	for (;;)
		probe.ticks++;
}

static bool wait_ready(volatile bool *flag)
{
	for (unsigned n = 0; n < SPIN_LONG && !*flag; n++)
		pause();
	return *flag;
}

static bool is_stopped(volatile uint64_t *ticks)
{
	uint64_t before;

	spin(SPIN_SETTLE);
	before = *ticks;
	spin(SPIN_SETTLE);
	return *ticks == before;
}

static void init_exit(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_spin);

	probe = (struct init_probe){.v = v};
	v->regs.rbx = pa((const void *)&probe.ticks);
	intercept_set(v, EXIT_INIT);
	if (!smp_run(run_until_init, NULL) || !expect("second vCPU runs", wait_ready(&probe.is_ready), 1))
		return;
	spin(SPIN_SETTLE);
	ipi_send(lapic_id() ^ 1, ICR_INIT);
	spin(SPIN_SETTLE);
	expect("exit code", probe.exitcode, EXIT_INIT);
	probe.go = true;
	expect("stopped after STGI", is_stopped(&probe.ticks), 1);
	smp_forget();
}

static void run_with_gif_clear(void *unused UNUSED)
{
	clgi();
	probe.is_ready = true;
	while (!probe.go)
		probe.ticks++;
	stgi();
	for (;;)
		probe.ticks++;
}

static void init_held_by_gif(const struct scenario *s UNUSED)
{
	probe = (struct init_probe){0};
	if (!smp_run(run_with_gif_clear, NULL) || !expect("second vCPU runs", wait_ready(&probe.is_ready), 1))
		return;
	ipi_send(lapic_id() ^ 1, ICR_INIT);
	expect("stopped with GIF=0", is_stopped(&probe.ticks), 0);
	probe.go = true;
	expect("stopped after STGI", is_stopped(&probe.ticks), 1);
	smp_forget();
}

/* Not intercepted, INIT stops the vCPU out of its L2; it starts again and can run one. */
static void init_unintercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_spin);

	probe = (struct init_probe){.v = v};
	v->regs.rbx = pa((const void *)&probe.ticks);
	if (!smp_run(run_until_init, NULL) || !expect("second vCPU runs", wait_ready(&probe.is_ready), 1))
		return;
	spin(SPIN_SETTLE);
	ipi_send(lapic_id() ^ 1, ICR_INIT);
	expect("stopped", is_stopped(&probe.ticks), 1);
	expect("no exit seen", probe.exitcode, 0);
	smp_forget();
	both_run_l2(s);
}

SCENARIOS("t_race") {
	{"race_flip_vmrun_intercept", "15.5.1", flip_vmrun_intercept, NEED_SVM | NEED_TWO_CPUS, 0},
	{"race_flip_asid", "15.5.1", flip_asid, NEED_SVM | NEED_TWO_CPUS, 0},
	{"race_flip_efer_svme", "15.5.1", flip_efer_svme, NEED_SVM | NEED_TWO_CPUS, 0},
	{"race_flip_ncr3", "15.25.3", flip_ncr3, SVM_NP | NEED_TWO_CPUS, 0},
	{"race_flip_npt_entry", "15.25.6", flip_npt_entry, SVM_NP | NEED_TWO_CPUS, 0},
	{"init_exit", "15.13.4", init_exit, NEED_SVM | NEED_TWO_CPUS, 0},
	{"init_held_by_gif", "15.17", init_held_by_gif, NEED_SVM | NEED_TWO_CPUS, 0},
	{"init_unintercepted", "15.13.4", init_unintercepted, NEED_SVM | NEED_TWO_CPUS, 0},
	{"race_both_run_l2", "15.5", both_run_l2, NEED_SVM | NEED_TWO_CPUS, 0},
};
SCENARIO_COUNT;
