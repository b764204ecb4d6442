/* SPDX-License-Identifier: MIT */
/* tests/bench/bench_ops.c - what an operation costs its L1: a bare Multiboot 1 kernel on the library of tests/guest.
 * Each line "BENCH <operation> min=N median=N" is in ticks of L1's TSC, less the cost of reading it: instructions
 * under QEMU's -icount shift=0, cycles on hardware. What is under the clock lies between two marks, instructions
 * without effect by which tools/exitcost.sh recognizes it. docs/performance.md explains each operation. */
#include <vm.h>
#include <str.h>

#define ROUNDS 64u
#define WARM_UP 4u	/* rounds that do not count: first use of a page, a table, a code path */

#define BENCH_VECTOR 0x40u
#define IDLE_VECTOR 0x41u
#define IDLE_TICKS 1000000000u
#define STRINGIZE_(x) #x
#define STRINGIZE(x) STRINGIZE_(x)

/* NOP with a displacement that nobody else uses; the last byte numbers what begins here, 0 ends it. */
#define MARK(n) ".byte 0x0F, 0x1F, 0x80\n.long 0x4E455300 + " #n "\n"
#define END MARK(0)
#define STAMP(reg) "rdtsc\nshl rdx, 32\nlea " #reg ", [rax + rdx]\n"

/* uint64_t name(uint64_t operand): ticks for the instruction, which finds its operand in RAX and RDX. */
#define TIMED(name, insn)                                                                          \
	uint64_t name(uint64_t operand);                                                           \
	L1_CODE(name, "push rbx\nmov r8, rdi\nxor ecx, ecx\n" MARK(1) STAMP(r10)                   \
		      "mov rax, r8\nmov edx, r8d\n" insn "\n" STAMP(rax) END                       \
		      "sub rax, r10\npop rbx\nret")
TIMED(timed_nothing, "");
TIMED(timed_cpuid, "cpuid");
TIMED(timed_in, "in al, dx");
TIMED(timed_vmrun, "vmrun");
TIMED(timed_vmload, "vmload");
TIMED(timed_vmsave, "vmsave");
TIMED(timed_stgi, "stgi");
TIMED(timed_clgi, "clgi");

/* --- results --- */

struct samples {
	uint64_t of[ROUNDS];
};

static void sort(uint64_t *of, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		uint64_t v = of[i];
		unsigned at = i;

		for (; at > 0 && of[at - 1] > v; at--)
			of[at] = of[at - 1];
		of[at] = v;
	}
}

static void report_of(const char *operation, uint64_t *of, unsigned count, uint64_t overhead)
{
	sort(of, count);
	print("BENCH %s min=%lu median=%lu\n", operation, of[0] - overhead, of[count / 2] - overhead);
}

static void report(const char *operation, struct samples *s, uint64_t overhead)
{
	report_of(operation, s->of, ROUNDS, overhead);
}

static uint64_t overhead(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t ticks = timed_nothing(0);

		if (ticks < least)
			least = ticks;
	}
	return least;
}

/* --- single instructions of L1 --- */

struct timed {
	uint64_t (*run)(uint64_t operand);
	uint64_t operand;
};

static void run_timed(const struct scenario *sc)
{
	const struct timed *t = sc->row;
	struct samples s;

	for (unsigned i = 0; i < WARM_UP; i++)
		t->run(t->operand);
	for (unsigned i = 0; i < ROUNDS; i++)
		s.of[i] = t->run(t->operand);
	report(sc->name, &s, overhead());
}

#define PIC_MASK_PORT 0x21
#define UART_STATUS_PORT 0x3FD
static const struct timed cpuid_row = {timed_cpuid, 0};
static const struct timed pic_row = {timed_in, PIC_MASK_PORT};
static const struct timed uart_row = {timed_in, UART_STATUS_PORT};

static void run_vmload_vmsave(const struct scenario *sc)
{
	uint64_t page = pa(pages(1));
	static struct samples load, save;

	(void)sc;
	for (unsigned i = 0; i < WARM_UP; i++)
		timed_vmsave(page);
	for (unsigned i = 0; i < ROUNDS; i++) {
		save.of[i] = timed_vmsave(page);
		load.of[i] = timed_vmload(page);
	}
	report("vmload", &load, overhead());
	report("vmsave", &save, overhead());
}

