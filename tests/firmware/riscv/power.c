// SPDX-License-Identifier: Apache-2.0
// The "test finisher" of QEMU's virt machine: a register that ends it.
#include "power.h"

#include "io.h"

#define FINISHER	0x00100000ul
#define FINISHER_PASS	0x5555u

_Noreturn void power_off(void)
{
	write32(FINISHER, FINISHER_PASS);
	for (;;)
		wfi();
}
