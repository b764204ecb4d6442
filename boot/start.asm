; SPDX-License-Identifier: MIT
; boot/start.asm - from the boot loader's 32-bit protected mode to 64-bit C.
; Multiboot 2 hands over with paging off: eax = its magic, ebx = physical address of its tags.
; Decides: the first page tables (4 GiB, one to one, 2 MiB pages) and the first stack, which is
; also the boot CPU's stack for good. Next: kernel/main.c kernel_main(uint32_t magic, uint64_t tags).
; The other CPUs come through ap_entry32, from boot/ap_start.asm; next: kernel/smp.c ap_main().

MB2_MAGIC       equ 0xE85250D6
MB2_ARCH_I386   equ 0
MB2_TAG_END     equ 0
MB2_TAG_REQUEST equ 1
MB2_TAG_CONSOLE equ 4
MB2_TAG_FB      equ 5
MB2_TAG_ALIGN   equ 6
MB2_OPTIONAL    equ 1
MB2_INFO_MMAP   equ 6
MB2_INFO_ACPI1  equ 14
MB2_INFO_ACPI2  equ 15
CONSOLE_EGA     equ 2                   ; we can drive VGA text

CR0_PE          equ 1 << 0
CR0_WP          equ 1 << 16
CR0_PG          equ 1 << 31
CR4_PAE         equ 1 << 5
MSR_EFER        equ 0xC0000080
EFER_LME        equ 1 << 8
EFER_NXE        equ 1 << 11
PTE_P_W         equ 3
PTE_PS          equ 1 << 7
CPUID_EXT_MAX   equ 0x80000000
CPUID_EXT_1     equ 0x80000001
EDX_NX          equ 1 << 20
EDX_LM          equ 1 << 29
EFLAGS_ID       equ 1 << 21

SEL_CODE64      equ 0x08                ; same numbers as kernel/trap.h
SEL_DATA        equ 0x10
SEL_CODE32      equ 0x18

STACK_SIZE      equ 32768               ; same as kernel/percpu.h; aligned to its size
COM1            equ 0x3F8
COM1_LSR        equ COM1 + 5
LSR_THRE        equ 0x20
VGA_TEXT        equ 0xB8000
VGA_ATTR        equ 0x4F                ; white on red

extern kernel_main, ap_main, paging_root, ap_stack_top
global start, ap_entry32, boot_gdt, boot_gdt_end, boot_gdt_pointer, boot_stack

section .multiboot align=8
header:
        dd MB2_MAGIC
        dd MB2_ARCH_I386
        dd header_end - header
        dd 0x100000000 - (MB2_MAGIC + MB2_ARCH_I386 + (header_end - header))

request:dw MB2_TAG_REQUEST, 0
        dd request_end - request
        dd MB2_INFO_MMAP
request_end:
        align 8, db 0
wish:   dw MB2_TAG_REQUEST, MB2_OPTIONAL
        dd wish_end - wish
        dd MB2_INFO_ACPI1, MB2_INFO_ACPI2
wish_end:
        align 8, db 0
        dw MB2_TAG_CONSOLE, MB2_OPTIONAL
        dd 12, CONSOLE_EGA
        align 8, db 0
        dw MB2_TAG_FB, MB2_OPTIONAL
        dd 20, 0, 0, 0                  ; any width, height and depth
        align 8, db 0
        dw MB2_TAG_ALIGN, MB2_OPTIONAL
        dd 8
        dw MB2_TAG_END, 0
        dd 8
header_end:

section .text
bits 32

start:
        cli
        cld
        mov esp, boot_stack + STACK_SIZE
        mov edi, eax                    ; first argument of kernel_main
        mov esi, ebx                    ; second
        call require_long_mode
        call build_boot_tables
        call enter_long_mode
        jmp SEL_CODE64:start64

; An AP, in flat protected mode without paging, far from any stack.
; The APs come one at a time, so they may all pass over the same few words of stack.
ap_entry32:
        mov ax, SEL_DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, ap_stack_early_end
        call enter_long_mode
        jmp SEL_CODE64:ap_entry64

