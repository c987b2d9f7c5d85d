// SPDX-License-Identifier: Apache-2.0
// Options of the port portable/GCC/ARM_AARCH64_SRE.
#ifndef PORT_CONFIG_H
#define PORT_CONFIG_H

#include "tick.h"

#define configCPU_CLOCK_HZ			0 // read from CNTFRQ_EL0
#define configTICK_TYPE_WIDTH_IN_BITS		TICK_TYPE_WIDTH_64_BITS
#define configUSE_TASK_FPU_SUPPORT		1

// Priorities of the GIC of QEMU's virt machine: 5 bits, lower is more urgent. The kernel masks 20 and up
// in its critical sections; all our interrupts use the lowest, so they never nest.
#define configUNIQUE_INTERRUPT_PRIORITIES	32
#define configMAX_API_CALL_INTERRUPT_PRIORITY	20

// An idle core has no ticks: idle.c.
void idle_sleep(uint64_t expected);
#define configUSE_TICKLESS_IDLE			2 // the port has no code for it
#define portSUPPRESS_TICKS_AND_SLEEP(expected)	idle_sleep(expected)

void setup_tick_interrupt(void);
#define configSETUP_TICK_INTERRUPT()		setup_tick_interrupt()
#define configCLEAR_TICK_INTERRUPT()		timer_rearm()

#endif
