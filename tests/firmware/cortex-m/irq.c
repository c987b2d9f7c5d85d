// SPDX-License-Identifier: Apache-2.0
// The NVIC. Register names: Arm DDI 0403, B3.4.
#include "irq.h"

#include "fault.h"
#include "io.h"
#include "irq_entry.h"
#include "timer.h"

#define NVIC_ISER	0xe000e100ul
#define NVIC_IPR	0xe000e400ul
#define LOWEST_PRIORITY	0xff

#define FIRST_INTERRUPT	16u // number of the exception

static void (*handlers[INTERRUPTS])(void);

void irq_enable(uint32_t irq, void (*handler)(void))
{
	handlers[irq] = handler;
	write8(NVIC_IPR + irq, LOWEST_PRIORITY);
	write32(NVIC_ISER, 1u << irq);
}

void irq_entry(void)
{
	uint32_t exception;

	__asm volatile("mrs %0, ipsr" : "=r"(exception));
	if (!handlers[exception - FIRST_INTERRUPT])
		panic("an interrupt without a handler");
	handlers[exception - FIRST_INTERRUPT]();
}

void tick_entry(void)
{
	timer_counter(); // which has to be called before its register wraps around
	xPortSysTickHandler();
}
