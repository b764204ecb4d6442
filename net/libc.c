/* SPDX-License-Identifier: MIT */
/* net/libc.c - what lwIP's objects refer to of the C library, beside string.h. Not linked into host tests. */

long strtol(const char *text, char **end, int base);

/* netif_find() would parse an interface's name with it; nobody calls that. */
long strtol(const char *text, char **end, int base)
{
	(void)base;
	if (end)
		*end = (char *)text;
	return 0;
}
