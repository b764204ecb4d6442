/* SPDX-License-Identifier: MIT */
/* svm/vmm.c - all guests: the list of them, and their run from the launch of their vCPUs to their end.
 * Decides what follows when the last vCPU of a guest stops: it goes on, restarts or is released; and when the machine is switched off.
 * CPU 0 takes the host turn, whether it runs a vCPU too or not. Next: guests.c, vcpu.c; turn.c. */
#include "svm/vmm.h"

#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/power.h"
#include "kernel/printf.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "svm/guest_console.h"
#include "svm/guests.h"
#include "svm/report.h"
#include "svm/turn.h"
#include "svm/vcpu.h"

#define CONSOLE_PERIOD_NS (10 * NS_PER_MS) /* how often an idle CPU 0 looks at the console */

/* Written by CPU 0 under the console's lock: so CPU 0 may walk it as it likes, others while they hold that lock. */
static struct l1 *guests[L1_MAX];
static const char *version;                /* [I] */
static bool stays;                         /* [I] */
static struct vcpu *_Atomic boot_cpu_vcpu; /* [a] what CPU 0 is to run next, as smp_call does for the others */
static _Atomic unsigned died_count;        /* [a] guests that did not end of their own will */

struct l1 *vmm_guest(unsigned n)
{
	return n < L1_MAX ? guests[n] : NULL;
}

struct l1 *vmm_next(const struct l1 *after)
{
	for (unsigned i = after ? after->index + 1 : 0; i < L1_MAX; i++) {
		if (guests[i])
			return guests[i];
	}
	return NULL;
}

/* Where one guest has as name what is another one's number, the number counts. */
struct l1 *vmm_find(const char *word, size_t len)
{
	char text[L1_NAME_MAX];

	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		int digits = ksnprintf(text, sizeof(text), "%u", l1->index + 1);

		if ((size_t)digits == len && !memcmp(text, word, len))
			return l1;
	}
	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (strlen(l1->name) == len && !memcmp(l1->name, word, len))
			return l1;
	}
	return NULL;
}

void vmm_list(unsigned n, struct l1 *l1)
{
	guest_console_list(&guests[n], l1);
}

struct l1 *vmm_other_guest(const struct l1 *than)
{
	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (l1 != than && l1->state != L1_ENDED)
			return l1;
	}
	return NULL;
}

const char *vmm_version(void)
{
	return version;
}

bool vmm_stays(void)
{
	return stays;
}

/* --- run and end --- */

static void vcpu_thread(void *vcpu);

/* Starts all vCPUs but `own`, which the caller runs itself. */
static void launch(struct l1 *l1, const struct vcpu *own)
{
	l1->running_vcpus = l1->vcpu_count;
	l1->state = L1_RUNNING;
	for (unsigned i = 0; i < l1->vcpu_count; i++) {
		struct vcpu *v = l1->vcpus[i];

		if (v == own)
			continue;
		if (l1->cpus[i] != 0) {
			smp_call(l1->cpus[i], vcpu_thread, v);
		} else {
			boot_cpu_vcpu = v;
			smp_kick(0);
		}
	}
}

static void report_death(struct l1 *l1)
{
	died_count++;
	klog("guest %s died: %s", l1->name, l1->end_reason);
	for (unsigned i = 0; i < l1->vcpu_count; i++)
		vcpu_report(l1->vcpus[i], &out_log);
}

/* True: the guest begins anew, `own` by the caller's hand. */
static bool restart(struct l1 *l1, const struct vcpu *own)
{
	klog("guest %s restarts: %s", l1->name, l1->end_reason);

	const char *error = l1_reset(l1);

	if (!error) {
		launch(l1, own);
		return true;
	}
	klog("guest %s cannot restart: %s", l1->name, error);
	return false;
}

static void end(struct l1 *l1)
{
	if (l1->stop == L1_STOP_DIED)
		report_death(l1);
	guest_console_ended(l1);
	l1_release(l1);
	l1->state = L1_ENDED; /* from here on CPU 0 may start it anew, or switch the machine off */
	smp_kick(0);
}

/* The last vCPU to stop decides for all. True: this vCPU runs again. */
static bool after_run(struct vcpu *v)
{
	struct l1 *l1 = v->l1;

	if (--l1->running_vcpus != 0)
		return false;
	if (l1->stop == L1_STOP_PAUSE && save_at_pause(l1)) {
		launch(l1, v);
		return true;
	}
	save_abandon(l1);
	if (l1->stop == L1_STOP_RESTART && l1->wish == L1_WISH_NONE && restart(l1, v))
		return true;
	end(l1);
	return false;
}

static void vcpu_thread(void *vcpu)
{
	do
		vcpu_run(vcpu);
	while (after_run(vcpu));
}

void vmm_launch(struct l1 *l1)
{
	launch(l1, NULL);
}

/* CPU 0 between vCPUs. */
static _Noreturn void boot_cpu_loop(void)
{
	for (;;) {
		turn_take(); /* before a vCPU runs, since the kick that told of it may have told of a turn, too */

		struct vcpu *v = boot_cpu_vcpu;

		if (v) {
			boot_cpu_vcpu = NULL; /* nobody sets it again before this one has stopped */
			vcpu_thread(v);
			continue;
		}
		if (!stays && !vmm_other_guest(NULL))
			break;
		if (boot_cpu_vcpu)
			continue;
		time_arm_ns(min_u64(time_now_ns() + CONSOLE_PERIOD_NS, turn_due()));
		irq_wait();
	}
	klog("all guests have ended, %u of them died. Power down", died_count);
	acpi_power_off();
}

_Noreturn void l0_main(const struct bootinfo *bi, const struct l0_options *options)
{
	version = options->version;
	stays = options->stay;
	turn_init(options->turn);
	guests_init(bi, stays);
	guest_console_focus(vmm_next(NULL));
	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1))
		launch(l1, NULL);
	boot_cpu_loop();
}
