// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "board.h"

void machine_init(void)
{
	// The vector table is where the processor looks for it, and the NVIC is part of the processor.
}

bool machine_has_uart(unsigned int number)
{
	return number < UARTS;
}
