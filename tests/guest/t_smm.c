/* SPDX-License-Identifier: MIT */
/* t_smm.c - shows system management mode of L1's CPU: SMI by the APIC into L1 and into an L2, with and without L1's
 * intercept; what holds an SMI back; RSM back to where it came from, and where RSM is none; SMBASE, SMM_CTL, SMMLOCK.
 * APM vol. 2 chapter 10 and 15.22.
 * smm_rsm_refused ends the machine: it runs only with the option "shutdown" (tests/guests.cfg). */
#include "smm.h"
#include "vm.h"

#define MSR_SMM_ADDR 0xC0010112u
#define MSR_SMM_MASK 0xC0010113u
#define MSR_SMM_CTL 0xC0010116u
#define SMM_CTL_DISMISS BIT(0)
#define SMM_CTL_ENTER BIT(1)
#define SMM_CTL_EXIT BIT(3)
#define ICR_SMI 0x200u
#define ICR_LOW (LAPIC_BASE + 0x300)
#define ICR_HIGH (LAPIC_BASE + 0x310)
#define TAKEN SPIN_SHORT	/* long enough for an SMI that is not held */

static void send_smi(void)
{
	ipi_send(lapic_id(), ICR_SMI);
}

static bool expect_smis(uint32_t count)
{
	return expect("SMIs taken", notes->count, count) && expect("SMM within SMM", notes->inside_twice, 0);
}

/* --- L1 --- */

/* Nobody has set up a handler but the firmware, whose does nothing that we could see. */
static void smm_firmware(const struct scenario *s UNUSED)
{
	uint64_t cr3 = cr3_read(), r15;

	__asm__ volatile("mov $0x123456789, %%r15; movl %1, (%2); mov $2000, %%ecx; 1: pause; loop 1b; mov %%r15, %0"
			 : "=r"(r15) : "r"(ICR_SMI | 0x40000u), "r"((uint64_t)ICR_LOW) : "r15", "rcx", "memory");
	expect("R15", r15, 0x123456789);
	expect("CR3", cr3_read(), cr3);
}

static void smm_l1(const struct scenario *s UNUSED)
{
	uint64_t cr3 = cr3_read(), efer = rdmsr(MSR_EFER), r15, cr0 = cr0_read(), cr4 = cr4_read();

	if (!smm_setup())
		return;
	__asm__ volatile("mov $0x123456789, %%r15; movl %1, (%2); mov $2000, %%ecx; 1: pause; loop 1b; mov %%r15, %0"
			 : "=r"(r15) : "r"(ICR_SMI | 0x40000u), "r"((uint64_t)ICR_LOW) : "r15", "rcx", "memory");
	expect_smis(1);
	expect("CR0 in SMM, PE, EM, TS, PG", notes->cr0 & (CR0_PE | CR0_EM | CR0_TS | CR0_PG), 0);
	expect("CR0 in SMM, the rest", notes->cr0, cr0 & ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG));
	expect("CR4 in SMM", notes->cr4, 0);
	expect("EFER in SMM", notes->efer, 0);
	expect("CS in SMM", notes->cs & 0xFFFF, SMBASE >> 4);
	expect("revision", smm_map(SMBASE, MAP_REVISION) & UINT32_MAX, 0x30064);
	expect("SMBASE in SMRAM", smm_map(SMBASE, MAP_SMBASE) & UINT32_MAX, SMBASE);
	expect("CS in SMRAM", smm_map(SMBASE, MAP_CS) & 0xFFFF, SEL_CODE64);
	expect("CR3 in SMRAM", smm_map(SMBASE, MAP_CR3), cr3);
	expect("CR0 in SMRAM", smm_map(SMBASE, MAP_CR0), cr0);
	expect("EFER in SMRAM", smm_map(SMBASE, MAP_EFER), efer);
	expect("R15 in SMRAM", smm_map(SMBASE, MAP_R15), 0x123456789);
	expect("SVM state", smm_map(SMBASE, MAP_SVM_STATE), 0);
	expect("R15", r15, 0x123456789);
	expect("CR0", cr0_read(), cr0);
	expect("CR3", cr3_read(), cr3);
	expect("CR4", cr4_read(), cr4);
	expect("EFER", rdmsr(MSR_EFER), efer);
}

