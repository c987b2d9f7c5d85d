// SPDX-License-Identifier: Apache-2.0
// What happens when the firmware cannot go on: a report on the console, the exit record, power off.
#ifndef FAULT_H
#define FAULT_H

#include "exit_record.h"

// What an exception means.
struct fault {
	const char *name;
	enum fault_status status;
};

// A register that explains it.
struct fault_register {
	const char *name;
	unsigned long value;
};

// Ends the firmware after an exception. The registers end with one without a name. Called by the processor's own exception
// handler, on a stack that works.
_Noreturn void fault_report(struct fault fault, const struct fault_register *registers);

_Noreturn void panic_at(const char *file, unsigned long line, const char *reason);

#define panic(reason) panic_at(__FILE__, __LINE__, reason)

#endif
