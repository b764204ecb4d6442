; SPDX-License-Identifier: MIT
; echo.asm - an L1 that stays: says that it is there, then sends back what is typed, a line at a time
; and behind "echo ". Polls COM1, takes no interrupt. Stays in 32-bit protected mode without paging.
; Also shows that a guest finds nothing in the XMM registers of the one that had its CPU before: it
; looks whether all are 0, as after power-on (APM2 table 14-1), and leaves them all ones.

%define MB_MAGIC	0x1BADB002
%define COM1		0x3F8
%define LSR_DATA	0x01
%define LSR_EMPTY	0x20
%define LINE_MAX	64
%define CR4_OSFXSR	1 << 9

section .multiboot
align 4
	dd MB_MAGIC, 0, -MB_MAGIC

section .text
bits 32
global _start
_start:
	mov	esp, stack_end
	mov	eax, cr4
	or	eax, CR4_OSFXSR
	mov	cr4, eax
	call	look_at_registers
	call	print
.line:	mov	edi, line
.byte:	mov	dx, COM1 + 5
	in	al, dx
	test	al, LSR_DATA
	jz	.byte
	mov	dx, COM1
	in	al, dx
	cmp	al, 13
	je	.enter
	cmp	edi, line + LINE_MAX
	je	.byte
	stosb
	jmp	.byte
.enter:	mov	byte [edi], 0
	mov	esi, prefix
	call	print
	mov	esi, line
	call	print
	mov	esi, line_end
	call	print
	jmp	.line

; esi: what is found in the XMM registers, as a string.
look_at_registers:
	mov	esi, hello
%assign n 1
%rep 7
	por	xmm0, xmm%[n]
%assign n n + 1
%endrep
	movdqu	[line], xmm0
	mov	eax, [line]
	or	eax, [line + 4]
	or	eax, [line + 8]
	or	eax, [line + 12]
	jz	.fill
	mov	esi, foreign
.fill:
%assign n 0
%rep 8
	pcmpeqd	xmm%[n], xmm%[n]
%assign n n + 1
%endrep
	ret

; The string at esi.
print:	mov	dx, COM1 + 5
.wait:	in	al, dx
	test	al, LSR_EMPTY
	jz	.wait
	mov	dx, COM1
	lodsb
	test	al, al
	jz	.end
	out	dx, al
	jmp	print
.end:	ret

hello:	db 13, 10, "echo is there", 13, 10, 0
foreign: db 13, 10, "echo finds what another guest had in its registers", 13, 10, 0
prefix:	db "echo ", 0
line_end: db 13, 10, 0

section .bss
line:	resb LINE_MAX + 1
alignb 16
	resb 256
stack_end:
