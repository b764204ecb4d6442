/* SPDX-License-Identifier: MIT */
/* tests/bench/l2_bench.c - what an exit of an L2 costs when Linux's KVM handles it in L1.
 *   l2-bench [cpuid | port [ROUNDS]]   CPUID, which KVM answers; a port write, which goes on to this program
 *   l2-bench clock NAME                prints the TSC: instructions since reset under -icount shift=0
 * The L2 reads the clock itself, around the instruction. Uses nothing but the public KVM interface.
 * Output as of tests/bench/bench_ops.c. Started by tests/bench/init.sh. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <x86intrin.h>

#define ROUNDS     64
#define ROUNDS_MAX 16384
#define WARM_UP    16
#define DEBUG_PORT 0x80
#define CPUID_ENTRIES 128

/* L2's memory: three page tables that map its first 2 MiB, its code, its results. */
#define PML4_AT 0x0000
#define PDPT_AT 0x1000
#define PD_AT   0x2000
#define CODE_AT 0x3000
#define RESULTS_AT   0x4000
#define MEMORY_BYTES (RESULTS_AT + ROUNDS_MAX * sizeof(uint64_t))

#define PTE_PRESENT_WRITE 0x3
#define PTE_LARGE         0x80
#define CR0_PG_PE 0x80000001
#define CR4_PAE   0x20
#define EFER_LMA_LME 0x500

/* L2's programs: RDI is where the results go, RSI how many. CPUID spoils RBX, RCX and RDX. */
#define L2_PROGRAM(name, instruction)          \
    extern const char name[], name##_end[];    \
    __asm__(".pushsection .rodata\n" #name ":\n" \
            "1:	rdtsc\n"                       \
            "	shl	$32, %rdx\n"               \
            "	lea	(%rax, %rdx), %r8\n"       \
            "	xor	%eax, %eax\n"              \
            "	" instruction "\n"             \
            "	rdtsc\n"                       \
            "	shl	$32, %rdx\n"               \
            "	add	%rdx, %rax\n"              \
            "	sub	%r8, %rax\n"               \
            "	mov	%rax, (%rdi)\n"            \
            "	add	$8, %rdi\n"                \
            "	dec	%rsi\n"                    \
            "	jnz	1b\n"                      \
            "	hlt\n" #name "_end:\n"         \
            ".popsection\n")
L2_PROGRAM(l2_nothing, "");
L2_PROGRAM(l2_cpuid, "cpuid");
L2_PROGRAM(l2_port, "out	%al, $0x80");

static uint8_t *memory;
static int vcpu;
static const struct kvm_run *state;

static int kvm(int fd, unsigned long request, const char *name, void *arg)
{
    int result = ioctl(fd, request, arg);

    if (result < 0)
        err(EXIT_FAILURE, "l2-bench: %s", name);
    return result;
}

static void *map(size_t bytes, int fd)
{
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE : MAP_SHARED;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (p == MAP_FAILED)
        err(EXIT_FAILURE, "l2-bench: mmap");
    return p;
}

static void make_page_tables(void)
{
    const uint64_t pml4e = PDPT_AT | PTE_PRESENT_WRITE;
    const uint64_t pdpte = PD_AT | PTE_PRESENT_WRITE;
    const uint64_t pde = PTE_LARGE | PTE_PRESENT_WRITE;

    memcpy(memory + PML4_AT, &pml4e, sizeof pml4e);
    memcpy(memory + PDPT_AT, &pdpte, sizeof pdpte);
    memcpy(memory + PD_AT, &pde, sizeof pde);
}

static void set_long_mode(void)
{
    const struct kvm_segment code = {
        .selector = 0x8, .limit = 0xffffffff, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1,
    };
    const struct kvm_segment data = {
        .selector = 0x10, .limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
    };
    struct kvm_sregs sregs;

    kvm(vcpu, KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.ss = data;
    sregs.cr0 = CR0_PG_PE;
    sregs.cr3 = PML4_AT;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER_LMA_LME;
    kvm(vcpu, KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
}

/* As every VMM does: L2 sees what KVM offers. Without, KVM intercepts more. */
static void set_cpuid(int kvm_fd)
{
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
    } table = { .head = { .nent = CPUID_ENTRIES } };

    kvm(kvm_fd, KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID", &table);
    kvm(vcpu, KVM_SET_CPUID2, "KVM_SET_CPUID2", &table);
}

static void make_vm(void)
{
    int fd = open("/dev/kvm", O_RDWR);

    if (fd < 0)
        err(EXIT_FAILURE, "l2-bench: /dev/kvm");
    memory = map(MEMORY_BYTES, -1);

    int vm = kvm(fd, KVM_CREATE_VM, "KVM_CREATE_VM", NULL);
    struct kvm_userspace_memory_region region = {
        .memory_size = MEMORY_BYTES, .userspace_addr = (uintptr_t)memory,
    };

    kvm(vm, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
    vcpu = kvm(vm, KVM_CREATE_VCPU, "KVM_CREATE_VCPU", NULL);
    state = map((size_t)kvm(fd, KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE", NULL), vcpu);
    make_page_tables();
    set_cpuid(fd);
    set_long_mode();
}

/* Runs a program until it halts; its results are in L2's memory then. */
static uint64_t *run(const char *code, const char *code_end, unsigned rounds)
{
    struct kvm_regs regs = { .rip = CODE_AT, .rflags = 0x2, .rdi = RESULTS_AT, .rsi = rounds };

    memcpy(memory + CODE_AT, code, (size_t)(code_end - code));
    kvm(vcpu, KVM_SET_REGS, "KVM_SET_REGS", &regs);
    for (;;) {
        if (ioctl(vcpu, KVM_RUN, NULL) < 0 && errno != EINTR)
            err(EXIT_FAILURE, "l2-bench: KVM_RUN");
        if (state->exit_reason == KVM_EXIT_HLT)
            return (uint64_t *)(void *)(memory + RESULTS_AT);
        if (state->exit_reason != KVM_EXIT_IO || state->io.port != DEBUG_PORT)
            errx(EXIT_FAILURE, "l2-bench: unexpected exit %u of L2", state->exit_reason);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void measure(const char *name, const char *code, const char *code_end, unsigned rounds)
{
    uint64_t *ticks = run(l2_nothing, l2_nothing_end, WARM_UP);
    uint64_t overhead = ticks[WARM_UP - 1];

    run(code, code_end, WARM_UP);
    ticks = run(code, code_end, rounds);
    qsort(ticks, rounds, sizeof *ticks, compare);
    printf("BENCH %s min=%llu median=%llu\n", name, (unsigned long long)(ticks[0] - overhead),
           (unsigned long long)(ticks[rounds / 2] - overhead));
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : "";
    int rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;

    if (argc == 3 && !strcmp(only, "clock")) {
        unsigned long long now = __rdtsc();

        printf("BENCH %s min=%llu median=%llu\n", argv[2], now, now);
        return EXIT_SUCCESS;
    }
    if (rounds < 1 || rounds > ROUNDS_MAX)
        errx(EXIT_FAILURE, "l2-bench: rounds are 1 to %d", ROUNDS_MAX);
    make_vm();
    if (!*only || !strcmp(only, "cpuid"))
        measure("l2-cpuid", l2_cpuid, l2_cpuid_end, (unsigned)rounds);
    if (!*only || !strcmp(only, "port"))
        measure("l2-port", l2_port, l2_port_end, (unsigned)rounds);
    return EXIT_SUCCESS;
}
