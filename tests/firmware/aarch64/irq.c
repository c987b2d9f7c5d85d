// SPDX-License-Identifier: Apache-2.0
#include "irq.h"

#include <FreeRTOS.h>
#include <task.h>

#include "fault.h"
#include "gic.h"

#define INTID_SPURIOUS 1020 // and up

// The FreeRTOS port's interrupt entry calls this, and ends the interrupt afterwards.
void vApplicationIRQHandler(uint32_t intid);

static const uint8_t priority = portLOWEST_USABLE_INTERRUPT_PRIORITY << portPRIORITY_SHIFT;

static struct {
	uint32_t intid;
	void (*handler)(void);
} handlers[4];

void irq_enable(uint32_t intid, void (*handler)(void))
{
	for (unsigned int i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (!handlers[i].handler) {
			handlers[i].intid = intid;
			handlers[i].handler = handler;
			gic_enable(intid, priority);
			return;
		}
	}
	panic("no room for another interrupt handler");
}

void vApplicationIRQHandler(uint32_t intid)
{
	if (intid >= INTID_SPURIOUS)
		return;
	for (unsigned int i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].handler && handlers[i].intid == intid) {
			handlers[i].handler();
			return;
		}
	}
	panic("an interrupt without a handler");
}

void setup_tick_interrupt(void)
{
	irq_enable(TIMER_INTID, FreeRTOS_Tick_Handler);
	timer_start(configTICK_RATE_HZ);
}
