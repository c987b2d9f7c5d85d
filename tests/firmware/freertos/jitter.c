// SPDX-License-Identifier: Apache-2.0
// How late a task wakes up that waits for each tick at the highest priority: from the moment the timer was set to, to the
// task's first instruction. The shell's own task is the one that waits.
#include "jitter.h"

#include <FreeRTOS.h>
#include <stdbool.h>
#include <stdint.h>
#include <task.h>

#include "console.h"
#include "io.h"
#include "shell.h"
#include "timer.h"

#define DEFAULT_TICKS 100
#define MAX_TICKS     10000

static uint32_t samples[MAX_TICKS]; // in nanoseconds

static uint32_t to_nanoseconds(uint64_t steps)
{
	uint64_t value = steps * 1000000000u / timer_frequency();

	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void measure(size_t count)
{
	uint64_t period = timer_frequency() / configTICK_RATE_HZ;
	uint64_t deadline;
	TickType_t tick;

	taskENTER_CRITICAL();
	tick = xTaskGetTickCount();
	deadline = read_sysreg(cntv_cval_el0); // of the tick that follows
	taskEXIT_CRITICAL();
	for (size_t i = 0; i < count; i++) {
		xTaskDelayUntil(&tick, 1);
		samples[i] = to_nanoseconds(timer_counter() - deadline);
		deadline += period;
	}
}

// Shell's sort, with gaps of 2^k - 1.
static void sort(size_t count)
{
	size_t gap = 1;

	while (gap < count)
		gap = 2 * gap + 1;
	for (; gap > 0; gap /= 2) {
		for (size_t i = gap; i < count; i++) {
			uint32_t value = samples[i];
			size_t to = i;

			for (; to >= gap && samples[to - gap] > value; to -= gap)
				samples[to] = samples[to - gap];
			samples[to] = value;
		}
	}
}

static void print(const char *name, uint32_t nanoseconds)
{
	console_printf(" %s %lu.%03lu us", name, (unsigned long)nanoseconds / 1000, (unsigned long)nanoseconds % 1000);
}

// The samples are there once only. True if they were free.
static bool claim_samples(bool claim)
{
	static bool claimed;
	bool was;

	taskENTER_CRITICAL();
	was = claimed;
	claimed = claim;
	taskEXIT_CRITICAL();
	return !was;
}

void jitter(const char *arguments)
{
	UBaseType_t priority = uxTaskPriorityGet(NULL);
	unsigned long count = DEFAULT_TICKS;

	if (*arguments && (!parse_number(arguments, MAX_TICKS, &count) || count == 0)) {
		console_printf("jitter: \"%s\" is not a number of ticks from 1 to %lu\n", arguments, (unsigned long)MAX_TICKS);
		return;
	}
	if (!claim_samples(true)) {
		console_printf("jitter: the other shell is measuring\n");
		return;
	}
	vTaskPrioritySet(NULL, configMAX_PRIORITIES - 1);
	measure(count);
	vTaskPrioritySet(NULL, priority);
	sort(count);
	console_printf("%lu ticks of %lu ms, late by:", count, portTICK_PERIOD_MS);
	print("min", samples[0]);
	print("median", samples[count / 2]);
	print("max", samples[count - 1]);
	console_printf("\n");
	claim_samples(false);
}