/* FS and GS are other registers in SMM; SYSCALL's MSRs are not touched. */
static void smm_bases(const struct scenario *s UNUSED)
{
	if (!smm_setup())
		return;
	wrmsr(MSR_FS_BASE, 0x7FFF12345000);
	wrmsr(MSR_KERNEL_GS, 0x1234);
	wrmsr(MSR_LSTAR, 0x5678);
	send_smi();
	spin(TAKEN);
	expect_smis(1);
	expect("FS base in SMRAM", smm_map(SMBASE, MAP_FS_BASE), 0x7FFF12345000);
	expect("FS base", rdmsr(MSR_FS_BASE), 0x7FFF12345000);
	expect("kernel GS base", rdmsr(MSR_KERNEL_GS), 0x1234);
	expect("LSTAR", rdmsr(MSR_LSTAR), 0x5678);
}

static void smm_gif(const struct scenario *s UNUSED)
{
	if (!smm_setup())
		return;
	clgi();
	send_smi();
	spin(TAKEN);
	expect_smis(0);
	stgi();
	spin(TAKEN);
	expect_smis(1);
}

/* The handler sends itself an SMI: it comes when RSM has ended the first, once. */
static void smm_in_smm(const struct scenario *s UNUSED)
{
	if (!smm_setup())
		return;
	smm_poke(ICR_LOW, ICR_SMI | 0x40000);
	smm_poke(NOTES + (uint32_t)offsetof(struct notes, poke_count), 0);
	notes->spins = TAKEN;
	send_smi();
	spin(TAKEN);
	expect_smis(2);
}

/* An NMI in SMM would go through the interrupt table of real mode, which is none. */
static void smm_nmi(const struct scenario *s UNUSED)
{
	if (!smm_setup())
		return;
	smm_poke(ICR_HIGH, lapic_id() << 24);
	smm_poke(ICR_LOW, ICR_NMI);
	notes->spins = TAKEN;
	send_smi();
	spin(TAKEN);
	expect_smis(1);
	expect("NMIs after RSM", trap_count[VEC_NMI], 1);
}

/* A second vCPU is in SMM when the first sends it an INIT: the handler still comes to its end, then the INIT stops the
 * vCPU. One that had taken the INIT would never say that it is out of SMM. */
static volatile uint32_t ticks;

static void smi_and_count(void *unused UNUSED)
{
	send_smi();
	for (;;)
		ticks++;
}

static bool comes(volatile uint32_t *word, uint32_t value)
{
	for (unsigned n = 0; n < SPIN_LONG && *word != value; n++)
		pause();
	return *word == value;
}

static void smm_init(const struct scenario *s UNUSED)
{
	uint32_t before;

	if (!smm_setup())
		return;
	notes->spins = SPIN_SHORT * 100;
	if (!smp_run(smi_and_count, NULL))
		return;
	expect("second vCPU in SMM", comes((volatile uint32_t *)&notes->inside, 1), 1);
	ipi_send(lapic_id() ^ 1, ICR_INIT);
	expect("out of SMM", comes((volatile uint32_t *)&notes->inside, 0), 1);
	expect_smis(1);
	spin(SPIN_SHORT * 100);
	before = ticks;
	spin(SPIN_SHORT * 100);
	expect("stopped by INIT", ticks, before);
	smp_forget();
}

static void do_rsm(uint64_t unused UNUSED)
{
	__asm__ volatile("rsm");
}

static void smm_rsm_outside(const struct scenario *s UNUSED)
{
	expect_fault(trap_catch(do_rsm, 0), VEC_UD, 0);
}

/* By the SMRAM field at RSM, and by the MSR. */
static void smm_relocate(const struct scenario *s UNUSED)
{
	if (!smm_setup())
		return;
	smm_place_handler(SMBASE_OTHER);
	smm_poke(SMBASE + MAP_SMBASE, SMBASE_OTHER);
	send_smi();
	spin(TAKEN);
	expect("SMBASE after RSM", rdmsr(MSR_SMM_BASE), SMBASE_OTHER);
	notes->poke_count = 0;
	send_smi();
	spin(TAKEN);
	expect_smis(2);
	expect("CS in SMM", notes->cs & 0xFFFF, SMBASE_OTHER >> 4);
	expect("SMBASE in SMRAM", smm_map(SMBASE_OTHER, MAP_SMBASE) & UINT32_MAX, SMBASE_OTHER);
	wrmsr(MSR_SMM_BASE, SMBASE);
	send_smi();
	spin(TAKEN);
	expect("CS in SMM", notes->cs & 0xFFFF, SMBASE >> 4);
}

