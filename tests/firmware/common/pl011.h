// SPDX-License-Identifier: Apache-2.0
// The PL011 serial port of QEMU's virt machine.
#ifndef PL011_H
#define PL011_H

#include <stdbool.h>
#include <stdint.h>

#define PL011_INTID 33 // SPI 1

void pl011_init(void);

// Waits until the port can take it.
void pl011_put(uint8_t byte);

// Waits until the last byte is on the wire.
void pl011_flush(void);

// Takes the received byte; false if there is none.
bool pl011_get(uint8_t *byte);

// With the interrupt off a received byte stays in the port, and the sender waits.
void pl011_receive_interrupt(bool on);

#endif
