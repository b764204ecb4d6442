; SPDX-License-Identifier: MIT
; kernel/trap.asm - where the CPU lands on an exception or interrupt of L0.
; 256 stubs of 16 bytes; each makes the frame below complete and goes to trap_common, which calls
; void trap_entry(struct trap_frame *). All registers are the interrupted code's: all are kept.
; L0 never leaves ring 0 and has no TSS, so the frame lies on the stack that was in use.
;
;   stack, upwards: r15 ... rax | vector | error code or 0 | rip cs rflags rsp ss (pushed by the CPU)
;
; Next: kernel/trap.c. The table that points here: kernel/idt.c.

VECTORS         equ 256
STUB_SIZE       equ 16                  ; kernel/idt.c has the same number
; Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX.
HAS_ERROR       equ (1<<8)|(1<<10)|(1<<11)|(1<<12)|(1<<13)|(1<<14)|(1<<17)|(1<<21)|(1<<29)|(1<<30)

extern trap_entry
global trap_stubs

section .text.z_trap progbits alloc exec nowrite align=16
align STUB_SIZE
trap_stubs:
%assign vector 0
%rep VECTORS
        align STUB_SIZE
    %if vector >= 32 || !((HAS_ERROR >> vector) & 1)
        push 0
    %endif
        push strict dword vector
        jmp trap_common
    %assign vector vector + 1
%endrep

align 16
trap_common:
        push rax
        push rbx
        push rcx
        push rdx
        push rsi
        push rdi
        push rbp
        push r8
        push r9
        push r10
        push r11
        push r12
        push r13
        push r14
        push r15
        cld
        mov rdi, rsp                    ; 22 words pushed on an aligned stack: aligned for the call
        call trap_entry
        pop r15
        pop r14
        pop r13
        pop r12
        pop r11
        pop r10
        pop r9
        pop r8
        pop rbp
        pop rdi
        pop rsi
        pop rdx
        pop rcx
        pop rbx
        pop rax
        add rsp, 16                     ; vector and error code
        iretq
