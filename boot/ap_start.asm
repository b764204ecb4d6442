; SPDX-License-Identifier: MIT
; boot/ap_start.asm - first instructions of every CPU but the boot CPU.
; kernel/smp.c copies ap_trampoline..ap_trampoline_end to a free page below 1 MiB and names that
; page in the start-up IPI; the CPU begins here in real mode with CS = page / 16, IP = 0.
; Touches nothing but CR0 and the segment registers. Next: boot/start.asm ap_entry32.

CR0_PE          equ 1 << 0
SEL_CODE32      equ 0x18                ; boot/start.asm boot_gdt

extern ap_entry32, boot_gdt_pointer
global ap_trampoline, ap_trampoline_end, ap_trampoline_gdtr

section .rodata
bits 16
ap_trampoline:
        cli
        cld
        mov ax, cs
        mov ds, ax
        o32 lgdt [ap_trampoline_gdtr - ap_trampoline]
        mov eax, cr0
        or eax, CR0_PE
        mov cr0, eax
        jmp dword SEL_CODE32:ap_entry32

align 8
ap_trampoline_gdtr:                     ; smp.c fills it in from boot_gdt_pointer: six bytes
        dw 0
        dd 0
ap_trampoline_end:
