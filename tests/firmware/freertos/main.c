// SPDX-License-Identifier: Apache-2.0
// The demo as the owner of its machine, a microVM.
#include <FreeRTOS.h>
#include <task.h>

#include "console.h"
#include "fault.h"
#include "gic.h"
#include "io.h"
#include "shell.h"

#define SHELL_PRIORITY (tskIDLE_PRIORITY + 1)

extern char _freertos_vector_table[];

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
