// SPDX-License-Identifier: Apache-2.0
// Register names and bits: Arm DDI 0183, chapter 3.
#include "uart.h"

#include "io.h"

#define DR		0x00
#define FR		0x18
#define LCR_H		0x2c
#define CR		0x30
#define IMSC		0x38

#define FR_BUSY		(1u << 3)
#define FR_RXFE		(1u << 4)
#define FR_TXFF		(1u << 5)
#define LCR_H_8BIT	(3u << 5)
#define CR_UARTEN	(1u << 0)
#define CR_TXE		(1u << 8)
#define CR_RXE		(1u << 9)
#define INT_RX		(1u << 4)

void uart_init(uintptr_t port)
{
	write32(port + IMSC, 0);
	// The FIFO stays off. Switching it on discards what has been received before, and QEMU's host side
	// may send from the start. With one byte of room QEMU holds the next until this one is read.
	write32(port + LCR_H, LCR_H_8BIT);
	write32(port + CR, CR_UARTEN | CR_TXE | CR_RXE);
}

void uart_put(uintptr_t port, uint8_t byte)
{
	while (read32(port + FR) & FR_TXFF)
		;
	write32(port + DR, byte);
}

void uart_flush(uintptr_t port)
{
	while (read32(port + FR) & FR_BUSY)
		;
}

bool uart_get(uintptr_t port, uint8_t *byte)
{
	if (read32(port + FR) & FR_RXFE)
		return false;
	*byte = (uint8_t)read32(port + DR);
	return true;
}

void uart_receive_interrupt(uintptr_t port, bool on)
{
	write32(port + IMSC, on ? INT_RX : 0);
}
