// SPDX-License-Identifier: Apache-2.0
#include "fault.h"

#include <stdbool.h>
#include <stdint.h>

#include "console.h"
#include "exit_record.h"
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

struct cause {
	const char *name;
	enum fault_status status;
};

static struct cause synchronous_cause(uint64_t esr)
{
	switch (esr >> CLASS_SHIFT & CLASS_MASK) {
	case CLASS_UNKNOWN:
		return (struct cause){ "undefined instruction", FAULT_UNDEFINED };
	case CLASS_FP_TRAP:
		return (struct cause){ "floating point is not enabled", FAULT_UNDEFINED };
	case CLASS_INSTRUCTION_LOW:
	case CLASS_INSTRUCTION:
		return (struct cause){ "instruction abort", FAULT_MEMORY };
	case CLASS_DATA_LOW:
	case CLASS_DATA:
		return (struct cause){ "data abort", FAULT_MEMORY };
	case CLASS_PC_ALIGNMENT:
	case CLASS_SP_ALIGNMENT:
		return (struct cause){ "misaligned pc or sp", FAULT_MEMORY };
	default:
		return (struct cause){ "unexpected exception", FAULT_PANIC };
	}
}

static struct cause cause_of(unsigned long vector, uint64_t esr)
{
	switch (VECTOR_KIND(vector)) {
	case KIND_SYNCHRONOUS:
		return synchronous_cause(esr);
	case KIND_SERROR:
		return (struct cause){ "system error", FAULT_MEMORY };
	default:
		return (struct cause){ "unexpected interrupt", FAULT_PANIC };
	}
}

// The console may be what faults: the second time nothing more is printed.
static bool first_fault(void)
{
	static bool seen;
	bool first = !seen;

	seen = true;
	return first;
}

_Noreturn void fault_handler(unsigned long vector)
{
	uint64_t esr = read_sysreg(esr_el1);
	uint64_t elr = read_sysreg(elr_el1);
	uint64_t far = read_sysreg(far_el1);
	uint64_t spsr = read_sysreg(spsr_el1);
	struct cause cause = cause_of(vector, esr);

	if (first_fault()) {
		console_printf("\nfault: %s\n", cause.name);
		console_printf("ESR_EL1  %016lx\n", esr);
		console_printf("ELR_EL1  %016lx\n", elr);
		console_printf("FAR_EL1  %016lx\n", far);
		console_printf("SPSR_EL1 %016lx\n", spsr);
		console_flush();
	}
	exit_firmware(EXIT_FAULT, cause.status);
}

_Noreturn void panic_at(const char *file, unsigned long line, const char *reason)
{
	mask_interrupts();
	if (first_fault()) {
		console_printf("\npanic: %s (%s:%lu)\n", reason, file, line);
		console_flush();
	}
	exit_firmware(EXIT_FAULT, FAULT_PANIC);
}
