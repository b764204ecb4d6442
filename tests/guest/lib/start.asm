; SPDX-License-Identifier: MIT
; lib/start.asm - from the Multiboot 1 entry (32-bit, paging off) to main() in long mode, and the
; same way for a second CPU that arrives by Startup-IPI.
; The first 4 GiB are mapped one to one with 2 MiB pages that ring 3 may use too, so that L1, its
; L2s and their user code share one address space. The story goes on in lib/test.c, main().

%define MB_MAGIC	0x1BADB002
%define MB_FLAGS	3		; page-aligned modules, memory information
%define AP_BASE		0x8000		; where the second CPU starts: Startup-IPI vector 08h
%define CR0_ON		0x80000033	; PG NE ET MP PE
%define CR4_ON		0x620		; PAE OSFXSR OSXMMEXCPT
%define MSR_EFER	0xC0000080
%define EFER_ON		0x1901		; SVME NXE LME SCE
%define PT_TABLE	7		; present, writable, user
%define PT_LARGE	0x87		; and 2 MiB
%define STACK_BYTES	0x8000

extern main
extern __bss_start
extern __bss_end
global boot_pml4, ap_begin, ap_end, ap_entry, gdt, gdt_tss, ring0_stack_top

section .multiboot
align 4
	dd MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

section .text
bits 32
global _start
_start:
	cli
	mov	esi, ebx		; Multiboot information, survives the clearing of .bss
	mov	edi, __bss_start
	mov	ecx, __bss_end
	sub	ecx, edi
	xor	eax, eax
	rep stosb
	mov	esp, boot_stack_top
	call	tables_fill
	call	long_mode_on
	lgdt	[gdt_pointer]
	jmp	0x08:.in_long
bits 64
.in_long:
	call	segments_load
	mov	edi, esi
	call	main
.stop:	hlt
	jmp	.stop

bits 32
; One PML4 entry, four PDPT entries, 2048 large pages.
tables_fill:
	mov	dword [boot_pml4], boot_pdpt + PT_TABLE
	mov	eax, boot_pd + PT_TABLE
	mov	edi, boot_pdpt
	mov	ecx, 4
.pdpt:	mov	[edi], eax
	add	eax, 0x1000
	add	edi, 8
	loop	.pdpt
	mov	eax, PT_LARGE
	mov	edi, boot_pd
	mov	ecx, 2048
.pd:	mov	[edi], eax
	add	eax, 0x200000
	add	edi, 8
	loop	.pd
	ret

; Also used by the second CPU. SVME is part of the EFER value: the tests take SVM as given, and
; lib/test.c says so in one line where it is missing.
long_mode_on:
	mov	eax, CR4_ON
	mov	cr4, eax
	mov	eax, boot_pml4
	mov	cr3, eax
	mov	eax, 0x80000001
	cpuid
	mov	edi, ecx
	mov	ecx, MSR_EFER
	mov	eax, EFER_ON
	test	edi, 4			; CPUID Fn8000_0001 ECX[2], SVM
	jnz	.write
	and	eax, ~0x1000
.write:	xor	edx, edx
	wrmsr
	mov	eax, CR0_ON
	mov	cr0, eax
	ret

bits 64
segments_load:
	mov	eax, 0x10
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	xor	eax, eax
	mov	fs, eax
	mov	gs, eax
	ret

; void ap_entry code: copied to AP_BASE by lib/smp.c.
bits 16
ap_begin:
	cli
	xor	ax, ax
	mov	ds, ax
	lgdt	[AP_BASE + ap_gdtp - ap_begin]
	mov	eax, 0x33
	mov	cr0, eax
	jmp	dword 0x20:ap_protected
ap_gdtp:
	dw	gdt_end - gdt - 1
	dd	gdt
ap_end:
bits 32
ap_protected:
	mov	eax, 0x10
	mov	ds, eax
	mov	ss, eax
	mov	esp, ap_stack_top
	call	long_mode_on
	jmp	0x08:.in_long
bits 64
.in_long:
	call	segments_load
	lgdt	[gdt_pointer]
	call	[ap_entry]
.stop:	cli
	hlt
	jmp	.stop

section .data
align 16
; 08 code64, 10 data, 18 code32 DPL3 (unused slot for SYSRET), 20 code32, 28 data DPL3, 30 code64
; DPL3, 38 code16, 40 data16, 48 TSS (two slots), 58 and 60 spare for tests.
gdt:	dq	0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFFB000000FFFF
	dq	0x00CF9B000000FFFF, 0x00CFF3000000FFFF, 0x00AFFB000000FFFF, 0x00009B000000FFFF
	dq	0x000093000000FFFF
gdt_tss: dq	0, 0
	dq	0, 0
gdt_end:
gdt_pointer:
	dw	gdt_end - gdt - 1
	dq	gdt
ap_entry: dq	0

section .bss
align 4096
boot_pml4:	resb 4096
boot_pdpt:	resb 4096
boot_pd:	resb 4 * 4096
		resb STACK_BYTES
boot_stack_top:
		resb STACK_BYTES
ap_stack_top:
		resb STACK_BYTES
ring0_stack_top:
