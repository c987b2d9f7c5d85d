// SPDX-License-Identifier: Apache-2.0
// Causes: The RISC-V Instruction Set Manual, volume II, "Machine Cause Register".
#include "fault.h"
#include "io.h"

#define CAUSE_INSTRUCTION_MISALIGNED	0
#define CAUSE_INSTRUCTION_ACCESS	1
#define CAUSE_ILLEGAL_INSTRUCTION	2
#define CAUSE_LOAD_MISALIGNED		4
#define CAUSE_LOAD_ACCESS		5
#define CAUSE_STORE_MISALIGNED		6
#define CAUSE_STORE_ACCESS		7

// The FreeRTOS port calls this for every exception but its own system call, on the stack of interrupts.
void freertos_risc_v_application_exception_handler(void);

static struct fault fault_of(unsigned long cause)
{
	switch (cause) {
	case CAUSE_ILLEGAL_INSTRUCTION:
		return (struct fault){ "illegal instruction", FAULT_UNDEFINED };
	case CAUSE_INSTRUCTION_MISALIGNED:
	case CAUSE_INSTRUCTION_ACCESS:
		return (struct fault){ "instruction access fault", FAULT_MEMORY };
	case CAUSE_LOAD_MISALIGNED:
	case CAUSE_LOAD_ACCESS:
		return (struct fault){ "load access fault", FAULT_MEMORY };
	case CAUSE_STORE_MISALIGNED:
	case CAUSE_STORE_ACCESS:
		return (struct fault){ "store access fault", FAULT_MEMORY };
	default:
		return (struct fault){ "unexpected exception", FAULT_PANIC };
	}
}

void freertos_risc_v_application_exception_handler(void)
{
	unsigned long cause = read_csr(mcause);
	const struct fault_register registers[] = {
		{ "MCAUSE", cause },
		{ "MEPC", read_csr(mepc) },
		{ "MTVAL", read_csr(mtval) },
		{ "MSTATUS", read_csr(mstatus) },
		{ 0 },
	};

	fault_report(fault_of(cause), registers);
}
