// SPDX-License-Identifier: Apache-2.0
// The FreeRTOS kernel includes this header for size_t and NULL alone.
#ifndef STDLIB_H
#define STDLIB_H

#include <stddef.h>

#endif
