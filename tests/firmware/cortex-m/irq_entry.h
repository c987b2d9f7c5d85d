// SPDX-License-Identifier: Apache-2.0
// What the vector table points at.
#ifndef IRQ_ENTRY_H
#define IRQ_ENTRY_H

#define INTERRUPTS 32 // of the mps2-an385

void fault_entry(void);
void tick_entry(void);
void irq_entry(void);

// Of FreeRTOS.
void vPortSVCHandler(void);
void xPortPendSVHandler(void);
void xPortSysTickHandler(void);

#endif
