/* SPDX-License-Identifier: Apache-2.0 */
/* One way for each kind of machine that QEMU has. A board of your own may need another. */
#include "power_off.h"

#include <zephyr/arch/cpu.h>
#include <zephyr/sys/sys_io.h>

#define PSCI_SYSTEM_OFF		0x84000008ul
#define SCB_AIRCR		0xe000ed0cul
#define AIRCR_SYSRESETREQ	0x05fa0004u
#define VIRT_FINISHER		0x00100000ul /* of QEMU's RISC-V virt machine */
#define FINISHER_PASS		0x5555u

FUNC_NORETURN void power_off(void)
{
#if defined(CONFIG_ARM64)
	register unsigned long x0 __asm__("x0") = PSCI_SYSTEM_OFF;

	__asm__ volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
#elif defined(CONFIG_CPU_CORTEX_M)
	/* There is no power-off. The daemon takes a reset with an exit record for an exit. */
	sys_write32(AIRCR_SYSRESETREQ, SCB_AIRCR);
#elif defined(CONFIG_RISCV)
	sys_write32(FINISHER_PASS, VIRT_FINISHER);
#else
#error "say here how this machine is powered off"
#endif
	for (;;) {
	}
}
