/* SPDX-License-Identifier: MIT */
/* svm/nested_glue.c - exits of the SVM instructions and of L2: asks nested/ what is to be done, and does it: switches
 * VMCBs, moves the VMLOAD registers, delivers faults. Decides nothing that L1 could see.
 * Manual: APM2 15.5, 15.6. Next: nested/vmrun.c, nested/route.c, nested/exit_full.c. */
#include <string.h>

#include <amd/cpu.h>
#include <amd/cpuid.h>
#include <check.h>
#include <amd/exitcode.h>
#include <amd/npt.h>
#include <amd/vmcb_access.h>

#include "kernel/cpu_insn.h"
#include "kernel/percpu.h"
#include "svm/decode.h"
#include "svm/enable.h"
#include "svm/exit.h"
#include "svm/gif.h"
#include "svm/gmem.h"
#include "svm/inject.h"
#include "svm/nested_info.h"
#include "svm/once.h"
#include "svm/quirk.h"

static struct port *port_of(const struct vcpu *v)
{
	return (struct port *)v->l1;
}

static enum resume raise_nested_fault(struct vcpu *v, enum nested_fault fault)
{
	return fault == NESTED_FAULT_UD ? exit_ud(v) : exit_gp(v);
}

/* rAX as VMRUN, VMLOAD and VMSAVE take it: as wide as the address size. Three bytes are the encoding without a
 * prefix, so only a longer one needs to be decoded. */
static COLD uint64_t prefixed_operand(struct vcpu *v, uint64_t unprefixed)
{
	uint64_t rax = v->vmcb->save.rax;
	struct insn insn;

	if (!insn_decode(v, &insn))
		return unprefixed;
	return insn.address_size == 8 ? rax : insn.address_size == 4 ? (uint32_t)rax : (uint16_t)rax;
}

static ALWAYS_INLINE uint64_t address_operand(struct vcpu *v, struct step step)
{
	uint64_t rax = v->vmcb->save.rax & step.width;

	return likely(step.length <= 3) ? rax : prefixed_operand(v, rax);
}

/* VMRUN, VMLOAD or VMSAVE of L2 with an rAX that must fault before L1 sees the exit. */
static COLD bool is_bad_address(struct vcpu *v)
{
	uint64_t code = v->vmcb->control.exitcode;

	return (code == VMEXIT_VMRUN || code == VMEXIT_VMLOAD || code == VMEXIT_VMSAVE) &&
	       nested_insn_fault(&v->nested, true, address_operand(v, exit_step(v)), v->vmcb->save.cpl) ==
		       NESTED_FAULT_GP;
}

static ALWAYS_INLINE void use_level(struct vcpu *v, unsigned level)
{
	vcpu_use_level(v, level);
	if (likely(!v->nested.rare))
		return;
	vcpu_scale_tsc(v);
	if (v->nested.lbr_used)
		v->attention = true;
}

/* --- SVM instructions --- */

FLATTEN enum resume glue_vmrun(struct vcpu *v)
{
	struct step step = exit_first_step(v);
	uint64_t rax = address_operand(v, step);
	enum nested_fault fault = nested_insn_fault(&v->nested, true, rax, v->vmcb->save.cpl);

	if (fault)
		return raise_nested_fault(v, fault);
	if (unlikely(v->nested.smm.active))
		return exit_ud(v); /* the manual leaves it open; L2 and SMM at once is nothing that RSM could restore */
	if (unlikely(!step.length))
		return RESUME_SAME; /* another CPU of L1 has taken the code away: fetch it again */
	exit_advance(v, step); /* a refused VMRUN, too, leaves L1 behind it */
	if (nested_vmrun(&v->nested, port_of(v), l1pa(rax), &v->inputs02, v->vmcb01, &v->pages02) == VMRUN_ENTERED) {
		use_level(v, 2);
		if (unlikely(quirks))
			quirk_widen02(v);
		inject_level_changed(v, 2);
	} else {
		exit_trap_if_tf(v);
	}
	return exit_done(v);
}

/* Where there is no RAM nothing is moved. */
static ALWAYS_INLINE void move_at(const struct vcpu *v, void (*move)(hpa_t), l1pa_t at)
{
	const void *page = l1_ptr(v->l1, at, PAGE_SIZE);

	if (page)
		move(hpa_of(page));
}

/* For L2 with virtual VMLOAD/VMSAVE the page is named by an L2 address (APM2 15.33.1). */
static COLD enum resume move_virtual(struct vcpu *v, void (*move)(hpa_t), uint64_t rax, uint64_t access,
				     struct step step)
{
	struct walk12 walk = npt12_walk(port_of(v), &v->nested.root->npt12, l2pa(rax), access);

	if (walk.raced)
		return RESUME_SAME;
	if (!walk.ok)
		return glue_l2_npf(v, walk.error | NPF_FINAL, rax);
	move_at(v, move, walk.l1pa);
	return exit_done_step(v, step);
}

/* The registers in question are in the CPU, whoever's they are; rAX names L1's page. */
static ALWAYS_INLINE enum resume move_state(struct vcpu *v, void (*move)(hpa_t), uint64_t access)
{
	struct step step = exit_first_step(v);
	uint64_t rax = address_operand(v, step);
	const struct nested *n = &v->nested;
	enum nested_fault fault = nested_insn_fault(n, true, rax, v->vmcb->save.cpl);

	if (fault)
		return raise_nested_fault(v, fault);
	if (unlikely(n->in_l2 && (n->snap.control.misc2 & MISC2_VLS) && n->root))
		return move_virtual(v, move, rax, access, step);
	move_at(v, move, l1pa(rax));
	return exit_done_step(v, step);
}

/* Bits 63:48 are zero for an address of 48 bits, sign-extended, and for no other. */
static inline uint64_t beyond_48(uint64_t base)
{
	return base + BIT(47);
}

static bool has_long_base(const struct vmcb_save *s)
{
	return ((beyond_48(s->fs.base) | beyond_48(s->gs.base) | beyond_48(s->ldtr.base) | beyond_48(s->tr.base) |
		 beyond_48(s->kernel_gs_base)) >> 48) != 0;
}

/* VMLOAD on a CPU with LA57 takes bases of 57 bits, which this guest is not offered (APM2 15.5.2, 1.1.3). */
static ALWAYS_INLINE void vmload_48(hpa_t at)
{
	const struct vmcb_save *s = &((const struct vmcb *)hpa_ptr(at))->save;
	const struct vcpu *v;

	if (likely(!svm_cpu()->has_la57 || !has_long_base(s))) {
		svm_vmload(at);
		return;
	}
	v = this_cpu()->current_vcpu; /* VMCB01 holds none of L1's meanwhile */
	vmcb_copy_loaded(&v->vmcb01->save, s);
	svm_vmload(hpa_of(v->vmcb01));
}

enum resume glue_vmload(struct vcpu *v)
{
	return move_state(v, vmload_48, 0);
}

enum resume glue_vmsave(struct vcpu *v)
{
	return move_state(v, svm_vmsave, PF_W);
}

/* STGI and CLGI. */
enum resume glue_set_gif(struct vcpu *v)
{
	bool gif = v->vmcb->control.exitcode == VMEXIT_STGI;
	enum nested_fault fault = nested_insn_fault(&v->nested, false, 0, v->vmcb->save.cpl);

	if (fault)
		return raise_nested_fault(v, fault);
	nested_set_gif(&v->nested, gif);
	inject_level_changed(v, vcpu_level(v));
	if (!v->nested.in_l2 && (v->vmcb01->control.v_intr & V_INTR_GIF_ENABLE)) { /* something waits for it */
		gif_store(v);
		v->attention = true;
	}
	return exit_done_first(v);
}

static void flush_on_entry(struct vmcb *vmcb)
{
	vmcb->control.tlb_control = svm_cpu()->features & SVM_FEAT_FLUSH_BY_ASID ? TLB_CONTROL_ASID : TLB_CONTROL_ALL;
}

/* ASID 0 is L1 itself. */
enum resume glue_invlpga(struct vcpu *v)
{
	uint32_t asid = (uint32_t)v->regs[GPR_RCX];
	enum nested_fault fault = nested_insn_fault(&v->nested, false, 0, v->vmcb->save.cpl);

	if (fault)
		return raise_nested_fault(v, fault);
	if (asid == 0)
		flush_on_entry(v->vmcb01);
	else
		nested_invlpga(&v->nested, asid);
	if (v->nested.in_l2)
		flush_on_entry(v->vmcb02);
	return RESUME_NEXT;
}

/* --- L2 to L1 --- */

static ALWAYS_INLINE void leave_l2(struct vcpu *v, const struct nested_exit *exit)
{
	if (unlikely(v->osxsave_hidden))
		quirk_show_xsave(v);
	if (unlikely(!nested_exit_full(&v->nested, port_of(v), exit, v->vmcb01, v->vmcb02)))
		l1_end(v->l1, "vCPU %u: #VMEXIT with VMCB12 at %llx, where there is no memory", v->index,
		       (unsigned long long)v->nested.vmcb12_pa.a);
	use_level(v, 1);
	quirk_disarm();
	inject_level_changed(v, 1);
	exit_trap_if_tf(v); /* TF was set when L1 executed VMRUN: the trap comes now */
}

/* Whatever was to happen in L2 does not any more. */
static void finish_exit(struct vcpu *v, struct nested_exit *exit)
{
	if (unlikely(v->once.on))
		once_end(v);
	v->held = 0;
	exit->intinfo = v->reinject;
	v->reinject = 0;
	v->excp.valid = false;
	leave_l2(v, exit);
}

void glue_exit_to_l1(struct vcpu *v, uint64_t code, uint64_t info1, uint64_t info2)
{
	struct nested_exit exit = {.code = code, .info1 = info1, .info2 = info2};

	finish_exit(v, &exit);
}

