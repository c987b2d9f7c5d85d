// SPDX-License-Identifier: Apache-2.0
// The serial ports of the demo as the owner of its machine: the console, and one for commands if there is a second.
#ifndef PORTS_H
#define PORTS_H

#include <FreeRTOS.h>
#include <stdbool.h>
#include <stdint.h>
#include <task.h>

#include "board.h"

struct port {
	uintptr_t base;
	uint32_t irq;
	bool present;
	TaskHandle_t shell;
};

extern struct port ports[UARTS];

#endif
