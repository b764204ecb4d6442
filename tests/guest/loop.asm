; SPDX-License-Identifier: MIT
; loop.asm - an L1 that resets itself at once, and so for ever: whoever ends it finds it in the middle of a
; restart more often than not. Stays in 32-bit protected mode without paging.

%define MB_MAGIC	0x1BADB002
%define RESET_PORT	0xCF9
%define RESET_FULL	0x06

section .multiboot
align 4
	dd MB_MAGIC, 0, -MB_MAGIC

section .text
bits 32
global _start
_start:
	mov	dx, RESET_PORT
	mov	al, RESET_FULL
	out	dx, al
.stop:	hlt
	jmp	.stop
