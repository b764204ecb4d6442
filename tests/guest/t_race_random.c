/* SPDX-License-Identifier: MIT */
/* t_race_random.c - shows that a second vCPU which rewrites VMCB12, its permission maps and its nested table at
 * random, all the time, leaves VMRUN two outcomes: L2 ran with values that passed the checks, and left by an exit that
 * exists; or the VMRUN was refused. L1's own state comes through both. APM vol. 2 15.5.1, 15.6.
 *
 * L2 tells what it runs with: CR0, CR4, CR3 and EFER as it reads them, then it executes VMRUN, which cannot succeed
 * while its intercept is checked. Everything L2 can reach is in one block of pages with tables of its own, so that a
 * mad L2 harms itself alone; the block is made good before every epoch. What would let L2 out, or make it deaf to the
 * NMI that ends one which hangs, is not rewritten: see struct target.
 * Options: rounds=<VMRUNs of each scenario>, seed=<n>; the same seed draws the same values. */
#include "vm.h"
#include "str.h"

#define ROUNDS 60000u
#define EPOCH_ROUNDS 2000u
#define HANG_LOOPS 30000u	/* of the writer, without a new round: an NMI is sent */
#define TRIES 8u
#define COSTLY_EVERY 64u	/* rounds between looks at what takes an exit to look at */
#define OWN_PAGES 5u		/* code, stubs, GDT, IDT, report */
#define WORDS 512u		/* of a page */
#define VMCB_SAVE (offsetof(struct vmcb, es) / 8)
#define COOKIE UINT64_C(0x1122334455667788)
#define NOT_AN_ADDRESS (BITS(11, 0) | BITS(63, 40))
#define NESTED_ENTRY_BITS (BITS(2, 0) | BITS(6, 5) | BITS(11, 8) | BITS(63, 40))
#define CR4_RESERVED (BITS(63, 32))
#define EFER_RESERVED (BITS(63, 16) | BIT(9))

/* What L2 writes down. */
struct report {
	uint64_t started, cr0, cr4, cr3, efer, passed_vmrun;
};

/* RBX: the report. RSI: the VMCB. RBP: the cookie. R12 is the cookie only if the code before VMRUN has run. */
L2_CODE(l2_probe,
	"mov [rbx], rbp;"
	"mov rax, cr0; mov [rbx + 8], rax;"
	"mov rax, cr4; mov [rbx + 16], rax;"
	"mov rax, cr3; mov [rbx + 24], rax;"
	"mov ecx, 0xC0000080; rdmsr; shl rdx, 32; or rax, rdx; mov [rbx + 32], rax;"
	"mov r12, rbp; mov rax, rsi; vmrun; mov [rbx + 40], r12");
#define PROBE_BYTES 128u

/* Bytes [at, at + words * 8) of the block, and the bits that may change in each word. */
struct target {
	uint64_t *at;
	unsigned words;
	uint64_t bits;	/* these are rewritten */
	uint64_t set;	/* and these are always 1 */
};
#define TARGETS_MAX 32u

static struct lab {
	struct vm *v;
	struct report *report;
	uint64_t *block, *good;	/* the block, and a copy of it as it was made */
	unsigned block_words, nested_pages;
	struct target targets[TARGETS_MAX];
	unsigned target_count;
	volatile bool stop;
	volatile uint64_t round;
	uint64_t seed;
	uint64_t ran, refused, other, nmis;
} lab;

/* xorshift64*: any seed but 0. */
static uint64_t draw(void)
{
	lab.seed ^= lab.seed >> 12;
	lab.seed ^= lab.seed << 25;
	lab.seed ^= lab.seed >> 27;
	return lab.seed * UINT64_C(0x2545F4914F6CDD1D);
}

/* --- the second vCPU --- */

static uint64_t odd_value(uint64_t good)
{
	uint64_t r = draw();

	switch (r % 4) {
	case 0: return 0;
	case 1: return draw();
	case 2: return ~good;
	default: return good ^ BIT(r >> 8 & 63);
	}
}

static void rewrite_once(void)
{
	const struct target *t = &lab.targets[draw() % lab.target_count];
	unsigned word = (unsigned)(draw() % t->words);
	volatile uint64_t *at = t->at + word;
	uint64_t good = lab.good[t->at + word - lab.block];

	*at = ((good & ~t->bits) | (odd_value(good) & t->bits)) | t->set;
	spin((unsigned)(draw() & 15));
	*at = good;
}

