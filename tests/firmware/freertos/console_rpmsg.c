// SPDX-License-Identifier: Apache-2.0
// The console of firmware on a spare core: of each shell its own terminal. Output goes through a ring, which the link's
// task empties. With interrupts masked (a fault, a panic) no task runs: then messages are sent from here, and Linux
// sees the text in the trace buffer too, should nobody listen on the terminal.
#include "console.h"

#include <FreeRTOS.h>
#include <stdbool.h>
#include <task.h>

#include "io.h"
#include "link.h"
#include "resource_table.h"
#include "rpmsg.h"
#include "terminal.h"
#include "timer.h"

#define DAIF_I	      (1u << 7)
#define FLUSH_SECONDS 1u // Linux takes messages at once, unless it is about to stop us

static bool interrupts_masked(void)
{
	return read_sysreg(daif) & DAIF_I;
}

static void write_trace(const char *text, size_t len)
{
	static size_t used;

	while (len-- && used < TRACE_SIZE - 1) // the last zero ends the text
		trace_buffer[used++] = *text++;
}

// The time for all that is sent without tasks.
static bool patience_ended(void)
{
	static uint64_t end;

	if (!end)
		end = timer_counter() + FLUSH_SECONDS * timer_frequency();
	return timer_counter() > end;
}

static bool send_polled(struct terminal *terminal)
{
	while (!terminal_send(terminal))
		if (!terminal_connected(terminal) || patience_ended())
			return false;
	return true;
}

static void put(struct terminal *terminal, const char *text, size_t len)
{
	for (;;) {
		size_t put = ring_put(&terminal->output, (const uint8_t *)text, len);

		text += put;
		len -= put;
		if (interrupts_masked()) {
			if (!len || !send_polled(terminal))
				return;
		} else {
			link_wake();
			if (!len)
				return;
			ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
		}
	}
}

uint8_t console_get(void)
{
	struct terminal *terminal = terminal_own();
	bool full;
	uint8_t byte;
	size_t len;

	while (!ring_used(&terminal->input))
		ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
	full = !ring_room(&terminal->input);
	byte = *ring_front(&terminal->input, &len);
	ring_drop(&terminal->input, 1);
	if (full)
		link_wake();
	return byte;
}

void console_write(const char *text, size_t len)
{
	struct terminal *terminal = terminal_own();

	if (interrupts_masked())
		write_trace(text, len);
	while (len) {
		size_t line = 0;

		while (line < len && text[line] != '\n')
			line++;
		put(terminal, text, line);
		if (line < len) {
			put(terminal, "\r\n", 2);
			line++;
		}
		text += line;
		len -= line;
	}
}

static bool all_sent(void)
{
	for (unsigned int i = 0; i < TERMINALS; i++)
		if (terminal_connected(&terminals[i]) && ring_used(&terminals[i].output))
			return false;
	return rpmsg_all_taken();
}

void console_flush(void)
{
	if (!terminal_connected(terminal_own()))
		return;
	if (interrupts_masked()) {
		while (ring_used(&terminal_own()->output) && send_polled(terminal_own()))
			;
		while (!rpmsg_all_taken() && !patience_ended())
			;
		return;
	}
	// Linux interrupts when it has taken messages, but that wakes the link's task: so look at every tick.
	for (unsigned int i = 0; i < FLUSH_SECONDS * configTICK_RATE_HZ && !all_sent(); i++)
		vTaskDelay(1);
}
