// SPDX-License-Identifier: Apache-2.0
// The smallest firmware: a line on the console, then power off. No RTOS, no interrupts, no exit record:
// its exit status is 0 because it powered off.
#include "board.h"
#include "power.h"
#include "uart.h"

int main(void)
{
	uart_init(UART_FIRST);
	for (const char *c = "hello from bare metal\r\n"; *c; c++)
		uart_put(UART_FIRST, (uint8_t)*c);
	uart_flush(UART_FIRST);
	power_off();
}
