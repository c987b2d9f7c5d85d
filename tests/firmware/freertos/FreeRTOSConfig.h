// SPDX-License-Identifier: Apache-2.0
// The options are described in FreeRTOS.h. What depends on the processor is in its folder's port_config.h.
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include "fault.h"
#include "port_config.h"
#include "timer.h"

// Few ticks, since each wakes an idle QEMU up, where the processor's folder has no idle without them.
#define configTICK_RATE_HZ			100
#define configUSE_PREEMPTION			1
#define configMAX_PRIORITIES			8
#define configMAX_TASK_NAME_LEN			16
#define configMINIMAL_STACK_SIZE		512 // in words
#define configSTACK_DEPTH_TYPE			size_t
#define configCHECK_FOR_STACK_OVERFLOW		2

#define configSUPPORT_STATIC_ALLOCATION		1
#define configSUPPORT_DYNAMIC_ALLOCATION	0
#define configKERNEL_PROVIDED_STATIC_MEMORY	1

#define configUSE_IDLE_HOOK			1
#define configUSE_TICK_HOOK			1
#define configUSE_TASK_NOTIFICATIONS		1
#define configUSE_MUTEXES			0
#define configUSE_TIMERS			0

// What the command ps shows.
#define configUSE_TRACE_FACILITY		1
#define configGENERATE_RUN_TIME_STATS		1
#define configRUN_TIME_COUNTER_TYPE		uint64_t
#define portCONFIGURE_TIMER_FOR_RUN_TIME_STATS()
#define portGET_RUN_TIME_COUNTER_VALUE()	timer_counter()

#ifdef SPARE_CORE
#define INCLUDE_xTaskGetCurrentTaskHandle	1
#define INCLUDE_xTaskDelayUntil			1
#define INCLUDE_vTaskDelay			1
#define INCLUDE_vTaskPrioritySet		1
#define INCLUDE_uxTaskPriorityGet		1
#endif

#define configASSERT(condition)			do { if (!(condition)) panic(#condition); } while (0)

#endif
