// SPDX-License-Identifier: Apache-2.0
// The firmware's terminal. Each image links one implementation: on a serial port, on rpmsg, or in the trace buffer.
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stddef.h>
#include <stdint.h>

void console_init(void);

// Waits for a byte. Called by one task only.
uint8_t console_get(void);

// Writes text, each '\n' as "\r\n". Works in any context, without the scheduler too.
void console_write(const char *text, size_t len);

// Waits until all output has left the machine.
void console_flush(void);

// Writes formatted text: %s, %lu, %lx, %%, with '-', '0' and a width as in C's printf.
void console_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