static void rewrite(void *unused UNUSED)
{
	uint64_t seen = 0;
	unsigned same = 0;

	while (!lab.stop) {
		rewrite_once();
		same = lab.round == seen ? same + 1 : 0;
		seen = lab.round;
		if (same && same % HANG_LOOPS == 0) {
			ipi_send(lapic_id() ^ 1, ICR_NMI);
			lab.nmis++;
		}
	}
}

static void target_add(void *at, unsigned bytes, uint64_t bits, uint64_t set)
{
	lab.targets[lab.target_count++] = (struct target){at, bytes / 8, bits, set};
}

/* NMI, SHUTDOWN and CLGI intercepts stay, and nested paging where L2's own registers are rewritten. Not rewritten: what
 * is written by an exit only. */
static void targets_control(struct vmcb *c)
{
	const uint64_t nmi = BIT(32 + EXIT_NMI % 32), shutdown = BIT(32 + 31), clgi = BIT(EXIT_CLGI % 32);

	target_add(&c->intercept[0], 8, ~UINT64_C(0), 0);
	target_add(&c->intercept[2], 8, ~UINT64_C(0), nmi | shutdown);
	target_add(&c->intercept[4], 8, ~UINT64_C(0), clgi);
	target_add(c->pad18, 0x40 - 0x18, ~UINT64_C(0), 0);
	target_add(&c->iopm, 24, ~UINT64_C(0), 0);
	target_add(&c->asid, 8, ~UINT64_C(0), 0);
	target_add(&c->asid, 8, BITS(3, 0), 0);
	target_add(&c->vintr, 16, ~UINT64_C(0), 0);
	target_add(&c->avic_bar, 16, ~UINT64_C(0), 0);
	target_add(&c->eventinj, 8, ~UINT64_C(0), 0);
	target_add(&c->eventinj, 8, ~UINT64_C(0), EV_VALID);
	target_add(&c->ncr3, 8, NOT_AN_ADDRESS, 0);
	target_add(&c->virt_ext, 24, ~UINT64_C(0), 0);
	target_add(c->pade0, 0x100 - 0xE0, ~UINT64_C(0), 0);
}

static void targets_registers(struct vmcb *c)
{
	target_add(&c->es, sizeof(struct seg) * 10, ~UINT64_C(0), 0);
	target_add(c->pad4a0 + 0x28, 8, ~UINT64_C(0), 0);	/* CPL is its byte 3 */
	target_add(&c->efer, 8, ~UINT64_C(0), 0);
	target_add(&c->efer, 8, EFER_SVME, 0);
	target_add(&c->cr4, 24, ~UINT64_C(0), 0);
	target_add(&c->cr0, 8, CR0_NW | CR0_CD | BITS(63, 32), 0);
	target_add(&c->dr7, 8 * 4, ~UINT64_C(0), 0);
	target_add(&c->rsp, 8 * 5, ~UINT64_C(0), 0);
	target_add(&c->cr2, 0x668 - 0x640, ~UINT64_C(0), 0);
	target_add(&c->g_pat, 8, ~UINT64_C(0), 0);
}

static void targets_maps(struct vm *v)
{
	target_add(v->iopm, 3 * PAGE_SIZE, ~UINT64_C(0), 0);
	target_add(v->msrpm, 2 * PAGE_SIZE, ~UINT64_C(0), 0);
	target_add(v->npt, lab.nested_pages * (unsigned)PAGE_SIZE, NESTED_ENTRY_BITS, 0);
}

/* --- the L2 --- */

static void map_pages(uint64_t *root, const void *first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		*table_entry(root, pa(first) + i * PAGE_SIZE, LEVEL_4K) =
			(pa(first) + i * PAGE_SIZE) | PTE_RWU | PTE_A | PTE_D;
}

