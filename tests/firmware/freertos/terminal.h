// SPDX-License-Identifier: Apache-2.0
// The terminals of firmware on a spare core: rpmsg endpoints, each with a shell of its own.
#ifndef TERMINAL_H
#define TERMINAL_H

#include <FreeRTOS.h>
#include <stdbool.h>
#include <stdint.h>
#include <task.h>

#include "ring.h"

#define TERMINALS 2

struct terminal {
	const char *name; // of the service that Linux sees
	TaskHandle_t shell;
	uint32_t address; // of the endpoint
	struct ring input;
	struct ring output;
};

extern struct terminal terminals[TERMINALS];

// The terminal of the running shell. The first one, if it is no shell that runs.
struct terminal *terminal_own(void);

// Whether Linux's end is known. Output is kept until then.
bool terminal_connected(const struct terminal *terminal);

// Sends a message with the oldest output. False if there is none, nobody to get it, or no buffer for it.
bool terminal_send(struct terminal *terminal);

#endif
