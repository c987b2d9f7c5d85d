// SPDX-License-Identifier: Apache-2.0
#include <FreeRTOS.h>
#include <task.h>

#include "console.h"
#include "fault.h"
#include "gic.h"
#include "io.h"
#include "shell.h"

#define SHELL_STACK_WORDS 1024
#define SHELL_PRIORITY	  (tskIDLE_PRIORITY + 1)

extern char _freertos_vector_table[];

// Hooks that the kernel calls by these names.
void vApplicationIdleHook(void);
void vApplicationStackOverflowHook(TaskHandle_t task, char *name);

void vApplicationIdleHook(void)
{
	// Without it the loop of the idle task keeps a core of the host busy.
	wfi();
}

void vApplicationStackOverflowHook(TaskHandle_t task, char *name)
{
	(void)task;
	console_printf("\nThe stack of task %s overflowed.", name);
	panic("stack overflow");
}

static void shell_task(void *argument)
{
	(void)argument;
	console_printf("micrun FreeRTOS demo\n"
		       "FreeRTOS " tskKERNEL_VERSION_NUMBER ", aarch64; help lists the commands\n");
	shell_run();
}

int main(void)
{
	static StaticTask_t shell;
	static StackType_t stack[SHELL_STACK_WORDS];

	write_sysreg(vbar_el1, _freertos_vector_table);
	isb();
	if (!gic_present())
		panic("no GICv3; start the machine as virt,gic-version=3");
	gic_enable_distributor();
	gic_init_core();
	console_init();
	xTaskCreateStatic(shell_task, "shell", SHELL_STACK_WORDS, NULL, SHELL_PRIORITY, stack, &shell);
	vTaskStartScheduler();
	panic("the scheduler returned");
}
