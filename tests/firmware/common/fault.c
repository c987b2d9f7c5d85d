// SPDX-License-Identifier: Apache-2.0
#include "fault.h"

#include <stdbool.h>

#include "console.h"
#include "io.h"

// The console may be what faults: the second time nothing more is printed.
static bool first_fault(void)
{
	static bool seen;
	bool first = !seen;

	seen = true;
	return first;
}

_Noreturn void fault_report(struct fault fault, const struct fault_register *registers)
{
	if (first_fault()) {
		console_printf("\nfault: %s\n", fault.name);
		for (; registers->name; registers++)
			console_printf(sizeof(long) == 8 ? "%-8s %016lx\n" : "%-8s %08lx\n", registers->name,
				       registers->value);
		console_flush();
	}
	exit_firmware(EXIT_FAULT, fault.status);
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
