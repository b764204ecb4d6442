/* SPDX-License-Identifier: MIT */
/* t_save.c - two vCPUs whose L2s compute a long sum, with all that a hypervisor which saves and restores this guest
 * meanwhile could lose: general registers, x87, SSE and AVX, memory, nested page faults, virtual interrupts of L2, a
 * timer of L1, system MSRs, debug registers, time. L1 computes the same without an L2 and compares after each block, so
 * that about half of the time is L1's. APM vol. 2 15.5, 15.6; nothing here depends on being saved.
 * Options: blocks=<n>; key: until a key is typed. */
#include "str.h"
#include "vm.h"

#define BLOCKS 24u
#define ROUNDS 6000u
#define BUFFER_PAGES 16u
#define WORDS (BUFFER_PAGES * PAGE_SIZE / 8)
#define INDEX_MASK (BUFFER_PAGES * PAGE_SIZE - 8)
#define HIDDEN_PAGES 3u		/* in each block, to be found again by nested faults */
#define MULTIPLIER UINT64_C(6364136223846793005)
#define INCREMENT UINT64_C(1442695040888963407)
#define TSC_OFFSET UINT64_C(0x123456789ABC)
#define TIMER_VECTOR 0x50
#define L2_VECTOR 0x61
#define GATE_WORDS 2
#define CR4_OSFXSR BIT(9)
#define MSR_TSC_AUX 0xC0000103u
#define PAT_OTHER (PAT_RESET | UINT64_C(1) << 56)
#define COM1_DATA 0x3F8
#define COM1_LSR 0x3FD
#define LSR_DATA 1
#define FADT_PM_TIMER 76
#define PM_MASK 0xFFFFFFu
#define PM_CALIBRATE 700000u	/* ticks of 3.58 MHz: 0.2 s */

/* One vCPU's work. */
static struct worker {
	struct vm *v;
	uint64_t *buffer, *model;	/* BUFFER_PAGES each; behind the buffer L2's count of interrupts */
	uint64_t *entry[BUFFER_PAGES];	/* nested, one for each page of the buffer */
	uint64_t sum, mix, lane, total;	/* what RDX, R10, XMM0 and R12 of L2 must be */
	uint64_t blocks, faults, asked;	/* asked: virtual interrupts */
	bool has_avx;
	const char *volatile wrong;
	uint64_t got, want;
} workers[2];
static volatile bool stop;

/* RBX buffer, RCX rounds, R8 and R9 constants, R14 whether there is AVX. */
L2_CODE(l2_sum,
	"1: imul rdx, r8; add rdx, r9\n"
	"mov rsi, rdx; shr rsi, 32; and esi, 0xFFF8\n"
	"add [rbx + rsi], rdx; mov rbp, [rbx + rsi]; rol rbp, 17; xor r10, rbp\n"
	"movq xmm1, r10; paddq xmm0, xmm1; movq r11, xmm0; add r12, r11\n"
	"paddq xmm8, xmm9; fld1; faddp st(1), st\n"
	"test r14, r14; jz 2f; vaddpd ymm10, ymm10, ymm11\n"
	"2: dec rcx; jnz 1b\n"
	"mov rdi, rdx; rdtsc; shl rdx, 32; or rax, rdx; mov r15, rax; mov rdx, rdi");
extern const uint8_t l2_interrupt[];
__asm__(".pushsection .text.l2,\"ax\"\n.intel_syntax noprefix\n"
	"l2_interrupt: inc qword ptr [rbx + 0x10000]; iretq\n.att_syntax prefix\n.popsection");

static bool check(struct worker *w, const char *what, uint64_t got, uint64_t want)
{
	if (got == want || w->wrong)
		return got == want;
	w->got = got;
	w->want = want;
	w->wrong = what;
	return false;
}

/* --- registers that VMRUN does not move --- */

static const uint64_t ones[4] ALIGNED(32) = {1, 3, 0, 0};
static const double steps[4] ALIGNED(32) = {1.0, 2.0, 3.0, 4.0};

static void extended_start(struct worker *w)
{
	w->has_avx = cpuid_has(1, 'c', 28) && cpuid_has(1, 'c', 26);
	cr4_write(cr4_read() | CR4_OSFXSR | (w->has_avx ? CR4_OSXSAVE : 0));
	__asm__ volatile("fninit; fldz; pxor %%xmm0, %%xmm0; pxor %%xmm8, %%xmm8; movdqa %0, %%xmm9" : : "m"(ones));
	if (w->has_avx)
		__asm__ volatile("xsetbv; vxorpd %%ymm10, %%ymm10, %%ymm10; vmovapd %0, %%ymm11"
				 : : "m"(steps), "c"(0), "a"(7), "d"(0));
}