static void smm_ctl(const struct scenario *s UNUSED)
{
	if (!smm_setup())
		return;
	wrmsr(MSR_SMM_CTL, SMM_CTL_ENTER);
	send_smi();
	ipi_self_nmi();
	spin(TAKEN);
	expect_smis(0);
	expect("NMIs after ENTER", trap_count[VEC_NMI], 0);
	wrmsr(MSR_SMM_CTL, SMM_CTL_EXIT);
	spin(TAKEN);
	expect_smis(1);
	expect("NMIs after EXIT", trap_count[VEC_NMI], 1);
	clgi();
	send_smi();
	wrmsr(MSR_SMM_CTL, SMM_CTL_DISMISS);
	stgi();
	spin(TAKEN);
	expect_smis(1);
}

static bool send_and_wait(uint32_t to)
{
	uint32_t count = notes->count;

	ipi_send(to, ICR_SMI);
	for (unsigned n = 0; n < SPIN_LONG && (notes->count == count || notes->inside); n++)
		pause();
	return notes->count == count + 1;
}

/* From a second vCPU: SMIs until one has found the first in HLT, to which it then returns; the next one goes behind. */
static volatile uint32_t smis_in_halt;

static void wake_by_smi(void *to)
{
	uint32_t id = (uint32_t)(uintptr_t)to;

	for (unsigned tries = 0; tries < 1000 && smis_in_halt < 2; tries++) {
		spin(SPIN_SHORT);
		if (!send_and_wait(id))
			break;
		smis_in_halt += (uint32_t)smm_map(SMBASE, MAP_AUTO_HALT) & 1;
	}
	smm_poke((SMBASE + MAP_AUTO_HALT) & ~3u, 0);
	smis_in_halt |= 0x100;
	send_and_wait(id);
}

static void smm_auto_halt(const struct scenario *s UNUSED)
{
	smis_in_halt = 0;
	if (!smm_setup() || !smp_run(wake_by_smi, (void *)(uintptr_t)lapic_id()))
		return;
	hlt();
	expect("SMIs that returned to HLT", smis_in_halt, 0x102);
	expect("SMM within SMM", notes->inside_twice, 0);
	smp_wait();
}

/* --- L2 --- */

L2_CODE(l2_rsm, "rsm");
/* RDI: the ICR. RSI: what goes into it. The SMI comes before the loop ends. */
L2_CODE(l2_smi, "mov [rdi], esi; smi_wait: mov ecx, 2000; 1: pause; loop 1b; mov r15, rbx; cpuid");
extern const uint8_t smi_wait[];

static struct vm *vm_that_sends(void)
{
	struct vm *v = vm_new(l2_smi);

	v->regs.rdi = ICR_LOW;
	v->regs.rsi = ICR_SMI | 0x40000;
	v->regs.rbx = 0x5A5A5A5A5A;
	return v;
}

static void smm_l2(const struct scenario *s UNUSED)
{
	struct vm *v = vm_that_sends();
	uint64_t cr3 = cr3_read(), npt = v->npt ? 4 : 0;

	if (!smm_setup() || !vm_run_to_end(v))
		return;
	expect_smis(1);
	expect("R15 of L2", v->regs.r15, 0x5A5A5A5A5A);
	expect("CR0 in SMM, PE", notes->cr0 & CR0_PE, 0);
	expect("EFER in SMM", notes->efer, 0);
	expect("SVM state", smm_map(SMBASE, MAP_SVM_STATE) & 7, 2 | npt);
	expect("VMCB in SMRAM", smm_map(SMBASE, MAP_VMCB), pa(v->vmcb));
	expect("EFER in SMRAM", smm_map(SMBASE, MAP_EFER), v->vmcb->efer);
	expect("RIP in SMRAM", smm_map(SMBASE, MAP_RIP) - pa(smi_wait) < 16, 1);
	expect("RBX in SMRAM", smm_map(SMBASE, MAP_RBX), 0x5A5A5A5A5A);
	expect("host's CR3 in SMRAM", smm_map(SMBASE, MAP_HOST_CR3), cr3);
	expect("CR3 of L1", cr3_read(), cr3);
	expect("exits", v->vmcb->exitcode, EXIT_VMMCALL);
}

