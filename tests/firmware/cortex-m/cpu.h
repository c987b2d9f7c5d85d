// SPDX-License-Identifier: Apache-2.0
// Instructions of ARMv7-M: barriers, interrupts.
#ifndef CPU_H
#define CPU_H

#include <stdint.h>

static inline void dsb(void) { __asm volatile("dsb" : : : "memory"); }
static inline void wfi(void) { __asm volatile("wfi" : : : "memory"); }
static inline void mask_interrupts(void) { __asm volatile("cpsid i" : : : "memory"); }

// Masks interrupts; returns what restore_interrupts needs.
static inline uint32_t save_interrupts(void)
{
	uint32_t primask;

	__asm volatile("mrs %0, primask" : "=r"(primask));
	mask_interrupts();
	return primask;
}

static inline void restore_interrupts(uint32_t primask)
{
	__asm volatile("msr primask, %0" : : "r"(primask) : "memory");
}

#endif
