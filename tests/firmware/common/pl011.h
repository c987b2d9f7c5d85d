// SPDX-License-Identifier: Apache-2.0
// The PL011 serial ports of QEMU's virt machine.
#ifndef PL011_H
#define PL011_H

#include <stdbool.h>
#include <stdint.h>

#define PL011_FIRST	   0x09000000ul
#define PL011_FIRST_INTID  33 // SPI 1
// There only if the machine was given two (QEMU 9.1 and later).
#define PL011_SECOND	   0x09040000ul
#define PL011_SECOND_INTID 40 // SPI 8

void pl011_init(uintptr_t port);

// Waits until the port can take it.
void pl011_put(uintptr_t port, uint8_t byte);

// Waits until the last byte is on the wire.
void pl011_flush(uintptr_t port);

// Takes the received byte; false if there is none.
bool pl011_get(uintptr_t port, uint8_t *byte);

// With the interrupt off a received byte stays in the port, and the sender waits.
void pl011_receive_interrupt(uintptr_t port, bool on);

#endif
