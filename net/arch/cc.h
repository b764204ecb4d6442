/* SPDX-License-Identifier: MIT */
/* net/arch/cc.h - what lwIP wants to know of the compiler and its surroundings. lwIP alone includes it, by this name.
 * A failed assertion of lwIP may be a peer's doing, so it ends the network plane, never the machine: net_fault(). */
#ifndef NET_ARCH_CC_H
#define NET_ARCH_CC_H

#include <stdint.h>
#include <string.h>

/* None of these exist here; lwIP brings its own for what it needs of them. */
#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_LIMITS_H 1
#define LWIP_NO_CTYPE_H 1
#define LWIP_NO_UNISTD_H 1
#define SSIZE_MAX __PTRDIFF_MAX__ /* lwIP's own type would not be the one that Linux has, in tests */
typedef __PTRDIFF_TYPE__ ssize_t;
#define X8_F "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"

/* sys_arch.c */
_Noreturn void net_fault(const char *what);
uint32_t net_random32(void);
void net_assert_turn(void);
uint16_t net_checksum(const void *data, int len);

#define LWIP_CHKSUM net_checksum
#define LWIP_RAND() net_random32()
#define LWIP_PLATFORM_DIAG(x) ((void)0)
#define LWIP_PLATFORM_ASSERT(what) net_fault(what)

#endif
