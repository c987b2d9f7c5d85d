// SPDX-License-Identifier: Apache-2.0
// PSCI for firmware on a spare core: what goes off is the core, the machine is Linux's.
#include "psci_core.h"

#include "gic.h"
#include "io.h"
#include "power.h"

#define CPU_OFF 0x84000002u

// The exception level of entry, set by start.S before main.
uint32_t boot_el;

uint64_t psci_call(uint32_t function)
{
	register uint64_t x0 __asm("x0") = function;

	// Entered at EL1, HVC reaches PSCI or the monitor at EL2. Entered at EL2, PSCI is above.
	if (boot_el == 2)
		__asm volatile("smc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
	else
		__asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
	return x0;
}

_Noreturn void power_off(void)
{
	gic_leave_core();
	psci_call(CPU_OFF);
	for (;;)
		wfi();
}