static void extended_check(struct worker *w)
{
	uint64_t rounds = w->blocks * ROUNDS, x87, sse[2], avx[4] = {0};

	__asm__ volatile("fld %%st(0); fistpll %0; movdqu %%xmm8, %1" : "=m"(x87), "=m"(sse));
	check(w, "x87", x87, rounds);
	check(w, "xmm8 low", sse[0], rounds);
	check(w, "xmm8 high", sse[1], 3 * rounds);
	if (!w->has_avx)
		return;
	__asm__ volatile("vcvtpd2dq %%ymm10, %%xmm1; movdqu %%xmm1, %0" : "=m"(avx));
	for (unsigned i = 0; i < 4; i++)
		check(w, "ymm10", avx[i / 2] >> 32 * (i % 2) & UINT32_MAX, (i + 1) * rounds & UINT32_MAX);
}

static const uint32_t msrs[] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS, MSR_FS_BASE, MSR_GS_BASE,
				MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_TSC_AUX, MSR_PAT};

static uint64_t msr_value(const struct worker *w, unsigned i)
{
	if (msrs[i] == MSR_PAT)
		return PAT_OTHER;
	return UINT64_C(0x1000) * (i + 1) + (uint64_t)(w - workers) * 0x100;
}

static void system_start(struct worker *w)
{
	uint64_t at = pa(w->buffer);

	for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
		wrmsr(msrs[i], msr_value(w, i));
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
			 : : "r"(at), "r"(at + 8), "r"(at + 16), "r"(at + 24));
	cr8_write(2);
}

static void system_check(struct worker *w)
{
	uint64_t dr[4];

	for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
		check(w, "MSR", rdmsr(msrs[i]), msr_value(w, i));
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
	for (unsigned i = 0; i < 4; i++)
		check(w, "debug register", dr[i], pa(w->buffer) + 8 * i);
	check(w, "cr8", cr8_read(), 2);
}

/* --- L2 --- */

static void worker_make(struct worker *w, uint64_t seed)
{
	uint64_t *idt = pages(1);
	struct vm *v;

	*w = (struct worker){.buffer = pages(BUFFER_PAGES + 1), .model = pages(BUFFER_PAGES), .sum = seed};
	w->v = v = vm_new(l2_sum);
	for (unsigned i = 0; v->npt && i < BUFFER_PAGES; i++)
		w->entry[i] = table_entry(v->npt, pa(w->buffer) + i * PAGE_SIZE, LEVEL_4K);
	memcpy(idt, l2_idt, PAGE_SIZE);
	idt[GATE_WORDS * L2_VECTOR] = (pa(l2_interrupt) & 0xFFFF) | (idt[GATE_WORDS * L2_VECTOR] & 0xFFFFFFFF0000) |
				      (pa(l2_interrupt) >> 16 & 0xFFFF) << 48;
	v->vmcb->idtr.base = pa(idt);
	v->vmcb->rflags |= RFLAGS_IF;
	v->vmcb->tsc_offset = TSC_OFFSET;
	v->vmcb->vintr = V_INTR_MASKING;
	v->regs.rbx = pa(w->buffer);
	v->regs.rdx = seed;
	v->regs.r8 = MULTIPLIER;
	v->regs.r9 = INCREMENT;
	intercept_set(v, EXIT_INTR);
}

static void hide_pages(struct worker *w)
{
	for (unsigned i = 0; w->entry[0] && i < HIDDEN_PAGES; i++)
		*w->entry[(w->blocks * HIDDEN_PAGES + i) % BUFFER_PAGES] = 0;
	w->v->vmcb->tlb_control = TLB_FLUSH_ALL;
}

static void show_page(struct worker *w)
{
	uint64_t page = (w->v->vmcb->info2 - pa(w->buffer)) / PAGE_SIZE;

	if (!check(w, "faulting page is in the buffer", page < BUFFER_PAGES && !(*w->entry[page] & PTE_P), 1))
		return;
	*w->entry[page] = (pa(w->buffer) + page * PAGE_SIZE) | PTE_RWU;
	w->faults++;
}

static void ask_interrupt(struct worker *w)
{
	if (w->v->vmcb->vintr & V_IRQ)
		return;
	w->v->vmcb->vintr = V_INTR_MASKING | V_IRQ | V_PRIO(15) | V_VECTOR(L2_VECTOR);
	w->asked++;
}

/* Until L2 says that it is done; on the way L1 serves its nested faults and takes its own interrupts. */
static void run_l2(struct worker *w)
{
	struct vmcb *c = w->v->vmcb;

	c->rip = pa(l2_sum);
	w->v->regs.rcx = ROUNDS;
	w->v->regs.r14 = w->has_avx;
	do {
		ask_interrupt(w);
		vm_run(w->v);
		c->tlb_control = 0;
		if (c->exitcode == EXIT_NPF)
			show_page(w);
	} while (!w->wrong && (c->exitcode == EXIT_NPF || c->exitcode == EXIT_INTR));
	check(w, "exit code", c->exitcode, EXIT_VMMCALL);
	check(w, "vector in L2", (uint64_t)(int64_t)l2_vector(w->v), UINT64_MAX);
}

/* --- L1 --- */

static void run_model(struct worker *w)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t *word, rotated;

		w->sum = w->sum * MULTIPLIER + INCREMENT;
		word = &w->model[(w->sum >> 32 & INDEX_MASK) / 8];
		*word += w->sum;
		rotated = *word << 17 | *word >> 47;
		w->mix ^= rotated;
		w->lane += w->mix;
		w->total += w->lane;
	}
}

