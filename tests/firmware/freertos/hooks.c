// SPDX-License-Identifier: Apache-2.0
// What the kernel calls by name.
#include <FreeRTOS.h>
#include <task.h>

#include "console.h"
#include "exit_record.h"
#include "fault.h"
#include "io.h"

void vApplicationIdleHook(void);
void vApplicationStackOverflowHook(TaskHandle_t task, char *name);
void vApplicationTickHook(void);

void vApplicationIdleHook(void)
{
	// Without it the loop of the idle task keeps a core of the host busy, with ticks or until the next one.
	wfi();
}

void vApplicationStackOverflowHook(TaskHandle_t task, char *name)
{
	(void)task;
	console_printf("\nThe stack of task %s overflowed.", name);
	panic("stack overflow");
}

void vApplicationTickHook(void)
{
	beat();
}
