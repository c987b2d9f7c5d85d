// SPDX-License-Identifier: Apache-2.0
// Byte by byte on purpose: with the MMU off all memory is Device memory, where an unaligned access
// faults. Built with -fno-tree-loop-distribute-patterns, or gcc turns memset's loop into a call of memset.
#include <string.h>

void *memset(void *dst, int byte, size_t len)
{
	unsigned char *d = dst;

	while (len--)
		*d++ = (unsigned char)byte;
	return dst;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	while (len--)
		*d++ = *s++;
	return dst;
}

size_t strlen(const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;
	return len;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}
