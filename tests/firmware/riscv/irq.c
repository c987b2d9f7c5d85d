// SPDX-License-Identifier: Apache-2.0
// The PLIC of the virt machine, as the machine mode of hart 0 sees it (RISC-V PLIC Specification 1.0.0).
#include "irq.h"

#include "fault.h"
#include "io.h"

#define PLIC_PRIORITY	0x0c000000ul
#define PLIC_ENABLE	0x0c002000ul
#define PLIC_THRESHOLD	0x0c200000ul
#define PLIC_CLAIM	0x0c200004ul

#define MAX_IRQ		32u

static void (*handlers[MAX_IRQ])(void);

// The FreeRTOS port calls this for every interrupt but the tick.
void freertos_risc_v_application_interrupt_handler(void);

void irq_enable(uint32_t irq, void (*handler)(void))
{
	handlers[irq] = handler;
	write32(PLIC_PRIORITY + irq * 4, 1);
	write32(PLIC_THRESHOLD, 0);
	write32(PLIC_ENABLE, read32(PLIC_ENABLE) | 1u << irq);
}

void freertos_risc_v_application_interrupt_handler(void)
{
	uint32_t irq = read32(PLIC_CLAIM);

	if (irq == 0)
		return;
	if (irq >= MAX_IRQ || !handlers[irq])
		panic("an interrupt without a handler");
	handlers[irq]();
	write32(PLIC_CLAIM, irq);
}