static void run_gif(const struct scenario *sc)
{
	static struct samples set, clear;

	(void)sc;
	for (unsigned i = 0; i < ROUNDS; i++) {
		clear.of[i] = timed_clgi(0);
		set.of[i] = timed_stgi(0);
	}
	report("stgi", &set, overhead());
	report("clgi", &clear, overhead());
}

/* --- an interrupt to oneself --- */

/* Handler and waiting code are one unit: R11 says that the interrupt came. */
L1_CODE(ipi_entry, "mov dword ptr [r9], 0\nmov r11d, 1\niretq");
uint64_t timed_ipi(uint64_t icr_low);
L1_CODE(timed_ipi, "mov r8, rdi\nmov r9d, 0xFEE000B0\nxor r11d, r11d\nsti\n" MARK(1) STAMP(r10)
		   "mov dword ptr [r9 + 0x250], r8d\n1: test r11d, r11d\njz 1b\n" STAMP(rax) END
		   "cli\nsub rax, r10\nret");
extern const uint8_t ipi_entry[];

#define ICR_SELF_FIXED 0x40000u
#define GATE_INTERRUPT UINT64_C(0x8E00)

static void gate_set(unsigned vector, const void *entry)
{
	struct table_pointer idtr;
	uint64_t *gate;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	gate = (uint64_t *)(uintptr_t)idtr.base + 2 * vector;
	gate[0] = (pa(entry) & 0xFFFF) | SEL_CODE64 << 16 | GATE_INTERRUPT << 32 | (pa(entry) >> 16 & 0xFFFF) << 48;
	gate[1] = pa(entry) >> 32;
}

static void run_ipi(const struct scenario *sc)
{
	struct samples s;

	gate_set(BENCH_VECTOR, ipi_entry);
	for (unsigned i = 0; i < WARM_UP; i++)
		timed_ipi(ICR_SELF_FIXED | BENCH_VECTOR);
	for (unsigned i = 0; i < ROUNDS; i++)
		s.of[i] = timed_ipi(ICR_SELF_FIXED | BENCH_VECTOR);
	report(sc->name, &s, overhead());
}

/* --- VMRUN and #VMEXIT --- */

/* Ticks from L1's VMRUN to L2's first instruction, and from L2's VMMCALL to L1's next instruction. L2 leaves its two
 * stamps in R10 and R11, which are the same registers in L1. The second form has what hypervisors do with each VMRUN
 * and #VMEXIT under the clock as well. */
struct round_trip {
	uint64_t entry, exit;
};
typedef void timed_round_fn(uint64_t vmcb, struct round_trip *out);
timed_round_fn timed_round, timed_switch, timed_full, timed_no_round;
#define ROUND(before, in, out, after)                                                              \
	before "mov r8, rdi\n" MARK(1) STAMP(r9) "mov rax, r8\n" in out STAMP(rax) END             \
	after "sub r10, r9\nsub rax, r11\nmov [rsi], r10\nmov [rsi + 8], rax\nret"
#define L2_STAMPS STAMP(r10) END MARK(2) STAMP(r11)
L1_CODE(timed_round, ROUND("clgi\n", "vmrun\n", "", "stgi\n"));
L1_CODE(timed_switch, ROUND("", "clgi\nvmload\nvmrun\n", "stgi\n", ""));
L1_CODE(timed_full, ROUND("", "clgi\nvmload\nvmrun\n", "vmsave\nstgi\n", ""));
L1_CODE(timed_no_round, ROUND("", L2_STAMPS, "", ""));
L2_CODE(l2_round, L2_STAMPS);

/* The latency test of kvm-unit-tests (x86/svm.c test_run, x86/svm_tests.c latency_test) brackets more: CLGI, STI and a
 * call before, CLI and STGI behind, RFLAGS and RAX by way of memory, and fourteen registers exchanged with L2's. L2's
 * stamps are there afterwards. TLB_CONTROL asks for a flush of everything at each VMRUN. */
