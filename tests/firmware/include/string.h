// SPDX-License-Identifier: Apache-2.0
// The part of the C library that the FreeRTOS kernel and the shell call.
#ifndef STRING_H
#define STRING_H

#include <stddef.h>

void *memset(void *dst, int byte, size_t len);
void *memcpy(void *restrict dst, const void *restrict src, size_t len);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

#endif
