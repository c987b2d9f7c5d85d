// SPDX-License-Identifier: Apache-2.0
#include "power.h"

#include <stdint.h>

#include "io.h"

#define SYSTEM_OFF 0x84000008u

// The exception level of entry, set by start.S before main.
uint32_t boot_el;

_Noreturn void power_off(void)
{
	register uint64_t x0 __asm("x0") = SYSTEM_OFF;

	// QEMU's virt answers PSCI on HVC, unless the guest owns EL2: then on SMC.
	if (boot_el == 2)
		__asm volatile("smc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
	else
		__asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
	for (;;)
		wfi();
}