struct latency_regs {
	uint64_t rflags, rax, rbx, rcx, rdx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
} latency_regs = {.rflags = 2};
#define AT(offset) "[latency_regs + " #offset "]"
#define EXCHANGE                                                                                     \
	"xchg rbx, " AT(0x10) "\nxchg rcx, " AT(0x18) "\nxchg rdx, " AT(0x20) "\nxchg rbp, " AT(0x28)  \
	"\nxchg rsi, " AT(0x30) "\nxchg rdi, " AT(0x38) "\nxchg r8, " AT(0x40) "\nxchg r9, " AT(0x48)    \
	"\nxchg r10, " AT(0x50) "\nxchg r11, " AT(0x58) "\nxchg r12, " AT(0x60) "\nxchg r13, " AT(0x68)  \
	"\nxchg r14, " AT(0x70) "\nxchg r15, " AT(0x78) "\n"
timed_round_fn timed_latency;
L1_CODE(timed_latency, "push r15\nmov r8, rdi\n" MARK(1) STAMP(r9)
	"clgi\nsti\ncall 2f\nmov rax, r8\nmov r15, " AT(0) "\nmov [rax + 0x570], r15\nmov r15, " AT(8)
	"\nmov [rax + 0x5F8], r15\n" EXCHANGE "vmrun\n" EXCHANGE
	"mov r15, [rax + 0x570]\nmov " AT(0) ", r15\nmov r15, [rax + 0x5F8]\nmov " AT(8) ", r15\ncli\nstgi\n"
	STAMP(rax) END
	"mov r10, " AT(0x50) "\nmov r11, " AT(0x58) "\nsub r10, r9\nsub rax, r11\nmov [rsi], r10\nmov [rsi + 8], rax\n"
	"pop r15\n2: ret");

static void round_trip(struct vm *v, timed_round_fn *run, struct round_trip *out)
{
	v->vmcb->rip = pa(l2_round);
	run(pa(v->vmcb), out);
	v->vmcb->tlb_control = run == timed_latency;
}

static struct round_trip round_overhead(void)
{
	struct round_trip least, r;

	timed_no_round(0, &least);
	for (unsigned i = 0; i < ROUNDS; i++) {
		timed_no_round(0, &r);
		least.entry = r.entry < least.entry ? r.entry : least.entry;
		least.exit = r.exit < least.exit ? r.exit : least.exit;
	}
	return least;
}

struct round_names {
	const char *entry, *exit;
};

static void measure_rounds(struct vm *v, timed_round_fn *run, struct round_names names)
{
	static struct samples entry, exit;
	struct round_trip r, none = round_overhead();

	for (unsigned i = 0; i < WARM_UP; i++)
		round_trip(v, run, &r);
	for (unsigned i = 0; i < ROUNDS; i++) {
		round_trip(v, run, &r);
		entry.of[i] = r.entry;
		exit.of[i] = r.exit;
	}
	expect_exit(v->vmcb, EXIT_VMMCALL);
	report(names.entry, &entry, none.entry);
	report(names.exit, &exit, none.exit);
}

static void run_vmrun(const struct scenario *sc)
{
	(void)sc;
	measure_rounds(vm_new(l2_round), timed_round, (struct round_names){"vmrun", "vmexit"});
}

static void run_switch(const struct scenario *sc)
{
	struct vm *v = vm_new(l2_round);

	(void)sc;
	vmsave(pa(v->vmcb));
	measure_rounds(v, timed_switch, (struct round_names){"switch-in", "switch-out"});
}

/* The same, and what L2 left in the VMLOAD registers is saved. */
static void run_full(const struct scenario *sc)
{
	struct vm *v = vm_new(l2_round);

	(void)sc;
	vmsave(pa(v->vmcb));
	measure_rounds(v, timed_full, (struct round_names){"full-in", "full-out"});
}

static void run_latency(const struct scenario *sc)
{
	(void)sc;
	measure_rounds(vm_new(l2_round), timed_latency, (struct round_names){"latency-vmrun", "latency-vmexit"});
}

