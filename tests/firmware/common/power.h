// SPDX-License-Identifier: Apache-2.0
#ifndef POWER_H
#define POWER_H

// Ends the machine, or the core beside Linux, by what it offers for that: PSCI, a register, a reset.
_Noreturn void power_off(void);

#endif