static void smm_l2_intercepted(const struct scenario *s UNUSED)
{
	struct vm *v = vm_that_sends();

	if (!smm_setup())
		return;
	intercept_set(v, EXIT_SMI);
	clgi();
	vm_run_raw(v);
	expect_exit(v->vmcb, EXIT_SMI);
	expect("EXITINFO1, external", v->vmcb->info1 & 1, 1);
	expect("rip", v->vmcb->rip - pa(smi_wait) < 16, 1);
	spin(TAKEN);
	expect_smis(0);
	stgi();
	spin(TAKEN);
	expect_smis(1);
	expect("SVM state", smm_map(SMBASE, MAP_SVM_STATE), 0);
}

/* An SMI that waits for GIF is taken by VMRUN setting it, before the first instruction of L2, but behind an event that
 * L1 injects; which is not injected again by RSM. */
static void smm_l2_at_vmrun(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_rsm);
	extern const uint8_t l2_stubs[];

	if (!smm_setup())
		return;
	clgi();
	send_smi();
	vm_run(v);
	expect_smis(1);
	expect("RIP in SMRAM", smm_map(SMBASE, MAP_RIP), pa(l2_rsm));
	expect_l2_vector(v, VEC_UD);
	v = vm_new(l2_rsm);
	v->vmcb->eventinj = EVENT(EV_INTR, 0x51);
	clgi();
	send_smi();
	vm_run(v);
	expect_smis(2);
	expect("RIP in SMRAM", smm_map(SMBASE, MAP_RIP) - pa(l2_stubs) - 0x51 * 16 < 16, 1);
	expect_l2_vector(v, 0x51);
	expect("frames on the stack", l2_frame(v)->rip, pa(l2_rsm));
}

/* What SMM does to VMCB12 counts when RSM has entered L2 again. */
static void smm_l2_vmcb_changed(const struct scenario *s UNUSED)
{
	struct vm *v = vm_that_sends();

	if (!smm_setup())
		return;
	smm_poke((uint32_t)pa(&v->vmcb->intercept[3]), v->vmcb->intercept[3] | BIT32(EXIT_CPUID % 32));
	vm_run(v);
	expect_smis(1);
	expect_exit(v->vmcb, EXIT_CPUID);
}

/* Registers of L2 come from SMRAM. */
static void smm_l2_map_changed(const struct scenario *s UNUSED)
{
	struct vm *v = vm_that_sends();

	if (!smm_setup())
		return;
	smm_poke(SMBASE + MAP_RBX, 0x77);
	smm_poke(SMBASE + MAP_RBX + 4, 0);
	if (!vm_run_to_end(v))
		return;
	expect_smis(1);
	expect("R15 of L2", v->regs.r15, 0x77);
}

/* L2 lives on through many. */
static void smm_l2_often(const struct scenario *s UNUSED)
{
	struct vm *v;

	if (!smm_setup())
		return;
	for (unsigned i = 0; i < 50; i++) {
		v = vm_that_sends();
		v->regs.rbx = i;
		if (!vm_run_to_end(v) || !expect("R15 of L2", v->regs.r15, i))
			return;
	}
	expect_smis(50);
}

static void smm_l2_rsm(const struct scenario *s UNUSED)
{
	struct vm *v = vm_new(l2_rsm);

	vm_run(v);
	expect_l2_vector(v, VEC_UD);
	v = vm_new(l2_rsm);
	intercept_set(v, EXIT_RSM);
	vm_run(v);
	expect_exit(v->vmcb, EXIT_RSM);
}