/* As hypervisors do: both permission maps in force, the usual intercepts, nested paging. */
static void run_vmrun_maps(const struct scenario *sc)
{
	static const uint64_t intercepts[] = {EXIT_INTR, EXIT_NMI, EXIT_CPUID, EXIT_HLT, EXIT_IOIO, EXIT_MSR,
					      EXIT_VMLOAD, EXIT_VMSAVE, EXIT_STGI, EXIT_CLGI};
	struct vm *v = vm_new(l2_round);

	(void)sc;
	for (unsigned i = 0; i < ARRAY_COUNT(intercepts); i++)
		intercept_set(v, intercepts[i]);
	memset(v->iopm, 0xFF, 3 * PAGE_SIZE);
	memset(v->msrpm, 0xFF, 2 * PAGE_SIZE);
	v->vmcb->vintr = V_INTR_MASKING;
	measure_rounds(v, timed_round, (struct round_names){"vmrun-maps", "vmexit-maps"});
}

/* L1 says that nothing changed since the last #VMEXIT. */
static void run_vmrun_clean(const struct scenario *sc)
{
	struct vm *v = vm_new(l2_round);

	(void)sc;
	v->vmcb->clean = UINT32_MAX;
	measure_rounds(v, timed_round, (struct round_names){"vmrun-clean", "vmexit-clean"});
}

static void run_refused(const struct scenario *sc)
{
	struct vm *v = vm_new(l2_round);
	struct samples s;

	v->vmcb->asid = 0;
	for (unsigned i = 0; i < ROUNDS; i++) {
		clgi();
		s.of[i] = timed_vmrun(pa(v->vmcb));
		stgi();
	}
	if (expect("exit code", v->vmcb->exitcode & UINT32_MAX, UINT32_MAX))
		report(sc->name, &s, overhead());
}

/* L1 takes turns among its L2s, each with its own ASID and nested page table. */
static void run_l2s(const struct scenario *sc)
{
	unsigned count = *(const unsigned *)sc->row;
	struct round_trip r, none = round_overhead();
	struct vm *v[16];
	struct samples s;

	for (unsigned i = 0; i < count; i++) {
		v[i] = vm_new(l2_round);
		v[i]->vmcb->asid = i + 1;
	}
	for (unsigned i = 0; i < WARM_UP * count; i++)
		round_trip(v[i % count], timed_round, &r);
	for (unsigned i = 0; i < ROUNDS; i++) {
		round_trip(v[i % count], timed_round, &r);
		s.of[i] = r.entry + r.exit;
	}
	report(sc->name, &s, none.entry + none.exit);
}

static const unsigned one = 1, four = 4, sixteen = 16;

/* --- shadow nested page faults --- */

/* RAM that nothing else uses, mapped by L1's nested page table with 4 KiB pages. */
#define REGION (UINT64_C(32) << 20)
#define PAGES_PER_TABLE 512u
#define SEQUENCES 8u

L2_CODE(l2_touch, MARK(1) STAMP(r10) "mov byte ptr [rdi], 1\n" STAMP(r11) END);
L2_CODE(l2_no_touch, STAMP(r10) STAMP(r11));
L2_CODE(l2_touch_many, MARK(1) STAMP(r10)
	"1: mov byte ptr [rdi], 1\nadd rdi, 4096\ndec rcx\njnz 1b\n" STAMP(r11) END);

/* L1 has used the memory itself: what its own first use costs is no part of the measurement. */
static uint64_t *region_map(struct vm *v, unsigned table, uint64_t bits)
{
	uint64_t start = REGION + table * SIZE_2M;
	uint64_t *entry = table_entry(v->npt, start, LEVEL_4K);

	for (unsigned i = 0; i < PAGES_PER_TABLE; i++) {
		*(volatile uint8_t *)(uintptr_t)(start + i * PAGE_SIZE) = 1;
		entry[i] = (start + i * PAGE_SIZE) | bits;
	}
	return entry;
}

static uint64_t l2_ticks(struct vm *v, const void *code, uint64_t address, uint64_t count)
{
	v->vmcb->rip = pa(code);
	v->regs.rdi = address;
	v->regs.rcx = count;
	vm_run_to_end(v);
	v->vmcb->tlb_control = 0;
	return v->regs.r11 - v->regs.r10;
}

