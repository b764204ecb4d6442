; SPDX-License-Identifier: MIT
; hello.asm - the smallest L1: shows that a Multiboot 1 kernel is loaded, gets its magic number, has
; a serial port, and can end the machine. Says hello from what its command line has behind the
; kernel's name, else from L1. Stays in 32-bit protected mode without paging.

%define MB_MAGIC	0x1BADB002
%define MB_LOADED	0x2BADB002
%define MB_CMDLINE	16		; in the boot information
%define MB_HAS_CMDLINE	1 << 2		; in its flags, the first word
%define COM1		0x3F8
%define LSR_EMPTY	0x20
%define EXIT_PORT	0xF4

section .multiboot
align 4
	dd MB_MAGIC, 0, -MB_MAGIC

section .text
bits 32
global _start
_start:
	mov	esp, stack_end
	cmp	eax, MB_LOADED
	jne	.wrong
	mov	esi, hello
	call	print
	call	find_place
	call	print
	mov	esi, line_end
	call	print
	xor	eax, eax
	jmp	.exit
.wrong:	mov	esi, wrong
	call	print
	mov	eax, 1
.exit:	out	EXIT_PORT, al
	mov	dx, 0x604		; ACPI PM1 control: S5
	mov	ax, 0x2000
	out	dx, ax
.stop:	hlt
	jmp	.stop

; esi: the string that says where we are. ebx: boot information.
find_place:
	mov	esi, place
	test	dword [ebx], MB_HAS_CMDLINE
	jz	.none
	mov	edi, [ebx + MB_CMDLINE]
.name:	mov	al, [edi]
	inc	edi
	test	al, al
	jz	.none
	cmp	al, ' '
	jne	.name
	cmp	byte [edi], 0
	je	.none
	mov	esi, edi
.none:	ret

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

hello:	db 13, 10, "hello from ", 0
place:	db "L1", 0
line_end: db 13, 10, 0
wrong:	db "hello: not loaded by a Multiboot 1 loader", 13, 10, 0

section .bss
align 16
	resb 256
stack_end:
