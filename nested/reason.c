/* SPDX-License-Identifier: MIT */
/* nested/reason.c - the refusals of VMRUN in words, for counters, traces and test messages.
 * Touches nothing. The list itself: reason.h. */
#include <bits.h>

#include "reason.h"

#define REASON_NAME(name, text) [REASON_##name] = #name,
#define REASON_TEXT(name, text) [REASON_##name] = text,

const char *vmrun_reason_name(enum vmrun_reason reason)
{
	static const char *const names[REASON_COUNT] = {VMRUN_REASONS(REASON_NAME)};

	return reason < REASON_COUNT ? names[reason] : "?";
}

const char *vmrun_reason_text(enum vmrun_reason reason)
{
	static const char *const texts[REASON_COUNT] = {VMRUN_REASONS(REASON_TEXT)};

	return reason < REASON_COUNT ? texts[reason] : "unknown reason";
}