/* Code, stubs, IDT and GDT are copies in the block, so that neither table shows L2 anything else. */
static void lab_build(void)
{
	struct vm *v = vm_new_flat(NULL);
	uint8_t *code = pages(1), *stubs = pages(1), *gdt = pages(1), *stack = v->stack_top + 64 - PAGE_SIZE;
	uint64_t *idt = pages(1), *own, *nested, *end;
	extern const uint8_t l2_stubs[];

	lab.v = v;
	lab.block = (uint64_t *)(uintptr_t)v->vmcb;
	lab.report = pages(1);	/* behind the IDT */
	memcpy(code, l2_probe, PROBE_BYTES);
	memcpy(stubs, l2_stubs, PAGE_SIZE);
	memcpy(gdt, (const void *)(uintptr_t)v->vmcb->gdtr.base, v->vmcb->gdtr.limit + 1);
	idt_fill(idt, stubs);
	v->vmcb->gdtr.base = pa(gdt);
	v->vmcb->idtr.base = pa(idt);
	v->vmcb->rip = pa(code);
	own = pages(1);
	map_pages(own, stack, 1);
	map_pages(own, code, OWN_PAGES);
	nested = pages(1);
	map_pages(nested, stack, 1);
	map_pages(nested, code, OWN_PAGES);
	map_pages(nested, own, (unsigned)(nested - own) / WORDS);
	v->vmcb->cr3 = pa(own);
	v->vmcb->ncr3 = pa(nested);
	v->npt = nested;
	intercept_set(v, EXIT_NMI);
	intercept_set(v, EXIT_CLGI);
	end = pages(1);
	lab.nested_pages = (unsigned)(end - nested) / WORDS;
	lab.block_words = (unsigned)(end - lab.block);
	lab.good = pages(lab.block_words / WORDS);
}

static void lab_keep(void)
{
	memcpy(lab.good, lab.block, lab.block_words * 8);
	lab.target_count = 0;
}

static void lab_restore(void)
{
	memcpy(lab.block, lab.good, lab.block_words * 8);
}

/* --- one VMRUN and what must hold after it --- */

static const struct l1_state {
	uint64_t cr0, cr3, cr4, efer, gdt, idt;
} *l1_state(void)
{
	static struct l1_state s;
	struct table_pointer gdtr, idtr;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
	s = (struct l1_state){cr0_read(), cr3_read(), cr4_read(), s.efer, gdtr.base, idtr.base};
	if (lab.round % COSTLY_EVERY == 0)
		s.efer = rdmsr(MSR_EFER);
	return &s;
}

static bool check_l1(const struct l1_state *was)
{
	const struct l1_state *is = l1_state();

	return expect("CR0 of L1", is->cr0, was->cr0) && expect("CR3 of L1", is->cr3, was->cr3) &&
	       expect("CR4 of L1", is->cr4, was->cr4) && expect("EFER of L1", is->efer, was->efer) &&
	       expect("GDT of L1", is->gdt, was->gdt) && expect("IDT of L1", is->idt, was->idt) &&
	       expect("DR7 of L1", dr7_read(), DR7_RESET) &&
	       expect("IF of L1", rflags_read() & RFLAGS_IF, 0);
}

/* Only an L2 in 64-bit mode can have written the whole cookie. */
static bool check_report(const struct report *r)
{
	if (r->started != COOKIE)
		return true;
	if (!expect("VMRUN in L2 passed", r->passed_vmrun == COOKIE, 0))
		return false;
	return expect("CR0 of L2, upper half", r->cr0 >> 32, 0) &&
	       expect("CR0 of L2, NW without CD", (r->cr0 & (CR0_CD | CR0_NW)) == CR0_NW, 0) &&
	       expect("CR4 of L2, reserved bits", r->cr4 & CR4_RESERVED, 0) &&
	       expect("CR3 of L2, reserved bits", r->cr3 >> maxphys(), 0) &&
	       (!r->efer || (expect("EFER.SVME of L2", r->efer & EFER_SVME, EFER_SVME) &&
			     expect("EFER of L2, reserved bits", r->efer & EFER_RESERVED, 0)));
}

static bool check_exit(const struct vmcb *c)
{
	uint64_t code = c->exitcode;

	if (code == EXIT_INVALID) {
		lab.refused++;
		return expect("started when refused", lab.report->started, 0) &&
		       expect("EXITINFO1 of a refusal", c->info1, 0) &&
		       expect("EXITINFO2 of a refusal", c->info2, 0);
	}
	if (code == EXIT_VMRUN && lab.report->started == COOKIE)
		lab.ran++;
	else
		lab.other++;
	return expect("exit code exists", code <= EXIT_INVPCID || code == EXIT_NPF, 1);
}

