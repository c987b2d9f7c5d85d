// SPDX-License-Identifier: Apache-2.0
// PSCI as firmware on a spare core calls it.
#ifndef PSCI_CORE_H
#define PSCI_CORE_H

#include <stdint.h>

// Returns only if the function does not end this core.
uint64_t psci_call(uint32_t function);

#endif
