// SPDX-License-Identifier: Apache-2.0
// Register names and bits: PC16550D, chapter 8.
#include "uart.h"

#include "io.h"

#define DATA		0
#define IER		1
#define LCR		3
#define LSR		5

#define IER_RX		(1u << 0)
#define LCR_8BIT	3u
#define LSR_RX		(1u << 0)
#define LSR_TX_EMPTY	(1u << 5)
#define LSR_IDLE	(1u << 6)

void uart_init(uintptr_t port)
{
	write8(port + IER, 0);
	// The FIFO stays off, for the reason that pl011.c gives.
	write8(port + LCR, LCR_8BIT);
}

void uart_put(uintptr_t port, uint8_t byte)
{
	while (!(read8(port + LSR) & LSR_TX_EMPTY))
		;
	write8(port + DATA, byte);
}

void uart_flush(uintptr_t port)
{
	while (!(read8(port + LSR) & LSR_IDLE))
		;
}

bool uart_get(uintptr_t port, uint8_t *byte)
{
	if (!(read8(port + LSR) & LSR_RX))
		return false;
	*byte = read8(port + DATA);
	return true;
}

void uart_receive_interrupt(uintptr_t port, bool on)
{
	write8(port + IER, on ? IER_RX : 0);
}