; Ends here with a message when there is no 64-bit mode. Keeps edi and esi.
require_long_mode:
        pushfd
        pop eax
        mov ecx, eax
        xor eax, EFLAGS_ID
        push eax
        popfd
        pushfd
        pop eax
        cmp eax, ecx                    ; the ID flag is stuck: not even CPUID
        je no_long_mode
        mov eax, CPUID_EXT_MAX
        cpuid
        cmp eax, CPUID_EXT_1
        jb no_long_mode
        mov eax, CPUID_EXT_1
        cpuid
        test edx, EDX_LM
        jz no_long_mode
        ret

; boot_pml4 -> boot_pdpt -> four page directories of 2 MiB pages. Keeps edi and esi.
build_boot_tables:
        mov dword [boot_pml4], boot_pdpt + PTE_P_W
        mov eax, boot_pd + PTE_P_W
        xor ecx, ecx
.pdpt:  mov [boot_pdpt + ecx * 8], eax
        add eax, 4096
        inc ecx
        cmp ecx, 4
        jb .pdpt
        mov eax, PTE_PS + PTE_P_W
        xor ecx, ecx
.pd:    mov [boot_pd + ecx * 8], eax
        add eax, 2 << 20
        inc ecx
        cmp ecx, 4 * 512
        jb .pd
        ret

; Sets CR4, CR3, EFER, CR0 and loads the GDT; still 32-bit code on return. Keeps edi and esi.
enter_long_mode:
        mov eax, CPUID_EXT_1
        cpuid
        mov ebx, EFER_LME
        test edx, EDX_NX
        jz .no_nx
        or ebx, EFER_NXE                ; before any table with NX bits is loaded
.no_nx: mov eax, CR4_PAE
        mov cr4, eax
        mov eax, boot_pml4
        mov cr3, eax
        mov ecx, MSR_EFER
        rdmsr
        or eax, ebx
        wrmsr
        mov eax, cr0
        or eax, CR0_PG | CR0_WP | CR0_PE
        mov cr0, eax
        lgdt [boot_gdt_pointer]
        ret

; The only message that cannot wait for C: to COM1 as the loader left it, and to VGA text.
no_long_mode:
        mov esi, no_long_mode_text
        mov edi, VGA_TEXT
.next:  lodsb
        test al, al
        jz .halt
        mov ah, VGA_ATTR
        stosw
        mov ebx, eax
        mov ecx, 0x10000                ; bounded: there may be no port
.wait:  mov dx, COM1_LSR
        in al, dx
        test al, LSR_THRE
        loopz .wait
        mov eax, ebx
        mov dx, COM1
        out dx, al
        jmp .next
.halt:  hlt
        jmp .halt

bits 64
start64:
        mov ax, SEL_DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        xor eax, eax
        mov fs, ax
        mov gs, ax
        mov edi, edi                    ; upper halves are undefined after the mode switch
        mov esi, esi
        mov esp, boot_stack + STACK_SIZE
        xor ebp, ebp
        call kernel_main                ; never returns
        ud2

; The real page tables first: the AP's stack may lie above the 4 GiB of the boot tables.
ap_entry64:
        xor eax, eax
        mov fs, ax
        mov gs, ax
        mov rax, [paging_root]
        mov cr3, rax
        mov rsp, [ap_stack_top]
        xor ebp, ebp
        call ap_main                    ; never returns
        ud2

section .rodata
no_long_mode_text:
        db "nestling: error: this CPU has no 64-bit mode; use an AMD CPU with SVM", 13, 10, 0

align 8
boot_gdt:
        dq 0
        dq 0x00AF9B000000FFFF           ; SEL_CODE64
        dq 0x00CF93000000FFFF           ; SEL_DATA
        dq 0x00CF9B000000FFFF           ; SEL_CODE32
boot_gdt_end:

boot_gdt_pointer:
        dw boot_gdt_end - boot_gdt - 1
        dd boot_gdt
        dd 0                            ; 64-bit LGDT reads eight bytes of base

section .bss
align STACK_SIZE
boot_stack:     resb STACK_SIZE
align 4096
boot_pml4:      resb 4096
boot_pdpt:      resb 4096
boot_pd:        resb 4 * 4096
ap_stack_early: resb 64
ap_stack_early_end:
