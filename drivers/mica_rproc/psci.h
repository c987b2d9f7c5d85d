/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_PSCI_H
#define MICA_RPROC_PSCI_H

#include <linux/types.h>

enum mica_core_state {
	MICA_CORE_ON = 0,
	MICA_CORE_OFF = 1,
	MICA_CORE_ON_PENDING = 2,
};

int mica_psci_init(void);
int mica_psci_core_state(u64 mpidr);
int mica_psci_cpu_on(u64 mpidr, phys_addr_t entry);

#endif
