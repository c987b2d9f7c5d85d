// SPDX-License-Identifier: Apache-2.0
// The console on the serial ports, of each shell its own. Input comes by interrupt through a stream buffer; output is
// polled, so that it works from a fault handler too.
#include "console.h"

#include <FreeRTOS.h>
#include <stream_buffer.h>

#include "irq.h"
#include "ports.h"
#include "uart.h"

#define INPUT_SIZE 1024

struct port ports[UARTS] = {
	{ .base = UART_FIRST, .irq = UART_FIRST_IRQ },
#if UARTS > 1
	{ .base = UART_SECOND, .irq = UART_SECOND_IRQ },
#endif
};

static struct {
	StaticStreamBuffer_t state;
	uint8_t storage[INPUT_SIZE + 1]; // a stream buffer holds a byte less than its storage
	StreamBufferHandle_t buffer;
} inputs[UARTS];

// The port of the running shell. The first one, if it is no shell that runs.
static unsigned int own(void)
{
	TaskHandle_t task = xTaskGetCurrentTaskHandle();

	for (unsigned int i = 1; i < UARTS; i++)
		if (task && ports[i].shell == task)
			return i;
	return 0;
}

static bool receive(unsigned int i)
{
	BaseType_t woken = pdFALSE;
	uint8_t byte;

	// With no room left the byte stays in the port, and the sender waits: nothing is lost.
	for (;;) {
		if (xStreamBufferSpacesAvailable(inputs[i].buffer) == 0) {
			uart_receive_interrupt(ports[i].base, false);
			break;
		}
		if (!uart_get(ports[i].base, &byte))
			break;
		xStreamBufferSendFromISR(inputs[i].buffer, &byte, 1, &woken);
	}
	return woken;
}

static void received(void)
{
	BaseType_t woken = pdFALSE;

	for (unsigned int i = 0; i < UARTS && ports[i].present; i++)
		if (receive(i))
			woken = pdTRUE;
	portYIELD_FROM_ISR(woken);
}

void console_init(void)
{
	for (unsigned int i = 0; i < UARTS && ports[i].present; i++) {
		inputs[i].buffer = xStreamBufferCreateStatic(INPUT_SIZE + 1, 1, inputs[i].storage, &inputs[i].state);
		uart_init(ports[i].base);
	}
	for (unsigned int i = 0; i < UARTS && ports[i].present; i++) {
		irq_enable(ports[i].irq, received);
		uart_receive_interrupt(ports[i].base, true);
	}
}

uint8_t console_get(void)
{
	unsigned int i = own();
	uint8_t byte;

	while (xStreamBufferReceive(inputs[i].buffer, &byte, 1, portMAX_DELAY) == 0)
		;
	uart_receive_interrupt(ports[i].base, true);
	return byte;
}

void console_write(const char *text, size_t len)
{
	uintptr_t port = ports[own()].base;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			uart_put(port, '\r');
		uart_put(port, (uint8_t)text[i]);
	}
}

void console_flush(void)
{
	uart_flush(ports[own()].base);
}
