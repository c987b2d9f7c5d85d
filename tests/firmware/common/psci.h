// SPDX-License-Identifier: Apache-2.0
// PSCI, the firmware interface that powers the machine off (Arm DEN 0022).
#ifndef PSCI_H
#define PSCI_H

_Noreturn void psci_system_off(void);

#endif
