; SPDX-License-Identifier: MIT
; lib/trap.asm - entry stubs of L1's IDT and of the IDT that L2s use, setjmp/longjmp, and the only
; VMRUN that loads and keeps an L2's general registers.
; The C half is lib/trap.c (what an exception means) and lib/vm.c (who is run).

extern trap_handle
global l1_stubs, l2_stubs, vmrun_raw, vmrun_insn, vmrun_next, jump_set, jump_to, user_enter

section .text
bits 64
%define STUB_BYTES 16

%macro HAS_CODE 1
  %if %1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17 || %1 == 21 || %1 == 29 || %1 == 30
    %define CODE_PUSHED 1
  %else
    %define CODE_PUSHED 0
  %endif
%endmacro

; 256 stubs of L1: vector and error code on the stack, then trap_common.
align 16
l1_stubs:
%assign v 0
%rep 256
	HAS_CODE v
  %if CODE_PUSHED == 0
	push	0
  %endif
	push	strict dword v
	jmp	strict near trap_common
	align	STUB_BYTES, int3
  %assign v v+1
%endrep

; 256 stubs of L2: each tells L1 its vector by the address of its VMMCALL (offset 2 in the stub),
; the frame is at L2's RSP: error code, RIP, CS, RFLAGS, RSP, SS. L1 may let it return.
align 16
l2_stubs:
%assign v 0
%rep 256
	HAS_CODE v
  %if CODE_PUSHED == 0
	push	byte 0
  %else
	xchg	ax, ax			; two bytes, as the push
  %endif
	vmmcall
	add	rsp, 8
	iretq
	align	STUB_BYTES, int3
  %assign v v+1
%endrep

trap_common:
	push	rax
	push	rcx
	push	rdx
	push	rbx
	push	rbp
	push	rsi
	push	rdi
	push	r8
	push	r9
	push	r10
	push	r11
	push	r12
	push	r13
	push	r14
	push	r15
	mov	rdi, rsp		; struct trap_frame *
	mov	rbp, rsp
	and	rsp, -16
	cld
	call	trap_handle
	mov	rsp, rbp
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	r11
	pop	r10
	pop	r9
	pop	r8
	pop	rdi
	pop	rsi
	pop	rbp
	pop	rbx
	pop	rdx
	pop	rcx
	pop	rax
	add	rsp, 16
	iretq

; uint64_t jump_set(struct jump *j): 0 now, 1 when jump_to() comes back to it.
jump_set:
	mov	rax, [rsp]
	mov	[rdi], rax
	lea	rax, [rsp + 8]
	mov	[rdi + 8], rax
	mov	[rdi + 16], rbx
	mov	[rdi + 24], rbp
	mov	[rdi + 32], r12
	mov	[rdi + 40], r13
	mov	[rdi + 48], r14
	mov	[rdi + 56], r15
	xor	eax, eax
	ret

; void jump_to(struct jump *j)
jump_to:
	mov	rsp, [rdi + 8]
	mov	rbx, [rdi + 16]
	mov	rbp, [rdi + 24]
	mov	r12, [rdi + 32]
	mov	r13, [rdi + 40]
	mov	r14, [rdi + 48]
	mov	r15, [rdi + 56]
	mov	eax, 1
	jmp	[rdi]

; void user_enter(const void *code, void *stack, uint64_t rax): run code at CPL 3; only an
; exception leaves it, to the jump_set() of trap_catch().
user_enter:
	mov	rax, rdx
	push	0x2B
	push	rsi
	push	2
	push	0x33
	push	rdi
	iretq

; void vmrun_raw(uint64_t vmcb_pa, struct gprs *g): nothing but VMRUN with L2's registers in place.
; CLGI and STGI are the caller's. RAX and RSP of L2 are in the VMCB.
vmrun_raw:
	push	rbx
	push	rbp
	push	r12
	push	r13
	push	r14
	push	r15
	push	rsi
	mov	rax, rdi
	mov	rcx, [rsi]
	mov	rdx, [rsi + 8]
	mov	rbx, [rsi + 16]
	mov	rbp, [rsi + 24]
	mov	rdi, [rsi + 40]
	mov	r8, [rsi + 48]
	mov	r9, [rsi + 56]
	mov	r10, [rsi + 64]
	mov	r11, [rsi + 72]
	mov	r12, [rsi + 80]
	mov	r13, [rsi + 88]
	mov	r14, [rsi + 96]
	mov	r15, [rsi + 104]
	mov	rsi, [rsi + 32]
vmrun_insn:
	vmrun
vmrun_next:
	xchg	rsi, [rsp]		; L2's RSI to the stack, ours back
	mov	[rsi], rcx
	mov	[rsi + 8], rdx
	mov	[rsi + 16], rbx
	mov	[rsi + 24], rbp
	mov	[rsi + 40], rdi
	mov	[rsi + 48], r8
	mov	[rsi + 56], r9
	mov	[rsi + 64], r10
	mov	[rsi + 72], r11
	mov	[rsi + 80], r12
	mov	[rsi + 88], r13
	mov	[rsi + 96], r14
	mov	[rsi + 104], r15
	pop	qword [rsi + 32]
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbp
	pop	rbx
	ret
