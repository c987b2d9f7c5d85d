// SPDX-License-Identifier: Apache-2.0
// Register names and bits: Arm DDI 0479, "APB UART".
#include "uart.h"

#include "board.h"
#include "io.h"

#define DATA		0x00
#define STATE		0x04
#define CTRL		0x08
#define INTSTATUS	0x0c
#define BAUDDIV		0x10

#define STATE_TX_FULL	(1u << 0)
#define STATE_RX_FULL	(1u << 1)
#define CTRL_TX		(1u << 0)
#define CTRL_RX		(1u << 1)
#define CTRL_RX_INT	(1u << 3)
#define INT_RX		(1u << 1)
#define BAUDDIV_MIN	16u // with less the port does not work

#define NVIC_ISPR	0xe000e200ul

void uart_init(uintptr_t port)
{
	write32(port + BAUDDIV, BAUDDIV_MIN);
	write32(port + CTRL, CTRL_TX | CTRL_RX);
}

void uart_put(uintptr_t port, uint8_t byte)
{
	while (read32(port + STATE) & STATE_TX_FULL)
		;
	write32(port + DATA, byte);
}

void uart_flush(uintptr_t port)
{
	while (read32(port + STATE) & STATE_TX_FULL)
		;
}

bool uart_get(uintptr_t port, uint8_t *byte)
{
	if (!(read32(port + STATE) & STATE_RX_FULL))
		return false;
	// Before the read, after which the next byte may arrive.
	write32(port + INTSTATUS, INT_RX);
	*byte = (uint8_t)read32(port + DATA);
	return true;
}

void uart_receive_interrupt(uintptr_t port, bool on)
{
	write32(port + CTRL, CTRL_TX | CTRL_RX | (on ? CTRL_RX_INT : 0));
	// What the port signals of a byte stays until it is cleared, and is not signalled again when the interrupt is
	// switched on.
	if (!on)
		write32(port + INTSTATUS, INT_RX);
	else if (read32(port + STATE) & STATE_RX_FULL)
		write32(NVIC_ISPR, 1u << (port == UART_FIRST ? UART_FIRST_IRQ : UART_SECOND_IRQ));
}
