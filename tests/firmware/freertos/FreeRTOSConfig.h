// SPDX-License-Identifier: Apache-2.0
// The options are described in FreeRTOS.h; those of the port in portable/GCC/ARM_AARCH64_SRE.
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include "fault.h"
#include "timer.h"

// Few ticks, since each wakes an idle QEMU up.
#define configTICK_RATE_HZ			100
#define configCPU_CLOCK_HZ			0 // read from CNTFRQ_EL0
#define configUSE_PREEMPTION			1
#define configTICK_TYPE_WIDTH_IN_BITS		TICK_TYPE_WIDTH_64_BITS
#define configMAX_PRIORITIES			8
#define configMAX_TASK_NAME_LEN			16
#define configMINIMAL_STACK_SIZE		512 // in words of 8 bytes
#define configSTACK_DEPTH_TYPE			size_t
#define configCHECK_FOR_STACK_OVERFLOW		2

#define configSUPPORT_STATIC_ALLOCATION		1
#define configSUPPORT_DYNAMIC_ALLOCATION	0
#define configKERNEL_PROVIDED_STATIC_MEMORY	1

#define configUSE_IDLE_HOOK			1
#define configUSE_TICK_HOOK			0
#define configUSE_TASK_NOTIFICATIONS		1
#define configUSE_MUTEXES			0
#define configUSE_TIMERS			0

// What the command ps shows.
#define configUSE_TRACE_FACILITY		1
#define configGENERATE_RUN_TIME_STATS		1
#define configRUN_TIME_COUNTER_TYPE		uint64_t
#define portCONFIGURE_TIMER_FOR_RUN_TIME_STATS()
#define portGET_RUN_TIME_COUNTER_VALUE()	timer_counter()

// Priorities of the GIC of QEMU's virt machine: 5 bits, lower is more urgent. The kernel masks 20 and up
// in its critical sections; all our interrupts use the lowest, so they never nest.
#define configUNIQUE_INTERRUPT_PRIORITIES	32
#define configMAX_API_CALL_INTERRUPT_PRIORITY	20

#ifdef SPARE_CORE
#define INCLUDE_xTaskGetCurrentTaskHandle	1
#define INCLUDE_xTaskDelayUntil			1
#define INCLUDE_vTaskDelay			1
#define INCLUDE_vTaskPrioritySet		1
#define INCLUDE_uxTaskPriorityGet		1
#endif

void setup_tick_interrupt(void);
#define configSETUP_TICK_INTERRUPT()		setup_tick_interrupt()
#define configCLEAR_TICK_INTERRUPT()		timer_rearm()

#define configUSE_TASK_FPU_SUPPORT		1

#define configASSERT(condition)			do { if (!(condition)) panic(#condition); } while (0)

#endif
