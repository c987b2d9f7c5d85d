// SPDX-License-Identifier: Apache-2.0
// What the demo as the owner of its machine asks of the processor's folder.
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>

// Exceptions and interrupts go to FreeRTOS from now on. Panics if the machine is not the one the image is for.
void machine_init(void);

// Whether the machine has the serial port with this number, 0 or 1.
bool machine_has_uart(unsigned int number);

#endif
