// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include "rpmsg.h"

// What Linux sends while a shell is busy. Beyond that all terminals wait, since rpmsg has no flow control of its own for
// each endpoint.
#define INPUT_SIZE  16384u
#define OUTPUT_SIZE 4096u

static uint8_t inputs[TERMINALS][INPUT_SIZE];
static uint8_t outputs[TERMINALS][OUTPUT_SIZE];

#define TERMINAL(i, name_)					\
	{							\
		.name = (name_),				\
		.input = { inputs[i], INPUT_SIZE, 0, 0 },	\
		.output = { outputs[i], OUTPUT_SIZE, 0, 0 },	\
	}

struct terminal terminals[TERMINALS] = { TERMINAL(0, "rpmsg-tty"), TERMINAL(1, "rpmsg-tty1") };

struct terminal *terminal_own(void)
{
	TaskHandle_t task = xTaskGetCurrentTaskHandle();

	for (unsigned int i = 0; i < TERMINALS; i++)
		if (terminals[i].shell == task)
			return &terminals[i];
	return &terminals[0];
}

bool terminal_connected(const struct terminal *terminal)
{
	return rpmsg_peer(terminal->address) != 0;
}

bool terminal_send(struct terminal *terminal)
{
	const uint8_t *bytes;
	size_t len;

	bytes = ring_front(&terminal->output, &len);
	if (len == 0 || !terminal_connected(terminal) || !rpmsg_ready())
		return false;
	if (len > RPMSG_MAX_PAYLOAD)
		len = RPMSG_MAX_PAYLOAD;
	if (!rpmsg_send(terminal->address, rpmsg_peer(terminal->address), bytes, len))
		return false;
	ring_drop(&terminal->output, len);
	return true;
}
