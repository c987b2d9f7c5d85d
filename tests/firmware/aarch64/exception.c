// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "fault.h"
#include "io.h"

// ESR_EL1's exception class (Arm DDI 0487, "ESR_EL1, Exception Syndrome Register").
#define CLASS_SHIFT		26
#define CLASS_MASK		0x3f
#define CLASS_UNKNOWN		0x00
#define CLASS_FP_TRAP		0x07
#define CLASS_INSTRUCTION_LOW	0x20
#define CLASS_INSTRUCTION	0x21
#define CLASS_PC_ALIGNMENT	0x22
#define CLASS_DATA_LOW		0x24
#define CLASS_DATA		0x25
#define CLASS_SP_ALIGNMENT	0x26

// The vectors come in groups of four: synchronous, IRQ, FIQ, SError.
#define VECTOR_KIND(vector)	((vector) % 4)
#define KIND_SYNCHRONOUS	0
#define KIND_SERROR		3

// Called by the exception vectors with the number of the vector, on a fresh stack.
_Noreturn void fault_handler(unsigned long vector);

static struct fault synchronous_fault(uint64_t esr)
{
	switch (esr >> CLASS_SHIFT & CLASS_MASK) {
	case CLASS_UNKNOWN:
		return (struct fault){ "undefined instruction", FAULT_UNDEFINED };
	case CLASS_FP_TRAP:
		return (struct fault){ "floating point is not enabled", FAULT_UNDEFINED };
	case CLASS_INSTRUCTION_LOW:
	case CLASS_INSTRUCTION:
		return (struct fault){ "instruction abort", FAULT_MEMORY };
	case CLASS_DATA_LOW:
	case CLASS_DATA:
		return (struct fault){ "data abort", FAULT_MEMORY };
	case CLASS_PC_ALIGNMENT:
	case CLASS_SP_ALIGNMENT:
		return (struct fault){ "misaligned pc or sp", FAULT_MEMORY };
	default:
		return (struct fault){ "unexpected exception", FAULT_PANIC };
	}
}

static struct fault fault_of(unsigned long vector, uint64_t esr)
{
	switch (VECTOR_KIND(vector)) {
	case KIND_SYNCHRONOUS:
		return synchronous_fault(esr);
	case KIND_SERROR:
		return (struct fault){ "system error", FAULT_MEMORY };
	default:
		return (struct fault){ "unexpected interrupt", FAULT_PANIC };
	}
}

_Noreturn void fault_handler(unsigned long vector)
{
	uint64_t esr = read_sysreg(esr_el1);
	const struct fault_register registers[] = {
		{ "ESR_EL1", esr },
		{ "ELR_EL1", read_sysreg(elr_el1) },
		{ "FAR_EL1", read_sysreg(far_el1) },
		{ "SPSR_EL1", read_sysreg(spsr_el1) },
		{ 0 },
	};

	fault_report(fault_of(vector, esr), registers);
}
