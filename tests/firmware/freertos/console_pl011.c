// SPDX-License-Identifier: Apache-2.0
// The console on the serial port. Input comes by interrupt through a stream buffer; output is polled, so
// that it works from a fault handler too.
#include "console.h"

#include <FreeRTOS.h>
#include <stream_buffer.h>

#include "irq.h"
#include "pl011.h"

#define INPUT_SIZE 1024

static StaticStreamBuffer_t input_state;
static uint8_t input_storage[INPUT_SIZE + 1]; // a stream buffer holds a byte less than its storage
static StreamBufferHandle_t input;

static void receive(void)
{
	BaseType_t woken = pdFALSE;
	uint8_t byte;

	// With no room left the byte stays in the port, and the sender waits: nothing is lost.
	for (;;) {
		if (xStreamBufferSpacesAvailable(input) == 0) {
			pl011_receive_interrupt(false);
			break;
		}
		if (!pl011_get(&byte))
			break;
		xStreamBufferSendFromISR(input, &byte, 1, &woken);
	}
	portYIELD_FROM_ISR(woken);
}

void console_init(void)
{
	input = xStreamBufferCreateStatic(INPUT_SIZE + 1, 1, input_storage, &input_state);
	pl011_init();
	irq_enable(PL011_INTID, receive);
	pl011_receive_interrupt(true);
}

uint8_t console_get(void)
{
	uint8_t byte;

	while (xStreamBufferReceive(input, &byte, 1, portMAX_DELAY) == 0)
		;
	pl011_receive_interrupt(true);
	return byte;
}

void console_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			pl011_put('\r');
		pl011_put((uint8_t)text[i]);
	}
}

void console_flush(void)
{
	pl011_flush();
}
