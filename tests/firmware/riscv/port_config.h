// SPDX-License-Identifier: Apache-2.0
// Options of the port portable/GCC/RISC-V.
#ifndef PORT_CONFIG_H
#define PORT_CONFIG_H

#include "board.h"

#define configCPU_CLOCK_HZ			MTIME_HZ
#define configMTIME_BASE_ADDRESS		MTIME
#define configMTIMECMP_BASE_ADDRESS		MTIMECMP
#define configTICK_TYPE_WIDTH_IN_BITS		TICK_TYPE_WIDTH_64_BITS
// It would count leading zeros, for which rv64imac has no instruction.
#define configUSE_PORT_OPTIMISED_TASK_SELECTION	0

#endif
