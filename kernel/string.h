/* SPDX-License-Identifier: MIT */
/* kernel/string.h - the part of <string.h> that we have, by its standard names.
 * nested/, vdev/ and the compiler itself use the same functions; the definitions are in string.c. */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#include <string.h>

#endif
