/* SPDX-License-Identifier: MIT */
/* plane.h - what a management plane may see and do: the values of svm/ and its actions, in a table of functions.
 * net/ may not include svm/, so kernel/main.c hands it the table `svm_plane` (svm/vmm.h), and hands l0_main() the
 * plane's turn.
 *
 * Threads: every function here, and the turn, runs on CPU 0 in the host turn: GIF=0, no lock held, never in the
 * middle of an exit handler. None waits for a guest. Counters of other CPUs are read while they count: each is
 * whole (64 bits), two of them may be a moment apart.
 * Strings: what comes in is read before the call returns, unless its line says otherwise; `const char *` that comes
 * out is constant for ever; arrays are copies and always terminated.
 * Guests are named by `id`, never 0 and ever higher, so an old one finds nothing rather than somebody else. */
#ifndef PLANE_H
#define PLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLANE_NAME_MAX 32     /* with the final zero; guests and files alike */
#define PLANE_REASON_MAX 160
#define PLANE_ERROR_MAX 256
#define PLANE_FEATURES_MAX 128
#define PLANE_VCPUS_MAX 16
#define PLANE_CPU_NAME_MAX 49
#define PLANE_DESCRIPTION_MAX 4096 /* bytes of one guest's description */
#define PLANE_CONSOLE_MAX 16384    /* newest bytes of a guest's output that are kept */
#define PLANE_SESSIONS_MAX 4
#define PLANE_SESSION_MAX 65536    /* newest bytes of a session's output that are kept */
#define PLANE_NO_TURN UINT64_MAX

/* Why something was not done; `error` says it in one line: what is wrong; what to do. */
enum plane_result {
	PLANE_OK,
	PLANE_NOT_FOUND, /* no guest of that id, no file of that name */
	PLANE_BAD,       /* the request itself is wrong: description (the line is named), name, size, image */
	PLANE_CONFLICT,  /* not now: name taken, file in use, guest in another state */
	PLANE_NO_ROOM,   /* no CPU, memory or slot is free */
};

struct plane_error {
	char text[PLANE_ERROR_MAX]; /* "" after PLANE_OK */
};

struct plane_host {
	const char *version;
	char cpu_name[PLANE_CPU_NAME_MAX];
	unsigned cpu_count, cpus_free;  /* free: no guest has it */
	uint32_t svm_features;          /* CPUID Fn8000_000A EDX of the real CPU */
	uint32_t asid_count;
	char svm_words[PLANE_FEATURES_MAX]; /* the same in the words of docs/guests.md, a space between two */
	uint64_t uptime_ns;
	uint64_t memory_total, memory_free; /* bytes of the page pool; used: the difference */
	uint64_t memory_files;              /* bytes of it that uploaded files hold */
	unsigned guests, guests_max;
};

struct plane_guest {
	uint32_t id;
	unsigned number;        /* as people name it: monitor, Ctrl-] digit; from 1, used again */
	char name[PLANE_NAME_MAX];
	const char *state;      /* "created", "running", "stopping" or "ended" */
	bool active;            /* holds CPUs and memory: every state but "ended" */
	bool died;              /* ended, but not by its own or somebody's will */
	unsigned vcpus;
	unsigned cpus[PLANE_VCPUS_MAX]; /* the physical CPU of each vCPU, while active */
	uint64_t memory;        /* bytes */
	bool nested;            /* SVM is offered */
	char svm_words[PLANE_FEATURES_MAX]; /* the features that it is offered */
	uint64_t uptime_ns;     /* since its last start; 0 unless running or stopping */
	uint64_t console_written; /* bytes ever written to its console: the newest cursor */
	char end_reason[PLANE_REASON_MAX]; /* why it is stopping or has ended, or ended last time; "" at first */
};

/* Totals since the guest was created or started from "ended". A reset does not clear them. */
struct plane_vcpu {
	unsigned cpu;
	const char *activity;   /* "running", "halted", "waiting for its start-up IPI" */
	unsigned level;         /* that runs: 1 or 2 */
	uint64_t vmrun_count, refused_count, full_exit_count;
	uint64_t check_gap_count; /* VMRUNs that our checks let pass and the CPU refused: 0, or we have a bug */
};

/* A counter of #VMEXITs by reason, [0] those of L1, [1] those of L2. */
struct plane_exits {
	const char *name;       /* "CPUID"; as the manual spells it; "unknown" is not to be shown when both are 0 */
	uint64_t count[2];
};

/* A counter of refused VMRUNs by the check that they failed. */
struct plane_refusals {
	const char *name;       /* "ASID_ZERO" */
	const char *text;       /* the same as a phrase */
	uint64_t count;
};

struct plane_file {
	char name[PLANE_NAME_MAX];
	uint64_t size;
	bool uploaded;          /* else a module of the boot loader, which cannot be removed */
	unsigned users;         /* guests whose description names it, and readers; it stays as long as there are any */
};

