/* SPDX-License-Identifier: MIT */
/* lib/x86.h - the processor as the test kernels use it: bits, MSR numbers, single instructions.
 * Written from the manual on its own, not shared with the hypervisor: a wrong constant there must
 * not hide itself here. */
#ifndef X86_H
#define X86_H

#include <bits.h>
#include <compiler.h>

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_PCE BIT(8)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_SVME BIT(12)
#define RFLAGS_ONE BIT(1)
#define RFLAGS_CF BIT(0)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define DR6_BS BIT(14)
#define DR6_RESET UINT64_C(0xFFFF0FF0)
#define DR7_RESET UINT64_C(0x400)

#define MSR_TSC 0x10u
#define MSR_APIC_BASE 0x1Bu
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define MSR_PAT 0x277u
#define MSR_EFER 0xC0000080u
#define MSR_STAR 0xC0000081u
#define MSR_LSTAR 0xC0000082u
#define MSR_CSTAR 0xC0000083u
#define MSR_SFMASK 0xC0000084u
#define MSR_FS_BASE 0xC0000100u
#define MSR_GS_BASE 0xC0000101u
#define MSR_KERNEL_GS 0xC0000102u
#define MSR_TSC_RATIO 0xC0000104u
#define MSR_VM_CR 0xC0010114u
#define MSR_IGNNE 0xC0010115u
#define MSR_HSAVE_PA 0xC0010117u
#define MSR_SVM_KEY 0xC0010118u
#define PAT_RESET UINT64_C(0x0007040600070406)

enum vector {
	VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF,
	VEC_TS = 10, VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XF,
};

#define PF_P BIT(0)
#define PF_W BIT(1)
#define PF_U BIT(2)
#define PF_RSVD BIT(3)
#define PF_ID BIT(4)

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define PTE_RWU (PTE_P | PTE_W | PTE_U)
#define PTE_ADDR BITS(51, 12)

/* GDT of lib/start.asm. */
#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_CODE32 0x20
#define SEL_USER_DATA 0x2B
#define SEL_USER_CODE64 0x33
#define SEL_CODE16 0x38
#define SEL_DATA16 0x40
#define SEL_TSS 0x48
#define SEL_SPARE 0x58

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} PACKED;

struct cpuid_regs {
	uint32_t a, b, c, d;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs r;
	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
	return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(msr) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

#define DEFINE_REG(name)                                                                           \
	static inline uint64_t name##_read(void)                                                   \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory");                    \
		return v;                                                                          \
	}                                                                                          \
	static inline void name##_write(uint64_t v)                                                \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                        \
	}
DEFINE_REG(cr0)
DEFINE_REG(cr2)
DEFINE_REG(cr3)
DEFINE_REG(cr4)
DEFINE_REG(cr8)
DEFINE_REG(dr0)
DEFINE_REG(dr6)
DEFINE_REG(dr7)

#define DEFINE_INSN(name)                                                                          \
	static inline void name(void)                                                              \
	{                                                                                          \
		__asm__ volatile(#name : : : "memory");                                            \
	}
DEFINE_INSN(cli)
DEFINE_INSN(sti)
DEFINE_INSN(clgi)
DEFINE_INSN(stgi)
DEFINE_INSN(hlt)
DEFINE_INSN(pause)

static inline void vmload(uint64_t pa)
{
	__asm__ volatile("vmload %%rax" : : "a"(pa) : "memory");
}

static inline void vmsave(uint64_t pa)
{
	__asm__ volatile("vmsave %%rax" : : "a"(pa) : "memory");
}

static inline void invlpga(uint64_t va, uint32_t asid)
{
	__asm__ volatile("invlpga %%rax, %%ecx" : : "a"(va), "c"(asid) : "memory");
}

static inline uint64_t rflags_read(void)
{
	uint64_t v;
	__asm__ volatile("pushfq; popq %0" : "=r"(v) : : "memory");
	return v;
}

static inline unsigned maxphys(void)
{
	return cpuid(0x80000008, 0).a & 0xFF;
}

#endif
