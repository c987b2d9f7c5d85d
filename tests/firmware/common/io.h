// SPDX-License-Identifier: Apache-2.0
// Access to memory-mapped registers, AArch64 system registers and barriers.
#ifndef IO_H
#define IO_H

#include <stdint.h>

static inline uint32_t read32(uintptr_t addr)
{
	return *(volatile uint32_t *)addr;
}

static inline void write32(uintptr_t addr, uint32_t value)
{
	*(volatile uint32_t *)addr = value;
}

static inline uint64_t read64(uintptr_t addr)
{
	return *(volatile uint64_t *)addr;
}

static inline void write64(uintptr_t addr, uint64_t value)
{
	*(volatile uint64_t *)addr = value;
}

static inline void write8(uintptr_t addr, uint8_t value)
{
	*(volatile uint8_t *)addr = value;
}

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
