/* SPDX-License-Identifier: MIT */
/* tests/l2/l2_hello.c - the smallest L2: a Linux program that makes a virtual machine by /dev/kvm.
 * Runs in L1 Linux, uses nothing but the public KVM interface, and is what `make run` shows. The L2
 * runs in long mode, prints one line through port 0x3f8 and halts; each byte is one exit to L1's KVM.
 * Exit status 0: the whole line came and the L2 halted. Started by tools/payload/init-l1.sh. */
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

#define UART_PORT 0x3f8

/* L2's memory: three page tables that map its first 2 MiB, then code. */
#define PML4_AT 0x0000
#define PDPT_AT 0x1000
#define PD_AT   0x2000
#define CODE_AT 0x3000
#define MEMORY_BYTES 0x4000

#define CPUID_ENTRIES 256 /* KVM's own limit */

#define PTE_PRESENT_WRITE 0x3
#define PTE_LARGE         0x80
#define CR0_PG_PE 0x80000001
#define CR4_PAE   0x20
#define EFER_LMA_LME 0x500

/* L2's program. It is copied into L2's memory, so it knows no address. */
extern const char l2_code[], l2_code_end[];
__asm__(".pushsection .rodata\n"
        "l2_code:\n"
        "	lea	message(%rip), %rsi\n"
        "	mov	$0x3f8, %edx\n"
        "1:	lodsb\n"
        "	test	%al, %al\n"
        "	jz	2f\n"
        "	out	%al, %dx\n"
        "	jmp	1b\n"
        "2:	hlt\n"
        "message:\n"
        "	.asciz	\"L2: hello from level 2, in long mode\\n\"\n"
        "l2_code_end:\n"
        ".popsection\n");

static int kvm(int fd, unsigned long request, const char *name, void *arg)
{
    int result = ioctl(fd, request, arg);

    if (result < 0)
        err(EXIT_FAILURE, "l2-hello: %s", name);
    return result;
}

static void *map(size_t bytes, int fd)
{
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (p == MAP_FAILED)
        err(EXIT_FAILURE, "l2-hello: mmap");
    return p;
}

static void fill_memory(uint8_t *memory)
{
    const uint64_t pml4e = PDPT_AT | PTE_PRESENT_WRITE;
    const uint64_t pdpte = PD_AT | PTE_PRESENT_WRITE;
    const uint64_t pde = PTE_LARGE | PTE_PRESENT_WRITE;

    memcpy(memory + PML4_AT, &pml4e, sizeof pml4e);
    memcpy(memory + PDPT_AT, &pdpte, sizeof pdpte);
    memcpy(memory + PD_AT, &pde, sizeof pde);
    memcpy(memory + CODE_AT, l2_code, (size_t)(l2_code_end - l2_code));
}

static void set_long_mode(int vcpu)
{
    const struct kvm_segment code = {
        .selector = 0x8, .limit = 0xffffffff, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1,
    };
    const struct kvm_segment data = {
        .selector = 0x10, .limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
    };
    struct kvm_sregs sregs;
    struct kvm_regs regs = { .rip = CODE_AT, .rflags = 0x2 };

    kvm(vcpu, KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.ss = data;
    sregs.cr0 = CR0_PG_PE;
    sregs.cr3 = PML4_AT;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER_LMA_LME;
    kvm(vcpu, KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
    kvm(vcpu, KVM_SET_REGS, "KVM_SET_REGS", &regs);
}

/* Gives L2 the CPUID that KVM offers: newer kernels (seen: 6.12) refuse long mode to a CPU without any. */
static void set_cpuid(int fd, int vcpu)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
    } cpuid = { .head.nent = CPUID_ENTRIES };

    kvm(fd, KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID", &cpuid);
    kvm(vcpu, KVM_SET_CPUID2, "KVM_SET_CPUID2", &cpuid);
}

/* Runs L2 until it halts and passes on what it prints. Returns the number of exits. */
static unsigned run(int vcpu, const struct kvm_run *state)
{
    for (unsigned exits = 1;; exits++) {
        if (ioctl(vcpu, KVM_RUN, NULL) < 0 && errno != EINTR)
            err(EXIT_FAILURE, "l2-hello: KVM_RUN");
        if (state->exit_reason == KVM_EXIT_HLT)
            return exits;
        if (state->exit_reason != KVM_EXIT_IO || state->io.port != UART_PORT)
            errx(EXIT_FAILURE, "l2-hello: unexpected exit %u of L2", state->exit_reason);
        putchar(((const char *)state)[state->io.data_offset]);
    }
}

int main(void)
{
    int fd = open("/dev/kvm", O_RDWR);

    if (fd < 0)
        err(EXIT_FAILURE, "l2-hello: /dev/kvm");
    int vm = kvm(fd, KVM_CREATE_VM, "KVM_CREATE_VM", NULL);
    struct kvm_userspace_memory_region region = {
        .memory_size = MEMORY_BYTES, .userspace_addr = (uintptr_t)map(MEMORY_BYTES, -1),
    };

    fill_memory((uint8_t *)(uintptr_t)region.userspace_addr);
    kvm(vm, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);

    int vcpu = kvm(vm, KVM_CREATE_VCPU, "KVM_CREATE_VCPU", NULL);
    int state_bytes = kvm(fd, KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE", NULL);
    const struct kvm_run *state = map((size_t)state_bytes, vcpu);

    set_cpuid(fd, vcpu);
    set_long_mode(vcpu);
    printf("L1: the L2 halted after %u exits\n", run(vcpu, state));
    return EXIT_SUCCESS;
}