struct plane_ops {
	/* --- values --- */

	void (*host)(struct plane_host *host);

	/* Guests in the order of their numbers: n = 0, 1, ... until false. */
	bool (*guest_at)(unsigned n, uint32_t *id);
	/* By name, or by number in decimal. False: there is none. */
	bool (*guest_find)(const char *name, size_t len, uint32_t *id);
	bool (*guest)(uint32_t id, struct plane_guest *guest);

	/* False: no such guest or vCPU, or the guest has ended and its vCPUs with it. */
	bool (*vcpu)(uint32_t id, unsigned vcpu, struct plane_vcpu *info);
	/* One counter at a time, so that an answer can be made in pieces: n = 0, 1, ... The kinds never change. */
	unsigned exit_kinds, refusal_kinds;
	bool (*exits)(uint32_t id, unsigned vcpu, unsigned n, struct plane_exits *exits);
	bool (*refusals)(uint32_t id, unsigned vcpu, unsigned n, struct plane_refusals *refusals);

	/* --- files: kernels and initrds, boot modules and uploaded ones under one roof --- */

	bool (*file_at)(unsigned n, struct plane_file *file);
	/* Room for an upload of exactly `size` bytes (1 or more): *at may be written until upload_end(). One at a
	 * time; a second one is PLANE_CONFLICT. The name is a word of letters, digits, '-', '_', '.'; it may be
	 * that of an uploaded file without users, which the new one then replaces at upload_end(). */
	enum plane_result (*upload_begin)(const char *name, size_t len, uint64_t size, uint8_t **at,
					  struct plane_error *error);
	/* keep: the file appears, unless what upload_begin() asks is no longer so; else its memory is given back, and
	 * that is PLANE_OK. The memory at *at is not the caller's any more. Nothing happens without upload_begin(). */
	enum plane_result (*upload_end)(bool keep, struct plane_error *error);
	enum plane_result (*file_remove)(const char *name, size_t len, struct plane_error *error);
	/* The bytes of a file, which has one user more until file_unpin(). Null: there is none of that name, or it is
	 * an empty module. */
	const uint8_t *(*file_pin)(const char *name, size_t len, uint64_t *size);
	void (*file_unpin)(const uint8_t *at);

	/* --- guests --- */

	/* `text` is nestling.cfg with one `guest`. The guest is "created", with memory, CPUs and its image loaded;
	 * it does not run yet. Takes as long as clearing its memory. */
	enum plane_result (*create)(const char *text, size_t size, uint32_t *id, struct plane_error *error);
	/* From "created"; or from "ended", anew from its files. */
	enum plane_result (*start)(uint32_t id, struct plane_error *error);
	/* From "running", "created": the vCPUs leave soon, then it is "ended". */
	enum plane_result (*stop)(uint32_t id, struct plane_error *error);
	/* From "running": starts anew from its files as soon as its vCPUs have left. From "ended", like start. */
	enum plane_result (*reset)(uint32_t id, struct plane_error *error);
	/* Stops it if it runs, and forgets it as soon as it has ended: then guest() is false. */
	enum plane_result (*destroy)(uint32_t id, struct plane_error *error);

	/* --- consoles --- */

	/* Copies output from *cursor on and moves *cursor behind it: the bytes copied, 0 at the end. Cursors count
	 * bytes since the guest was created. *lost: bytes between *cursor and the oldest that is still kept.
	 * Any number of readers. 0 also when the guest is gone; guest() tells. */
	size_t (*console_read)(uint32_t id, uint64_t *cursor, char *buf, size_t size, uint64_t *lost);
	/* Typed characters: how many were taken; the rest later, when the guest has read some. All are taken, and
	 * dropped, when it does not run. */
	size_t (*console_write)(uint32_t id, const char *text, size_t len);

	/* A monitor session of its own, with prompt and echo, beside the one on the local console: 0 ..
	 * PLANE_SESSIONS_MAX - 1, or -1 when all are in use or memory is short. */
	int (*monitor_open)(void);
	void (*monitor_close)(int session);
	/* Typed characters; a command runs at its line end, "\r" or "\n" but not both, inside this call. */
	void (*monitor_write)(int session, const char *text, size_t len);
	/* What it has printed: each byte once. *lost as above. Lines end with "\n". */
	size_t (*monitor_read)(int session, char *buf, size_t size, uint64_t *lost);
};

/* The plane's turn: does a bounded amount of work and says when it wants the next one, in time_now_ns(), or
 * PLANE_NO_TURN. Called after every host interrupt that CPU 0 takes (so a NIC's handler only notes and returns), and
 * when that time has come; also sooner. While it runs, a guest on CPU 0 stands still. */
typedef uint64_t plane_turn_fn(void);

#endif
