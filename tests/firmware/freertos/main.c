// SPDX-License-Identifier: Apache-2.0
// The demo as the owner of its machine, a microVM.
#include <FreeRTOS.h>
#include <task.h>

#include "console.h"
#include "devicetree.h"
#include "fault.h"
#include "gic.h"
#include "io.h"
#include "ports.h"
#include "shell.h"

#define SHELL_PRIORITY (tskIDLE_PRIORITY + 1)

extern char _freertos_vector_table[];

int main(void)
{
	static const char *const names[PORTS] = { "shell", "shell1" };
	static StaticTask_t shells[PORTS];
	static StackType_t stacks[PORTS][SHELL_STACK_WORDS] __attribute__((aligned(portBYTE_ALIGNMENT)));

	write_sysreg(vbar_el1, _freertos_vector_table);
	isb();
	if (!gic_present())
		panic("no GICv3; start the machine as virt,gic-version=3");
	gic_enable_distributor();
	gic_init_core();
	ports[0].present = true;
	ports[1].present = devicetree_has_node("pl011@9040000");
	console_init();
	for (unsigned int i = 0; i < PORTS && ports[i].present; i++)
		ports[i].shell = xTaskCreateStatic(shell_task, names[i], SHELL_STACK_WORDS, i ? SHELL_FOR_COMMANDS : NULL,
						   SHELL_PRIORITY, stacks[i], &shells[i]);
	vTaskStartScheduler();
	panic("the scheduler returned");
}
