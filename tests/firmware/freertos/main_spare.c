// SPDX-License-Identifier: Apache-2.0
// The demo as a guest on a core that Linux gave up: the machine, its interrupt distributor and its serial port are
// Linux's.
#include <FreeRTOS.h>
#include <task.h>

#include "fault.h"
#include "gic.h"
#include "io.h"
#include "link.h"
#include "shell.h"
#include "terminal.h"

#define LINK_PRIORITY  (tskIDLE_PRIORITY + 1)
#define SHELL_PRIORITY (tskIDLE_PRIORITY + 2)

extern char _freertos_vector_table[];

static void start_shells(void)
{
	static const char *const names[TERMINALS] = { "shell", "shell1" };
	static StaticTask_t tasks[TERMINALS];
	static StackType_t stacks[TERMINALS][SHELL_STACK_WORDS] __attribute__((aligned(portBYTE_ALIGNMENT)));

	for (unsigned int i = 0; i < TERMINALS; i++)
		terminals[i].shell = xTaskCreateStatic(shell_task, names[i], SHELL_STACK_WORDS,
						       i ? SHELL_FOR_COMMANDS : NULL, SHELL_PRIORITY,
						       stacks[i], &tasks[i]);
}

int main(void)
{
	write_sysreg(vbar_el1, _freertos_vector_table);
	isb();
	if (!gic_present())
		panic("no GICv3; this core has another interrupt controller");
	gic_init_core();
	link_wait_for_request();
	link_start(LINK_PRIORITY);
	start_shells();
	vTaskStartScheduler();
	panic("the scheduler returned");
}
