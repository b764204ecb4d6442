/* SPDX-License-Identifier: MIT */
/* kernel/power.h - end or restart the machine. */
#ifndef KERNEL_POWER_H
#define KERNEL_POWER_H

#include "kernel/acpi.h"

/* Remembers how; before that both only halt or reset by the legacy ways. */
void power_init(const struct acpi_info *info);

_Noreturn void acpi_power_off(void);
_Noreturn void machine_reset(void);

#endif
