/* SPDX-License-Identifier: MIT */
/* kernel/cpu_insn.h - one inline function per instruction that C cannot say. Decides nothing.
 * VMRUN, VMLOAD and VMSAVE are not here: they are in svm/vmrun.asm and svm/live.h only. */
#ifndef KERNEL_CPU_INSN_H
#define KERNEL_CPU_INSN_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

/* False, and *value unchanged, when the CPU answers with #GP. The table of kernel/trap.c makes it
 * go on behind the instruction. QEMU TCG never faults here but reads 0. */
static inline bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t lo, hi;
	bool ok = false;

	__asm__ volatile("1: rdmsr\n"
			 "   movb $1, %0\n"
			 "2:\n"
			 ".pushsection .fixup, \"a\"\n"
			 "   .quad 1b, 2b\n"
			 ".popsection"
			 : "+&r"(ok), "=a"(lo), "=d"(hi)
			 : "c"(msr)
			 : "memory");
	if (ok)
		*value = (uint64_t)hi << 32 | lo;
	return ok;
}

static inline bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	bool ok = false;

	__asm__ volatile("1: wrmsr\n"
			 "   movb $1, %0\n"
			 "2:\n"
			 ".pushsection .fixup, \"a\"\n"
			 "   .quad 1b, 2b\n"
			 ".popsection"
			 : "+&r"(ok)
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
	return ok;
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

#define CPU_PORT_ACCESS(letter, type)                                                              \
	static inline type in##letter(uint16_t port)                                               \
	{                                                                                          \
		type v;                                                                            \
                                                                                                   \
		__asm__ volatile("in" #letter " %1, %0" : "=a"(v) : "Nd"(port) : "memory");        \
		return v;                                                                          \
	}                                                                                          \
	static inline void out##letter(uint16_t port, type v)                                      \
	{                                                                                          \
		__asm__ volatile("out" #letter " %0, %1" : : "a"(v), "Nd"(port) : "memory");       \
	}

CPU_PORT_ACCESS(b, uint8_t)
CPU_PORT_ACCESS(w, uint16_t)
CPU_PORT_ACCESS(l, uint32_t)

#undef CPU_PORT_ACCESS

#define CPU_REG_ACCESS(reg)                                                                        \
	static inline uint64_t read_##reg(void)                                                    \
	{                                                                                          \
		uint64_t v;                                                                        \
                                                                                                   \
		__asm__ volatile("mov %%" #reg ", %0" : "=r"(v) : : "memory");                     \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_##reg(uint64_t v)                                                 \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #reg : : "r"(v) : "memory");                         \
	}

/* On QEMU 7.2 a reserved bit in CR3 or CR4 does not fault but wrecks the host: write known bits only. */
CPU_REG_ACCESS(cr0)
CPU_REG_ACCESS(cr2)
CPU_REG_ACCESS(cr3)
CPU_REG_ACCESS(cr4)
CPU_REG_ACCESS(dr0)
CPU_REG_ACCESS(dr1)
CPU_REG_ACCESS(dr2)
CPU_REG_ACCESS(dr3)
CPU_REG_ACCESS(dr6)
CPU_REG_ACCESS(dr7)

#undef CPU_REG_ACCESS

/* DR0-3, the breakpoint addresses, by number. */
static inline uint64_t read_dr(unsigned n)
{
	return n == 0 ? read_dr0() : n == 1 ? read_dr1() : n == 2 ? read_dr2() : read_dr3();
}

static inline void write_dr(unsigned n, uint64_t v)
{
	switch (n) {
	case 0: write_dr0(v); break;
	case 1: write_dr1(v); break;
	case 2: write_dr2(v); break;
	default: write_dr3(v);
	}
}

static inline void invlpg(const void *va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

#define CPU_INSN(name, text)                                                                       \
	static inline void name(void)                                                              \
	{                                                                                          \
		__asm__ volatile(text : : : "memory");                                             \
	}

CPU_INSN(cli, "cli")
CPU_INSN(sti, "sti")
CPU_INSN(hlt, "hlt")
CPU_INSN(sti_hlt, "sti; hlt") /* nothing is taken between the two: STI opens only behind the instruction that follows it */
CPU_INSN(pause, "pause")
CPU_INSN(nop, "nop")
CPU_INSN(stgi, "stgi") /* these two only with EFER.SVME set */
CPU_INSN(clgi, "clgi")

#undef CPU_INSN

#endif
