; SPDX-License-Identifier: MIT
; svm/vmrun.asm - the only VMRUN of the program.
; FS, GS, TR, LDTR and the SYSCALL/SYSENTER MSRs stay the guest's while L0 handles exits: C code uses none of them, so
; nothing is moved per exit. FPU registers (but for XMM0, see include/wide.h), XCR0 and DR0-3 likewise.
; Manual: APM2 15.5 (VMRUN), 15.6 (#VMEXIT). Next: svm/exit.c svm_exit, svm_after_exit.

%include "svm/offsets.inc"

bits 64
default rel
section .text

extern svm_exit
extern svm_after_exit

; One register of struct vcpu, by its number in instructions (enum gpr).
%define REG(n) VCPU_REGS + 8 * (n)

; void svm_loop(struct vcpu *v)
; svm_loop runs the guest until svm_after_exit() returns. Mostly neither that nor svm_exit(), nor what these end in, does
; return, but runs the guest again by svm_enter, to which C jumps with v in RDI (exit_enter()) and which takes the stack
; back to where svm_loop left it: nothing of an exit lasts until the next one. Entered with GIF=0 and IF=1, left with
; both 0.
; IF=1 with GIF=0 lets physical interrupts end the guest's run (V_INTR_MASKING) and nothing else; L0 handles exits with
; it. vcpu_ready() sets it, so that the shadow of its STI is long over at VMRUN and cannot leak into the guest.
;   rdi  v; kept on the stack while the guest has all registers
; Of all registers callers expect RBP alone to be kept (NO_SAVED_REGS in the Makefile).
; Stack below the return address: rbp, rbp again, v.
global svm_loop
svm_loop:
	push rbp
	push rbp			; aligned for the call
	push rdi
	mov [rdi + VCPU_STACK], rsp
global svm_enter
svm_enter:
	mov rsp, [rdi + VCPU_STACK]
	mov rax, [rdi + VCPU_VMCB]
	mov rcx, [rdi + REG(1)]
	mov rdx, [rdi + REG(2)]
	mov rbx, [rdi + REG(3)]
	mov rbp, [rdi + REG(5)]
	mov rsi, [rdi + REG(6)]
	mov r8,  [rdi + REG(8)]
	mov r9,  [rdi + REG(9)]
	mov r10, [rdi + REG(10)]
	mov r11, [rdi + REG(11)]
	mov r12, [rdi + REG(12)]
	mov r13, [rdi + REG(13)]
	mov r14, [rdi + REG(14)]
	mov r15, [rdi + REG(15)]
	mov rdi, [rdi + REG(7)]
	; From here to the last store every register but RSP is the guest's: no call, no host memory but the stack.
	vmrun
global svm_vmrun_return
svm_vmrun_return:
	mov rax, [rsp]			; v; the guest's RAX is in the VMCB
	mov [rax + REG(1)], rcx
	mov [rax + REG(2)], rdx
	mov [rax + REG(3)], rbx
	mov [rax + REG(5)], rbp
	mov [rax + REG(6)], rsi
	mov [rax + REG(7)], rdi
	mov [rax + REG(8)], r8
	mov [rax + REG(9)], r9
	mov [rax + REG(10)], r10
	mov [rax + REG(11)], r11
	mov [rax + REG(12)], r12
	mov [rax + REG(13)], r13
	mov [rax + REG(14)], r14
	mov [rax + REG(15)], r15
	mov rdi, rax
	call svm_exit
	mov rdi, [rsp]
	mov esi, eax			; enum resume
	call svm_after_exit
	cli
	pop rdi
	pop rbp
	pop rbp
	ret

section .note.GNU-stack noalloc noexec nowrite progbits
