/* SPDX-License-Identifier: MIT */
/* lib/test.c - runs the scenario table of a kernel and reports: one line each, a sum at the end.
 * Owns what a scenario starts from (GIF=1, IF=0, clean debug registers, an empty page arena) and
 * ends the machine. Options on the command line: only=<scenario> or only=<prefix>*; list; flat
 * (L2s without nested paging); exit32 (compare exit codes by their low half, to tell bare QEMU's
 * best known fault from others); no-dr6 (t_lbr.c). */
#include "test.h"
#include "str.h"

#define ARENA_PAGES 2048u
#define MBI_HAS_CMDLINE BIT32(2)
#define CPUID_SVM_ECX BIT32(2)
#define CPUID_HYPERVISOR 31
#define RSDP_OEM 9
#define EXIT_PORT 0xF4
#define QEMU_PM1_CONTROL 0x604
#define BOCHS_PM1_CONTROL 0xB004
#define PM1_SLEEP 0x2000
#define PIC_MASK_ALL 0xFF

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};
void main(const struct mb_info *info);

static uint8_t arena[ARENA_PAGES * PAGE_SIZE] ALIGNED(4096);
static uint8_t hsave[PAGE_SIZE] ALIGNED(4096);
static unsigned arena_used;
static char options[256];

static struct result {
	const char *what, *skip_reason;
	uint64_t got, want, item;
	bool has_item;
} result;
static uint64_t item_now;
static bool has_item_now;
static struct totals {
	unsigned pass, fail, skip;
} totals;
static struct jump abort_point;

void *pages(unsigned count)
{
	void *p = arena + arena_used * PAGE_SIZE;

	if (arena_used + count > ARENA_PAGES)
		scenario_abort("page arena, pages wanted", count, ARENA_PAGES - arena_used);
	arena_used += count;
	return memset(p, 0, count * PAGE_SIZE);
}

bool expect(const char *what, uint64_t got, uint64_t want)
{
	if (got != want && !result.what) {
		result.what = what;
		result.got = got;
		result.want = want;
		result.item = item_now;
		result.has_item = has_item_now;
	}
	return got == want;
}

void expect_item(uint64_t item)
{
	item_now = item;
	has_item_now = true;
}

bool expect_exit(const struct vmcb *vmcb, uint64_t want)
{
	if (option_has("exit32"))
		return expect("exit code", vmcb->exitcode & UINT32_MAX, want & UINT32_MAX);
	return expect("exit code", vmcb->exitcode, want);
}

void skip(const char *why)
{
	result.skip_reason = why;
}

void scenario_abort(const char *what, uint64_t got, uint64_t want)
{
	expect(what, got, want);
	jump_to(&abort_point);
}

bool svm_has(uint32_t edx_bits)
{
	return cpuid(0x80000000, 0).a >= 0x8000000A &&
	       (cpuid(0x8000000A, 0).d & edx_bits) == edx_bits;
}

bool cpuid_has(uint32_t leaf, char reg, unsigned bit)
{
	struct cpuid_regs r = cpuid(leaf & 0xFFFF0000, 0);
	uint32_t word;

	if (r.a < leaf)
		return false;
	r = cpuid(leaf, 0);
	word = reg == 'a' ? r.a : reg == 'b' ? r.b : reg == 'c' ? r.c : r.d;
	return word & BIT32(bit);
}

/* Finds the word on the command line; words end with a blank or "=". */
static const char *option_find(const char *word)
{
	size_t n = string_length(word);

	for (const char *o = options; *o; o++)
		if ((o == options || o[-1] == ' ') && string_starts(o, word, n))
			return o + n;
	return NULL;
}

bool option_has(const char *word)
{
	return option_find(word);
}

uint64_t option_number(const char *word, uint64_t otherwise)
{
	const char *digit = option_find(word);
	uint64_t v = 0;

	if (!digit)
		return otherwise;
	for (; *digit >= '0' && *digit <= '9'; digit++)
		v = v * 10 + (uint64_t)(*digit - '0');
	return v;
}

static bool is_wanted(const char *name)
{
	const char *want = option_find("only=");
	size_t n = 0;

	if (!want)
		return true;
	while (want[n] && want[n] != ' ' && want[n] != '*')
		n++;
	return string_starts(name, want, n) && (want[n] == '*' || name[n] == 0);
}

static bool runs_on_bare_qemu(void)
{
	struct cpuid_regs r = cpuid(0x40000000, 0);

	return r.b == 0x54474354;	/* "TCGT" of "TCGTCGTCGTCG" */
}

/* It passes for the CPU that it models, but not for its maker's firmware. */
static bool runs_on_bare_bochs(void)
{
	uint64_t rsdp = acpi_rsdp();

	return !cpuid_has(1, 'c', CPUID_HYPERVISOR) && rsdp &&
	       !memcmp((const char *)(uintptr_t)rsdp + RSDP_OEM, "BOCHS ", 6);
}

static const char *missing(uint64_t needs)
{
	static const char *const names[32] = {
		"NPT", "LBR virtualisation", "SVM lock", "NRIPS", "TSC rate", "VMCB clean bits",
		"flush by ASID", "decode assists", 0, 0, "PAUSE filter", 0, "PAUSE threshold", 0, 0,
		"virtual VMLOAD/VMSAVE", "virtual GIF", "GMET", 0, 0, 0, 0, 0, 0, 0, "virtual NMI",
	};

	if (needs & ~NEED_TWO_CPUS && !(cpuid(0x80000001, 0).c & CPUID_SVM_ECX))
		return "SVM not offered by the CPU";
	for (unsigned b = 0; b < 32; b++)
		if (needs & BIT(b) && !svm_has(BIT32(b)))
			return names[b];
	if (needs & SVM_NP && option_has("flat"))
		return "nested paging is off by option";
	if (needs & NEED_SAFE_CPU && runs_on_bare_qemu())
		return "ends bare QEMU";
	if (needs & NEED_AWAKE_CPU && runs_on_bare_bochs())
		return "hangs bare Bochs";
	return NULL;
}

/* What the previous scenario left pending must not count for the next. */
static void drain_interrupts(void)
{
	sti();
	spin(SPIN_SHORT);
	cli();
}

static void machine_reset(void)
{
	cli();
	cr8_write(0);
	wrmsr(MSR_PAT, PAT_RESET);
	dr7_write(DR7_RESET);
	dr6_write(DR6_RESET);
	if (cpuid(0x80000001, 0).c & CPUID_SVM_ECX) {
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
		wrmsr(MSR_HSAVE_PA, pa(hsave));
		stgi();
	}
	trap_reset();
	drain_interrupts();
	has_item_now = false;
	arena_used = 0;
	result = (struct result){0};
	trap_reset();
}

static void report(const struct scenario *s)
{
	const char *book = s->ref[0] >= '0' && s->ref[0] <= '9' ? "APM " : "";

	trace_print(s->name);
	if (result.what) {
		totals.fail++;
		print("FAIL %s [%s%s] ", s->name, book, s->ref);
		if (result.has_item)
			print("(0x%lx) ", result.item);
		print("%s got 0x%lx expected 0x%lx\n", result.what, result.got, result.want);
	} else if (result.skip_reason) {
		totals.skip++;
		print("SKIP %s %s\n", s->name, result.skip_reason);
	} else {
		totals.pass++;
		print("PASS %s [%s%s]\n", s->name, book, s->ref);
	}
}

static void scenario_run(const struct scenario *s)
{
	const char *lacks = missing(s->needs);

	result = (struct result){0};
	if (lacks) {
		skip(lacks);
	} else {
		machine_reset();
		trace_begin(!(s->needs & NEED_TWO_CPUS));	/* what two CPUs do is no two times the same */
		if (jump_set(&abort_point) == 0)
			s->run(s);
	}
	report(s);
}

static _Noreturn void machine_end(void)
{
	outb(EXIT_PORT, totals.fail != 0);
	outw(QEMU_PM1_CONTROL, PM1_SLEEP);
	outw(BOCHS_PM1_CONTROL, PM1_SLEEP);
	for (;;)
		hlt();
}

/* The loader may have put the string where tests put code (lib/smp.c, t_modes.c). */
static void options_keep(const char *from)
{
	for (unsigned i = 0; i < sizeof(options) - 1 && from[i]; i++)
		options[i] = from[i];
}

void main(const struct mb_info *info)
{
	if (info->flags & MBI_HAS_CMDLINE)
		options_keep((const char *)(uintptr_t)info->cmdline);
	outb(0x21, PIC_MASK_ALL);
	outb(0xA1, PIC_MASK_ALL);
	print("\n");			/* firmware may have left the line unfinished */
	trap_init();
	lapic_on();
	for (unsigned i = 0; i < scenario_count; i++) {
		if (!is_wanted(scenarios[i].name))
			continue;
		if (option_has("list"))
			print("%s [%s]\n", scenarios[i].name, scenarios[i].ref);
		else
			scenario_run(&scenarios[i]);
	}
	print("DONE %s pass=%u fail=%u skip=%u\n", kernel_name, totals.pass, totals.fail, totals.skip);
	machine_end();
}
