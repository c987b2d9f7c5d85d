// SPDX-License-Identifier: Apache-2.0
// Idle without ticks: the core sleeps until a task is due or another interrupt comes. An idle emulator then wakes nobody.
#include <FreeRTOS.h>
#include <task.h>

#include "cpu.h"

// The longest sleep: the deadline in counter steps must not overflow.
#define LONGEST ((TickType_t)24 * 60 * 60 * configTICK_RATE_HZ)

void idle_sleep(TickType_t expected)
{
	uint64_t missed;

	if (expected > LONGEST)
		expected = LONGEST;
	// Masked here, an interrupt still ends wfi. It is handled when all ticks are counted.
	portDISABLE_INTERRUPTS();
	if (eTaskConfirmSleepModeStatus() != eAbortSleep) {
		// The kernel counts the last of the ticks by itself, when it comes.
		timer_postpone(expected - 1);
		dsb();
		wfi();
		missed = timer_resume(expected - 1);
		if (missed)
			vTaskStepTick(missed);
	}
	portENABLE_INTERRUPTS();
}
