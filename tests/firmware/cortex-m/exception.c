// SPDX-License-Identifier: Apache-2.0
// Register names and bits: Arm DDI 0403, B3.2.
#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "io.h"
#include "irq_entry.h"

#define SCB_CFSR	0xe000ed28ul
#define SCB_HFSR	0xe000ed2cul
#define SCB_BFAR	0xe000ed38ul

#define CFSR_MEMMANAGE	0x000000ffu
#define CFSR_BUS	0x0000ff00u
#define CFSR_UNDEFINED	0x000b0000u // an undefined instruction, an invalid state, no coprocessor

#define STACKED_PC	6 // words from the stack pointer at the exception

extern uint32_t __ram_start[], __ram_end[];

// Gets the stack on which the processor has left the registers: the task's or the handlers'.
_Noreturn void fault_handler(const uint32_t *stack);

static struct fault fault_of(uint32_t cfsr)
{
	if (cfsr & CFSR_BUS)
		return (struct fault){ "bus fault", FAULT_MEMORY };
	if (cfsr & CFSR_MEMMANAGE)
		return (struct fault){ "memory management fault", FAULT_MEMORY };
	if (cfsr & CFSR_UNDEFINED)
		return (struct fault){ "undefined instruction", FAULT_UNDEFINED };
	return (struct fault){ "unexpected exception", FAULT_PANIC };
}

__attribute__((naked)) void fault_entry(void)
{
	__asm volatile("	tst	lr, #4\n"
		       "	ite	eq\n"
		       "	mrseq	r0, msp\n"
		       "	mrsne	r0, psp\n"
		       "	b	fault_handler\n");
}

_Noreturn void fault_handler(const uint32_t *stack)
{
	uint32_t cfsr = read32(SCB_CFSR);
	// The stack may be what is broken.
	bool stacked = stack >= __ram_start && stack + STACKED_PC < __ram_end;
	const struct fault_register registers[] = {
		{ "CFSR", cfsr },
		{ "HFSR", read32(SCB_HFSR) },
		{ "PC", stacked ? stack[STACKED_PC] : 0 },
		{ "BFAR", read32(SCB_BFAR) },
		{ 0 },
	};

	fault_report(fault_of(cfsr), registers);
}
