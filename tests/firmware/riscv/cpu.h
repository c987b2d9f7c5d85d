// SPDX-License-Identifier: Apache-2.0
// Instructions of RISC-V in machine mode: control registers, barriers, interrupts.
#ifndef CPU_H
#define CPU_H

#define MSTATUS_MIE (1ul << 3)

#define read_csr(name) ({					\
	unsigned long value_;					\
	__asm volatile("csrr %0, " #name : "=r"(value_));	\
	value_;							\
})

#define write_csr(name, value)					\
	__asm volatile("csrw " #name ", %0" : : "r"((unsigned long)(value)) : "memory")

static inline void dsb(void) { __asm volatile("fence iorw, iorw" : : : "memory"); }
static inline void wfi(void) { __asm volatile("wfi" : : : "memory"); }
static inline void mask_interrupts(void) { __asm volatile("csrc mstatus, %0" : : "r"(MSTATUS_MIE) : "memory"); }

#endif
