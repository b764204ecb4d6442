/* SPDX-License-Identifier: MIT */
/* lib/smm.c - see smm.h. */
#include "smm.h"
#include "str.h"

extern const uint8_t handler[], handler_end[];
__asm__(".pushsection .text.l1,\"ax\"\n.intel_syntax noprefix\n.code16\n"
	"handler:\n"
	"mov ebx, 0x34000\n"
	"lock inc dword ptr [ebx]\n"
	"inc dword ptr [ebx + 20]\n"
	"cmp dword ptr [ebx + 20], 1\n"
	"je 1f\n"
	"inc dword ptr [ebx + 24]\n"
	"1: mov eax, cr0\n mov [ebx + 4], eax\n"
	"mov eax, cr4\n mov [ebx + 8], eax\n"
	"mov ecx, 0xC0000080\n rdmsr\n mov [ebx + 12], eax\n"
	"mov eax, cs\n mov [ebx + 16], eax\n"
	"mov ecx, [ebx + 32]\n lea esi, [ebx + 36]\n"
	"2: test ecx, ecx\n jz 3f\n"
	"mov edi, [esi]\n mov eax, [esi + 4]\n mov [edi], eax\n"
	"add esi, 8\n dec ecx\n jmp 2b\n"
	"3: mov ecx, [ebx + 28]\n"
	"4: test ecx, ecx\n jz 5f\n pause\n dec ecx\n jmp 4b\n"
	"5: dec dword ptr [ebx + 20]\n"
	"rsm\n"
	"handler_end:\n"
	".code64\n.att_syntax prefix\n.popsection");

uint64_t smm_map(uint32_t smbase, enum map at)
{
	return *(volatile uint64_t *)(uintptr_t)(smbase + at);
}

void smm_place_handler(uint32_t smbase)
{
	memcpy((void *)(uintptr_t)(smbase + HANDLER), handler, (size_t)(handler_end - handler));
}

bool smm_setup(void)
{
	uint64_t hwcr = rdmsr(MSR_HWCR), base = rdmsr(MSR_SMM_BASE);

	if (base != SMBASE || (hwcr & SMMLOCK)) {
		skip("SMM belongs to firmware");
		return false;
	}
	memset((void *)(uintptr_t)NOTES, 0, sizeof(struct notes));
	memset((void *)(uintptr_t)(SMBASE + 0xFE00), 0, 0x200);
	smm_place_handler(SMBASE);
	return true;
}

void smm_poke(uint32_t at, uint32_t value)
{
	notes->poke[2 * notes->poke_count] = at;
	notes->poke[2 * notes->poke_count + 1] = value;
	notes->poke_count++;
}