static void smm_rsm_refused(const struct scenario *s UNUSED)
{
	struct vm *v = vm_that_sends();

	if (!option_has("shutdown")) {
		skip("it ends the machine");
		return;
	}
	if (!smm_setup())
		return;
	smm_poke((uint32_t)pa(&v->vmcb->asid), 0);
	vm_run(v);
	expect("went on, exit code", v->vmcb->exitcode, 0);
}

/* --- SMMLOCK, which only a reset takes back --- */

static void write_ctl(uint64_t value)
{
	wrmsr(MSR_SMM_CTL, value);
}

static void write_base(uint64_t value)
{
	wrmsr(MSR_SMM_BASE, value);
}

static void read_ctl(uint64_t unused UNUSED)
{
	rdmsr(MSR_SMM_CTL);
}

/* No range is protected, and every CPU with SVM has the MSRs that say so. */
static uint64_t msr_value;

static void read_msr(uint64_t msr)
{
	msr_value = rdmsr((uint32_t)msr);
}

static void smm_no_tseg(const struct scenario *s UNUSED)
{
	for (uint32_t msr = MSR_SMM_ADDR; msr <= MSR_SMM_MASK; msr++) {
		expect_item(msr);
		expect("RDMSR faults", trap_catch(read_msr, msr).taken, 0);
		expect("value, valid bits", msr_value & 3, 0);
	}
}

static void smm_lock(const struct scenario *s UNUSED)
{
	struct vm *v = vm_that_sends();

	if (!smm_setup())
		return;
	expect_fault(trap_catch(read_ctl, 0), VEC_GP, 0);
	wrmsr(MSR_HWCR, rdmsr(MSR_HWCR) | SMMLOCK);
	expect("SMMLOCK", rdmsr(MSR_HWCR) & SMMLOCK, SMMLOCK);
	wrmsr(MSR_HWCR, rdmsr(MSR_HWCR) & ~SMMLOCK);
	expect("SMMLOCK, cleared", rdmsr(MSR_HWCR) & SMMLOCK, SMMLOCK);
	expect_fault(trap_catch(write_ctl, SMM_CTL_ENTER), VEC_GP, 0);
	expect_fault(trap_catch(write_base, SMBASE_OTHER), VEC_GP, 0);
	intercept_set(v, EXIT_SMI);
	if (vm_run_to_end(v))
		expect_smis(1);
}

SCENARIOS("t_smm") {
	{"smm_firmware", "10.2.1", smm_firmware, 0, 0},
	{"smm_l1", "10.3.2", smm_l1, 0, 0},
	{"smm_bases", "10.4", smm_bases, 0, 0},
	{"smm_gif", "15.17", smm_gif, NEED_SVM, 0},
	{"smm_in_smm", "10.3.3", smm_in_smm, 0, 0},
	{"smm_nmi", "10.3.3", smm_nmi, 0, 0},
	{"smm_init", "10.3.3", smm_init, NEED_TWO_CPUS, 0},
	{"smm_rsm_outside", "10.4", smm_rsm_outside, 0, 0},
	{"smm_relocate", "10.2.2", smm_relocate, 0, 0},
	{"smm_ctl", "15.30.3", smm_ctl, NEED_SVM, 0},
	{"smm_auto_halt", "10.3.7", smm_auto_halt, NEED_TWO_CPUS, 0},
	{"smm_l2", "15.22.2", smm_l2, NEED_SVM, 0},
	{"smm_l2_intercepted", "15.13.3", smm_l2_intercepted, NEED_SVM, 0},
	{"smm_l2_at_vmrun", "15.20", smm_l2_at_vmrun, NEED_SVM, 0},
	{"smm_l2_vmcb_changed", "15.22.2", smm_l2_vmcb_changed, NEED_SVM, 0},
	{"smm_l2_map_changed", "10.4", smm_l2_map_changed, NEED_SVM, 0},
	{"smm_l2_often", "15.22.2", smm_l2_often, NEED_SVM, 0},
	{"smm_l2_rsm", "15.9", smm_l2_rsm, NEED_SVM, 0},
	{"smm_rsm_refused", "10.4", smm_rsm_refused, NEED_SVM, 0},
	{"smm_no_tseg", "10.2.5", smm_no_tseg, 0, 0},
	{"smm_lock", "15.13.3", smm_lock, NEED_SVM, 0},
};
SCENARIO_COUNT;