static void compare(struct worker *w)
{
	const struct gprs *r = &w->v->regs;

	check(w, "rdx", r->rdx, w->sum);
	check(w, "r10", r->r10, w->mix);
	check(w, "r12", r->r12, w->total);
	for (unsigned i = 0; i < WORDS; i++)
		check(w, "word of the buffer", w->buffer[i], w->model[i]);
	check(w, "interrupts in L2", w->buffer[WORDS], w->asked - ((w->v->vmcb->vintr & V_IRQ) != 0));
	extended_check(w);
	system_check(w);
}

static void block(struct worker *w)
{
	uint64_t before = rdtsc(), after;

	hide_pages(w);
	run_l2(w);
	after = rdtsc();
	check(w, "L2's TSC is L1's with the offset",
	      w->v->regs.r15 - TSC_OFFSET - before <= after - before, 1);
	run_model(w);
	w->blocks++;
	compare(w);
}

static void worker_begin(struct worker *w)
{
	extended_start(w);
	w->v->vmcb->cr4 = cr4_read();
	system_start(w);
}

static void second_cpu(void *arg)
{
	struct worker *w = arg;

	worker_begin(w);
	while (!stop && !w->wrong)
		block(w);
}

/* --- time --- */

struct moment {
	uint64_t tsc;
	uint32_t pm;
};

static uint16_t pm_port;

/* The tightest of some readings of both clocks. */
static struct moment moment_now(void)
{
	struct moment best = {0};
	uint64_t width = UINT64_MAX;

	for (unsigned i = 0; i < 16; i++) {
		uint64_t before = rdtsc();
		uint32_t pm = inl(pm_port) & PM_MASK;
		uint64_t after = rdtsc();

		if (after - before < width) {
			width = after - before;
			best = (struct moment){before + width / 2, pm};
		}
	}
	return best;
}

static struct clock {
	struct moment last;
	uint64_t tsc, pm;
} calibrated, ran;

static void clock_step(struct clock *c)
{
	struct moment now = moment_now();

	c->tsc += now.tsc - c->last.tsc;
	c->pm += (now.pm - c->last.pm) & PM_MASK;
	c->last = now;
}

static void clock_calibrate(void)
{
	pm_port = (uint16_t)acpi_read32(acpi_table("FACP") + FADT_PM_TIMER);
	calibrated = (struct clock){.last = moment_now()};
	while (calibrated.pm < PM_CALIBRATE)
		clock_step(&calibrated);
	ran = (struct clock){.last = moment_now()};
}

/* TSC and PM timer have stayed together: to 2 in 100 of what was seen at first. */
static void clock_check(void)
{
	uint64_t ratio = calibrated.tsc * 1000 / calibrated.pm, since = ran.tsc * 1000 / ran.pm;

	expect("TSC and PM timer keep together", since > ratio - ratio / 50 && since < ratio + ratio / 50, 1);
}

/* --- the scenario --- */

static bool is_key_typed(void)
{
	if (!(inb(COM1_LSR) & LSR_DATA))
		return false;
	inb(COM1_DATA);
	return true;
}

static bool is_over(const struct worker *w)
{
	if (w->wrong || workers[1].wrong)
		return true;
	return option_has("key") ? is_key_typed() : w->blocks >= option_number("blocks=", BLOCKS);
}

/* One at a time; each must come. */
static void arm_timer(uint64_t *armed)
{
	if (trap_count[TIMER_VECTOR] < *armed)
		return;
	lapic_timer_once(TIMER_VECTOR, 200000 + (uint32_t)(rdtsc() & 0xFFFFF));
	(*armed)++;
}

static void report_worker(struct worker *w)
{
	if (w->wrong)
		expect(w->wrong, w->got, w->want);
	expect("it did something", w->blocks > 0 && w->asked > 1 && (!w->entry[0] || w->faults > 1), 1);
	print("t_save: vCPU %u: %lu rounds, %lu nested faults, %lu virtual interrupts\n", (unsigned)(w - workers),
	      w->blocks * ROUNDS, w->faults, w->asked);
}

static void long_sum(const struct scenario *s UNUSED)
{
	struct worker *w = &workers[0];
	uint64_t armed = 0;

	stop = false;
	worker_make(&workers[0], 1);
	worker_make(&workers[1], 2);
	if (!smp_run(second_cpu, &workers[1]))
		return;
	worker_begin(w);
	clock_calibrate();
	print("t_save: computing\n");
	sti();
	while (!is_over(w)) {
		arm_timer(&armed);
		block(w);
		clock_step(&ran);
	}
	for (unsigned n = 0; n < SPIN_LONG && trap_count[TIMER_VECTOR] < armed; n++)
		pause();
	cli();
	stop = true;
	smp_wait();
	report_worker(&workers[0]);
	report_worker(&workers[1]);
	expect("timer interrupts of L1", trap_count[TIMER_VECTOR], armed);
	clock_check();
}

SCENARIOS("t_save") {
	{"save_long_sum", "15.5", long_sum, NEED_SVM | NEED_TWO_CPUS, 0},
};
SCENARIO_COUNT;
