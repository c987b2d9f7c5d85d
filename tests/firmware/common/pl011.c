// SPDX-License-Identifier: Apache-2.0
// Register names and bits: Arm DDI 0183, chapter 3.
#include "pl011.h"

#include "io.h"

#define PL011_BASE	0x09000000ul
#define DR		(PL011_BASE + 0x00)
#define FR		(PL011_BASE + 0x18)
#define LCR_H		(PL011_BASE + 0x2c)
#define CR		(PL011_BASE + 0x30)
#define IMSC		(PL011_BASE + 0x38)

#define FR_BUSY		(1u << 3)
#define FR_RXFE		(1u << 4)
#define FR_TXFF		(1u << 5)
#define LCR_H_8BIT	(3u << 5)
#define CR_UARTEN	(1u << 0)
#define CR_TXE		(1u << 8)
#define CR_RXE		(1u << 9)
#define INT_RX		(1u << 4)

void pl011_init(void)
{
	write32(IMSC, 0);
	// The FIFO stays off. Switching it on discards what has been received before, and QEMU's host side
	// may send from the start. With one byte of room QEMU holds the next until this one is read.
	write32(LCR_H, LCR_H_8BIT);
	write32(CR, CR_UARTEN | CR_TXE | CR_RXE);
}

void pl011_put(uint8_t byte)
{
	while (read32(FR) & FR_TXFF)
		;
	write32(DR, byte);
}

void pl011_flush(void)
{
	while (read32(FR) & FR_BUSY)
		;
}

bool pl011_get(uint8_t *byte)
{
	if (read32(FR) & FR_RXFE)
		return false;
	*byte = (uint8_t)read32(DR);
	return true;
}

void pl011_receive_interrupt(bool on)
{
	write32(IMSC, on ? INT_RX : 0);
}
