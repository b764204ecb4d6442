/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_pmm.h - kernel/pmm.h on Linux: counts what is held, and runs out when it is told to. */
#ifndef FAKE_PMM_H
#define FAKE_PMM_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/pmm.h"

/* Pages that are held now, in bytes. */
extern uint64_t fake_pmm_held;
/* So many more requests are met; -1: all. */
extern int fake_pmm_left;
/* Only the one request after that fails: smaller ones are often still met. */
extern bool fake_pmm_once;
/* What pmm_free_bytes() says. */
extern uint64_t fake_pmm_free;

#endif
