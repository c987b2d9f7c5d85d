// SPDX-License-Identifier: Apache-2.0
// Access to memory-mapped registers. What needs instructions of a processor is in its folder's cpu.h.
#ifndef IO_H
#define IO_H

#include <stdint.h>

#include "cpu.h"

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

static inline uint8_t read8(uintptr_t addr)
{
	return *(volatile uint8_t *)addr;
}

static inline void write8(uintptr_t addr, uint8_t value)
{
	*(volatile uint8_t *)addr = value;
}

#endif
