/* SPDX-License-Identifier: MIT */
/* tests/unit/seen02.c - see seen02.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <amd/cpu.h>

#include "tests/unit/fake_l1.h"
#include "tests/unit/seen02.h"

struct seen02 seen02(const struct npt02 *npt02, const struct port *l1, const struct npt02_root *root, uint64_t at)
{
	struct seen02 s = {.writable = true, .executable = true};
	uint64_t table = root->table.a, first = hpa_of(npt02->pool).a;

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t e = ((const uint64_t *)hpa_ptr(hpa(table)))[at >> shift & 511];

		if (!(e & PTE_P))
			return s;
		assert_int_equal(e & (PTE_U | PTE_A), PTE_U | PTE_A);
		s.writable &= (e & PTE_W) != 0;
		s.executable &= !(e & PTE_NX);
		if (shift == 12 || (shift < 39 && (e & PTE_PS))) {
			s.size = BIT(shift);
			s.present = true;
			assert_int_equal(e & PTE_ADDR & (s.size - 1), 0);
			s.l1pa = (e & PTE_ADDR) - hpa_of(l1->ram).a + (at & (s.size - 1));
			return s;
		}
		table = e & PTE_ADDR;
		assert_in_range(table, first + NPT02_ROOTS * PAGE_SIZE, first + npt02->next_free * PAGE_SIZE - 1);
	}
}
