// SPDX-License-Identifier: Apache-2.0
// The smallest firmware: a line on the console, then power off. No RTOS, no interrupts, no exit record:
// its exit status is 0 because it powered off.
#include "pl011.h"
#include "psci.h"

int main(void)
{
	pl011_init(PL011_FIRST);
	for (const char *c = "hello from bare metal\r\n"; *c; c++)
		pl011_put(PL011_FIRST, (uint8_t)*c);
	pl011_flush(PL011_FIRST);
	psci_system_off();
}
