; SPDX-License-Identifier: MIT
; hello.asm - the smallest L1: shows that a Multiboot 1 kernel is loaded, gets its magic number, has
; a serial port, and can end the machine. Stays in 32-bit protected mode without paging.

%define MB_MAGIC	0x1BADB002
%define MB_LOADED	0x2BADB002
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
	mov	esi, hello
	cmp	eax, MB_LOADED
	je	.next
	mov	esi, wrong
.next:	mov	dx, COM1 + 5
.wait:	in	al, dx
	test	al, LSR_EMPTY
	jz	.wait
	mov	dx, COM1
	lodsb
	test	al, al
	jz	.end
	out	dx, al
	jmp	.next
.end:	xor	eax, eax
	cmp	esi, hello_end
	je	.exit
	inc	eax
.exit:	out	EXIT_PORT, al
	mov	dx, 0x604		; ACPI PM1 control: S5
	mov	ax, 0x2000
	out	dx, ax
.stop:	hlt
	jmp	.stop

hello:	db 13, 10, "hello from L1", 13, 10, 0
hello_end:
wrong:	db "hello: not loaded by a Multiboot 1 loader", 13, 10, 0