/* L2's nested fault that NPT12 itself causes; instruction bytes for data accesses (APM2 15.8.4). */
enum resume glue_l2_npf(struct vcpu *v, uint64_t exitinfo1, uint64_t exitinfo2)
{
	struct nested_exit exit = {.code = VMEXIT_NPF, .info1 = exitinfo1, .info2 = exitinfo2};

	if ((v->nested.caps.features & SVM_FEAT_DECODE_ASSISTS) && !(exitinfo1 & PF_ID))
		info_insn_bytes(v, &exit);
	finish_exit(v, &exit);
	return RESUME_SAME;
}

/* An exit that the CPU took out of L2 and that L1 wants, with what the CPU left out of it. */
static FLATTEN enum resume reflect(struct vcpu *v)
{
	const struct vmcb_control *c = &v->vmcb02->control;
	struct nested_exit exit = {.code = c->exitcode, .info1 = c->exitinfo1, .info2 = c->exitinfo2};

	info_complete(v, &exit);
	finish_exit(v, &exit);
	return exit_done(v);
}

/* --- PAUSE --- */

#define PAUSE_CYCLES 64u /* what a PAUSE takes by itself on a CPU that need not exit for it */
#define PAUSE_PROBES 3u

/* Cycles since L2's last PAUSE, without those that our exits cost: the least that an exit and an entry have ever taken.
 * Differences of that size are noise, so that they count for nothing. */
static uint64_t cycles_since_pause(struct pause_clock *clock)
{
	uint64_t cycles = rdtsc() - clock->resumed;

	clock->cost = min_u64(clock->cost, cycles);
	return PAUSE_CYCLES + (cycles / 2 > clock->cost ? cycles - 2 * clock->cost : 0);
}

enum resume glue_pause(struct vcpu *v)
{
	bool timed = v->nested.snap.control.pause_threshold != 0;
	uint64_t cycles = timed ? cycles_since_pause(&v->pause_clock) : 0;
	bool probe = timed && v->pause_clock.probes < PAUSE_PROBES;

	if (!probe && nested_pause(&v->nested, cycles))
		return reflect(v);
	v->insn_len = exit_step(v).length;
	v->pause_clock.probes += probe;
	v->pause_clock.resumed = rdtsc();
	return probe ? RESUME_SAME : RESUME_NEXT; /* a probe comes back at once, so that we learn the cost */
}

/* --- exits of L2 --- */

static OWN_FRAME enum resume l2_npf(struct vcpu *v)
{
	const struct vmcb_control *c = &v->vmcb02->control;
	struct nested *n = &v->nested;
	uint64_t info1 = c->exitinfo1;
	struct npt02_result r;

	if (!n->root) /* without nested paging of L1's, L2-physical is L1-physical */
		return exit_npf(v);
	if (unlikely(n->root->npt12.gmet) && v->vmcb02->save.cpl != 3)
		info1 |= WALK12_SUPERVISOR;
	r = npt02_fault(&n->npt02, n->root, port_of(v), l2pa(c->exitinfo2), info1);
	if (r.dropped) {
		flush_on_entry(v->vmcb02);
		memo_use_tables(v, 2);
	}
	switch (r.verdict) {
	case NPT02_FILLED:
		return RESUME_SAME;
	case NPT02_REFLECT:
		return glue_l2_npf(v, r.exitinfo1, c->exitinfo2);
	case NPT02_DEVICE:
		return exit_device(v, r.l1pa, c->exitinfo1);
	case NPT02_UNDECIDED:
		break;
	}
	CHECK(!"npt02_fault did not decide");
	return RESUME_STOP;
}

enum resume glue_l2_exit(struct vcpu *v)
{
	struct nested *n = &v->nested;

	n->run_pending = false;
	if (!v->reinject)
		n->soft.pending = false; /* delivered */
	if (v->vmcb02->control.exitcode == VMEXIT_NPF)
		return l2_npf(v);
	if (has_quirk(QUIRK_SVM_ADDRESS) && is_bad_address(v))
		return exit_gp(v);
	if (nested_route(n, port_of(v), v->vmcb02, (uint32_t)v->regs[GPR_RCX]) == ROUTE_L1)
		return reflect(v);
	return RESUME_UNDECIDED;
}

FLATTEN enum resume glue_l2_instruction(struct vcpu *v)
{
	const struct vmcb *vmcb02 = v->vmcb02;
	const struct vmcb_control *c = &vmcb02->control;
	struct nested_exit exit = {.code = c->exitcode, .info1 = c->exitinfo1, .info2 = c->exitinfo2};
	struct nested *n = &v->nested;

	if (unlikely(v->reinject || !vmcb_intercepts(n->snap.control.intercept, exit.code)))
		return exit_of_l2(v);
	n->run_pending = false;
	n->soft.pending = false; /* delivered */
	exit.nrip = vmcb02->save.rip + exit_first_step(v).length;
	leave_l2(v, &exit);
	return exit_done(v);
}

void glue_restore_l2_state(struct vcpu *v)
{
	nested_l2_state(&v->nested, port_of(v), &v->vmcb02->save);
}
