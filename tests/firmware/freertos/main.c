// SPDX-License-Identifier: Apache-2.0
// The demo as the owner of its machine, a microVM.
#include <FreeRTOS.h>
#include <task.h>

#include "console.h"
#include "fault.h"
#include "machine.h"
#include "ports.h"
#include "shell.h"

#define SHELL_PRIORITY (tskIDLE_PRIORITY + 1)

int main(void)
{
	static const char *const names[] = { "shell", "shell1" };
	static StaticTask_t shells[UARTS];
	static StackType_t stacks[UARTS][SHELL_STACK_WORDS] __attribute__((aligned(portBYTE_ALIGNMENT)));

	machine_init();
	for (unsigned int i = 0; i < UARTS; i++)
		ports[i].present = machine_has_uart(i);
	console_init();
	for (unsigned int i = 0; i < UARTS && ports[i].present; i++)
		ports[i].shell = xTaskCreateStatic(shell_task, names[i], SHELL_STACK_WORDS, i ? SHELL_FOR_COMMANDS : NULL,
						   SHELL_PRIORITY, stacks[i], &shells[i]);
	vTaskStartScheduler();
	panic("the scheduler returned");
}
