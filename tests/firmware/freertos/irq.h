// SPDX-License-Identifier: Apache-2.0
#ifndef IRQ_H
#define IRQ_H

#include <stdint.h>

// Routes an interrupt to a handler, which may call FreeRTOS's functions that end in FromISR.
void irq_enable(uint32_t intid, void (*handler)(void));

#endif
