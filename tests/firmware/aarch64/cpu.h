// SPDX-License-Identifier: Apache-2.0
// Instructions of AArch64: system registers, barriers, interrupts.
#ifndef CPU_H
#define CPU_H

#include <stdint.h>

#define read_sysreg(name) ({					\
	uint64_t value_;					\
	__asm volatile("mrs %0, " #name : "=r"(value_));	\
	value_;							\
})

#define write_sysreg(name, value)				\
	__asm volatile("msr " #name ", %0" : : "r"((uint64_t)(value)) : "memory")

static inline void isb(void) { __asm volatile("isb" : : : "memory"); }
static inline void dsb(void) { __asm volatile("dsb sy" : : : "memory"); }
static inline void wfi(void) { __asm volatile("wfi" : : : "memory"); }
static inline void mask_interrupts(void) { __asm volatile("msr daifset, #0xf" : : : "memory"); }

#endif
