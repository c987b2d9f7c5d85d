// SPDX-License-Identifier: Apache-2.0
// The console on the serial ports, of each shell its own. Input comes by interrupt through a stream buffer; output is
// polled, so that it works from a fault handler too.
#include "console.h"

#include <FreeRTOS.h>
#include <stream_buffer.h>

#include "irq.h"
#include "pl011.h"
#include "ports.h"

#define INPUT_SIZE 1024

struct port ports[PORTS] = {
	{ .base = PL011_FIRST, .intid = PL011_FIRST_INTID },
	{ .base = PL011_SECOND, .intid = PL011_SECOND_INTID },
};

static struct {
	StaticStreamBuffer_t state;
	uint8_t storage[INPUT_SIZE + 1]; // a stream buffer holds a byte less than its storage
	StreamBufferHandle_t buffer;
} inputs[PORTS];

// The port of the running shell. The first one, if it is no shell that runs.
static unsigned int own(void)
{
	TaskHandle_t task = xTaskGetCurrentTaskHandle();

	for (unsigned int i = 1; i < PORTS; i++)
		if (task && ports[i].shell == task)
			return i;
	return 0;
}

static void receive(unsigned int i)
{
	BaseType_t woken = pdFALSE;
	uint8_t byte;

	// With no room left the byte stays in the port, and the sender waits: nothing is lost.
	for (;;) {
		if (xStreamBufferSpacesAvailable(inputs[i].buffer) == 0) {
			pl011_receive_interrupt(ports[i].base, false);
			break;
		}
		if (!pl011_get(ports[i].base, &byte))
			break;
		xStreamBufferSendFromISR(inputs[i].buffer, &byte, 1, &woken);
	}
	portYIELD_FROM_ISR(woken);
}

static void receive_first(void)
{
	receive(0);
}

static void receive_second(void)
{
	receive(1);
}

static void init(unsigned int i, void (*handler)(void))
{
	inputs[i].buffer = xStreamBufferCreateStatic(INPUT_SIZE + 1, 1, inputs[i].storage, &inputs[i].state);
	pl011_init(ports[i].base);
	irq_enable(ports[i].intid, handler);
	pl011_receive_interrupt(ports[i].base, true);
}

void console_init(void)
{
	init(0, receive_first);
	if (ports[1].present)
		init(1, receive_second);
}

uint8_t console_get(void)
{
	unsigned int i = own();
	uint8_t byte;

	while (xStreamBufferReceive(inputs[i].buffer, &byte, 1, portMAX_DELAY) == 0)
		;
	pl011_receive_interrupt(ports[i].base, true);
	return byte;
}

void console_write(const char *text, size_t len)
{
	uintptr_t port = ports[own()].base;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			pl011_put(port, '\r');
		pl011_put(port, (uint8_t)text[i]);
	}
}

void console_flush(void)
{
	pl011_flush(ports[own()].base);
}
