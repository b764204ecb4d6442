/* SPDX-License-Identifier: MIT */
/* svm/vmm.c - all guests: reads nestling.cfg, makes them, gives each vCPU a CPU, and sees them to their end.
 * Decides which CPU runs which vCPU, and what follows when the last vCPU of a guest stops: restart or release.
 * CPU 0 looks after the console, whether it runs a vCPU too or not. Next: l1.c, vcpu.c; monitor.c. */
#include "svm/vmm.h"

#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/pmm.h"
#include "kernel/power.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "svm/caps.h"
#include "svm/config.h"
#include "svm/enable.h"
#include "svm/features.h"
#include "svm/guest_console.h"
#include "svm/report.h"
#include "svm/turn.h"
#include "svm/vcpu.h"

#define CONSOLE_PERIOD_NS (10 * NS_PER_MS) /* how often an idle CPU 0 looks at the console */

static struct config config;               /* [I] */
static struct l1 *guests[L1_MAX];          /* [I] config.guest_count of them */
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

struct l1 *vmm_other_guest(const struct l1 *than)
{
	for (struct l1 *l1 = vmm_next(NULL); l1; l1 = vmm_next(l1)) {
		if (l1 != than && l1->state != L1_ENDED)
			return l1;
	}
	return NULL;
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
	if (l1->stop == L1_STOP_RESTART && restart(l1, v))
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

bool vmm_restart(struct l1 *l1, char *error, size_t error_size)
{
	if (l1->state != L1_ENDED) {
		l1_stop(l1, L1_STOP_RESTART, "reset from the monitor");
		return true;
	}
	if (!l1_build(l1, error, error_size))
		return false;
	launch(l1, NULL);
	return true;
}

/* CPU 0 between vCPUs. */
static _Noreturn void boot_cpu_loop(void)
{
	for (;;) {
		struct vcpu *v = boot_cpu_vcpu;

		if (v) {
			boot_cpu_vcpu = NULL; /* nobody sets it again before this one has stopped */
			vcpu_thread(v);
		}
		turn_take();
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

/* --- set-up --- */

static void read_config(const struct bootinfo *bi)
{
	const struct boot_module *file = bootinfo_module(bi, CONFIG_FILE);

	if (!file)
		fatal("there is no module named " CONFIG_FILE "; add 'module2 <path> " CONFIG_FILE
		      "' to grub.cfg, see docs/guests.md");
	if (!config_parse(&config, hpa_ptr(file->start), file->size, bi))
		fatal("%s", config.error);
}

/* CPU 0 comes last: as long as there are others, it looks after the console alone. */
static void assign_cpus(struct l1 *l1, unsigned *used)
{
	unsigned count = smp_cpu_count(), left = count - *used;

	if (l1->vcpu_count > left)
		fatal("guest %s needs %u CPUs of its own, %u of %u are left; lower vcpus in " CONFIG_FILE
		      " or give the machine more CPUs",
		      l1->name, l1->vcpu_count, left, count);
	for (unsigned i = 0; i < l1->vcpu_count; i++)
		l1->cpus[i] = ++*used % count;
}

/* What it sees of SVM, and why no more. */
static void log_features(const struct l1 *l1)
{
	char text[SVM_FEATURES_TEXT];

	svm_features_list(text, sizeof(text), caps_svm_features(l1));
	klog("guest %s: SVM features offered:%s", l1->name, text);
	svm_features_explain(text, sizeof(text), l1->config->svm_off, svm_cpu()->features);
	if (text[0])
		klog("guest %s: not offered:%s", l1->name, text);
}

static struct l1 *create(unsigned index, unsigned *used_cpus)
{
	const struct l1_config *c = &config.guests[index];
	hpa_t at = pmm_alloc(sizeof(struct l1), PAGE_SIZE);
	struct l1 *l1 = hpa_ptr(at);
	char error[CONFIG_ERROR_MAX];

	if (!at.a)
		fatal("no memory for guest %s; give the machine more", c->name);
	l1->config = c;
	l1->name = c->name;
	l1->index = index;
	l1->vcpu_count = c->vcpus;
	l1->nested = c->nested;
	assign_cpus(l1, used_cpus);
	if (!l1_build(l1, error, sizeof(error)))
		fatal("%s", error);
	klog("guest %s: %llu MiB, %u vCPU%s from CPU %u on, image %.*s, nested SVM %s", l1->name,
	     (unsigned long long)(c->memory / MIB(1)), c->vcpus, c->vcpus == 1 ? "" : "s", l1->cpus[0],
	     (int)c->image->name_len, c->image->name, c->nested ? "on" : "off");
	if (c->nested)
		log_features(l1);
	return l1;
}

_Noreturn void l0_main(const struct bootinfo *bi, const struct l0_options *options)
{
	unsigned used_cpus = 0;

	stays = options->stay || options->turn;
	turn_init(options->turn);
	read_config(bi);
	for (unsigned i = 0; i < config.guest_count; i++)
		guests[i] = create(i, &used_cpus);
	guest_console_focus(guests[0]);
	for (unsigned i = 0; i < config.guest_count; i++)
		launch(guests[i], NULL);
	boot_cpu_loop();
}
