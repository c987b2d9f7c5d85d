// SPDX-License-Identifier: Apache-2.0
// Options of the port portable/GCC/ARM_CM3.
#ifndef PORT_CONFIG_H
#define PORT_CONFIG_H

#include "board.h"

#define configCPU_CLOCK_HZ			BOARD_CLOCK_HZ
#define configTICK_TYPE_WIDTH_IN_BITS		TICK_TYPE_WIDTH_32_BITS

// Lower is more urgent. The kernel masks 0x80 and up in its critical sections; all our interrupts use the lowest, so they
// never nest.
#define configMAX_SYSCALL_INTERRUPT_PRIORITY	0x80
#define configKERNEL_INTERRUPT_PRIORITY		0xff

#endif
