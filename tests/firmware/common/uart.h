// SPDX-License-Identifier: Apache-2.0
// A serial port, by its address. The driver is the one of the machine's ports: pl011.c, cmsdk_uart.c, ns16550.c.
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stdint.h>

void uart_init(uintptr_t port);

// Waits until the port can take it.
void uart_put(uintptr_t port, uint8_t byte);

// Waits until the last byte is on the wire.
void uart_flush(uintptr_t port);

// Takes the received byte; false if there is none.
bool uart_get(uintptr_t port, uint8_t *byte);

// With the interrupt off a received byte stays in the port, and the sender waits.
void uart_receive_interrupt(uintptr_t port, bool on);

#endif