/* Each page appears in NPT12 only when it is about to be touched, as with an L1 that allocates on demand: there is
 * nothing that L0 could fill in ahead. */
static void run_first_touch(const struct scenario *sc)
{
	uint64_t bits = *(const uint64_t *)sc->row, none;
	struct vm *v = vm_new(l2_touch);
	uint64_t *entry = region_map(v, 0, 0);
	struct samples s;

	none = l2_ticks(v, l2_no_touch, 0, 0);
	for (unsigned i = 0; i < WARM_UP + ROUNDS; i++) {
		uint64_t at = REGION + i * PAGE_SIZE, ticks;

		entry[i] = at | bits;
		ticks = l2_ticks(v, l2_touch, at, 0);
		if (i >= WARM_UP)
			s.of[i - WARM_UP] = ticks;
	}
	report(sc->name, &s, none);
}

/* Average over 512 pages in order, all mapped by L1 beforehand; the second pass over them is what the loop costs. */
static void run_sequential(const struct scenario *sc)
{
	uint64_t bits = *(const uint64_t *)sc->row, averages[SEQUENCES];
	struct vm *v = vm_new(l2_touch_many);

	for (unsigned i = 0; i < SEQUENCES; i++)
		region_map(v, i, bits);
	l2_ticks(v, l2_no_touch, 0, 0);
	for (unsigned i = 0; i < SEQUENCES; i++) {
		uint64_t start = REGION + i * SIZE_2M;
		uint64_t first = l2_ticks(v, l2_touch_many, start, PAGES_PER_TABLE);
		uint64_t again = l2_ticks(v, l2_touch_many, start, PAGES_PER_TABLE);

		averages[i] = (first - again) / PAGES_PER_TABLE;
	}
	report_of(sc->name, averages, SEQUENCES, 0);
}

/* --- company --- */

/* For other L1s beside the one that measures (only=idle): there for a second, nearly all of it halted. */
static void run_idle(const struct scenario *sc)
{
	(void)sc;
	if (!option_has("only=idle")) {
		skip("measures nothing");
		return;
	}
	lapic_timer_once(IDLE_VECTOR, IDLE_TICKS);
	while (!trap_count[IDLE_VECTOR])
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static const uint64_t used_bits = PTE_RWU | PTE_A | PTE_D, new_bits = PTE_RWU;

SCENARIOS("bench_ops") {
	{"cpuid", "15.9", run_timed, 0, &cpuid_row},
	{"port-pic", "15.10", run_timed, 0, &pic_row},
	{"port-uart", "15.10", run_timed, 0, &uart_row},
	{"ipi", "16.5", run_ipi, 0, NULL},
	{"vmrun", "15.5", run_vmrun, NEED_SVM, NULL},
	{"switch-in", "15.5.2", run_switch, NEED_SVM, NULL},
	{"full-in", "15.5.2", run_full, NEED_SVM, NULL},
	{"latency-vmrun", "15.5", run_latency, NEED_SVM, NULL},
	{"vmrun-maps", "15.10", run_vmrun_maps, NEED_SVM, NULL},
	{"vmrun-clean", "15.15", run_vmrun_clean, SVM_CLEAN, NULL},
	{"vmrun-refused", "15.5", run_refused, NEED_SVM, NULL},
	{"vmload", "15.5.2", run_vmload_vmsave, NEED_SVM, NULL},
	{"stgi", "15.17", run_gif, NEED_SVM, NULL},
	{"npf", "15.25", run_first_touch, SVM_NP, &used_bits},
	{"npf-new", "15.25", run_first_touch, SVM_NP, &new_bits},
	{"npf-sequential", "15.25", run_sequential, SVM_NP, &used_bits},
	{"npf-sequential-new", "15.25", run_sequential, SVM_NP, &new_bits},
	{"round-trip-1-l2", "15.16", run_l2s, NEED_SVM, &one},
	{"round-trip-4-l2", "15.16", run_l2s, NEED_SVM, &four},
	{"round-trip-16-l2", "15.16", run_l2s, NEED_SVM, &sixteen},
	{"idle", "16.4", run_idle, 0, NULL},
};
SCENARIO_COUNT;