/* What lib/string.c does byte by byte takes emulators longer than a VMRUN. */
static void copy_words(uint64_t *to, const uint64_t *from, uint64_t words)
{
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static bool one_round(const struct l1_state *was)
{
	struct vm *v = lab.v;

	lab.round++;
	copy_words(lab.block, lab.good, offsetof(struct vmcb, pade0) / 8);
	copy_words(lab.block + VMCB_SAVE, lab.good + VMCB_SAVE, offsetof(struct vmcb, dbgctl) / 8 - VMCB_SAVE);
	*lab.report = (struct report){0};
	v->regs = (struct gprs){.rbx = pa(lab.report), .rsi = pa(v->vmcb), .rbp = COOKIE};
	vm_run_raw(v);
	stgi();	/* an NMI sent too late comes here */
	expect_item(lab.round);
	return check_exit(v->vmcb) && check_report(lab.report) && check_l1(was);
}

/* The second vCPU rests between epochs, while what an L2 may have spoilt is made good. */
static bool run_epochs(uint64_t rounds)
{
	struct l1_state was = *l1_state();
	bool fine = true;

	for (uint64_t left = rounds; left && fine;) {
		uint64_t now = left < EPOCH_ROUNDS ? left : EPOCH_ROUNDS;

		lab_restore();
		lab.stop = false;
		if (!smp_run(rewrite, NULL))
			return false;
		for (left -= now; now && fine; now--)
			fine = one_round(&was);
		lab.stop = true;
		smp_wait();
	}
	return fine;
}

static bool saw_all_outcomes(void)
{
	return lab.ran && lab.refused && lab.other;
}

/* On a busy machine the writer's CPU may get no time during all of the rounds: then there are more of them. */
static void lab_run(void)
{
	uint64_t rounds = option_number("rounds=", ROUNDS), seed = option_number("seed=", 1), total = 0;

	lab.seed = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
	lab.round = 0;
	lab.ran = lab.refused = lab.other = lab.nmis = 0;
	do {
		if (!run_epochs(rounds))
			return;
		total += rounds;
	} while (!saw_all_outcomes() && total < TRIES * rounds);
	print("race: %lu VMRUNs, %lu ran to the end, %lu refused, %lu left before, %lu NMIs, seed %lu\n", total,
	      lab.ran, lab.refused, lab.other, lab.nmis, seed);
	expect("all outcomes were seen", saw_all_outcomes(), 1);
}

static void race_random(const struct scenario *s UNUSED)
{
	lab_build();
	lab.v->vmcb->np = NP_ENABLE;
	lab_keep();
	targets_control(lab.v->vmcb);
	targets_registers(lab.v->vmcb);
	targets_maps(lab.v);
	target_add(&lab.v->vmcb->np, 8, ~NP_ENABLE, 0);
	lab_run();
}

/* Nested paging comes and goes; then L2's paging is all that holds it, and is left alone but for illegal bits. */
static void race_random_np(const struct scenario *s UNUSED)
{
	struct vmcb *c;

	lab_build();
	c = lab.v->vmcb;
	c->np = NP_ENABLE;
	lab_keep();
	targets_control(c);
	for (unsigned i = 0; i < 6; i++)
		target_add(&c->np, 8, ~UINT64_C(0), 0);
	target_add(&c->cr0, 8, CR0_NW | CR0_CD | BITS(63, 32), 0);
	target_add(&c->cr3, 8, BITS(63, 40), 0);
	target_add(&c->cr4, 8, BITS(63, 32), 0);
	target_add(&c->efer, 8, EFER_SVME | EFER_RESERVED, 0);
	target_add(&c->dr7, 8 * 4, ~UINT64_C(0), 0);
	target_add(&c->rsp, 8, ~UINT64_C(0), 0);
	target_add(&c->g_pat, 8, ~UINT64_C(0), 0);
	lab_run();
}

SCENARIOS("t_race_random") {
	{"race_random", "15.5.1", race_random, SVM_NP | NEED_TWO_CPUS | NEED_SAFE_CPU |
	 NEED_AWAKE_CPU, 0},
	{"race_random_np", "15.25.3", race_random_np, SVM_NP | NEED_TWO_CPUS | NEED_SAFE_CPU |
	 NEED_AWAKE_CPU, 0},
};
SCENARIO_COUNT;
