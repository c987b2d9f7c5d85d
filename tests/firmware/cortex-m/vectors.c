// SPDX-License-Identifier: Apache-2.0
// The entry: ARMv7-M loads the stack pointer and the address of reset() from the table at address 0. All of it is C, since
// the processor calls handlers as C functions are called.
#include <stdint.h>

#include "irq_entry.h"

extern uint8_t __stack_top[];
extern uint32_t __bss_start[], __bss_end[];

int main(void);

void reset(void);

void reset(void)
{
	for (uint32_t *word = __bss_start; word < __bss_end; word++)
		*word = 0;
	main();
	for (;;)
		;
}

struct vectors {
	void *stack;
	void (*exceptions[15])(void);
	void (*interrupts[INTERRUPTS])(void);
};

static const struct vectors vectors __attribute__((section(".vectors"), used)) = {
	.stack = __stack_top,
	// Numbered as in the Armv7-M manual (Arm DDI 0403, B1.5.2), from 1 on.
	.exceptions = {
		[0] = reset,
		[1] = fault_entry,  // NMI
		[2] = fault_entry,  // HardFault
		[3] = fault_entry,  // MemManage
		[4] = fault_entry,  // BusFault
		[5] = fault_entry,  // UsageFault
		[10] = vPortSVCHandler,
		[13] = xPortPendSVHandler,
		[14] = tick_entry,
	},
	.interrupts = { [0 ... INTERRUPTS - 1] = irq_entry },
};
