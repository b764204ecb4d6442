/* SPDX-License-Identifier: MIT */
/* svm/nested_port.c - nested/port.h on the machine: L1's memory. The only place where nested/ meets svm/'s data. */
#include "nested/port.h"
#include "svm/l1.h"

static const struct l1 *l1_of(const struct port *port)
{
	return (const struct l1 *)port;
}

void *port_l1_ptr(struct port *port, l1pa_t at, uint64_t size)
{
	return l1_ptr(l1_of(port), at, size);
}

/* The largest page that lies in one run of RAM and is equally aligned in both address spaces. */
bool port_l1_hpa(struct port *port, l1pa_t at, hpa_t *hpa, uint64_t *page_size)
{
	static const uint64_t sizes[] = {SIZE_1G, SIZE_2M, PAGE_SIZE};
	void *page = l1_ptr(l1_of(port), l1pa(align_down(at.a, PAGE_SIZE)), PAGE_SIZE);

	if (!page)
		return false;
	*hpa = hpa_of(page);
	for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
		const void *start = l1_ptr(l1_of(port), l1pa(align_down(at.a, sizes[i])), sizes[i]);

		if (start && !(hpa_of(start).a & (sizes[i] - 1))) {
			*page_size = sizes[i];
			return true;
		}
	}
	return false;
}
